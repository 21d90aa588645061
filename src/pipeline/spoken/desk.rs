//! Written requests to the running agent: who waits, and who is being answered.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;

use super::notice::Notice;
use crate::dialog::{Action, State};
use crate::pipeline::report::Told;
use crate::units::TurnId;

/// Requests that wait; one more is refused.
const WAITING_MAX: usize = 8;
/// What may come of a request and wait for who asked. A turn comes to less; who reads nothing gets no more.
pub(super) const TOLD_MAX: usize = 256;

/// A request, and where the answer goes.
pub(super) struct Request {
    pub(super) text: String,
    pub(super) to: SyncSender<Told>,
}

/// One request is answered at a time, when nobody is being spoken with.
#[derive(Default)]
pub(super) struct Desk {
    waiting: VecDeque<Request>,
    asker: Option<Asker>,
}

struct Asker {
    /// `None` until the dialog begins it.
    turn: Option<TurnId>,
    to: SyncSender<Told>,
}

impl Desk {
    /// Takes a request. Of one that is refused, who asked hears why, and then nothing more.
    pub(super) fn take(&mut self, request: Request) {
        if self.waiting.len() >= WAITING_MAX {
            let message = format!("{WAITING_MAX} other requests are waiting: ask again later");
            let _ = request.to.try_send(Told::Trouble { part: "agent", message });
        } else if !request.text.trim().is_empty() {
            self.waiting.push_back(request);
        }
    }

    /// What is to be answered now, where the dialog is in `state`: its turn is the next to begin.
    pub(super) fn next(&mut self, state: State) -> Option<String> {
        if self.asker.is_some() || !matches!(state, State::Asleep | State::FollowUp) {
            return None;
        }
        let Request { text, to } = self.waiting.pop_front()?;
        self.asker = Some(Asker { turn: None, to });
        Some(text)
    }

    /// The dialog begins a turn.
    pub(super) fn begins(&mut self, turn: TurnId) {
        if let Some(asker) = &mut self.asker {
            asker.turn.get_or_insert(turn);
        }
    }

    /// Whether this turn is answered in writing.
    pub(super) fn answers(&self, turn: TurnId) -> bool {
        self.asker.as_ref().is_some_and(|a| a.turn == Some(turn))
    }

    /// Passes on what came of a turn, if somebody asked it in writing.
    pub(super) fn tell(&mut self, turn: TurnId, told: Told) {
        if self.answers(turn) {
            self.pass_on(told);
        }
    }

    fn pass_on(&mut self, told: Told) {
        if let Some(asker) = &mut self.asker
            && asker.to.try_send(told).is_err()
        {
            // Nobody reads. The turn goes on, and keeps its place until it is over.
            let (nowhere, _) = std::sync::mpsc::sync_channel(1);
            asker.to = nowhere;
        }
    }

    /// What everybody is told is passed on to who asked.
    pub(super) fn hear(&mut self, notice: &Notice) {
        match notice {
            Notice::Call { work, call, fast } => self.tell(work.turn, Told::Call { call: call.clone(), fast: *fast }),
            Notice::Result { work, result } => self.tell(work.turn, Told::Result { result: result.clone() }),
            Notice::Trouble { part, message } => {
                self.pass_on(Told::Trouble { part, message: message.clone() });
            }
            _ => {}
        }
    }

    /// What the dialog wants done may mean that the turn is over: it rests, or what was asked is remembered, or a later
    /// turn calls it off.
    pub(super) fn watch(&mut self, action: &Action) {
        let Some(turn) = self.asker.as_ref().and_then(|a| a.turn) else { return };
        let whole = match action {
            Action::State(State::Asleep | State::FollowUp) | Action::Remember { .. } => true,
            Action::CancelBefore(work) if work.turn > turn => false,
            _ => return,
        };
        self.pass_on(Told::Over { whole });
        self.asker = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::units::WorkId;

    fn ask(desk: &mut Desk, text: &str) -> Receiver<Told> {
        let (to, told) = sync_channel(4);
        desk.take(Request { text: text.into(), to });
        told
    }

    fn said(text: &str) -> Told {
        Told::Said { text: text.into() }
    }

    #[test]
    fn requests_are_answered_one_after_another_when_nobody_is_spoken_with() {
        let mut desk = Desk::default();
        let (first, second) = (ask(&mut desk, "a"), ask(&mut desk, "b"));
        assert_eq!(desk.next(State::Speaking), None);
        assert_eq!(desk.next(State::FollowUp).as_deref(), Some("a"));
        assert_eq!(desk.next(State::Asleep), None, "the first is not over");
        // What belongs to another turn is nobody's.
        desk.watch(&Action::State(State::Asleep));
        desk.begins(TurnId(5));
        desk.tell(TurnId(4), said("no"));
        desk.tell(TurnId(5), said("yes"));
        desk.watch(&Action::CancelBefore(WorkId { turn: TurnId(5), revision: 3 }));
        desk.watch(&Action::Remember { messages: Vec::new() });
        assert_eq!(first.try_iter().collect::<Vec<_>>(), [said("yes"), Told::Over { whole: true }]);
        assert_eq!(desk.next(State::Asleep).as_deref(), Some("b"));
        desk.begins(TurnId(6));
        desk.watch(&Action::CancelBefore(WorkId { turn: TurnId(7), revision: 0 }));
        assert_eq!(second.try_iter().collect::<Vec<_>>(), [Told::Over { whole: false }]);
    }

    #[test]
    fn one_too_many_is_told_so_and_who_reads_nothing_holds_nothing_up() {
        let mut desk = Desk::default();
        let told: Vec<_> = (0..=WAITING_MAX).map(|_| ask(&mut desk, "x")).collect();
        assert!(matches!(told[WAITING_MAX].recv(), Ok(Told::Trouble { .. })) && told[WAITING_MAX].recv().is_err());
        assert!(desk.next(State::Asleep).is_some());
        desk.begins(TurnId(1));
        (0..10).for_each(|_| desk.tell(TurnId(1), said("x")));
        assert!(desk.answers(TurnId(1)), "it keeps its place");
        desk.watch(&Action::State(State::Asleep));
        assert_eq!(told[0].try_iter().count(), 4);
        assert!(desk.next(State::Asleep).is_some());
    }
}
