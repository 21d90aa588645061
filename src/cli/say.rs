//! `tercet say`: text to speech, into a file or out of the loudspeaker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::model::flag;
use super::{Context, input, out};
use crate::audio::{self, Output, WavWriter};
use crate::budget::{Budget, Component, resident_now, resident_peak};
use crate::error::{Error, Kind, Result};
use crate::speak::{Chunker, Pcm, Voice, spoken};
use crate::store::Paths;
use crate::units::Bytes;

/// Longest text taken at once: about a day of speech.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// How often the loudspeaker is asked whether it is done.
const TICK: Duration = Duration::from_millis(10);

/// Say a text: through the loudspeaker, or into a WAV file with -o
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to say; "-" reads it from standard input
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// Write a WAV file instead of playing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Speed of speech, 0.5 to 2 (speak.speed)
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    speed: Option<String>,
    /// Print the words that would be spoken, one sentence per line, and make no sound
    #[arg(long, conflicts_with_all = ["output", "speed"])]
    words: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What it took; durations of the voice alone, without the loudspeaker's.
#[derive(Debug, Serialize)]
struct Report {
    sentences: usize,
    duration_s: f64,
    rate: u32,
    load_ms: f64,
    /// From text to the sound of its first sentence.
    first_sentence_ms: f64,
    synthesis_ms: f64,
    rtf: f64,
    reserved_bytes: Bytes,
    measured_bytes: Option<Bytes>,
    resident_bytes: Bytes,
    peak_bytes: Bytes,
    file: Option<PathBuf>,
}

/// What is spoken, without the sound.
#[derive(Debug, Serialize)]
struct Words {
    sentences: Vec<String>,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let settings = ctx.settings_with(flag("--speed", "speak.speed", args.speed.as_ref()).into_iter().collect())?;
    let text = text(&args.text)?;
    let mut chunker = Chunker::new();
    let mut sentences = chunker.push(&text);
    sentences.extend(chunker.finish());
    if sentences.is_empty() {
        return Err(
            Error::new(Kind::Usage, "there is nothing to say in the text").remedy("give a text with words in it")
        );
    }

    if args.words {
        let sentences = sentences.iter().map(|s| spoken::normalize(s, settings.speak.language));
        let words = Words { sentences: sentences.filter(|s| !s.is_empty()).collect() };
        return if args.json { out::json(&words) } else { words.sentences.iter().try_for_each(out::line) };
    }

    let budget = Budget::unlimited();
    let started = Instant::now();
    let mut voice = Voice::load(&settings.speak, &Paths::from_env(), &budget)?;
    let load_ms = ms(started.elapsed());
    let mut sink = match &args.output {
        Some(path) => Sink::File(WavWriter::create(path, voice.rate())?),
        None => Sink::Loudspeaker(audio::open_output(&settings.audio, &budget)?),
    };
    let bar = out::progress_steps(sentences.len() as u64, "sentences", ctx.global.quiet || sentences.len() < 10);
    let (mut first, mut busy, mut length) = (None, Duration::ZERO, Duration::ZERO);
    for sentence in &sentences {
        let begun = Instant::now();
        let pcm = voice.synthesize(sentence)?;
        busy += begun.elapsed();
        first.get_or_insert(busy);
        length += pcm.duration();
        sink.take(&pcm)?;
        bar.inc(1);
    }
    sink.finish()?;
    bar.finish_and_clear();

    let tts = budget.lines().into_iter().find(|l| l.component == Component::Tts);
    let report = Report {
        sentences: sentences.len(),
        duration_s: length.as_secs_f64(),
        rate: voice.rate().0,
        load_ms,
        first_sentence_ms: ms(first.unwrap_or_default()),
        synthesis_ms: ms(busy),
        rtf: busy.as_secs_f64() / length.as_secs_f64().max(1e-3),
        reserved_bytes: voice.reserved(),
        measured_bytes: tts.and_then(|l| l.measured),
        resident_bytes: resident_now(),
        peak_bytes: resident_peak(),
        file: args.output,
    };
    if args.json { out::json(&report) } else { report.print() }
}

fn ms(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e5).round() / 1e2
}

/// The words of the command line, or standard input for "-".
fn text(args: &[String]) -> Result<String> {
    if args != ["-"] {
        return Ok(args.join(" "));
    }
    input::text(Path::new("-"), MAX_TEXT_BYTES, "give a text in UTF-8")
}

/// Where the speech goes.
enum Sink {
    File(WavWriter),
    Loudspeaker(Arc<dyn Output>),
}

impl Sink {
    fn take(&mut self, pcm: &Pcm) -> Result<()> {
        match self {
            Sink::File(wav) => wav.write(&pcm.samples),
            Sink::Loudspeaker(output) => output.push(&pcm.samples, pcm.rate, &|| false),
        }
    }

    /// Completes the file, or waits until the last word has been heard.
    fn finish(self) -> Result<()> {
        match self {
            Sink::File(wav) => wav.finish(),
            Sink::Loudspeaker(output) => {
                while output.is_playing() {
                    std::thread::sleep(TICK);
                }
                Ok(())
            }
        }
    }
}

impl Report {
    fn print(&self) -> Result<()> {
        let s = if self.sentences == 1 { "" } else { "s" };
        let to = self.file.as_ref().map(|f| format!(" in {}", f.display())).unwrap_or_default();
        out::line(format!(
            "{:.1} s of speech ({} sentence{s}){to}: RTF {:.3}, first sentence after {:.0} ms, voice loaded in {:.0} ms",
            self.duration_s, self.sentences, self.rtf, self.first_sentence_ms, self.load_ms
        ))
    }
}
