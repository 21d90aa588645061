//! `tercet devices`: which microphones and loudspeakers there are, and whether they work.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::json;

use super::model::flag;
use super::{Context, input, out};
use crate::audio::{self, Read, Settings, WavWriter};
use crate::budget::Budget;
use crate::error::{Error, Kind, Result};
use crate::units::SampleRate;

/// Longest pause between looks at a device while it is tried.
const TICK: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one JSON object per device
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Record from the microphone, then play the recording on the loudspeaker
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Test {
    /// How long to record, in seconds
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Keep the recording in FILE and do not play it
    #[arg(long, value_name = "FILE", conflicts_with = "play")]
    record: Option<PathBuf>,
    /// Play FILE (WAV or FLAC; "-" reads standard input) and do not record
    #[arg(long, value_name = "FILE")]
    play: Option<PathBuf>,
    /// Microphone (audio.input)
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// Loudspeaker (audio.output)
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Stop playing after this many seconds, as barge-in does
    #[arg(long, value_name = "S", requires = "play", value_parser = seconds)]
    stop_after: Option<f64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.1..=3600.0).contains(&s) => Ok(s),
        _ => Err("give a number of seconds between 0.1 and 3600".into()),
    }
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    match args.action {
        None => list(args.json),
        Some(Action::Test(test)) => test.run(args.json, ctx),
    }
}

#[cfg(not(feature = "sound"))]
fn list(_: bool) -> Result<()> {
    audio::open_source(&Settings::default(), &Budget::unlimited()).map(drop)
}

#[cfg(feature = "sound")]
fn list(as_json: bool) -> Result<()> {
    let devices = audio::devices()?;
    if as_json {
        devices.iter().try_for_each(out::json)?;
    }
    if devices.is_empty() {
        return Err(Error::new(Kind::Unavailable, "no microphone and no loudspeaker can be opened on this machine").remedy(
            "plug one in, start the sound server (PipeWire or PulseAudio; package libasound2-plugins), or add the user to \
             the group audio; without a sound card, use recordings: `tercet run --input FILE`",
        ));
    }
    if as_json {
        return Ok(());
    }
    for (title, direction) in [("Microphones", 0), ("Loudspeakers", 1)] {
        let mut table = out::Table::new(["", "id", "name", "channels", "Hz", "used as"]);
        let mut any = false;
        for d in &devices {
            let Some(f) = [&d.input, &d.output][direction] else { continue };
            any = true;
            let channels = match (f.min_channels, f.max_channels) {
                (a, b) if a == b => a.to_string(),
                (a, b) => format!("{a}-{b}"),
            };
            let rates: Vec<String> = f.rates.iter().map(u32::to_string).collect();
            let used = format!("{} Hz, {} ch, {}", f.chosen.rate, f.chosen.channels, f.chosen.format);
            let mark = if d.default { "*" } else { "" };
            table.row([mark, &d.id, &d.name, &channels, &rates.join(" "), &used]);
        }
        out::line(title)?;
        if any {
            table.print()?
        } else {
            out::line("  none opens")?
        };
        out::line("")?;
    }
    out::line("* is the default. Choose another with audio.input and audio.output; `tercet devices test` tries them.")
}

impl Test {
    fn run(&self, as_json: bool, ctx: &Context) -> Result<()> {
        let input = flag("--input", "audio.input", self.input.as_ref());
        let output = flag("--output", "audio.output", self.output.as_ref());
        let settings = ctx.settings_with(input.into_iter().chain(output).collect())?.audio;
        let report = Report { as_json, quiet: ctx.global.quiet, start: Instant::now() };
        if let Some(path) = &self.play {
            let clip = input::clip(path)?;
            return self.play(&settings, &clip.samples, clip.rate, &report);
        }
        let pcm = self.record(&settings, self.record.as_deref(), &report)?;
        if self.record.is_some() { Ok(()) } else { self.play(&settings, &pcm, SampleRate::HEARING, &report) }
    }

    fn record(&self, settings: &Settings, file: Option<&Path>, report: &Report) -> Result<Vec<f32>> {
        let mut source = audio::open_source(settings, &Budget::unlimited())?;
        let mut writer = file.map(|f| WavWriter::create(f, SampleRate::HEARING)).transpose()?;
        report.note(&format!("Speak: recording {:.1} s", self.seconds));
        let want = (self.seconds * f64::from(SampleRate::HEARING.0)) as usize;
        // A device that never brings samples must not block the command forever.
        let patience = Duration::from_secs_f64(self.seconds) + Duration::from_secs(30);
        let (begun, mut pcm, mut piece, mut first) = (Instant::now(), Vec::new(), Vec::new(), true);
        while pcm.len() < want && begun.elapsed() < patience {
            piece.clear();
            match source.read(&mut piece, TICK)? {
                Read::Samples => {
                    if first {
                        report.event("first_sound", "", json!({}))?;
                        first = false;
                    }
                    piece.truncate(want - pcm.len());
                    if let Some(w) = &mut writer {
                        w.write(&piece)?;
                    }
                    pcm.extend_from_slice(&piece);
                }
                Read::Lost(reason) => {
                    report.event(
                        "lost",
                        &format!("the microphone went away: {reason}"),
                        json!({ "reason": reason }),
                    )?;
                }
                Read::Restored => report.event("restored", "the microphone is back", json!({}))?,
                Read::Quiet => {}
                Read::End => break,
            }
        }
        writer.map_or(Ok(()), WavWriter::finish)?;
        let counts = source.counts();
        let (peak, level) = levels(&pcm);
        let got = SampleRate::HEARING.duration(pcm.len()).as_secs_f64();
        let text =
            format!("recorded {got:.1} s: level {level:.0} dB, peak {peak:.0} dB{}", advice(peak, pcm.is_empty()));
        report.event(
            "recorded",
            &text,
            json!({ "seconds": got, "peak_db": peak, "level_db": level, "xruns": counts.xruns,
                    "dropped": counts.dropped, "lost": counts.lost }),
        )?;
        if pcm.len() < want {
            return Err(Error::new(Kind::Device, "the microphone delivered less sound than requested")
                .remedy("check with `tercet devices` that it is there, and choose it with --input"));
        }
        Ok(pcm)
    }

    fn play(&self, settings: &Settings, pcm: &[f32], rate: SampleRate, report: &Report) -> Result<()> {
        let output = audio::open_output(settings, &Budget::unlimited())?;
        report.note(&format!("Listen: playing {:.1} s", rate.duration(pcm.len()).as_secs_f64()));
        let begun = Instant::now();
        report.event("playing", "", json!({}))?;
        let over = || self.stop_after.is_some_and(|s| begun.elapsed().as_secs_f64() >= s);
        let pushed = match output.push(pcm, rate, &over) {
            Err(e) if e.kind() == Kind::Cancelled => Ok(()),
            other => other,
        };
        let mut stopped = None;
        while output.is_playing() {
            if over() && stopped.is_none() {
                output.stop();
                stopped = Some(Instant::now());
                report.event("stopped", "stopped", json!({}))?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let silent_after_ms = stopped.map(|t| t.elapsed().as_millis() as u64);
        let (heard, took) = (output.heard().as_secs_f64(), begun.elapsed().as_secs_f64());
        let counts = output.counts();
        report.event(
            "played",
            &format!("played {heard:.1} s in {took:.1} s, {} dropouts", counts.xruns + counts.dropped),
            json!({ "heard_s": heard, "took_s": took, "silent_after_ms": silent_after_ms, "xruns": counts.xruns,
                    "dropped": counts.dropped, "lost": counts.lost }),
        )?;
        pushed
    }
}

/// Peak and level (RMS) of samples in [−1, 1], in dB of full scale: `20·log10`, at least −120. A full square wave is 0 dB, a
/// full sine −3: not the dBFS of AES17, in which the sine is 0.
fn levels(pcm: &[f32]) -> (f32, f32) {
    let db = |x: f32| (20.0 * x.max(1e-6).log10()).max(-120.0);
    let peak = pcm.iter().fold(0f32, |m, x| m.max(x.abs()));
    let mean = pcm.iter().map(|x| f64::from(x * x)).sum::<f64>() / pcm.len().max(1) as f64;
    (db(peak), db(mean.sqrt() as f32))
}

fn advice(peak_db: f32, nothing: bool) -> &'static str {
    match peak_db {
        _ if nothing => " (nothing came)",
        p if p < -90.0 => " (nothing but silence: is the microphone muted, or another one the default?)",
        p if p < -40.0 => " (very quiet: raise the microphone's level or come closer)",
        p if p > -0.1 => " (overdriven: lower the microphone's level)",
        _ => "",
    }
}

/// What a test says: lines for people, or one JSON object an event.
struct Report {
    as_json: bool,
    quiet: bool,
    start: Instant,
}

impl Report {
    /// An instruction to the user.
    fn note(&self, text: &str) {
        if !self.as_json && !self.quiet {
            out::note(text);
        }
    }

    /// Something that happened; without text it is only for programs.
    fn event(&self, event: &str, text: &str, mut details: serde_json::Value) -> Result<()> {
        if !self.as_json {
            return if text.is_empty() { Ok(()) } else { out::line(text) };
        }
        details["event"] = json!(event);
        details["at_ms"] = json!(self.start.elapsed().as_millis() as u64);
        out::json(&details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_in_decibels_of_full_scale() {
        let (peak, level) = levels(&[1.0, -1.0, 1.0, -1.0]);
        assert!(peak.abs() < 0.01 && level.abs() < 0.01);
        let (peak, level) = levels(&[0.0; 10]);
        assert_eq!((peak, level), (-120.0, -120.0));
        assert!(advice(peak, false).contains("silence") && advice(-12.0, false).is_empty());
    }

    #[test]
    fn only_sensible_durations_are_taken() {
        assert!(seconds("2.5").is_ok());
        for bad in ["0", "-1", "nan", "1e9", "three"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
