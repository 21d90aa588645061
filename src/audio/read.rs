//! Reading recordings: WAV of any depth, rate and channel count, and FLAC, mixed down to mono.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::Resampler;
use crate::error::{Error, Kind, Result};
use crate::units::SampleRate;

/// Longest recording accepted.
pub const MAX_FILE: Duration = Duration::from_secs(3600);

/// Rates a recording may claim, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=Resampler::MAX_RATE;

const REMEDY_FORMAT: &str = "give a WAV or FLAC recording, for example made with `sox IN -r 16000 -c 1 OUT.wav`";

/// A recording, mixed down to mono, in [−1, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    pub rate: SampleRate,
    pub samples: Vec<f32>,
}

impl Clip {
    pub fn duration(&self) -> Duration {
        self.rate.duration(self.samples.len())
    }
}

/// Reads a WAV (8 to 32 bits integer, 32 and 64 bits float, A-law and µ-law) or FLAC file at its own rate.
/// An hour at 48 kHz takes 690 MB; [`read_16k`] resamples while it reads.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Io`]; [`Kind::Corrupt`] for what is truncated, empty or absurd; [`Kind::Unsupported`]
/// for other formats and for more than [`MAX_FILE`].
pub fn read_file(path: &Path) -> Result<Clip> {
    let mut samples = Vec::new();
    let mut recording = Recording::open(path)?;
    recording.decode(|mono| {
        samples.extend_from_slice(mono);
        Ok(())
    })?;
    Ok(Clip { rate: recording.rate, samples })
}

/// Reads a recording as hearing wants it: 16 kHz mono.
///
/// # Errors
/// As [`read_file`].
pub fn read_16k(path: &Path) -> Result<Vec<f32>> {
    let mut samples = Vec::new();
    let mut recording = Recording::open(path)?;
    let mut resampler = Resampler::new(recording.rate, SampleRate::HEARING)?;
    recording.decode(|mono| resampler.process(mono, &mut samples))?;
    resampler.flush(&mut samples)?;
    Ok(samples)
}

/// An opened file whose header has been believed as far as it can be.
struct Recording<'a> {
    path: &'a Path,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: SampleRate,
    /// Frames the header promises; `None` where it leaves that open (written to a pipe).
    promised: Option<u64>,
}

impl<'a> Recording<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path)
            .map_err(|e| Error::io("read", path, e).remedy("check the name; recordings are WAV or FLAC files"))?;
        let meta = file.metadata().map_err(|e| Error::io("read", path, e))?;
        if meta.is_dir() {
            let e = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Error::io("read", path, e).remedy("give the recordings in it by name"));
        }
        if meta.len() == 0 && meta.is_file() {
            return Err(corrupt(path, "the file is empty").remedy("record or copy it again"));
        }
        let stream = MediaSourceStream::new(Box::new(file), Default::default());
        let mut hint = Hint::new();
        if let Some(ext) = path.extension().and_then(std::ffi::OsStr::to_str) {
            hint.with_extension(ext);
        }
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| header_error(path, e))?;
        let Some(track) = format.default_track(TrackType::Audio) else {
            return Err(unsupported(path, "it holds no sound"));
        };
        let Some(params) = track.codec_params.as_ref().and_then(|p| p.audio()) else {
            return Err(unsupported(path, "it holds no sound"));
        };
        let rate = SampleRate(params.sample_rate.unwrap_or(0));
        if !RATES.contains(&rate.0) {
            return Err(
                corrupt(path, &format!("its header claims {} samples per second", rate.0)).remedy(REMEDY_FORMAT)
            );
        }
        // 2 GiB and more stands for "unknown" in files written to a pipe.
        let bytes_per_frame = u64::from(params.bits_per_sample.unwrap_or(8) / 8).max(1)
            * params.channels.as_ref().map_or(1, |c| c.count() as u64).max(1);
        let promised =
            track.num_frames.filter(|&n| n.saturating_mul(bytes_per_frame) < 0x7fff_0000 || n * 8 < meta.len());
        if promised.is_some_and(|n| n > max_frames(rate)) {
            return Err(too_long(path));
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(|e| header_error(path, e))?;
        let track = track.id;
        Ok(Self { path, format, decoder, track, rate, promised })
    }

    /// Decodes everything, handing mono blocks to `take`.
    fn decode(&mut self, mut take: impl FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let (mut frames, mut interleaved, mut mono) = (0u64, Vec::<f32>::new(), Vec::<f32>::new());
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(p)) if p.track_id != self.track => continue,
                Ok(Some(p)) => p,
                Ok(None) => break,
                Err(DecodeError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(DecodeError::IoError(e)) => return Err(Error::io("read", self.path, e)),
                Err(e) => return Err(corrupt(self.path, &e.to_string()).remedy("record or copy it again")),
            };
            let block = match self.decoder.decode(&packet) {
                Ok(b) => b,
                Err(DecodeError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(e) => {
                    let what = format!("after {:.1} s: {e}", self.seconds(frames));
                    return Err(corrupt(self.path, &what).remedy("record or copy it again"));
                }
            };
            let channels = block.spec().channels().count().max(1);
            block.copy_to_vec_interleaved(&mut interleaved);
            mix_down(&interleaved, channels, &mut mono);
            frames += mono.len() as u64;
            if frames > max_frames(self.rate) {
                return Err(too_long(self.path));
            }
            take(&mono)?;
        }
        match self.promised {
            // A last frame that is cut short is nobody's loss.
            Some(n) if frames + 1 < n => {
                let what = format!(
                    "truncated: its header promises {:.1} s, it holds {:.1} s",
                    self.seconds(n),
                    self.seconds(frames)
                );
                Err(corrupt(self.path, &what).remedy("copy or record it again; `sox IN OUT.wav` keeps what is there"))
            }
            _ if frames == 0 => Err(corrupt(self.path, "it holds no samples").remedy("record it again")),
            _ => Ok(()),
        }
    }

    fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.rate.0)
    }
}

/// Averages the channels; what is no number becomes silence.
pub(super) fn mix_down(interleaved: &[f32], channels: usize, mono: &mut Vec<f32>) {
    mono.clear();
    let clean = |x: f32| if x.is_finite() { x } else { 0.0 };
    match channels {
        0 | 1 => mono.extend(interleaved.iter().map(|&x| clean(x))),
        n => {
            let scale = 1.0 / n as f32;
            mono.extend(interleaved.chunks_exact(n).map(|f| f.iter().map(|&x| clean(x)).sum::<f32>() * scale));
        }
    }
}

fn max_frames(rate: SampleRate) -> u64 {
    MAX_FILE.as_secs() * u64::from(rate.0)
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("cannot read {}: {what}", path.display()))
}

fn unsupported(path: &Path, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("cannot read {}: {what}", path.display())).remedy(REMEDY_FORMAT)
}

fn too_long(path: &Path) -> Error {
    unsupported(path, &format!("it is longer than {} minutes", MAX_FILE.as_secs() / 60))
        .remedy("cut it into pieces, for example with `sox IN OUT.wav trim 0 3600 : newfile : restart`")
}

fn header_error(path: &Path, e: DecodeError) -> Error {
    match e {
        DecodeError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            corrupt(path, "it ends before its header is complete, or is no recording").remedy(REMEDY_FORMAT)
        }
        DecodeError::IoError(e) => Error::io("read", path, e),
        DecodeError::Unsupported(what) => unsupported(path, "its format is not handled").because(what),
        e => corrupt(path, "its header makes no sense").because(e.to_string()).remedy(REMEDY_FORMAT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(dir: &Path, spec: hound::WavSpec, seconds: f32) -> std::path::PathBuf {
        let path = dir.join(format!("{}-{}-{}.wav", spec.bits_per_sample, spec.sample_rate, spec.channels));
        let mut w = hound::WavWriter::create(&path, spec).unwrap();
        for i in 0..(seconds * spec.sample_rate as f32) as usize {
            let x = 0.5 * (2.0 * std::f32::consts::PI * 440.0 * i as f32 / spec.sample_rate as f32).sin();
            for c in 0..spec.channels {
                // Channels that differ: the mix must be their mean.
                let x = if c == 0 { x * f32::from(spec.channels) } else { 0.0 } * 0.9 / f32::from(spec.channels);
                match spec.sample_format {
                    hound::SampleFormat::Float => w.write_sample(x).unwrap(),
                    hound::SampleFormat::Int => {
                        w.write_sample((x * ((1i64 << (spec.bits_per_sample - 1)) - 1) as f32) as i32).unwrap();
                    }
                }
            }
        }
        w.finalize().unwrap();
        path
    }

    fn spec(bits: u16, rate: u32, channels: u16, float: bool) -> hound::WavSpec {
        let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format }
    }

    #[test]
    fn any_depth_rate_and_channel_count_is_the_same_tone() {
        let dir = tempfile::tempdir().unwrap();
        for (bits, rate, channels, float) in [
            (8, 8_000, 1, false),
            (16, 16_000, 1, false),
            (24, 44_100, 2, false),
            (32, 96_000, 2, false),
            (32, 48_000, 6, true),
            (8, 96_000, 2, false),
            (16, 11_025, 8, false),
        ] {
            let path = write(dir.path(), spec(bits, rate, channels, float), 1.0);
            let clip = read_file(&path).unwrap();
            assert_eq!((clip.rate.0, clip.samples.len()), (rate, rate as usize), "{path:?}");
            let pcm = read_16k(&path).unwrap();
            assert_eq!(pcm.len(), 16_000, "{path:?}");
            let tolerance = if bits == 8 { 0.02 } else { 0.003 };
            for (i, got) in pcm.iter().enumerate().take(15_000).skip(1_000) {
                let want =
                    0.45 / f32::from(channels) * (2.0 * std::f32::consts::PI * 440.0 * i as f32 / 16_000.0).sin();
                assert!((got - want).abs() < tolerance, "{path:?} sample {i}: {got} for {want}");
            }
        }
    }

    /// `sox -n -r 44100 -c 2 -b 24 tone.flac synth 0.5 sine 440 vol 0.5 remix 1 1v0`
    const FLAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tone.flac");

    #[test]
    fn flac_is_read_and_a_truncated_one_refused() {
        let clip = read_file(Path::new(FLAC)).unwrap();
        assert_eq!((clip.rate, clip.samples.len()), (SampleRate(44_100), 22_050));
        let pcm = read_16k(Path::new(FLAC)).unwrap();
        assert_eq!(pcm.len(), 8_000);
        for (i, got) in pcm.iter().enumerate().take(7_500).skip(500) {
            let want = 0.25 * (2.0 * std::f32::consts::PI * 440.0 * i as f32 / 16_000.0).sin();
            assert!((got - want).abs() < 0.003, "sample {i}: {got} for {want}");
        }
        let dir = tempfile::tempdir().unwrap();
        let (bytes, path) = (std::fs::read(FLAC).unwrap(), dir.path().join("cut.flac"));
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let e = read_file(&path).expect_err("truncated");
        assert_eq!(e.kind(), Kind::Corrupt);
        assert!(e.to_string().contains("truncated") || e.to_string().contains("after"), "{e}");
    }

    #[test]
    fn what_cannot_be_read_names_the_file_and_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let good = std::fs::read(write(dir.path(), spec(16, 16_000, 1, false), 2.0)).unwrap();
        let mut huge_rate = good.clone();
        huge_rate[24..28].copy_from_slice(&0xfff0_0000u32.to_le_bytes());
        let mut zero_rate = good.clone();
        zero_rate[24..28].copy_from_slice(&[0; 4]);
        let mut no_channels = good.clone();
        no_channels[22..24].copy_from_slice(&[0; 2]);
        let mut long = good.clone();
        long[4..8].copy_from_slice(&(4000u32 * 32_000 + 36).to_le_bytes());
        long[40..44].copy_from_slice(&(4000u32 * 32_000).to_le_bytes());
        let cases: [(&str, &[u8], Kind); 9] = [
            ("empty.wav", b"", Kind::Corrupt),
            ("text.wav", b"this is no recording at all, but some text", Kind::Unsupported),
            ("header-only.wav", &good[..20], Kind::Corrupt),
            ("no-samples.wav", &good[..44], Kind::Corrupt),
            ("truncated.wav", &good[..good.len() / 2], Kind::Corrupt),
            ("huge-rate.wav", &huge_rate, Kind::Corrupt),
            ("zero-rate.wav", &zero_rate, Kind::Corrupt),
            ("no-channels.wav", &no_channels, Kind::Corrupt),
            ("too-long.wav", &long, Kind::Unsupported),
        ];
        for (name, bytes, kind) in cases {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let e = read_16k(&path).expect_err(name);
            assert!(e.to_string().contains(name), "{name}: {e}");
            assert!(e.remedy_text().is_some(), "{name}: {e}");
            assert!(matches!(e.kind(), Kind::Corrupt | Kind::Unsupported) && e.kind() == kind, "{name}: {e:?}");
        }
        let e = read_file(&dir.path().join("none.wav")).expect_err("missing");
        assert_eq!(e.kind(), Kind::NotFound);
        assert!(read_file(dir.path()).expect_err("a folder").remedy_text().is_some());
    }

    #[test]
    fn a_recording_written_to_a_pipe_has_no_length_and_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = std::fs::read(write(dir.path(), spec(16, 16_000, 1, false), 1.0)).unwrap();
        for length in [0xffff_ffffu32, 0x7fff_ffff - 36, 0x8000_0000] {
            bytes[4..8].copy_from_slice(&length.saturating_add(36).to_le_bytes());
            bytes[40..44].copy_from_slice(&length.to_le_bytes());
            let path = dir.path().join("pipe.wav");
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read_16k(&path).unwrap().len(), 16_000, "{length:x}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn garbage_is_refused_or_read_but_never_fatal(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            flac in any::<bool>(),
            header in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("g.wav");
            let mut file = Vec::new();
            if header {
                file.extend_from_slice(if flac { b"fLaC\x00\x00\x00\x22" } else { b"RIFF\xff\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00" });
            }
            file.extend_from_slice(&bytes);
            std::fs::write(&path, &file).unwrap();
            if let Err(e) = read_file(&path) {
                prop_assert!(e.to_string().contains("g.wav"));
            }
        }
    }
}
