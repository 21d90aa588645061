//! The mel filterbank that Whisper was trained with: triangles on Slaney's mel scale, normalised to equal area.
//!
//! Source: Slaney, "Auditory Toolbox", Interval Research technical report 1998-010, as `librosa.filters.mel(sr=16000, n_fft=400)`
//! computes it, of which openai/whisper, whisper/assets/mel_filters.npz, is the output (Radford et al., 2022, arXiv:2212.04356).

/// Bins of the spectrum: 400 samples at 16 kHz give 201.
pub(super) const BINS: usize = 201;
const TOP_HZ: f64 = 8000.0;

/// Below this the scale is linear, above it logarithmic.
const KNEE_HZ: f64 = 1000.0;
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const KNEE_MEL: f64 = KNEE_HZ / HZ_PER_MEL;

/// Natural logarithm of the frequency step of one mel above the knee: 27 steps for a factor of 6.4.
fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

/// Slaney's mels of a frequency in Hz.
fn to_mel(hz: f64) -> f64 {
    if hz < KNEE_HZ { hz / HZ_PER_MEL } else { KNEE_MEL + (hz / KNEE_HZ).ln() / log_step() }
}

/// The frequency in Hz of Slaney's mels; undoes [`to_mel`].
fn to_hz(mel: f64) -> f64 {
    if mel < KNEE_MEL { mel * HZ_PER_MEL } else { KNEE_HZ * (log_step() * (mel - KNEE_MEL)).exp() }
}

/// `[n_mels, BINS]`, row by row: filter `m` rises from edge `m` to edge `m + 1` and falls to edge `m + 2`.
pub(super) fn filterbank(n_mels: usize) -> Vec<f32> {
    let step = to_mel(TOP_HZ) / (n_mels + 1) as f64;
    // The ends are set, not computed: a last edge one rounding error above 8 kHz would let its neighbour in.
    let edge = |i: usize| match i {
        0 => 0.0,
        i if i == n_mels + 1 => TOP_HZ,
        i => to_hz(i as f64 * step),
    };
    let mut bank = Vec::with_capacity(n_mels * BINS);
    for m in 0..n_mels {
        let (low, peak, high) = (edge(m), edge(m + 1), edge(m + 2));
        for bin in 0..BINS {
            let hz = bin as f64 * TOP_HZ / (BINS - 1) as f64;
            let height = ((hz - low) / (peak - low)).min((high - hz) / (high - peak));
            let weight = if height > 0.0 { height * (2.0 / (high - low)) } else { 0.0 };
            bank.push(weight as f32);
        }
    }
    bank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_where_whisper_has_them() {
        let bank = filterbank(80);
        assert_eq!(bank.len(), 80 * BINS);
        // Published in Whisper's own table: the first filter holds one bin, the last three reach to bin 199.
        assert_eq!(bank[0], 0.0);
        assert!((bank[1] - 0.024_862_595).abs() < 1e-8);
        assert!((bank[79 * BINS + 199] - 0.000_448_759_5).abs() < 1e-9);
        assert_eq!(bank[79 * BINS + 200], 0.0);
        assert!(bank.iter().all(|w| w.is_finite() && *w >= 0.0 && w.is_sign_positive()));
    }
}
