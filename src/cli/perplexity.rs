//! `tercet eval ppl`: the perplexity of a text.

use std::path::PathBuf;

use serde::Serialize;

use super::model::{EngineArgs, load};
use super::{Context, input, out};
use crate::error::{Error, Kind, Result};
use crate::llm::tokenizer::Specials;
use crate::llm::{Session, Settings};
use crate::units::TokenId;

/// Longest text taken.
const MAX_TEXT_BYTES: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Ppl {
    /// Text, UTF-8; "-" reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    engine: EngineArgs,
    /// Tokens per window; the text is cut into windows, and the second half of each is scored
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(4..))]
    window: u32,
    /// Score only the first N tokens
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Score {
    model: String,
    backend: String,
    /// `exp` of the mean negative log probability.
    perplexity: f64,
    /// Half-width of its 95 % interval, from their standard deviation.
    plus_minus: f64,
    /// Tokens scored.
    tokens: usize,
    windows: usize,
    /// Tokens of a window.
    window: usize,
}

pub(super) fn run(args: &Ppl, ctx: &Context) -> Result<()> {
    let text = input::text(&args.file, MAX_TEXT_BYTES, "give the path of a text in UTF-8")?;
    let settings = args.engine.settings(ctx)?.llm;
    let engine = load(&Settings { context_tokens: args.window as usize, ..settings })?;
    let tokenizer = engine.tokenizer();
    let tokens = tokenizer.encode(&text, Specials::AsText)?;
    let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
    let window = (args.window as usize).min(engine.context());
    let body = window - usize::from(bos.is_some());
    if tokens.len() < 2 {
        let what = format!("{} has {} tokens; two are needed", input::name(&args.file), tokens.len());
        return Err(Error::new(Kind::Usage, what).remedy("give a text of a few hundred words or more"));
    }
    // A text shorter than a window is one; else what is left after the last whole window is not scored.
    let windows: Vec<&[TokenId]> = match tokens.len() < body {
        true => vec![&tokens[..]],
        false => tokens.chunks_exact(body).collect(),
    };
    let limit = args.limit.unwrap_or(usize::MAX);
    let scored: usize = windows.iter().map(|w| w.len() - w.len() / 2).sum();
    let bar = out::progress_steps(scored.min(limit) as u64, "perplexity", ctx.global.quiet || args.json);
    let mut session = engine.session()?;
    let (mut surprises, mut used) = (Vec::new(), 0);
    for w in windows {
        if surprises.len() >= limit {
            break;
        }
        used += 1;
        score(&mut session, bos, w, limit - surprises.len(), &mut |s| {
            surprises.push(s);
            bar.inc(1);
        })?;
    }
    bar.finish_and_clear();
    let (mean, deviation) = super::bench::mean_and_deviation(&surprises);
    let perplexity = mean.exp();
    let score = Score {
        model: engine.name().to_owned(),
        backend: engine.backend(),
        perplexity,
        plus_minus: perplexity * 1.96 * deviation / (surprises.len() as f64).sqrt(),
        tokens: surprises.len(),
        windows: used,
        window,
    };
    match args.json {
        true => out::json(&score),
        false => out::line(format!(
            "perplexity {:.4} ± {:.4} over {} tokens in {} window{} of {} ({}, {})",
            score.perplexity,
            score.plus_minus,
            score.tokens,
            score.windows,
            if score.windows == 1 { "" } else { "s" },
            score.window,
            score.model,
            score.backend
        )),
    }
}

/// Negative log probability, −ln p, of each token of the second half of `window`, at most `limit` of them.
fn score(
    session: &mut Session,
    bos: Option<TokenId>,
    window: &[TokenId],
    limit: usize,
    each: &mut dyn FnMut(f64),
) -> Result<()> {
    // The first token has nothing before it, unless texts begin with one of their own.
    let from = (window.len() / 2).max(usize::from(bos.is_none()));
    session.truncate(0)?;
    let start: Vec<TokenId> = bos.into_iter().chain(window[..from].iter().copied()).collect();
    session.append(&start, &|| false)?;
    for token in window[from..].iter().take(limit) {
        each(surprise(session.logits(), *token));
        session.append(std::slice::from_ref(token), &|| false)?;
    }
    Ok(())
}

/// −ln of the softmax of `logits` (`[vocabulary]`) at `token`, in nats; the sum is f64.
///
/// Source: Jelinek et al., "Perplexity: a measure of the difficulty of speech recognition tasks", 1977; windows whose second
/// half is scored as in llama.cpp's tools/perplexity (the revision in llama-cpp-python 0.3.36).
fn surprise(logits: &[f32], token: TokenId) -> f64 {
    let max = logits.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    let sum: f64 = logits.iter().map(|&v| f64::from(v - max).exp()).sum();
    sum.ln() - f64::from(logits[token.0 as usize] - max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_is_the_negative_logarithm_of_the_softmax() {
        let logits = [0.0, 2f32.ln(), f32::NEG_INFINITY, 1000.0 * 0.0];
        assert!((surprise(&logits, TokenId(1)) - 2f64.ln()).abs() < 1e-6);
        assert!((surprise(&logits, TokenId(0)) - 4f64.ln()).abs() < 1e-6);
        assert!((surprise(&[1000.0, 0.0], TokenId(1)) - 1000.0).abs() < 1e-6);
    }
}
