//! Sound as the voice produces it, and how it is processed before playback.

use std::time::Duration;

use crate::units::SampleRate;

/// Mono sound, samples in [−1, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct Pcm {
    pub rate: SampleRate,
    pub samples: Vec<f32>,
}

/// Windows in which loudness is judged.
const WINDOW_MS: u64 = 5;
/// Kept in front of the first audible window (soft consonants begin there) and after the last.
const KEEP_BEFORE_MS: u64 = 15;
const KEEP_AFTER_MS: u64 = 40;
/// Ramps at both ends, so that a cut never clicks.
const FADE_MS: u64 = 4;
/// A window is audible when its RMS is above this share of the loudest window's.
const AUDIBLE: f32 = 0.012;
/// No window as quiet as this (−60 dBFS) is audible, whatever the rest.
const FLOOR: f32 = 0.001;
/// Highest peak let through: conversion to 16 bits and resampling must not clip.
pub(super) const MAX_PEAK: f32 = 0.94;

impl Pcm {
    pub fn empty(rate: SampleRate) -> Self {
        Self { rate, samples: Vec::new() }
    }

    pub fn duration(&self) -> Duration {
        self.rate.duration(self.samples.len())
    }

    /// Removes the silence at both ends but for a few milliseconds, and ramps the ends. Silence becomes nothing.
    ///
    /// What is silence is judged by the RMS, `√mean(x²)`, of windows of 5 ms; thresholds are tercet's own.
    pub(super) fn trim(&mut self) {
        let window = self.rate.samples_in_ms(WINDOW_MS).max(1);
        let rms: Vec<f32> = self
            .samples
            .chunks(window)
            .map(|w| (w.iter().map(|x| x * x).sum::<f32>() / w.len() as f32).sqrt())
            .collect();
        let threshold = rms.iter().copied().fold(0.0, f32::max) * AUDIBLE;
        let audible = |r: &f32| *r > threshold.max(FLOOR);
        let (Some(first), Some(last)) = (rms.iter().position(audible), rms.iter().rposition(audible)) else {
            self.samples.clear();
            return;
        };
        let end = ((last + 1) * window + self.rate.samples_in_ms(KEEP_AFTER_MS)).min(self.samples.len());
        let start = (first * window).saturating_sub(self.rate.samples_in_ms(KEEP_BEFORE_MS));
        self.samples.truncate(end);
        self.samples.drain(..start);
        self.fade_ends(FADE_MS);
    }

    /// Raised-cosine ramps over `ms` at both ends: half a Hann window (Blackman and Tukey, 1958).
    pub(super) fn fade_ends(&mut self, ms: u64) {
        let n = self.rate.samples_in_ms(ms).min(self.samples.len() / 2);
        let len = self.samples.len();
        for i in 0..n {
            let gain = 0.5 - 0.5 * (std::f32::consts::PI * (i as f32 + 0.5) / n as f32).cos();
            self.samples[i] *= gain;
            self.samples[len - 1 - i] *= gain;
        }
    }

    /// Turns the whole down when its highest peak is above [`MAX_PEAK`]; anything that is not a number becomes silence.
    pub(super) fn limit_peak(&mut self) {
        for x in &mut self.samples {
            if !x.is_finite() {
                *x = 0.0;
            }
        }
        let peak = self.samples.iter().fold(0.0f32, |p, x| p.max(x.abs()));
        if peak > MAX_PEAK {
            let gain = MAX_PEAK / peak;
            self.samples.iter_mut().for_each(|x| *x *= gain);
        }
    }

    pub(super) fn append_silence(&mut self, ms: u64) {
        let len = self.samples.len() + self.rate.samples_in_ms(ms);
        self.samples.resize(len, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate(22_050);

    #[test]
    fn silence_around_sound_is_trimmed_and_peaks_are_limited() {
        let tone = (0..RATE.samples_in_ms(300)).map(|i| 1.6 * (i as f32 * 0.1).sin());
        let mut samples = vec![0.0002; RATE.samples_in_ms(200)];
        samples.extend(tone);
        samples.extend(vec![-0.0002; RATE.samples_in_ms(400)]);
        samples[RATE.samples_in_ms(250)] = f32::NAN;
        let mut pcm = Pcm { rate: RATE, samples };
        pcm.limit_peak();
        assert!(pcm.samples.iter().all(|x| x.abs() <= MAX_PEAK + 1e-6));
        pcm.trim();
        let ms = pcm.duration().as_millis();
        assert!((300..=370).contains(&ms), "{ms} ms are left of 300 ms of sound");
        assert!(pcm.samples[0].abs() < 0.01 && pcm.samples[pcm.samples.len() - 1].abs() < 0.01);
        let before = pcm.samples.len();
        pcm.append_silence(100);
        assert_eq!(pcm.samples.len(), before + RATE.samples_in_ms(100));
    }

    #[test]
    fn silence_alone_and_nothing_become_nothing() {
        for samples in [vec![], vec![0.0; 5000], vec![0.0005; 3]] {
            let mut pcm = Pcm { rate: RATE, samples };
            pcm.limit_peak();
            pcm.trim();
            pcm.fade_ends(5);
            assert!(pcm.samples.is_empty());
        }
    }
}
