//! Times in arguments, and what is said about what cannot be kept.

use jiff::Zoned;

use crate::tools::agenda::At;
use crate::tools::moment::{self, Lean};
use crate::tools::reading::When;
use crate::tools::{Outcome, Registry, duration};

impl Registry {
    /// The moment that is all of `text`, in the future; what to say where there is none.
    pub(super) fn moment(&self, text: &str, lean: Lean) -> Result<(At, Zoned), Outcome> {
        self.moment_of(moment::parse(text).as_ref(), lean)
    }

    /// As [`Registry::moment`], of what was understood of a text.
    pub(super) fn moment_of(&self, when: Option<&When>, lean: Lean) -> Result<(At, Zoned), Outcome> {
        let now = self.now();
        let unclear = || Outcome::failed("time: not a time that is to come", "Sorry, I didn't get the time.");
        match when {
            Some(When::TooFar(_)) => Err(Outcome::failed("time: too far off", "Sorry, that is too far off for me.")),
            Some(When::Recurring(_)) => {
                let spoken = "Sorry, I can only do that once. Alarms can ring again and again.";
                Err(Outcome::failed("time: repetition is only for alarms", spoken))
            }
            Some(When::On(_)) => Err(Outcome::failed("time: a day without a time", "At what time?")),
            Some(when @ When::In(seconds)) => {
                moment::resolve(when, lean, &now).map(|at| (At::In(*seconds), at)).ok_or_else(unclear)
            }
            Some(when) => {
                self.clock_or("do that at a time of day")?;
                let over = || Outcome::failed("time: it is over", "That time is over already.");
                let at = moment::resolve(when, lean, &now);
                match when {
                    When::At(_) => at.map(|at| (At::Wall(at.timestamp()), at)).ok_or_else(over),
                    _ => Err(unclear()),
                }
            }
            None => Err(unclear()),
        }
    }

    /// Says that it can't `what` where the clock is not set.
    pub(super) fn clock_or(&self, what: &str) -> Result<(), Outcome> {
        if self.agenda.clock_is_set() {
            return Ok(());
        }
        Err(Outcome::failed("the clock is not set", format!("My clock isn't set, so I can't {what}.")))
    }

    /// "at 6:30 tomorrow morning"
    pub(super) fn told_at(&self, at: &Zoned) -> String {
        moment::spoken(at, &self.now(), self.settings.clock_24h)
    }

    /// As [`Registry::told_at`].
    pub(super) fn told_stamp(&self, at: jiff::Timestamp) -> String {
        self.told_at(&at.to_zoned(self.zone.clone()))
    }

    /// "in 10 minutes" for what was asked for so, else "at 6:30 tomorrow morning".
    pub(super) fn told_when(&self, at: At, moment: &Zoned) -> String {
        match at {
            At::In(seconds) => format!("in {}", duration::spoken(seconds)),
            At::Wall(_) => self.told_at(moment),
        }
    }

    /// Adds what has to be said where a change would not outlive a restart.
    pub(super) fn noted(&self, mut outcome: Outcome) -> Outcome {
        if outcome.is_ok() && !self.agenda.is_saved() {
            if let Some(spoken) = &mut outcome.spoken {
                spoken.push_str(" I can't save it, so it will be lost if I am restarted.");
                *spoken = spoken.trim_start().to_owned();
            }
            outcome.result["saved"] = false.into();
        }
        outcome
    }
}

/// "a, b and c"; of many the first few and how many more.
pub(super) fn some_of(parts: &[String], most: usize) -> String {
    if parts.len() <= most {
        return crate::tools::listed(parts);
    }
    let mut shown = parts[..most - 1].to_vec();
    shown.push(format!("{} more", parts.len() - most + 1));
    crate::tools::listed(&shown)
}

/// "Six", "Twenty-one" is 21: a count at the start of a sentence.
pub(super) fn count(n: usize) -> String {
    match crate::numerals::SMALL.get(n) {
        Some(word) if n > 0 => {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |c| c.to_uppercase().chain(letters).collect())
        }
        _ => n.to_string(),
    }
}
