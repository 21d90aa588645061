//! How fast a session is, measured as llama-bench does: random tokens, an empty timeline (or one of `depth` tokens).

use std::time::{Duration, Instant};

use super::Session;
use super::sampler::Needs;
use crate::error::Result;
use crate::units::TokenId;

/// One measured run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    pub tokens: usize,
    pub took: Duration,
}

impl Throughput {
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Reads a prompt of `n` tokens after `depth` others (`pp`): chunks of [`super::Engine::prefill_chunk`], logits of the last.
///
/// # Errors
/// A full window where `depth + n` tokens do not fit; the backend's error. The timeline is replaced in any case.
pub fn prefill(session: &mut Session, depth: usize, n: usize) -> Result<Throughput> {
    fill(session, depth)?;
    prefill_here(session, n)
}

/// As [`prefill`], after what the timeline holds.
///
/// # Errors
/// As [`prefill`].
pub fn prefill_here(session: &mut Session, n: usize) -> Result<Throughput> {
    let tokens = random(session, n);
    let started = Instant::now();
    session.append(&tokens, &|| false)?;
    Ok(Throughput { tokens: n, took: started.elapsed() })
}

/// Computes `n` tokens one by one after `depth` others (`tg`); after each, the argmax of what follows is known (on a
/// device that finds it there, its logits stay there).
///
/// # Errors
/// As [`prefill`].
pub fn decode(session: &mut Session, depth: usize, n: usize) -> Result<Throughput> {
    fill(session, depth)?;
    decode_here(session, n)
}

/// As [`decode`], after what the timeline holds.
///
/// # Errors
/// As [`prefill`].
pub fn decode_here(session: &mut Session, n: usize) -> Result<Throughput> {
    let tokens = random(session, n);
    let started = Instant::now();
    for token in &tokens {
        session.compute(std::slice::from_ref(token), &|| false, Needs::Argmax)?;
    }
    Ok(Throughput { tokens: n, took: started.elapsed() })
}

fn fill(session: &mut Session, depth: usize) -> Result<()> {
    session.pin(0)?;
    session.truncate(0)?;
    let tokens = random(session, depth);
    session.append(&tokens, &|| false)
}

/// Tokens of the whole vocabulary, the same every time.
fn random(session: &Session, n: usize) -> Vec<TokenId> {
    let vocabulary = session.engine().hyper().vocabulary as u64;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        TokenId(((state >> 16) % vocabulary) as u32)
    };
    (0..n).map(|_| next()).collect()
}
