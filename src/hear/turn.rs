//! Turns: where one begins ([`Tracker`]), and when the user has finished. [`EndOfTurn`] is the seam for the latter;
//! [`SilenceEnd`] answers by silence alone.

use serde::{Deserialize, Serialize};

use super::{ms_in_samples, samples_in_ms};
use crate::problems::Problems;

/// When an utterance begins and ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Silence that ends a turn, in milliseconds.
    pub silence_ms: u32,
    /// Longest silence waited for when the speaker has paused before, in milliseconds.
    pub max_silence_ms: u32,
    /// Utterances with less speech than this are not a turn (a click, a breath), in milliseconds.
    pub min_speech_ms: u32,
    /// Longest utterance; it is ended there, in seconds.
    pub max_utterance_s: u32,
    /// Sound kept from before the first speech, so that no consonant is lost, in milliseconds.
    pub pre_roll_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { silence_ms: 700, max_silence_ms: 1200, min_speech_ms: 160, max_utterance_s: 20, pre_roll_ms: 300 }
    }
}

impl Settings {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.range("silence_ms", self.silence_ms, 200..=5000);
        problems.range("max_silence_ms", self.max_silence_ms, 200..=10_000);
        problems.at_least("max_silence_ms", self.max_silence_ms, "silence_ms", self.silence_ms);
        problems.range("min_speech_ms", self.min_speech_ms, 32..=2000);
        problems.range("max_utterance_s", self.max_utterance_s, 2..=30);
        problems.range("pre_roll_ms", self.pre_roll_ms, 0..=1000);
    }
}

/// What is known of a turn at the end of a frame in which nobody spoke.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The utterance up to now.
    pub samples: &'a [f32],
    /// Speech in it.
    pub speech_ms: u32,
    /// Silence since the last speech.
    pub silence_ms: u32,
    /// Longest silence after which the speaker went on in this turn.
    pub longest_pause_ms: u32,
}

/// Decides whether a pause is the end of the turn. Asked every 32 ms of silence, so it must be cheap or keep its
/// answer until the silence has grown.
pub trait EndOfTurn: Send {
    fn has_ended(&mut self, now: &Situation<'_>) -> bool;

    /// A new turn begins.
    fn reset(&mut self) {}
}

/// A turn ends after `silence_ms` of silence, or, when the speaker has gone on after a pause, after half as much again
/// as that pause: who hesitates once hesitates twice. The rule is tercet's own.
#[derive(Debug, Clone)]
pub struct SilenceEnd {
    silence_ms: u32,
    max_silence_ms: u32,
}

impl SilenceEnd {
    pub fn new(settings: &Settings) -> Self {
        Self { silence_ms: settings.silence_ms, max_silence_ms: settings.max_silence_ms }
    }

    /// The silence that would end the turn now.
    pub fn wanted_ms(&self, longest_pause_ms: u32) -> u32 {
        (longest_pause_ms + longest_pause_ms / 2).clamp(self.silence_ms, self.max_silence_ms.max(self.silence_ms))
    }
}

impl EndOfTurn for SilenceEnd {
    fn has_ended(&mut self, now: &Situation<'_>) -> bool {
        now.silence_ms >= self.wanted_ms(now.longest_pause_ms)
    }
}

/// Follows one turn over the voice activity: where it started, how much speech it has, how long the silence is.
/// Pure arithmetic on sample positions.
#[derive(Debug, Clone)]
pub struct Tracker {
    /// Nothing before this sample belongs to the turn (the wake word ends here, or the last turn did).
    floor: u64,
    /// Speech is counted from here on; later than `floor` where the end of a wake word is only roughly known.
    count_from: u64,
    start: Option<u64>,
    speech: u64,
    last_voiced: u64,
    longest_pause: u64,
}

impl Tracker {
    pub fn new(floor: u64, count_from: u64) -> Self {
        Self { floor, count_from, start: None, speech: 0, last_voiced: floor, longest_pause: 0 }
    }

    /// First sample of speech; `None` while nobody has spoken.
    pub fn start(&self) -> Option<u64> {
        self.start
    }

    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// End of the last voiced frame.
    pub fn last_voiced(&self) -> u64 {
        self.last_voiced
    }

    pub fn speech_ms(&self) -> u32 {
        ms_in_samples(self.speech)
    }

    pub fn longest_pause_ms(&self) -> u32 {
        ms_in_samples(self.longest_pause)
    }

    /// Takes the frame `from..to`: whether it was voiced, and since when the present stretch of speech lasts (`None`
    /// once silence is certain). A stretch too short to be a turn is forgotten when it ends.
    pub fn step(&mut self, from: u64, to: u64, voiced: bool, speaking_since: Option<u64>, min_speech_ms: u32) {
        if voiced && to > self.floor {
            let counted_from = if self.start.is_some() {
                self.longest_pause = self.longest_pause.max(from.saturating_sub(self.last_voiced));
                from
            } else {
                // Speech is only certain after some frames; those before this one count as well.
                let since = speaking_since.unwrap_or(from).max(self.floor);
                self.start = Some(since);
                since
            };
            self.speech += to.saturating_sub(counted_from.max(self.count_from));
            self.last_voiced = to;
        } else if self.start.is_some() && speaking_since.is_none() && self.speech < samples_in_ms(min_speech_ms) {
            *self = Self::new(self.last_voiced, self.last_voiced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(silence_ms: u32, longest_pause_ms: u32) -> Situation<'static> {
        Situation { samples: &[], speech_ms: 900, silence_ms, longest_pause_ms }
    }

    #[test]
    fn fluent_speech_ends_after_the_set_silence() {
        let mut e = SilenceEnd::new(&Settings::default());
        assert!(!e.has_ended(&at(672, 0)));
        assert!(e.has_ended(&at(704, 0)));
        assert!(e.has_ended(&at(704, 400)));
    }

    #[test]
    fn a_hesitant_speaker_gets_more_time_up_to_the_limit() {
        let mut e = SilenceEnd::new(&Settings::default());
        assert!(!e.has_ended(&at(864, 600)));
        assert!(e.has_ended(&at(900, 600)));
        assert!(e.has_ended(&at(1200, 5000)));
    }

    const F: u64 = 512;

    /// Frames `n..m`, voiced or not; the stretch of speech is said to last since `since`.
    fn frames(t: &mut Tracker, n: u64, m: u64, voiced: bool, since: Option<u64>) {
        (n..m).for_each(|i| t.step(i * F, (i + 1) * F, voiced, since.map(|s| s * F), 160));
    }

    #[test]
    fn a_turn_starts_where_speech_did_and_counts_the_frames_before_it_was_certain() {
        let mut t = Tracker::new(0, 0);
        frames(&mut t, 0, 10, false, None);
        assert_eq!(t.start(), None);
        frames(&mut t, 12, 20, true, Some(10));
        assert_eq!((t.start(), t.speech_ms()), (Some(10 * F), 320));
        frames(&mut t, 20, 26, false, Some(10));
        frames(&mut t, 26, 30, true, Some(10));
        assert_eq!((t.longest_pause_ms(), t.speech_ms(), t.last_voiced()), (192, 448, 30 * F));
    }

    #[test]
    fn a_click_and_the_tail_of_a_wake_word_are_forgotten() {
        let mut t = Tracker::new(0, 0);
        frames(&mut t, 5, 8, true, Some(4));
        frames(&mut t, 8, 12, false, Some(4));
        assert!(t.start().is_some(), "speech may go on");
        frames(&mut t, 12, 17, false, None);
        assert_eq!((t.start(), t.speech_ms()), (None, 0));

        // The word ends about frame 20; the speech after frame 27 would count, but there is too little of it.
        let mut t = Tracker::new(20 * F, 27 * F);
        frames(&mut t, 21, 29, true, Some(2));
        assert_eq!(t.start(), Some(20 * F));
        frames(&mut t, 29, 40, false, None);
        assert_eq!(t.start(), None);
    }

    #[test]
    fn a_command_in_the_same_breath_starts_where_the_wake_word_ended() {
        let mut t = Tracker::new(20 * F, 27 * F);
        frames(&mut t, 21, 60, true, Some(2));
        frames(&mut t, 60, 70, false, None);
        assert_eq!(t.start(), Some(20 * F));
        assert_eq!(t.speech_ms(), 33 * 32);
    }
}
