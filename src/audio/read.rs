//! Reading recordings: WAV of any depth, rate and channel count, and FLAC, mixed down to mono.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;

use super::Resampler;
use super::riff::{self, Fault, Front, Header};
use crate::error::{Error, Kind, Result};
use crate::units::SampleRate;

/// Longest recording accepted.
pub const MAX_FILE: Duration = Duration::from_secs(3600);

/// Rates a recording may claim, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=Resampler::MAX_RATE;
/// How much of a WAV is decoded at a time.
const BLOCK_BYTES: usize = 1 << 16;

const REMEDY_FORMAT: &str = "give a WAV or FLAC recording, for example made with `sox IN -r 16000 -c 1 OUT.wav`";
const REMEDY_AGAIN: &str = "record or copy it again";

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

/// Reads a WAV (8 to 32 bits integer, 32 and 64 bits float, A-law and µ-law; RIFF, RIFX, RF64 or BW64) or FLAC file at
/// its own rate. An hour at 48 kHz takes 690 MB; [`read_16k`] resamples while it reads.
///
/// A WAV whose header gives sizes that cannot be is read to its end, and the log says so.
///
/// # Errors
/// [`Kind::NotFound`], [`Kind::Io`]; [`Kind::Corrupt`] for what is empty or absurd, and for a truncated FLAC;
/// [`Kind::Unsupported`] for other formats and for more than [`MAX_FILE`].
pub fn read_file(path: &Path) -> Result<Clip> {
    Recording::open(path)?.clip()
}

/// As [`read_file`], from a stream; `name` is what errors call it.
///
/// # Errors
/// As [`read_file`].
pub fn read_stream(source: impl Read + Send + Sync + 'static, name: &str) -> Result<Clip> {
    Recording::new(source, name.to_owned(), None)?.clip()
}

/// Reads a recording in the form hearing needs: 16 kHz mono.
///
/// # Errors
/// As [`read_file`].
pub fn read_16k(path: &Path) -> Result<Vec<f32>> {
    Recording::open(path)?.at_16k()
}

/// As [`read_16k`], from a stream; `name` is what errors call it.
///
/// # Errors
/// As [`read_file`].
pub fn read_stream_16k(source: impl Read + Send + Sync + 'static, name: &str) -> Result<Vec<f32>> {
    Recording::new(source, name.to_owned(), None)?.at_16k()
}

/// An opened recording whose header was trusted as far as possible.
struct Recording {
    name: String,
    rate: SampleRate,
    sound: Sound,
}

enum Sound {
    Wave { header: Header, source: Box<dyn Read> },
    Flac { format: Box<dyn FormatReader>, decoder: Box<dyn AudioDecoder>, track: u32, promised: Option<u64> },
}

impl Recording {
    fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|e| Error::io("read", path, e).remedy("check the name; recordings are WAV or FLAC files"))?;
        let meta = file.metadata().map_err(|e| Error::io("read", path, e))?;
        if meta.is_dir() {
            let e = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(Error::io("read", path, e).remedy("name the recordings in it one by one"));
        }
        Self::new(file, name, meta.is_file().then_some(meta.len()))
    }

    /// `length`: the stream's in bytes, where it has one.
    fn new(source: impl Read + Send + Sync + 'static, name: String, length: Option<u64>) -> Result<Self> {
        let mut front = Front::new(source);
        let start = front.first(12).map_err(|e| io_error(&name, e))?;
        if start.is_empty() {
            return Err(corrupt(&name, "it is empty").remedy(REMEDY_AGAIN));
        }
        let recording =
            if riff::is_wave(start) { Self::wave(front, name, length)? } else { Self::flac(front.from(0), name)? };
        // What a WAV from a pipe promises may be anything.
        let sure = length.is_some() || matches!(recording.sound, Sound::Flac { .. });
        if sure && recording.promised().is_some_and(|frames| frames > max_frames(recording.rate)) {
            return Err(too_long(&recording.name));
        }
        Ok(recording)
    }

    fn wave(mut front: Front<impl Read + 'static>, name: String, length: Option<u64>) -> Result<Self> {
        let mut header = riff::parse(&mut front, length).map_err(|fault| match fault {
            Fault::Io(e) => io_error(&name, e),
            Fault::Corrupt(what) => corrupt(&name, &what).remedy(REMEDY_FORMAT),
            Fault::Unsupported(what) => unsupported(&name, &what),
        })?;
        let rate = checked_rate(&name, header.rate)?;
        if let Some(length) = length {
            let left = length.saturating_sub(header.sound_at as u64);
            if header.sound_bytes.is_some_and(|n| n > left) {
                header.note = Some(format!(
                    "its header promises {} bytes of sound, but only {left} are there",
                    header.sound_bytes.unwrap_or(0)
                ));
                header.sound_bytes = Some(left);
            }
        }
        let source = Box::new(front.from(header.sound_at));
        Ok(Self { name, rate, sound: Sound::Wave { header, source } })
    }

    fn flac(source: impl Read + Send + Sync + 'static, name: String) -> Result<Self> {
        let stream = MediaSourceStream::new(Box::new(ReadOnlySource::new(source)), Default::default());
        let format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|e| header_error(&name, e))?;
        let Some(track) = format.default_track(TrackType::Audio) else {
            return Err(unsupported(&name, "it holds no sound"));
        };
        let Some(params) = track.codec_params.as_ref().and_then(|p| p.audio()) else {
            return Err(unsupported(&name, "it holds no sound"));
        };
        let rate = checked_rate(&name, params.sample_rate.unwrap_or(0))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(|e| header_error(&name, e))?;
        let (track, promised) = (track.id, track.num_frames);
        Ok(Self { name, rate, sound: Sound::Flac { format, decoder, track, promised } })
    }

    /// Frames that the header promises; `None` where it leaves that open.
    fn promised(&self) -> Option<u64> {
        match &self.sound {
            Sound::Wave { header, .. } => header.sound_bytes.map(|n| n / header.frame_bytes() as u64),
            Sound::Flac { promised, .. } => *promised,
        }
    }

    fn clip(mut self) -> Result<Clip> {
        let mut samples = Vec::new();
        self.decode(|mono| {
            samples.extend_from_slice(mono);
            Ok(())
        })?;
        Ok(Clip { rate: self.rate, samples })
    }

    fn at_16k(mut self) -> Result<Vec<f32>> {
        let mut samples = Vec::new();
        let mut resampler = Resampler::new(self.rate, SampleRate::HEARING)?;
        self.decode(|mono| resampler.process(mono, &mut samples))?;
        resampler.flush(&mut samples)?;
        Ok(samples)
    }

    /// Decodes everything, handing mono blocks to `take`.
    fn decode(&mut self, mut take: impl FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let (name, rate, promised) = (&self.name, self.rate, self.promised());
        let (mut frames, mut mono) = (0u64, Vec::<f32>::new());
        let mut each = |interleaved: &[f32], channels: usize| {
            mix_down(interleaved, channels, &mut mono);
            frames += mono.len() as u64;
            if frames > max_frames(rate) {
                return Err(too_long(name));
            }
            take(&mono)
        };
        let note = match &mut self.sound {
            Sound::Wave { header, source } => decode_wave(name, header, source, &mut each)?,
            Sound::Flac { format, decoder, track, .. } => {
                decode_flac(name, &mut **format, &mut **decoder, *track, rate, &mut each)?;
                None
            }
        };
        if frames == 0 {
            return Err(corrupt(name, "it holds no samples").remedy("record it again"));
        }
        if let (Sound::Flac { .. }, Some(n)) = (&self.sound, promised)
            && frames + 1 < n
        {
            let what = format!(
                "truncated: its header promises {:.1} s, it holds {:.1} s",
                seconds(rate, n),
                seconds(rate, frames)
            );
            return Err(corrupt(name, &what).remedy("copy or record it again; `sox IN OUT.wav` keeps what is there"));
        }
        if let Some(note) = note {
            tracing::warn!("{name}: {note}; read to its end, {:.1} s", seconds(rate, frames));
        }
        Ok(())
    }
}

/// What takes decoded blocks: interleaved samples and the number of channels.
type Take<'a> = dyn FnMut(&[f32], usize) -> Result<()> + 'a;

/// Decodes the sound of a WAV; what was wrong with its header, for a person.
fn decode_wave(name: &str, header: &Header, source: &mut dyn Read, take: &mut Take) -> Result<Option<String>> {
    let frame = header.frame_bytes();
    let block = (BLOCK_BYTES / frame).max(1) * frame;
    let (mut raw, mut interleaved, mut read) = (Vec::with_capacity(block), Vec::new(), 0u64);
    let mut source = source.take(header.sound_bytes.unwrap_or(u64::MAX));
    let cut = loop {
        raw.clear();
        (&mut source).take(block as u64).read_to_end(&mut raw).map_err(|e| io_error(name, e))?;
        read += raw.len() as u64;
        let cut = raw.len() % frame;
        interleaved.clear();
        header.encoding.decode(header.big_endian, &raw[..raw.len() - cut], &mut interleaved);
        take(&interleaved, usize::from(header.channels))?;
        if raw.len() < block {
            break cut;
        }
    };
    Ok(match header.sound_bytes {
        _ if header.note.is_some() => header.note.clone(),
        Some(n) if read < n => Some(format!("its header promises {n} bytes of sound, but only {read} are there")),
        _ if cut > 0 => Some("its last sample is cut short".into()),
        _ => None,
    })
}

fn decode_flac(
    name: &str,
    format: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    track: u32,
    rate: SampleRate,
    take: &mut Take,
) -> Result<()> {
    let (mut frames, mut interleaved) = (0, Vec::<f32>::new());
    loop {
        let packet = match format.next_packet() {
            Ok(Some(p)) if p.track_id != track => continue,
            Ok(Some(p)) => p,
            Ok(None) => return Ok(()),
            Err(DecodeError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(DecodeError::IoError(e)) => return Err(io_error(name, e)),
            Err(e) => return Err(corrupt(name, &e.to_string()).remedy(REMEDY_AGAIN)),
        };
        let block = match decoder.decode(&packet) {
            Ok(b) => b,
            Err(DecodeError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => {
                let what = format!("after {:.1} s: {e}", seconds(rate, frames));
                return Err(corrupt(name, &what).remedy(REMEDY_AGAIN));
            }
        };
        let channels = block.spec().channels().count().max(1);
        block.copy_to_vec_interleaved(&mut interleaved);
        frames += (interleaved.len() / channels) as u64;
        take(&interleaved, channels)?;
    }
}

/// Averages the channels; anything that is not a number becomes silence.
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

fn seconds(rate: SampleRate, frames: u64) -> f64 {
    frames as f64 / f64::from(rate.0)
}

fn max_frames(rate: SampleRate) -> u64 {
    MAX_FILE.as_secs() * u64::from(rate.0)
}

fn checked_rate(name: &str, rate: u32) -> Result<SampleRate> {
    if RATES.contains(&rate) {
        return Ok(SampleRate(rate));
    }
    Err(corrupt(name, &format!("its header claims {rate} samples per second")).remedy(REMEDY_FORMAT))
}

fn io_error(name: &str, e: std::io::Error) -> Error {
    Error::io("read", Path::new(name), e)
}

fn corrupt(name: &str, what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("cannot read {name}: {what}"))
}

fn unsupported(name: &str, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("cannot read {name}: {what}")).remedy(REMEDY_FORMAT)
}

fn too_long(name: &str) -> Error {
    unsupported(name, &format!("it is longer than {} minutes", MAX_FILE.as_secs() / 60))
        .remedy("cut it into pieces, for example with `sox IN OUT.wav trim 0 3600 : newfile : restart`")
}

fn header_error(name: &str, e: DecodeError) -> Error {
    match e {
        DecodeError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            corrupt(name, "it ends before its header is complete, or it is not a recording").remedy(REMEDY_FORMAT)
        }
        DecodeError::IoError(e) => io_error(name, e),
        DecodeError::Unsupported(what) => unsupported(name, "its format is not supported").because(what),
        e => corrupt(name, "its header makes no sense").because(e.to_string()).remedy(REMEDY_FORMAT),
    }
}

#[cfg(test)]
mod tests;
