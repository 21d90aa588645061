//! Speaking, and what to do when nothing is heard.

use crate::units::WorkId;

use super::super::speech::Speech;
use super::super::{Action, Earcon, words};
use super::{Dialog, Phase};

impl Dialog {
    pub(super) fn say(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.busy().is_none() {
            return;
        }
        let work = match self.busy().and_then(|t| t.speech.as_ref()) {
            Some(speech) => speech.work,
            None => self.fresh(),
        };
        self.hear(self.speaking_mode());
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        let speech = turn.speech.get_or_insert_with(|| Speech::new(work));
        if speech.is_over() {
            turn.progress = now;
        }
        let sentence = speech.add(text);
        self.out.push(Action::Say { work, sentence, text: text.to_owned() });
    }

    pub(super) fn playback_done(&mut self, work: WorkId, sentence: u32) {
        let now = self.now;
        let Some(turn) = self.busy() else { return };
        let Some(speech) = &mut turn.speech else { return };
        if speech.work == work && speech.played(sentence) {
            turn.progress = now;
            if speech.is_over() {
                self.guard();
            }
        }
    }

    /// The loudspeaker is stuck or gone: this turn says nothing more.
    pub(super) fn silence(&mut self) {
        self.hush();
        self.out.push(Action::Earcon(Earcon::Error));
    }

    /// The voice could not say something: this turn apologises, and if that fails too,
    /// nothing more.
    pub(super) fn voice_failed(&mut self) {
        let Some(turn) = self.busy() else { return };
        if std::mem::replace(&mut turn.voice_failed, true) {
            return self.silence();
        }
        self.hush();
        self.say(words::VOICE_FAILED);
    }

    /// Ends the work and the speech of this turn at once.
    fn hush(&mut self) {
        let cancelled = self.fresh();
        self.out.push(Action::StopSpeaking);
        self.out.push(Action::CancelBefore(cancelled));
        self.guard();
        if let Some(turn) = self.busy() {
            turn.give_up();
            turn.retire_speech();
        }
    }

    /// The watchdog: something that was waited for never came.
    pub(super) fn recover(&mut self) {
        if self.busy().and_then(|t| t.speech.as_ref()).is_some_and(|s| !s.is_over()) {
            return self.silence();
        }
        let cancelled = self.fresh();
        self.out.push(Action::CancelBefore(cancelled));
        if let Some(turn) = self.busy() {
            turn.retire_speech();
        }
        self.conclude(words::TOO_SLOW);
    }

    pub(super) fn is_saying(&self, work: WorkId) -> bool {
        let Phase::Busy(turn) = &self.phase else { return false };
        turn.speech.as_ref().is_some_and(|s| s.work == work && !s.is_over())
    }
}
