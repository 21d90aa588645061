//! `tercet transcribe`: what is said in recordings.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;

use super::listen::each_file;
use super::{Context, input, out};
use crate::budget::Budget;
use crate::error::Result;
use crate::hear::RATE;
use crate::hear::recording::{Segment, Transcriber};
use crate::store::Paths;

/// Write down what is said in recordings
///
/// Recordings are WAV or FLAC of any rate. Prints the text, one line per recording; nothing where nobody speaks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recordings; "-" reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object per recording: file, text, duration_s, took_s, segments (start_s, end_s, text)
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Transcribed {
    file: String,
    text: String,
    duration_s: f64,
    took_s: f64,
    segments: Vec<Piece>,
}

#[derive(Debug, Serialize)]
struct Piece {
    start_s: f64,
    end_s: f64,
    text: String,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    input::stdin_once(&args.files)?;
    let mut transcriber = Transcriber::load(&ctx.settings()?.hear, &Paths::from_env(), &Budget::unlimited())?;
    let never = AtomicBool::new(false);
    each_file(&args.files, |file| {
        let samples = input::clip_16k(file)?;
        let name = file.display().to_string();
        let bar = out::progress_steps((samples.len() / RATE) as u64, &name, ctx.global.quiet || args.json);
        let started = Instant::now();
        let segments = transcriber.transcribe(&samples, &never, |done| bar.set_position(done / RATE as u64));
        bar.finish_and_clear();
        let segments = segments?;
        let text = segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
        if args.json {
            return out::json(&Transcribed {
                file: name,
                text,
                duration_s: thousandths(samples.len() as f64 / RATE as f64),
                took_s: thousandths(started.elapsed().as_secs_f64()),
                segments: segments.into_iter().map(piece).collect(),
            });
        }
        out::line(if args.files.len() == 1 { text } else { format!("{name}: {text}") })
    })
}

fn piece(s: Segment) -> Piece {
    Piece { start_s: thousandths(s.start_s), end_s: thousandths(s.end_s), text: s.text }
}

fn thousandths(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}
