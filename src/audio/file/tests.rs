//! The room without the hearing pipeline: the tests speak and listen themselves.

use super::room::OUT_RATE;
use super::*;
use crate::audio::read_file;
use crate::units::SampleRate;

fn tone(ms: usize) -> Vec<f32> {
    (0..16 * ms).map(|i| 0.5 * (i as f32 * 0.2).sin()).collect()
}

fn cue(ms: usize, when: When) -> Cue {
    Cue { sound: Sound::Samples(tone(ms)), when }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn rms(x: &[f32]) -> f32 {
    (x.iter().map(|v| v * v).sum::<f32>() / x.len().max(1) as f32).sqrt()
}

/// Reads to the end, speaking `reply` once after each cue that ended when `answer` says so.
fn run(room: &mut Room, reply: &[f32], answer: impl Fn(usize) -> bool) -> Vec<f32> {
    let (mut heard, mut answered) = (Vec::new(), 0);
    loop {
        match room.source.read(&mut heard, ms(50)).unwrap() {
            Read::End => return heard,
            Read::Samples => {}
            other => panic!("{other:?}"),
        }
        let ends = room.journal.events().iter().filter(|e| matches!(e, Event::CueEnd { .. })).count();
        if ends > answered {
            answered = ends;
            if answer(ends - 1) {
                room.output.push(reply, SampleRate(16_000), &|| false).unwrap();
            }
        }
    }
}

#[test]
fn cues_wait_for_replies_and_recordings_share_the_timeline() {
    let dir = tempfile::tempdir().unwrap();
    let (replies, mixed) = (dir.path().join("replies.wav"), dir.path().join("mixed.wav"));
    let script = Script {
        cues: vec![
            cue(200, When::AfterStart { delay: ms(100) }),
            cue(100, When::AfterReply { delay: ms(400) }),
            cue(100, When::AfterReply { delay: ms(400) }),
        ],
        realtime: false,
        end_after_quiet: ms(500),
        reply_timeout: ms(1000),
        replies_wav: Some(replies.clone()),
        mixed_wav: Some(mixed.clone()),
        ..Script::default()
    };
    let mut room = open(script).unwrap();
    let heard = run(&mut room, &tone(500), |cue| cue != 1);
    let events = room.journal.events();
    let want = [
        Event::CueStart { cue: 0, at_ms: 100 },
        Event::CueEnd { cue: 0, at_ms: 300 },
        Event::ReplyStart { at_ms: 300 },
        Event::ReplyEnd { at_ms: 800 },
        Event::CueStart { cue: 1, at_ms: 1200 },
        Event::CueEnd { cue: 1, at_ms: 1300 },
        Event::NoReply { cue: 1, at_ms: 2300 },
        Event::CueStart { cue: 2, at_ms: 2300 },
        Event::CueEnd { cue: 2, at_ms: 2400 },
        Event::ReplyStart { at_ms: 2400 },
        Event::ReplyEnd { at_ms: 2900 },
        Event::End { at_ms: 3400 },
    ];
    assert_eq!(events, want);
    assert_eq!(heard.len(), 16 * 3400);
    assert!(rms(&heard[16 * 100..16 * 300]) > 0.3);
    let quiet = rms(&heard[16 * 320..16 * 980]);
    assert!(quiet > 1e-4 && quiet < 1e-3, "noise of -70 dB and no echo: {quiet}");
    let replies = read_file(&replies).unwrap();
    assert_eq!((replies.rate, replies.samples.len()), (OUT_RATE, 24 * 3400));
    assert!(rms(&replies.samples[24 * 310..24 * 590]) > 0.3 && rms(&replies.samples[24 * 820..24 * 2390]) == 0.0);
    let mixed = read_file(&mixed).unwrap().samples;
    assert_eq!(mixed.len(), 16 * 3400);
    assert!(rms(&mixed[16 * 110..16 * 190]) > 0.3 && rms(&mixed[16 * 350..16 * 550]) > 0.3);
}

#[test]
fn the_loudspeaker_is_heard_at_the_level_asked_for() {
    let script = Script {
        cues: vec![cue(100, When::AfterStart { delay: ms(0) })],
        realtime: false,
        echo_db: Some(-10.0),
        noise_db: None,
        ..Script::default()
    };
    let mut room = open(script).unwrap();
    let heard = run(&mut room, &tone(400), |_| true);
    let ratio = rms(&heard[16 * 150..16 * 450]) / rms(&tone(400));
    assert!((ratio - 0.316).abs() < 0.02, "{ratio}");
}

#[test]
fn real_time_passes_and_stop_silences_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replies.wav");
    let script = Script { end_after_quiet: ms(600), replies_wav: Some(path.clone()), ..Script::default() };
    let started = Instant::now();
    let room = open(script).unwrap();
    let (mut source, output) = (room.source, room.output);
    output.push(&tone(1000), SampleRate(16_000), &|| false).unwrap();
    let mut heard = Vec::new();
    while heard.len() < 16 * 200 {
        source.read(&mut heard, ms(100)).unwrap();
    }
    assert!(output.is_playing());
    output.stop();
    while source.read(&mut heard, ms(100)).unwrap() != Read::End {}
    assert!(started.elapsed() >= ms(600), "the room keeps the wall clock");
    assert!(!output.is_playing());
    let replies = read_file(&path).unwrap().samples;
    assert!(rms(&replies[24 * 50..24 * 150]) > 0.3);
    assert_eq!(rms(&replies[replies.len() - 24 * 100..]), 0.0);
    let e = output.push(&tone(10), SampleRate(16_000), &|| false).expect_err("the room is closed");
    assert_eq!(e.kind(), Kind::Device);
}

#[test]
fn a_cue_that_cannot_be_read_is_named() {
    let script = Script { cues: vec![Cue::after_start("/nowhere/hello.wav", ms(0))], ..Script::default() };
    let e = open(script).err().expect("an error");
    assert_eq!(e.kind(), Kind::NotFound);
    assert!(e.to_string().contains("hello.wav"));
}
