//! What has been said for one piece of work, and how far playback has got.

use std::time::Duration;

use crate::units::WorkId;

/// Slow speech: what a character may take before the loudspeaker counts as stuck.
const PER_CHAR: Duration = Duration::from_millis(120);
/// No single reply is given longer than this.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
pub(super) struct Speech {
    pub(super) work: WorkId,
    sentences: Vec<String>,
    started: usize,
    played: usize,
}

impl Speech {
    pub(super) fn new(work: WorkId) -> Self {
        Self { work, sentences: Vec::new(), started: 0, played: 0 }
    }

    /// Takes the next sentence; returns its number.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        self.sentences.push(text.to_owned());
        (self.sentences.len() - 1) as u32
    }

    /// Whether `sentence` was handed out and is news.
    pub(super) fn started(&mut self, sentence: u32) -> bool {
        let n = sentence as usize + 1;
        let news = n <= self.sentences.len() && n > self.started;
        if news {
            self.started = n;
        }
        news
    }

    /// Whether `sentence` was handed out and is news.
    pub(super) fn played(&mut self, sentence: u32) -> bool {
        let n = sentence as usize + 1;
        let news = n <= self.sentences.len() && n > self.played;
        if news {
            self.played = n;
            self.started = self.started.max(n);
        }
        news
    }

    pub(super) fn is_over(&self) -> bool {
        self.played == self.sentences.len()
    }

    /// How long saying the rest may take, generously.
    pub(super) fn allowance(&self) -> Duration {
        let chars: usize = self.sentences[self.played..].iter().map(|s| s.chars().count()).sum();
        PER_CHAR.saturating_mul(u32::try_from(chars).unwrap_or(u32::MAX)).min(LONGEST)
    }

    /// What reached the user: the sentences that at least began to be heard.
    pub(super) fn heard(&self) -> String {
        self.sentences[..self.started].join(" ")
    }
}
