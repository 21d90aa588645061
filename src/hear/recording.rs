//! A whole recording to text: the stretches of speech in it, each transcribed by itself. For files and for the APIs
//! that take them; live speech goes through [`super::Ears`].

use std::sync::atomic::AtomicBool;

use super::vad::{self, Edge};
use super::{Pass, RATE, Segmenter, Settings, Stt, Vad, ms_in_samples, samples_in_ms, seconds};
use crate::budget::{Budget, Component, Reservation};
use crate::error::Result;
use crate::onnx;
use crate::store::{self, Paths};

/// What was said in one stretch of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub start_s: f64,
    pub end_s: f64,
    pub text: String,
}

/// A stretch of speech, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u64,
    end: u64,
    speech: u64,
}

/// Pauses longer than this separate stretches.
const PAUSE: u64 = samples_in_ms(1500);
/// Longest stretch given to the recogniser at once, with the sound kept around it.
const LONGEST: u64 = samples_in_ms(28_000);
/// Sound kept before the speech of a stretch, and after it (a last "s" comes late and is not voiced).
const BEFORE: u64 = samples_in_ms(300);
const AFTER: u64 = samples_in_ms(600);

/// The VAD and the recogniser, for recordings.
pub struct Transcriber {
    vad: Vad,
    segmenter: Segmenter,
    stt: Stt,
    _reservation: Reservation,
}

impl Transcriber {
    /// # Errors
    /// [`crate::error::Kind::NotFound`] naming a missing model; as [`onnx::session`] and [`Stt::load`].
    pub fn load(settings: &Settings, paths: &Paths, budget: &Budget) -> Result<Self> {
        let model = store::locate(paths, "silero-vad")?;
        onnx::init_reserved(&store::locate(paths, "onnxruntime")?, budget)?;
        let (vad, reservation) =
            onnx::load_measured(budget, Component::Detect, "vad", vad::estimate(&model), || Vad::load(&model))?;
        let longest_s = (LONGEST / RATE as u64) as u32 + 1;
        let stt = Stt::load(&settings.stt, longest_s, paths, budget)?;
        Ok(Self { vad, segmenter: Segmenter::new(settings.vad.clone()), stt, _reservation: reservation })
    }

    /// What is said in `samples` (16 kHz mono), in order. `progress` is called with how many samples are done.
    ///
    /// # Errors
    /// [`crate::error::Kind::Cancelled`] soon after `cancel` is set; [`crate::error::Kind::Internal`] when a model
    /// fails to run.
    pub fn transcribe(
        &mut self,
        samples: &[f32],
        cancel: &AtomicBool,
        mut progress: impl FnMut(u64),
    ) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for span in joined(&self.spans(samples)?) {
            let from = span.start.saturating_sub(BEFORE);
            let to = (span.end + AFTER).min(samples.len() as u64);
            let sound = &samples[from as usize..to as usize];
            let heard = self.stt.transcribe(sound, ms_in_samples(span.speech), Pass::Final, cancel)?;
            segments.extend(heard.map(|t| Segment {
                start_s: seconds(span.start),
                end_s: seconds(span.end),
                text: t.text,
            }));
            progress(span.end);
        }
        progress(samples.len() as u64);
        Ok(segments)
    }

    fn spans(&mut self, samples: &[f32]) -> Result<Vec<Span>> {
        self.vad.reset();
        self.segmenter.reset();
        let frame = vad::FRAME as u64;
        let (mut spans, mut started) = (Vec::new(), None);
        let mut last = vec![0.0; vad::FRAME];
        let mut close = |start: u64, end: u64| spans.push(Span { start, end, speech: end - start });
        for (i, part) in samples.chunks(vad::FRAME).enumerate() {
            last.fill(0.0);
            last[..part.len()].copy_from_slice(part);
            let (from, to) = (i as u64 * frame, (i as u64 + 1) * frame);
            match self.segmenter.step(self.vad.probability(&last)?, from, to) {
                Some(Edge::Start(at)) => started = Some(at),
                Some(Edge::End(at)) => started.take().into_iter().for_each(|s| close(s, at)),
                None => {}
            }
        }
        if let Some(start) = started {
            close(start, samples.len() as u64);
        }
        Ok(spans)
    }
}

/// Joins stretches with short pauses between them and cuts what is too long for the recogniser.
fn joined(spans: &[Span]) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    for span in spans {
        match all.last_mut() {
            Some(last) if span.start - last.end <= PAUSE && span.end - last.start <= LONGEST => {
                last.end = span.end;
                last.speech += span.speech;
            }
            _ => {
                let mut start = span.start;
                while span.end - start > LONGEST {
                    all.push(Span { start, end: start + LONGEST, speech: LONGEST });
                    start += LONGEST;
                }
                all.push(Span { start, end: span.end, speech: span.end - start });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start_s: u64, end_s: u64) -> Span {
        let (start, end) = (start_s * RATE as u64, end_s * RATE as u64);
        Span { start, end, speech: end - start }
    }

    #[test]
    fn sentences_stay_together_and_nothing_is_longer_than_the_recogniser_takes() {
        assert_eq!(joined(&[]), []);
        let two = joined(&[span(1, 3), span(4, 6), span(9, 12)]);
        assert_eq!(two.len(), 2);
        assert_eq!((two[0].start, two[0].end, two[0].speech), (16_000, 96_000, 64_000));

        let long = joined(&[span(0, 70), span(71, 73)]);
        assert!(long.iter().all(|s| s.end - s.start <= LONGEST), "{long:?}");
        assert_eq!(long.iter().map(|s| s.speech).sum::<u64>(), 72 * RATE as u64);
    }
}
