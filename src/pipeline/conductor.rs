//! Events into actions, in order: the dialog, and the events that wait for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dialog::{Action, Dialog, Event};

/// Most events that wait at once. What happens from outside comes one or two at a time, a step of the dialog gives a
/// dozen actions at most, and an action leads to one event at most. An event that finds no room is dropped, which is
/// logged; the dialog then gives up on what it waits for when its timeout passes, as on any result that never comes.
const WAITING_MAX: usize = 64;

/// Events that wait for the dialog, the oldest first.
pub(super) struct Events<E = Event> {
    waiting: VecDeque<E>,
}

impl<E> Events<E> {
    fn new() -> Self {
        Self { waiting: VecDeque::with_capacity(WAITING_MAX) }
    }

    /// Appends an event. It is taken when every action of the present step has been carried out, and the events before
    /// it have been.
    pub(super) fn push(&mut self, event: E) {
        if self.waiting.len() == WAITING_MAX {
            // Not the event itself: it may hold what was said in the room.
            tracing::error!("an event of the conversation was dropped: {WAITING_MAX} others are waiting");
            return;
        }
        self.waiting.push_back(event);
    }

    /// Takes events until none waits. The actions of a step are carried out in the order given, all of them before the
    /// next event is taken: an action may raise events, never a step within the step.
    fn drain<A>(&mut self, mut step: impl FnMut(E) -> Vec<A>, mut carry_out: impl FnMut(A, &mut Self)) {
        while let Some(event) = self.waiting.pop_front() {
            for action in step(event) {
                carry_out(action, self);
            }
        }
    }
}

/// The dialog and its queue of events. Who carries out the actions is the caller's affair.
pub(super) struct Conductor {
    dialog: Dialog,
    events: Events,
}

impl Conductor {
    pub(super) fn new(dialog: Dialog) -> Self {
        Self { dialog, events: Events::new() }
    }

    #[cfg(any(test, feature = "voice"))]
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// Where what happened is put, before [`Conductor::run`].
    pub(super) fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Takes every event that waits or arises meanwhile; `now` is the time since start.
    pub(super) fn run(&mut self, now: impl Fn() -> Duration, carry_out: impl FnMut(Action, &mut Events)) {
        let Self { dialog, events } = self;
        events.drain(|event| dialog.step(now(), event), carry_out);
    }
}

#[cfg(test)]
mod tests;
