//! How loud the loudspeaker is: what people set, mute, and the least that an alarm rings at.

use std::sync::Arc;

use crate::audio::Output;

pub(super) struct Loudness {
    output: Arc<dyn Output>,
    /// Volume to come back to from mute.
    unmuted: u8,
    /// Volume to come back to after a ring of an alarm.
    before_ring: Option<u8>,
    /// An alarm rings at this volume at least.
    least: u8,
    /// Whether what rings is an alarm.
    alarm: bool,
}

impl Loudness {
    /// Of a loudspeaker as it is set now.
    pub(super) fn new(output: Arc<dyn Output>, least: u8) -> Self {
        Self { unmuted: output.volume(), output, before_ring: None, least, alarm: false }
    }

    pub(super) fn set(&mut self, percent: u8) {
        self.settle();
        self.unmuted = percent;
        self.output.set_volume(percent);
    }

    /// Louder or quieter than what was set, not than an alarm.
    pub(super) fn change(&mut self, by: i8) {
        self.settle();
        self.set((i32::from(self.output.volume()) + i32::from(by)).clamp(0, 100) as u8);
    }

    pub(super) fn mute(&mut self, on: bool) {
        self.settle();
        match self.output.volume() {
            _ if !on => self.set(self.unmuted),
            0 => {}
            volume => {
                self.unmuted = volume;
                self.output.set_volume(0);
            }
        }
    }

    /// What rings from now on; `goes_on` where something rings already, which goes on in the same voice.
    pub(super) fn rings(&mut self, alarm: bool, goes_on: bool) {
        self.alarm = alarm || self.alarm && goes_on;
    }

    /// A ring begins: an alarm's is loud enough whatever the volume is.
    pub(super) fn ring(&mut self) {
        let volume = self.output.volume();
        if self.alarm && volume < self.least {
            self.before_ring.get_or_insert(volume);
            self.output.set_volume(self.least);
        }
    }

    /// The ring is over, or somebody answers it: the volume is what it was.
    pub(super) fn settle(&mut self) {
        if let Some(volume) = self.before_ring.take() {
            self.output.set_volume(volume);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::time::Instant;

    use super::*;
    use crate::error::Result;
    use crate::units::SampleRate;

    struct Knob(AtomicU8);

    impl Output for Knob {
        fn push(&self, _: &[f32], _: SampleRate, _: &dyn Fn() -> bool) -> Result<()> {
            Ok(())
        }
        fn stop(&self) {}
        fn is_playing(&self) -> bool {
            false
        }
        fn last_sound(&self) -> Option<Instant> {
            None
        }
        fn frames_played(&self) -> u64 {
            0
        }
        fn set_volume(&self, percent: u8) {
            self.0.store(percent, Ordering::Relaxed);
        }
        fn volume(&self) -> u8 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn an_alarm_is_heard_in_spite_of_mute_and_nothing_else_is() {
        let knob = Arc::new(Knob(AtomicU8::new(80)));
        let mut loudness = Loudness::new(knob.clone(), 40);
        loudness.mute(true);
        loudness.rings(false, false);
        loudness.ring();
        assert_eq!(knob.volume(), 0, "a timer");
        loudness.rings(true, true);
        loudness.ring();
        loudness.ring();
        assert_eq!(knob.volume(), 40);
        loudness.settle();
        assert_eq!(knob.volume(), 0, "between two rings it is muted again");
        // A timer that joins the alarm does not make it quiet; one that comes later is.
        loudness.rings(false, true);
        loudness.ring();
        assert_eq!(knob.volume(), 40);
        loudness.mute(false);
        assert_eq!(knob.volume(), 80);
        loudness.ring();
        assert_eq!(knob.volume(), 80, "it is loud enough");
        loudness.set(10);
        loudness.ring();
        loudness.change(-5);
        assert_eq!(knob.volume(), 5, "than what was set");
        loudness.rings(false, false);
        loudness.ring();
        assert_eq!(knob.volume(), 5);
        loudness.mute(true);
        loudness.mute(true);
        loudness.mute(false);
        assert_eq!(knob.volume(), 5);
    }
}
