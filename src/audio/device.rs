//! The sound devices of this machine: listing them, finding one by name, and choosing how to run it.

use std::sync::Once;

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{SampleFormat, StreamConfig, SupportedStreamConfigRange};
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::problems::{Problems, clip, nearest};

/// Rates shown in lists, and tried in this order where 48 and 16 kHz are missing.
const RATES: [u32; 8] = [48_000, 16_000, 44_100, 32_000, 24_000, 96_000, 22_050, 8_000];

/// Building blocks of ALSA configurations that no person means when they say "microphone".
const PLUMBING: [&str; 16] = [
    "null",
    "lavrate",
    "samplerate",
    "speexrate",
    "speex",
    "upmix",
    "vdownmix",
    "oss",
    "jack",
    "usbstream",
    "dmix",
    "dsnoop",
    "iec958",
    "hdmi",
    "front",
    "surround",
];

/// One direction of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Formats {
    pub min_channels: u16,
    pub max_channels: u16,
    /// The common rates it takes, in Hz.
    pub rates: Vec<u32>,
    /// How tercet would run it.
    pub chosen: Chosen,
}

/// How a device is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen {
    pub rate: u32,
    pub channels: u16,
    pub format: String,
}

/// A device that opens in at least one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// What `audio.input` and `audio.output` take; a part of the name does, too.
    pub id: String,
    pub name: String,
    pub input: Option<Formats>,
    pub output: Option<Formats>,
    /// What "default" stands for.
    pub default: bool,
}

/// Which way sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

impl Direction {
    fn noun(self) -> &'static str {
        match self {
            Direction::In => "microphone",
            Direction::Out => "loudspeaker",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Direction::In => "audio.input",
            Direction::Out => "audio.output",
        }
    }
}

/// Every device that opens, the default first. Opening is how capabilities are asked, so a device that another program
/// holds is not listed.
///
/// # Errors
/// [`Kind::Unavailable`] where the machine has no sound system at all.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    let host = host()?;
    let mut list = Vec::new();
    let default = host.default_input_device().or_else(|| host.default_output_device());
    let default_id = default.as_ref().map(id_of);
    let others = host.devices().map_err(|e| device_error(Direction::In, "default", &e))?;
    for (i, d) in default.into_iter().chain(others).enumerate() {
        let id = id_of(&d);
        if i > 0 && (Some(&id) == default_id.as_ref() || is_plumbing(&id)) {
            continue;
        }
        let input = formats(d.supported_input_configs().ok(), Direction::In);
        let output = formats(d.supported_output_configs().ok(), Direction::Out);
        if input.is_some() || output.is_some() {
            list.push(DeviceInfo { name: d.to_string(), input, output, default: i == 0, id });
        }
    }
    Ok(list)
}

/// The sound system, its chatter on stderr silenced.
pub(super) fn host() -> Result<cpal::Host> {
    silence_alsa();
    let no_sound = || {
        Error::new(Kind::Unavailable, "this machine has no sound system")
            .remedy("install libasound2, or run without sound devices: `tercet run --input FILE`")
    };
    let id = cpal::available_hosts().into_iter().next().ok_or_else(no_sound)?;
    cpal::host_from_id(id).map_err(|e| no_sound().because(e))
}

/// The device that `wanted` names: "default", an id with or without its `alsa:`, or part of an id or name.
pub(super) fn find(wanted: &str, direction: Direction) -> Result<cpal::Device> {
    let host = host()?;
    let wanted = wanted.trim();
    if wanted.eq_ignore_ascii_case("default") {
        let default = match direction {
            Direction::In => host.default_input_device(),
            Direction::Out => host.default_output_device(),
        };
        return default.ok_or_else(|| not_there(wanted, direction));
    }
    let all: Vec<cpal::Device> = host.devices().map_err(|e| device_error(direction, wanted, &e))?.collect();
    let lower = wanted.to_lowercase();
    let exact = |d: &&cpal::Device| {
        let id = id_of(d);
        id == wanted || id.split_once(':').is_some_and(|(_, pcm)| pcm == wanted)
    };
    let partial = |d: &&cpal::Device| {
        !is_plumbing(&id_of(d))
            && (id_of(d).to_lowercase().contains(&lower) || d.to_string().to_lowercase().contains(&lower))
    };
    // Several may match (hw:, plughw:, sysdefault: of one card): the first that opens, converting ones before raw ones.
    let mut found: Vec<&cpal::Device> = all.iter().filter(exact).collect();
    if found.is_empty() {
        found = all.iter().filter(partial).collect();
        found.sort_by_key(|d| id_of(d).contains(":hw:"));
    }
    let first = found.first().copied().cloned();
    let opens = found.into_iter().find(|d| config(d, direction, 20).is_ok()).cloned();
    opens.or(first).ok_or_else(|| not_there(wanted, direction))
}

/// Reports a device that is named but absent, as a note: it may be plugged in later.
pub(super) fn look(problems: &mut Problems, key: &str, wanted: &str, direction: Direction) {
    if wanted.trim().eq_ignore_ascii_case("default") || find(wanted, direction).is_ok() {
        return;
    }
    let here = devices().unwrap_or_default();
    let usable =
        here.iter().filter(|d| if direction == Direction::In { d.input.is_some() } else { d.output.is_some() });
    let names: Vec<&str> = usable.flat_map(|d| [d.name.as_str(), d.id.as_str()]).collect();
    let near = nearest(wanted, names).map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
    let noun = direction.noun();
    problems.note(
        key,
        format!(
            "there is no {noun} named {:?} on this machine now; `tercet devices` lists what there is{near}",
            clip(wanted)
        ),
    );
}

/// How to run `device`: its stream configuration and sample format.
///
/// 48 kHz before 16 kHz: nearly all hardware runs at 48 kHz, and our own resampler is better than the linear one that
/// ALSA puts behind "default". One channel for a microphone, two for a loudspeaker, else as few as possible.
pub(super) fn config(
    device: &cpal::Device,
    direction: Direction,
    period_ms: u32,
) -> Result<(StreamConfig, SampleFormat), cpal::Error> {
    let ranges: Vec<SupportedStreamConfigRange> = match direction {
        Direction::In => device.supported_input_configs()?.collect(),
        Direction::Out => device.supported_output_configs()?.collect(),
    };
    let (range, rate) = best(&ranges, direction).ok_or(cpal::ErrorKind::UnsupportedConfig)?;
    let config = StreamConfig {
        channels: range.channels(),
        sample_rate: rate,
        buffer_size: cpal::BufferSize::Fixed(rate / 1000 * period_ms),
    };
    Ok((config, range.sample_format()))
}

fn best(ranges: &[SupportedStreamConfigRange], direction: Direction) -> Option<(SupportedStreamConfigRange, u32)> {
    let cost = |r: &SupportedStreamConfigRange| {
        let format = match r.sample_format() {
            SampleFormat::F32 => 0,
            SampleFormat::I16 => 1,
            SampleFormat::I32 => 2,
            SampleFormat::U8 => 3,
            _ => return None,
        };
        let (rank, rate) = match RATES.iter().position(|&rate| r.contains_rate(rate)) {
            Some(rank) => (rank, RATES[rank]),
            None => (RATES.len(), r.max_sample_rate()),
        };
        let channels = match (direction, r.channels()) {
            (Direction::Out, 2) => 0,
            (_, n) => n,
        };
        Some(((rank, channels, format), rate))
    };
    ranges
        .iter()
        .filter_map(|r| cost(r).map(|(c, rate)| (c, *r, rate)))
        .min_by_key(|(c, ..)| *c)
        .map(|(_, r, rate)| (r, rate))
}

fn formats(ranges: Option<impl Iterator<Item = SupportedStreamConfigRange>>, direction: Direction) -> Option<Formats> {
    let ranges: Vec<SupportedStreamConfigRange> = ranges?.collect();
    let (range, rate) = best(&ranges, direction)?;
    let mut rates: Vec<u32> = RATES.into_iter().filter(|&r| ranges.iter().any(|x| x.contains_rate(r))).collect();
    if rates.is_empty() {
        rates.push(rate);
    }
    rates.sort_unstable();
    Some(Formats {
        min_channels: ranges.iter().map(|r| r.channels()).min()?,
        max_channels: ranges.iter().map(|r| r.channels()).max()?,
        rates,
        chosen: Chosen { rate, channels: range.channels(), format: range.sample_format().to_string() },
    })
}

fn id_of(device: &cpal::Device) -> String {
    device.id().map(|id| id.to_string()).unwrap_or_default()
}

fn is_plumbing(id: &str) -> bool {
    let pcm = id.split_once(':').map_or(id, |(_, pcm)| pcm);
    let kind = pcm.split(':').next().unwrap_or(pcm);
    PLUMBING.iter().any(|p| kind.trim_end_matches(|c: char| c.is_ascii_digit()) == *p)
}

fn not_there(wanted: &str, direction: Direction) -> Error {
    Error::new(Kind::Device, format!("there is no {} named {wanted:?}", direction.noun()))
        .remedy(format!("choose one from `tercet devices` and set {} to its id or part of its name", direction.key()))
}

/// An error of cpal in words for the person at the device.
pub(super) fn device_error(direction: Direction, wanted: &str, e: &cpal::Error) -> Error {
    use cpal::ErrorKind as K;
    let (noun, key) = (direction.noun(), direction.key());
    let (what, remedy) = match e.kind() {
        K::DeviceBusy => (
            "is in use by another program",
            "close that program, or let a sound server (PipeWire, PulseAudio) share the device".to_owned(),
        ),
        K::PermissionDenied => (
            "may not be opened by this user",
            "add the user to the group audio: `sudo usermod -aG audio USER`, then log in again".to_owned(),
        ),
        K::UnsupportedConfig | K::UnsupportedOperation => {
            ("offers no format that tercet can use", format!("choose another from `tercet devices` and set {key}"))
        }
        _ => (
            "cannot be opened",
            format!(
                "plug one in or start the sound server, see what is there with `tercet devices` and set {key}; without a sound card: `tercet run --input FILE`"
            ),
        ),
    };
    Error::new(Kind::Device, format!("the {noun} {wanted:?} {what}")).remedy(remedy).because(e.clone())
}

/// ALSA prints to stderr whenever a device does not open; what matters of that is in the errors returned.
fn silence_alsa() {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::{c_char, c_int};
        type Handler = unsafe extern "C" fn(*const c_char, c_int, *const c_char, c_int, *const c_char);
        unsafe extern "C" fn ignore(_: *const c_char, _: c_int, _: *const c_char, _: c_int, _: *const c_char) {}
        unsafe extern "C" {
            // Of libasound, which cpal links.
            fn snd_lib_error_set_handler(handler: Option<Handler>) -> c_int;
        }
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the function stores the pointer and may be called at any time. ALSA calls the handler with these
            // five arguments and further variadic ones; in the C calling conventions of Linux the caller passes the
            // five as in a plain call and cleans up the rest, and the handler touches none of them.
            unsafe { snd_lib_error_set_handler(Some(ignore)) };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpal::SupportedBufferSize::Unknown;

    fn range(channels: u16, min: u32, max: u32, format: SampleFormat) -> SupportedStreamConfigRange {
        SupportedStreamConfigRange::new(channels, min, max, Unknown, format)
    }

    #[test]
    fn the_best_way_to_run_a_device_is_its_own_rate_few_channels_and_floats() {
        let usb = [range(2, 48_000, 48_000, SampleFormat::I16), range(1, 44_100, 48_000, SampleFormat::I16)];
        let (r, rate) = best(&usb, Direction::In).unwrap();
        assert_eq!((r.channels(), rate), (1, 48_000));
        let server: Vec<_> = (1..=8)
            .flat_map(|c| [SampleFormat::U8, SampleFormat::I16, SampleFormat::F32].map(|f| range(c, 1, 384_000, f)))
            .collect();
        let (r, rate) = best(&server, Direction::Out).unwrap();
        assert_eq!((r.channels(), rate, r.sample_format()), (2, 48_000, SampleFormat::F32));
        let array = [range(4, 16_000, 16_000, SampleFormat::I16)];
        assert_eq!(best(&array, Direction::In).map(|(r, rate)| (r.channels(), rate)), Some((4, 16_000)));
        let odd = [range(1, 12_345, 12_345, SampleFormat::I32)];
        assert_eq!(best(&odd, Direction::In).map(|(_, rate)| rate), Some(12_345));
        assert!(best(&[range(1, 48_000, 48_000, SampleFormat::DsdU8)], Direction::In).is_none());
    }

    #[test]
    fn plumbing_is_told_from_devices() {
        for id in ["alsa:null", "alsa:surround51:CARD=PCH,DEV=0", "alsa:dmix:CARD=0", "alsa:speexrate"] {
            assert!(is_plumbing(id), "{id}");
        }
        for id in ["alsa:default", "alsa:pulse", "alsa:plughw:CARD=1,DEV=0", "alsa:sysdefault:CARD=Array"] {
            assert!(!is_plumbing(id), "{id}");
        }
    }
}
