//! From one sample rate to another: FFT resampling with the filter's delay taken out, so that lengths and times agree.
//!
//! Source: the crate rubato 5.0.1, `Fft` (overlap-add, windowed-sinc filter); its window is the square of Blackman-Harris
//! (Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform", 1978).

use audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use crate::error::{Error, Kind, Result};
use crate::units::SampleRate;

/// Streaming mono resampler. What comes out starts at the time of what went in: the filter's delay is trimmed at the
/// start and pushed out by [`Resampler::flush`], and `n` samples become exactly `round(n · to / from)`.
pub struct Resampler {
    from: SampleRate,
    to: SampleRate,
    /// `None` where the rates are equal.
    fft: Option<Fft<f32>>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    block_out: Vec<f32>,
    /// Output still to be thrown away: the filter's delay.
    trim: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Highest rate accepted, in Hz.
    pub const MAX_RATE: u32 = 768_000;

    /// A resampler that works in blocks of about 10 ms (20 ms at 44.1 kHz).
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a rate of 0 or above [`Resampler::MAX_RATE`].
    pub fn new(from: SampleRate, to: SampleRate) -> Result<Self> {
        for rate in [from, to] {
            if !(1..=Self::MAX_RATE).contains(&rate.0) {
                return Err(Error::new(Kind::Unsupported, format!("cannot resample {} Hz to {} Hz", from.0, to.0))
                    .remedy("use a sample rate between 8000 and 192000 Hz"));
            }
        }
        let fft = if from == to {
            None
        } else {
            let (from, to) = (from.0 as usize, to.0 as usize);
            // An even number of the smallest possible blocks: the filter's delay is half a block, and whole samples.
            let smallest = from / gcd(from, to);
            let block = smallest * (from / 100).div_ceil(smallest).max(1).next_multiple_of(2);
            let fft = Fft::new_custom(from, to, block, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Both)
                .map_err(|e| internal(&e))?;
            Some(fft)
        };
        let (block_in, block_out, trim) =
            fft.as_ref().map_or((0, 0, 0), |f| (f.input_frames_max(), f.output_frames_max(), f.output_delay()));
        let pending = Vec::with_capacity(block_in);
        Ok(Self { from, to, fft, pending, block_out: vec![0.0; block_out], trim, taken: 0, given: 0 })
    }

    pub fn from(&self) -> SampleRate {
        self.from
    }

    pub fn to(&self) -> SampleRate {
        self.to
    }

    /// Takes `input` and appends what is ready to `out`.
    ///
    /// # Errors
    /// [`Kind::Internal`] only.
    pub fn process(&mut self, mut input: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.taken += input.len() as u64;
        let Some(fft) = &mut self.fft else {
            self.given += input.len() as u64;
            out.extend_from_slice(input);
            return Ok(());
        };
        let block = fft.input_frames_next();
        while self.pending.len() + input.len() >= block {
            let (head, rest) = input.split_at(block - self.pending.len());
            input = rest;
            self.pending.extend_from_slice(head);
            let n = run_block(fft, &self.pending, &mut self.block_out)?;
            self.pending.clear();
            let skip = self.trim.min(n);
            self.trim -= skip;
            self.given += (n - skip) as u64;
            out.extend_from_slice(&self.block_out[skip..n]);
        }
        self.pending.extend_from_slice(input);
        Ok(())
    }

    /// Appends what the filter still holds, and starts afresh for the next stream.
    ///
    /// # Errors
    /// [`Kind::Internal`] only.
    pub fn flush(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let total = self.expected();
        if self.fft.is_some() {
            while self.given < total {
                let block = self.fft.as_ref().map_or(1, rubato::Resampler::input_frames_next);
                let silence = vec![0.0; block - self.pending.len()];
                self.process(&silence, out)?;
            }
            // The last block may have brought more than belongs to the input.
            let excess = usize::try_from(self.given - total).unwrap_or(0);
            out.truncate(out.len().saturating_sub(excess));
        }
        self.reset();
        Ok(())
    }

    /// Forgets everything, as after a gap in the input.
    pub fn reset(&mut self) {
        self.pending.clear();
        (self.taken, self.given) = (0, 0);
        if let Some(fft) = &mut self.fft {
            fft.reset();
            self.trim = fft.output_delay();
        }
    }

    /// `round(taken · to / from)`.
    fn expected(&self) -> u64 {
        let (from, to) = (u128::from(self.from.0), u128::from(self.to.0));
        ((2 * u128::from(self.taken) * to + from) / (2 * from)) as u64
    }

    /// Bytes held on the heap, for the memory ledger: blocks, spectra and filter of the transform.
    pub fn heap_bytes(&self) -> u64 {
        let Some(fft) = &self.fft else { return 0 };
        let (i, o) = (fft.fft_size_in() as u64, fft.fft_size_out() as u64);
        // Per side: 2n samples in time, n + 1 complex bins, scratch of about as much; a filter; saved blocks.
        4 * (10 * i + 8 * o) + 4 * (self.pending.capacity() + self.block_out.capacity()) as u64
    }
}

fn run_block(fft: &mut Fft<f32>, input: &[f32], output: &mut [f32]) -> Result<usize> {
    let frames_out = output.len();
    let input = SequentialSlice::new(input, 1, input.len()).map_err(|e| internal(&e))?;
    let mut output = SequentialSlice::new_mut(output, 1, frames_out).map_err(|e| internal(&e))?;
    let (_, n) = fft.process_into_buffer(&input, &mut output, None).map_err(|e| internal(&e))?;
    Ok(n)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn internal(e: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("the resampler failed: {e}"))
}

/// Resamples a whole clip; `n` samples become exactly `round(n · to / from)`.
///
/// # Errors
/// As [`Resampler::new`].
pub fn resample(pcm: &[f32], from: SampleRate, to: SampleRate) -> Result<Vec<f32>> {
    if from == to {
        return Ok(pcm.to_vec());
    }
    let mut r = Resampler::new(from, to)?;
    let len = pcm.len() as u128 * u128::from(to.0) / u128::from(from.0.max(1));
    let mut out = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + r.block_out.len() + 1);
    r.process(pcm, &mut out)?;
    r.flush(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(hz: f32, rate: u32, n: usize) -> Vec<f32> {
        let w = 2.0 * std::f64::consts::PI * f64::from(hz) / f64::from(rate);
        (0..n).map(|i| (0.5 * (w * i as f64).sin()) as f32).collect()
    }

    /// Largest deviation from the tone it should be, ends left out.
    fn worst(hz: f32, from: u32, to: u32) -> f32 {
        let got = resample(&tone(hz, from, from as usize), SampleRate(from), SampleRate(to)).unwrap();
        let want = tone(hz, to, to as usize);
        assert_eq!(got.len(), want.len());
        let edge = to as usize / 20;
        (edge..want.len() - edge).map(|i| (got[i] - want[i]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_tone_keeps_its_pitch_phase_and_level() {
        for (from, to) in [(48_000, 16_000), (44_100, 16_000), (22_050, 48_000), (8_000, 16_000), (96_000, 16_000)] {
            let d = worst(440.0, from, to);
            assert!(d < 1e-3, "{from} -> {to}: off by {d}");
        }
    }

    #[test]
    fn what_lies_above_the_new_band_is_removed() {
        let out = resample(&tone(11_000.0, 48_000, 48_000), SampleRate(48_000), SampleRate::HEARING).unwrap();
        let peak = out[800..15_200].iter().fold(0f32, |m, x| m.max(x.abs()));
        assert!(peak < 1e-4, "an alias of {peak} remains");
    }

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        for (from, to) in [(0, 16_000), (16_000, 0), (4_000_000_000, 16_000)] {
            let e = Resampler::new(SampleRate(from), SampleRate(to)).err().expect("an error");
            assert_eq!(e.kind(), Kind::Unsupported);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn pieces_give_the_same_as_the_whole_and_the_length_is_exact(
            n in 0usize..9000,
            cuts in proptest::collection::vec(1usize..2000, 1..12),
            rates in prop::sample::select(vec![
                (48_000u32, 16_000u32), (44_100, 16_000), (22_050, 48_000), (16_000, 22_050), (11_025, 16_000),
                (16_000, 16_000), (8_000, 44_100),
            ]),
        ) {
            let (from, to) = rates;
            let pcm: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5).collect();
            let whole = resample(&pcm, SampleRate(from), SampleRate(to)).unwrap();
            let want = (2 * n as u64 * u64::from(to) + u64::from(from)) / (2 * u64::from(from));
            prop_assert_eq!(whole.len() as u64, want);
            let mut r = Resampler::new(SampleRate(from), SampleRate(to)).unwrap();
            // Twice through the same resampler: a flush leaves nothing behind.
            for _ in 0..2 {
                let (mut out, mut rest, mut i) = (Vec::new(), &pcm[..], 0);
                while !rest.is_empty() {
                    let (head, tail) = rest.split_at(cuts[i % cuts.len()].min(rest.len()));
                    r.process(head, &mut out).unwrap();
                    rest = tail;
                    i += 1;
                }
                r.flush(&mut out).unwrap();
                prop_assert_eq!(&out, &whole);
            }
        }
    }
}
