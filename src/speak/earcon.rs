//! Earcons: short soft tones that say "listening", "done", "something went wrong", and ring for timers.
//!
//! Computed when needed, so there is no file to miss; each partial is a sine with a soft attack and a bell-like decay.
//!
//! Source: pitches of the equal-tempered scale, A4 = 440 Hz (ISO 16:1975), in Hz; the envelopes, and which tones say what, are
//! tercet's own.

use std::f32::consts::TAU;

use super::pcm::Pcm;
use crate::units::SampleRate;

/// What an earcon says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Two rising tones: the microphone is open.
    Listening,
    /// Two falling tones: the exchange is over.
    Done,
    /// Two low tones: it did not work.
    Error,
    /// One period of a timer's ring, three tones and a rest; played again and again until someone stops it.
    Alarm,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Listening, Kind::Done, Kind::Error, Kind::Alarm];
}

/// Rate of the tones: that of most loudspeakers, high enough that resampling costs nothing audible.
const RATE: SampleRate = SampleRate(24_000);

/// Peak of the quiet earcons, about −16 dBFS: below speech, never startling.
const SOFT: f32 = 0.16;
/// Peak of the alarm, about −7 dBFS: as loud as speech, to be heard from the next room.
const LOUD: f32 = 0.45;

/// Rise of a tone; long enough not to click.
const ATTACK_MS: u64 = 8;

/// A tone: when it starts, its pitch, how long it sounds.
struct Note {
    at_ms: u64,
    hz: f32,
    ms: u64,
}

/// The sound of an earcon.
pub fn render(kind: Kind) -> Pcm {
    let note = |at_ms, hz, ms| Note { at_ms, hz, ms };
    // E5 659, A5 880, B5 988, E6 1319, A4 440, F4 349
    let (notes, length_ms, peak) = match kind {
        Kind::Listening => (vec![note(0, 659.3, 110), note(80, 987.8, 160)], 240, SOFT),
        Kind::Done => (vec![note(0, 987.8, 110), note(80, 659.3, 180)], 260, SOFT),
        Kind::Error => (vec![note(0, 440.0, 150), note(150, 349.2, 220)], 370, SOFT),
        Kind::Alarm => (vec![note(0, 880.0, 220), note(180, 1108.7, 220), note(360, 1318.5, 420)], 1600, LOUD),
    };
    let mut pcm = Pcm { rate: RATE, samples: vec![0.0; RATE.samples_in_ms(length_ms)] };
    for n in &notes {
        add(&mut pcm.samples, n);
    }
    let highest = pcm.samples.iter().fold(0.0f32, |p, x| p.max(x.abs()));
    if highest > 0.0 {
        pcm.samples.iter_mut().for_each(|x| *x *= peak / highest);
    }
    pcm.fade_ends(ATTACK_MS);
    pcm
}

/// Adds a note: fundamental, a soft octave and a trace of the third harmonic (1 : 0.25 : 0.08), under
/// `smoothstep(attack) · e^(−3t) · (1 − t)`, `t` from 0 at its start to 1 at its end. What falls behind
/// `samples` is left out.
fn add(samples: &mut [f32], note: &Note) {
    let start = RATE.samples_in_ms(note.at_ms);
    let len = RATE.samples_in_ms(note.ms);
    let attack = RATE.samples_in_ms(ATTACK_MS).max(1) as f32;
    for (i, out) in samples.iter_mut().skip(start).take(len).enumerate() {
        let t = i as f32 / RATE.0 as f32;
        let through = i as f32 / len as f32;
        let rise = (i as f32 / attack).min(1.0);
        // Ends at silence, so that a note can stop anywhere within the sound.
        let envelope = rise * rise * (3.0 - 2.0 * rise) * (-3.0 * through).exp() * (1.0 - through);
        let phase = TAU * note.hz * t;
        *out += envelope * (phase.sin() + 0.25 * (2.0 * phase).sin() + 0.08 * (3.0 * phase).sin());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earcons_are_short_soft_and_without_clicks() {
        for kind in Kind::ALL {
            let pcm = render(kind);
            let ms = pcm.duration().as_millis();
            assert!((100..=2000).contains(&ms), "{kind:?} lasts {ms} ms");
            let peak = pcm.samples.iter().fold(0.0f32, |p, x| p.max(x.abs()));
            assert!((0.1..0.5).contains(&peak), "{kind:?} peaks at {peak}");
            // Smooth partials bend by less than this from sample to sample; a click bends by the whole peak.
            let bend = pcm.samples.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0f32, f32::max);
            assert!(bend < 0.45 * peak, "{kind:?} bends by {bend} of {peak}");
            assert_eq!(pcm, render(kind), "the same every time");
        }
        assert!(render(Kind::Listening).samples != render(Kind::Done).samples);
    }

    #[test]
    fn the_alarm_rings_three_times_and_rests_before_it_repeats() {
        let pcm = render(Kind::Alarm);
        let level = |from_ms: u64, to_ms: u64| {
            let part = &pcm.samples[RATE.samples_in_ms(from_ms)..RATE.samples_in_ms(to_ms)];
            (part.iter().map(|x| x * x).sum::<f32>() / part.len() as f32).sqrt()
        };
        for at in [10, 190, 370] {
            assert!(level(at, at + 60) > 0.05, "no tone at {at} ms");
        }
        assert!(level(900, 1600) < 0.001, "the rest is silent");
    }
}
