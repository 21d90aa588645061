//! `tercet listen`: the wake words, the speech and the turns in recordings.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::model::flag;
use super::{Context, input, out};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::hear::{EarEvent, Ears, RATE};
use crate::schema::EarMode;
use crate::store::Paths;

/// Find wake words, speech and turns in recordings
///
/// Each recording (WAV or FLAC of any rate) is heard as if it came from the microphone, with a second of silence
/// before and after it. Times are seconds from the start of the recording.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recordings; "-" reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Wake words to listen for (hear.wake.models), separated by commas: alexa, hey_jarvis, hey_mycroft, hey_marvin, or
    /// model files
    #[arg(long, value_name = "NAMES")]
    wake: Option<String>,
    /// Print one JSON object per event: file, event (wake, speech, turn), model, start_s, end_s, score
    #[arg(long)]
    json: bool,
}

/// One finding, as printed.
#[derive(Debug, Serialize)]
struct Found<'a> {
    file: &'a str,
    event: &'static str,
    model: Option<String>,
    start_s: f64,
    end_s: f64,
    score: Option<f32>,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    input::stdin_once(&args.files)?;
    let wake = flag("--wake", "hear.wake.models", args.wake.as_ref());
    let settings = ctx.settings_with(wake.into_iter().collect())?.hear;
    let mut ears = Ears::load(&settings, &Paths::from_env(), &Budget::unlimited())?;
    let mut table = out::Table::new(["file", "event", "start", "end", "model", "score"]);
    each_file(&args.files, |file| {
        let name = file.display().to_string();
        for found in find(&mut ears, &name, &input::clip_16k(file)?)? {
            if args.json {
                out::json(&found)?;
                continue;
            }
            let score = found.score.map(|s| format!("{s:.3}")).unwrap_or_default();
            let (start, end) = (format!("{:.2}", found.start_s), format!("{:.2}", found.end_s));
            table.row([name.clone(), found.event.into(), start, end, found.model.unwrap_or_default(), score]);
        }
        Ok(())
    })
    .and_also(|| if args.json || table.is_empty() { Ok(()) } else { table.print() })
}

/// Runs `work` on every file. A file that fails is reported and the others are done; the first failure is the
/// command's.
pub(super) fn each_file(files: &[PathBuf], mut work: impl FnMut(&Path) -> Result<()>) -> Result<()> {
    let mut failed: Vec<Error> = Vec::new();
    for file in files {
        if let Err(e) = work(file) {
            if e.kind() == crate::error::Kind::Cancelled {
                return Err(e);
            }
            failed.push(e);
        }
    }
    if failed.len() <= 1 {
        return failed.pop().map_or(Ok(()), Err);
    }
    failed.iter().for_each(out::error);
    Err(Error::new(failed[0].kind(), format!("{} of {} files failed", failed.len(), files.len())))
}

/// What is printed even when a file failed.
pub(super) trait AndAlso {
    fn and_also(self, then: impl FnOnce() -> Result<()>) -> Self;
}

impl AndAlso for Result<()> {
    fn and_also(self, then: impl FnOnce() -> Result<()>) -> Self {
        let printed = then();
        self.and(printed)
    }
}

fn find<'a>(ears: &mut Ears, file: &'a str, samples: &[f32]) -> Result<Vec<Found<'a>>> {
    ears.set_mode(EarMode::Deaf);
    ears.set_mode(EarMode::Open);
    let silence = vec![0.0; RATE];
    let zero = ears.now_samples() + silence.len() as u64;
    let mut events = ears.push(&silence)?;
    events.extend(ears.push(samples)?);
    events.extend(ears.push(&silence)?);
    events.extend(ears.finish());

    // Seconds from the start of the recording, to the millisecond.
    let at = |t: u64| {
        let samples = t.saturating_sub(zero).min(samples.len() as u64);
        (samples as f64 / RATE as f64 * 1000.0).round() / 1000.0
    };
    let mut speech_from = None;
    let mut found: Vec<Found<'a>> = events
        .into_iter()
        .filter_map(|event| {
            let (event, model, start, end, score) = match event {
                EarEvent::Wake { model, score, start_samples, end_samples } => {
                    ("wake", Some(model), start_samples, end_samples, Some(score))
                }
                EarEvent::SpeechStart { at_samples } => {
                    speech_from = Some(at_samples);
                    return None;
                }
                EarEvent::SpeechEnd { at_samples } => {
                    ("speech", None, speech_from.take().unwrap_or(zero), at_samples, None)
                }
                EarEvent::TurnEnd { start_samples, end_samples, .. } => {
                    ("turn", None, start_samples, end_samples, None)
                }
            };
            Some(Found { file, event, model, start_s: at(start), end_s: at(end), score })
        })
        .collect();
    found.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    Ok(found)
}
