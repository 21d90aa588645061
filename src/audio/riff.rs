//! The header of WAV files as they are found in the wild: RIFF, RIFX (big-endian), RF64 and BW64 (64-bit sizes).
//!
//! Chunks and sample formats as in Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (1991) and
//! "Multiple channel audio data and WAVE files" (2001); the `ds64` chunk as in EBU Tech 3306 and ITU-R BS.2088.
//! Programs that were stopped, or wrote to a pipe, leave sizes that are wrong. Players read such files to their end, and
//! so does this: what is known of the sound is where it begins, and its length only where the header's is possible.

use std::io::{self, Read};

use super::pcm::Encoding;

/// The most that may precede the sound in a file: pictures and the like.
const MAX_HEADER_BYTES: usize = 16 << 20;
/// How much is searched for the sound where the chunk sizes are wrong.
const SEARCHED_BYTES: usize = 1 << 16;
/// Sizes from here on stand for "not known": writers to a pipe leave 2 or 4 GiB, some less their header.
const PLACEHOLDER: u32 = 0x7fff_0000;
/// More channels are taken for a broken header.
const MAX_CHANNELS: u16 = 64;

/// Chunks that follow a sound. One of them right after an empty `data` chunk confirms that it is empty.
const TRAILERS: [&[u8; 4]; 12] =
    [b"LIST", b"id3 ", b"ID3 ", b"JUNK", b"junk", b"bext", b"cue ", b"fact", b"smpl", b"inst", b"iXML", b"PEAK"];

/// Why a header cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Corrupt(String),
    Unsupported(String),
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Fault::Io(e)
    }
}

/// What the header says, as far as it can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub encoding: Encoding,
    pub big_endian: bool,
    pub rate: u32,
    pub channels: u16,
    /// Bytes from the start of the file to the first sample.
    pub sound_at: usize,
    /// Bytes of sound; `None`: to the end of the file.
    pub sound_bytes: Option<u64>,
    /// What is wrong with the header's sizes, for a person.
    pub note: Option<String>,
}

impl Header {
    /// Bytes of one sample of every channel.
    pub(super) fn frame_bytes(&self) -> usize {
        self.encoding.bytes() * usize::from(self.channels)
    }
}

/// Whether a file that begins like this is a WAV.
pub(super) fn is_wave(start: &[u8]) -> bool {
    start.len() >= 12
        && matches!(&start[..4], b"RIFF" | b"RIFX" | b"RF64" | b"BW64" | b"FFIR")
        && &start[8..12] == b"WAVE"
}

/// A stream whose first bytes are kept: they can be looked at in any order, and read again.
pub(super) struct Front<R> {
    source: R,
    bytes: Vec<u8>,
    ended: bool,
}

impl<R: Read> Front<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, bytes: Vec::new(), ended: false }
    }

    /// The first `n` bytes, or all there are if that is less; at most [`MAX_HEADER_BYTES`].
    pub(super) fn first(&mut self, n: usize) -> io::Result<&[u8]> {
        let n = n.min(MAX_HEADER_BYTES);
        while self.bytes.len() < n && !self.ended {
            let more = (n - self.bytes.len()).max(4096).next_multiple_of(4096) as u64;
            self.ended = (&mut self.source).take(more).read_to_end(&mut self.bytes)? == 0;
        }
        Ok(&self.bytes[..n.min(self.bytes.len())])
    }

    /// `n` bytes from `at` on; `None` where the file, or what may be looked at, ends before.
    fn at(&mut self, at: usize, n: usize) -> io::Result<Option<&[u8]>> {
        let end = at.saturating_add(n);
        Ok(self.first(end)?.get(at..end))
    }

    /// The stream from byte `at` on, which has been looked at.
    pub(super) fn from(self, at: usize) -> impl Read + use<R> {
        let mut kept = io::Cursor::new(self.bytes);
        kept.set_position(at as u64);
        kept.chain(self.source)
    }
}

/// What the `fmt ` chunk says.
struct Format {
    encoding: Encoding,
    rate: u32,
    channels: u16,
}

/// Reads the header of a WAV; `length` is the file's in bytes, where it has one.
pub(super) fn parse<R: Read>(front: &mut Front<R>, length: Option<u64>) -> Result<Header, Fault> {
    let first = front.at(0, 12)?.ok_or_else(|| Fault::Corrupt("it ends within its header".into()))?;
    let form: [u8; 4] = [first[0], first[1], first[2], first[3]];
    if &form == b"FFIR" {
        return Err(Fault::Unsupported("it is a byte-swapped RIFF file".into()));
    }
    let walk = Walk { big_endian: &form == b"RIFX", length };
    let stated = walk.u32(&first[4..8]);
    let (format, sound) = match walk.chunks(front)? {
        Some(found) => found,
        None => walk.search(front)?,
    };
    let mut note = sound.note;
    if let (None, Some(length), b"RIFF" | b"RIFX") = (&note, length, &form)
        && (stated == 0
            || u64::from(stated) + 8 < sound.at as u64 + sound.bytes.unwrap_or(0)
            || u64::from(stated) + 8 > length + 1)
    {
        note = Some(format!("its header gives {stated} bytes for the file, which has {length}"));
    }
    Ok(Header {
        encoding: format.encoding,
        big_endian: walk.big_endian,
        rate: format.rate,
        channels: format.channels,
        sound_at: sound.at,
        sound_bytes: sound.bytes,
        note,
    })
}

/// Where the sound is.
struct Sound {
    at: usize,
    bytes: Option<u64>,
    note: Option<String>,
}

struct Walk {
    big_endian: bool,
    length: Option<u64>,
}

impl Walk {
    fn u16(&self, b: &[u8]) -> u16 {
        let b = [b[0], b[1]];
        if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) }
    }

    fn u32(&self, b: &[u8]) -> u32 {
        let b = [b[0], b[1], b[2], b[3]];
        if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
    }

    fn u64(&self, b: &[u8]) -> u64 {
        let (first, second) = (u64::from(self.u32(&b[..4])), u64::from(self.u32(&b[4..8])));
        if self.big_endian { first << 32 | second } else { second << 32 | first }
    }

    /// Goes from chunk to chunk as their sizes say; `None` where they lead nowhere.
    fn chunks<R: Read>(&self, front: &mut Front<R>) -> Result<Option<(Format, Sound)>, Fault> {
        let (mut at, mut format, mut long) = (12, None, None);
        loop {
            let Some(chunk) = front.at(at, 8)? else { return Ok(None) };
            let (id, size) = ([chunk[0], chunk[1], chunk[2], chunk[3]], self.u32(&chunk[4..8]));
            let body = at + 8;
            match &id {
                b"data" => {
                    let Some(format) = format else { return Ok(None) };
                    return Ok(Some((format, self.sound(front, body, size, long)?)));
                }
                b"fmt " => {
                    let Some(bytes) = front.at(body, (size as usize).min(40))? else { return Ok(None) };
                    format = Some(self.format(bytes)?);
                }
                b"ds64" if size >= 16 => {
                    let Some(bytes) = front.at(body, 16)? else { return Ok(None) };
                    long = Some(self.u64(&bytes[8..16]));
                }
                id if !is_id(id) => return Ok(None),
                _ => {}
            }
            let Some(end) = body.checked_add(size as usize) else { return Ok(None) };
            if end > MAX_HEADER_BYTES || self.length.is_some_and(|l| end as u64 > l) {
                return Ok(None);
            }
            at = self.next(front, end)?;
        }
    }

    /// Where the chunk after one that ends at `end` begins: chunks of an odd size are padded with a byte, which some
    /// programs forget.
    fn next<R: Read>(&self, front: &mut Front<R>, end: usize) -> Result<usize, Fault> {
        if end.is_multiple_of(2) {
            return Ok(end);
        }
        let padded = front.at(end + 1, 4)?.is_some_and(is_id);
        let unpadded = front.at(end, 4)?.is_some_and(is_id);
        Ok(if unpadded && !padded { end } else { end + 1 })
    }

    /// Looks for the chunks by their names, where a wrong size hides them.
    fn search<R: Read>(&self, front: &mut Front<R>) -> Result<(Format, Sound), Fault> {
        let bytes = front.first(SEARCHED_BYTES)?;
        let named = |id: &[u8; 4], from: usize| {
            let places = bytes.get(from..).unwrap_or_default().windows(8).enumerate();
            places.filter(|(_, w)| &w[..4] == id).map(|(i, w)| (from + i + 8, self.u32(&w[4..8]))).collect::<Vec<_>>()
        };
        let format = named(b"fmt ", 12).into_iter().find(|&(_, size)| (16..=1024).contains(&size));
        let Some((format_at, _)) = format else {
            return Err(Fault::Corrupt("its header does not describe its sample format".into()));
        };
        let places = named(b"data", format_at);
        let possible = |&&(at, size): &&(usize, u32)| {
            size == 0 || size >= PLACEHOLDER || self.length.is_none_or(|l| at as u64 + u64::from(size) <= l)
        };
        let Some(&(at, size)) = places.iter().find(possible).or(places.first()) else {
            return Err(Fault::Corrupt("it ends before its sound begins, or its chunks have wrong sizes".into()));
        };
        let format = match front.at(format_at, 40)? {
            Some(bytes) => self.format(bytes)?,
            None => self.format(front.at(format_at, 16)?.unwrap_or_default())?,
        };
        let mut sound = self.sound(front, at, size, None)?;
        sound.note.get_or_insert_with(|| "a chunk in its header has a wrong size".into());
        Ok((format, sound))
    }

    /// Where the sound ends, of a `data` chunk whose content begins at `at`. `long` is the size that `ds64` gives.
    fn sound<R: Read>(&self, front: &mut Front<R>, at: usize, size: u32, long: Option<u64>) -> Result<Sound, Fault> {
        let to_the_end = |note: &str| Ok(Sound { at, bytes: None, note: Some(note.to_owned()) });
        let size = match (size, long) {
            (0 | u32::MAX, Some(long)) if long != 0 && long < u64::MAX >> 1 => long,
            (0, _) => {
                let empty = match front.at(at, 4)? {
                    None => true,
                    Some(next) => TRAILERS.iter().any(|id| &id[..] == next),
                };
                if empty {
                    return Ok(Sound { at, bytes: Some(0), note: None });
                }
                return to_the_end("its header gives the length of its sound as 0");
            }
            (size, _) if size >= PLACEHOLDER && self.length.is_none_or(|l| at as u64 + u64::from(size) > l) => {
                return match self.length {
                    Some(_) => to_the_end("its header leaves the length of its sound open"),
                    // Whoever writes to a pipe cannot know it.
                    None => Ok(Sound { at, bytes: None, note: None }),
                };
            }
            (size, _) => u64::from(size),
        };
        Ok(Sound { at, bytes: Some(size), note: None })
    }

    /// The content of the `fmt ` chunk, or as much of it as there is, up to 40 bytes.
    fn format(&self, bytes: &[u8]) -> Result<Format, Fault> {
        if bytes.len() < 16 {
            return Err(Fault::Corrupt("the chunk that describes its sample format is cut short".into()));
        }
        let (mut tag, channels, rate) = (self.u16(bytes), self.u16(&bytes[2..]), self.u32(&bytes[4..]));
        let (align, bits) = (self.u16(&bytes[12..]), self.u16(&bytes[14..]));
        if channels == 0 || channels > MAX_CHANNELS {
            return Err(Fault::Corrupt(format!("its header claims {channels} channels")));
        }
        const EXTENSIBLE: u16 = 0xfffe;
        if tag == EXTENSIBLE {
            // The first two bytes of the sub-format's GUID are the tag, in the byte order of the file.
            let guid = bytes
                .get(24..28)
                .ok_or_else(|| Fault::Corrupt("the chunk that describes its sample format is cut short".into()))?;
            let first = self.u32(guid);
            // Some big-endian files keep their GUID in the little-endian order of all others.
            tag = (if first <= 0xffff { first } else { first.swap_bytes() }) as u16;
        }
        // Bits that do not fill their bytes stand at the upper end of them.
        let filled = bits.div_ceil(8);
        let container = if align % channels == 0 && align / channels >= filled { align / channels } else { filled };
        let encoding = match (tag, container) {
            (1, n @ 1..=4) => Encoding::Integer { bytes: n as usize },
            (3, 4) => Encoding::Float32,
            (3, 8) => Encoding::Float64,
            (6, 1) => Encoding::ALaw,
            (7, 1) => Encoding::MuLaw,
            (1 | 3 | 6 | 7, _) => return Err(Fault::Unsupported(format!("its samples have {bits} bits"))),
            (tag, _) => return Err(Fault::Unsupported(format!("its sound is compressed ({})", compression(tag)))),
        };
        Ok(Format { encoding, rate, channels })
    }
}

/// Four characters that can name a chunk.
fn is_id(id: &[u8]) -> bool {
    id.iter().all(|b| (b' '..=b'~').contains(b)) && id.iter().any(u8::is_ascii_alphanumeric)
}

fn compression(tag: u16) -> String {
    match tag {
        0x0002 => "Microsoft ADPCM".into(),
        0x0011 => "IMA ADPCM".into(),
        0x0031 => "GSM 6.10".into(),
        0x0050 => "MPEG layer 2".into(),
        0x0055 => "MP3".into(),
        0x00ff | 0x1610 => "AAC".into(),
        tag => format!("format {tag:#06x}"),
    }
}
