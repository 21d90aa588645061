//! Hearing with the real models, on recordings of real people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tercet::audio::read_16k;
use tercet::budget::{Budget, Component};
use tercet::error::Kind;
use tercet::hear::{EarEvent, Ears, EndReason, Pass, RATE, Settings, Stt, Wake, text, wake};
use tercet::schema::EarMode;
use tercet::store::{self, Paths};
use tercet::units::Bytes;

use crate::support::skip;

/// Models are loaded by one test at a time: each is measured by how much the process grew.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|p| p.into_inner())
}

/// The models, or a printed skip (a failure where TERCET_REQUIRE_MODELS is set).
fn hearing_models(test: &str) -> Option<Paths> {
    let ids = ["onnxruntime", "silero-vad", "openwakeword", "wake-alexa", "wake-hey_jarvis", "whisper-tiny.en"];
    let paths = Paths::from_env();
    let Some(missing) = ids.iter().find_map(|id| store::locate(&paths, id).err()) else { return Some(paths) };
    assert!(std::env::var_os("TERCET_REQUIRE_MODELS").is_none(), "{test} needs models: {missing}");
    skip(test, &missing.to_string());
    None
}

/// The recordings whose name starts with `prefix`, sorted by name: those kept in the repository, which may not be missing,
/// and those of a larger collection where it is at hand. `None` where only the collection has any; a skip is printed for
/// what is not heard.
fn recordings(test: &str, prefix: &str) -> Option<Vec<PathBuf>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = here.join("tests/data/speech");
    let more = std::env::var_os("TERCET_SPEECH_DIR").map_or_else(|| here.join("../shared/audio"), PathBuf::from);
    let mut found = BTreeMap::new();
    for folder in [&kept, &more] {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        found.extend(files.filter(|p| p.extension().is_some_and(|e| e == "flac")).map(|p| (name(&p), p)));
    }
    let few = found.values().all(|p| p.starts_with(&kept));
    assert!(found.values().filter(|p| kept.join(name(p)).is_file()).count() >= 15, "tests/data/speech is not complete");
    found.retain(|name, _| name.starts_with(prefix));
    if few {
        skip(
            test,
            &format!("only {} recordings of people are here; TERCET_SPEECH_DIR names a folder of more", found.len()),
        );
    }
    (!found.is_empty()).then(|| found.into_values().collect())
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(file: &Path) -> Vec<f32> {
    read_16k(file).expect("a readable recording")
}

fn silence(ms: usize) -> Vec<f32> {
    vec![0.0; ms * RATE / 1000]
}

fn joined(parts: &[&[f32]]) -> Vec<f32> {
    parts.concat()
}

/// Uniform noise of this amplitude.
fn noise(ms: usize, amplitude: f32, seed: u32) -> Vec<f32> {
    let mut s = seed;
    (0..ms * RATE / 1000)
        .map(|_| {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((s >> 8) as f32 / 8_388_608.0 - 1.0) * amplitude
        })
        .collect()
}

fn ears(paths: &Paths, words: &[&str]) -> Ears {
    let mut settings = Settings::default();
    settings.wake.models = words.iter().map(|w| (*w).to_owned()).collect();
    Ears::load(&settings, paths, &Budget::unlimited()).expect("the ears load")
}

fn stt(paths: &Paths) -> Stt {
    let s = Settings::default();
    Stt::load(&s.stt, s.turn.max_utterance_s, paths, &Budget::unlimited()).expect("the recogniser loads")
}

/// Pushes `pcm` as a microphone would, 20 ms at a time; hands every event and the ears to `each`.
fn listen(ears: &mut Ears, pcm: &[f32], mut each: impl FnMut(&EarEvent, &mut Ears)) {
    for piece in pcm.chunks(RATE / 50) {
        for event in ears.push(piece).expect("the ears run") {
            each(&event, ears);
        }
    }
}

/// The transcripts of the turns in `pcm`: from a wake word on where `woken`, of everything otherwise.
fn hear(ears: &mut Ears, stt: &mut Stt, pcm: &[f32], woken: bool) -> Vec<String> {
    let mut said = Vec::new();
    ears.set_mode(EarMode::Deaf);
    ears.set_mode(if woken { EarMode::Asleep } else { EarMode::Open });
    listen(ears, pcm, |event, ears| match event {
        EarEvent::Wake { .. } => ears.set_mode(EarMode::Open),
        EarEvent::TurnEnd { speech_ms, .. } => {
            let never = AtomicBool::new(false);
            let heard = stt.transcribe(ears.finished(), *speech_ms, Pass::Final, &never).expect("the recogniser runs");
            said.extend(heard.map(|t| t.text));
        }
        _ => {}
    });
    said
}

fn normal(text: &str) -> String {
    text::words(text).join(" ")
}

#[test]
fn wake_scores_are_those_of_the_reference_implementation() {
    let test = "wake_scores_are_those_of_the_reference_implementation";
    let (Some(paths), Some(files)) = (hearing_models(test), recordings(test, "")) else { return };
    let _one = alone();
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("data/golden/wake_scores.json")).expect("the golden file is JSON");
    let scores: BTreeMap<String, BTreeMap<String, Vec<f32>>> =
        serde_json::from_value(golden["scores"].clone()).expect("scores by file and word");

    drop(ears(&paths, &[])); // loads ONNX Runtime
    let file = |id: &str| store::locate(&paths, id).expect("installed");
    let front = |n: &str| store::locate_file(&paths, "openwakeword", n).expect("installed");
    let words = ["alexa", "hey_jarvis"].map(|w| (w.to_owned(), file(&format!("wake-{w}"))));
    let (mel, embedding) = (front("melspectrogram.onnx"), front("embedding_model.onnx"));
    let mut wake = Wake::load(&mel, &embedding, &words, wake::Settings::default()).expect("the wake words load");

    let (mut compared, mut worst) = (0, (0.0_f32, String::new()));
    for path in files {
        let Some(expected) = scores.get(&name(&path)) else { continue };
        wake.reset();
        let pcm = joined(&[&silence(1000), &read(&path), &silence(1000)]);
        for (step, frame) in pcm.chunks_exact(wake::FRAME).enumerate() {
            let got = wake.scores(frame).expect("the wake words run");
            for ((word, _), score) in words.iter().zip(got) {
                let Some(want) = expected[word].get(step) else { continue };
                compared += 1;
                if (score - want).abs() > worst.0 {
                    worst = ((score - want).abs(), format!("{} {word} step {step}: {score} for {want}", name(&path)));
                }
            }
        }
    }
    println!("{compared} scores compared, largest difference {:.6}: {}", worst.0, worst.1);
    assert!(compared > 900 && worst.0 < 1e-3, "{compared} scores, worst {worst:?}");
}

#[test]
fn alexa_is_heard_once_and_other_words_are_not() {
    let test = "alexa_is_heard_once_and_other_words_are_not";
    let (Some(paths), Some(alexa), Some(other)) =
        (hearing_models(test), recordings(test, "alexa"), recordings(test, "other"))
    else {
        return;
    };
    let _one = alone();
    let mut ears = ears(&paths, &["alexa"]);
    let mut wakes = |file: &Path| {
        ears.set_mode(EarMode::Deaf);
        ears.set_mode(EarMode::Asleep);
        let mut found = Vec::new();
        let from = ears.now_samples();
        let seconds = |samples: u64| samples as f64 / RATE as f64 - 1.0;
        listen(&mut ears, &joined(&[&silence(1000), &read(file), &silence(1000)]), |e, _| {
            if let EarEvent::Wake { start_samples: start, end_samples: end, score, .. } = e {
                assert!(*start < *end && *start >= from && *score >= 0.5, "{e:?}");
                found.push((seconds(start - from), seconds(end - from)));
            }
        });
        found
    };
    let mut missed = Vec::new();
    for file in &alexa {
        let found = wakes(file);
        assert!(found.len() <= 1, "{}: {found:?}", name(file));
        if found.is_empty() {
            missed.push(name(file));
        }
    }
    let false_alarms: Vec<String> = other.iter().filter(|f| !wakes(f).is_empty()).map(|f| name(f)).collect();
    println!(
        "{} of {} heard, missed {missed:?}; false alarms {false_alarms:?}",
        alexa.len() - missed.len(),
        alexa.len()
    );
    assert!(missed.len() * 16 <= alexa.len(), "missed {missed:?}");
    assert!(false_alarms.is_empty(), "{false_alarms:?}");
}

const JFK: &str = "and so my fellow americans ask not what your country can do for you \
                   ask what you can do for your country";
const COFFEE: &str = "can i have a medium double shot americano";
const LIGHTS: &str = "turn on the office lights";

#[test]
fn recordings_of_people_are_transcribed_to_the_word() {
    let test = "recordings_of_people_are_transcribed_to_the_word";
    let (Some(paths), Some(files)) = (hearing_models(test), recordings(test, "")) else { return };
    let _one = alone();
    let (mut ears, mut stt) = (ears(&paths, &["alexa"]), stt(&paths));
    let mut wrong = Vec::new();
    for file in files {
        let expected = match name(&file) {
            n if n.starts_with("jfk") => JFK,
            n if n.starts_with("coffee-order") => COFFEE,
            n if n.starts_with("turn-on-the-office-lights") => LIGHTS,
            _ => continue,
        };
        let pcm = joined(&[&silence(1000), &read(&file), &silence(1500)]);
        let said = hear(&mut ears, &mut stt, &pcm, false).join(" ");
        if normal(&said) != expected {
            wrong.push(format!("{}: {said:?}", name(&file)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `text` as flite's `voice` says it; `None` and a printed skip where there is no flite.
fn flite(test: &str, voice: &str, text: &str) -> Option<Vec<f32>> {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("said.wav");
    let said = std::process::Command::new("flite").args(["-voice", voice, "-t", text, "-o"]).arg(&file).status();
    match said {
        Ok(s) if s.success() => Some(read(&file)),
        _ => {
            assert!(std::env::var_os("TERCET_REQUIRE_MODELS").is_none(), "{test} needs flite");
            skip(test, "needs flite (apt-get install flite)");
            None
        }
    }
}

#[test]
fn a_word_said_many_times_is_heard_many_times() {
    let test = "a_word_said_many_times_is_heard_many_times";
    let Some(paths) = hearing_models(test) else { return };
    let _one = alone();
    let (mut ears, mut stt) = (ears(&paths, &["alexa"]), stt(&paths));
    let mut wrong = Vec::new();
    // tiny.en takes slt's "stop" for "stuck" and hears no word in its "yes": there only the count is asked for.
    for (voice, word, times, spelled) in [
        ("rms", "stop", 6, true),
        ("rms", "five", 6, true),
        ("rms", "no", 6, true),
        ("rms", "yes", 8, true),
        ("slt", "stop", 6, false),
        ("slt", "five", 6, true),
        ("slt", "no", 6, true),
    ] {
        let text = vec![word; times].join(", ");
        let Some(pcm) = flite(test, voice, &text) else { return };
        let said = hear(&mut ears, &mut stt, &joined(&[&silence(800), &pcm, &silence(1500)]), false).join(" ");
        let words: Vec<String> = match word {
            "five" => {
                said.replace("55", "5 5").replace("55", "5 5").split_inclusive('5').flat_map(text::words).collect()
            }
            _ => text::words(&said),
        };
        let same = |w: &String| *w == word || (word == "five" && w == "5") || (!spelled && *w == words[0]);
        if words.len() != times || !words.iter().all(same) {
            wrong.push(format!("{voice}, {text:?}: {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_command_in_the_same_breath_as_the_wake_word_comes_without_it() {
    let test = "a_command_in_the_same_breath_as_the_wake_word_comes_without_it";
    let (Some(paths), Some(alexa), Some(lights)) =
        (hearing_models(test), recordings(test, "alexa"), recordings(test, "turn-on"))
    else {
        return;
    };
    let _one = alone();
    let (mut ears, mut stt) = (ears(&paths, &["alexa"]), stt(&paths));
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (i, file) in alexa.iter().enumerate() {
        let word = trimmed(&read(file));
        // Its end stays: the last "s" is far quieter than the rest.
        let command = read(&lights[i % lights.len()]);
        let command = &command[loud_part(&command).start..];
        for gap_ms in [0, 80, 200, 700] {
            tried += 1;
            let pcm = joined(&[&silence(1000), &word, &silence(gap_ms), command, &silence(1500)]);
            let said = hear(&mut ears, &mut stt, &pcm, true);
            let said: Vec<String> = said.iter().map(|s| text::without_phrase(s, "Alexa")).collect();
            if said.iter().map(|s| normal(s)).collect::<Vec<_>>() != [LIGHTS] {
                wrong.push(format!("{} +{gap_ms} ms: {said:?}", name(file)));
            }
        }
    }
    println!("{} of {tried} right", tried - wrong.len());
    assert!(wrong.len() * 10 <= tried, "{wrong:#?}");
}

/// The part of a recording above a tenth of its loudest 20 ms, and 30 ms around it.
fn loud_part(pcm: &[f32]) -> std::ops::Range<usize> {
    let energy: Vec<f32> = pcm.chunks(320).map(|c| (c.iter().map(|x| x * x).sum::<f32>() / 320.0).sqrt()).collect();
    let loud = energy.iter().fold(0.0_f32, |a, b| a.max(*b)) / 10.0;
    let first = energy.iter().position(|e| *e > loud).unwrap_or(0);
    let last = energy.iter().rposition(|e| *e > loud).unwrap_or(energy.len());
    (first * 320).saturating_sub(480)..((last + 1) * 320 + 480).min(pcm.len())
}

fn trimmed(pcm: &[f32]) -> Vec<f32> {
    pcm[loud_part(pcm)].to_vec()
}

#[test]
fn the_wake_word_alone_is_no_turn() {
    let test = "the_wake_word_alone_is_no_turn";
    let (Some(paths), Some(alexa)) = (hearing_models(test), recordings(test, "alexa")) else { return };
    let _one = alone();
    let (mut ears, mut stt) = (ears(&paths, &["alexa"]), stt(&paths));
    let mut turns = Vec::new();
    for file in &alexa {
        let pcm = joined(&[&silence(1000), &trimmed(&read(file)), &silence(2000)]);
        turns.extend(hear(&mut ears, &mut stt, &pcm, true).into_iter().map(|said| (name(file), said)));
    }
    assert!(turns.is_empty(), "{turns:?}");
}

/// Sounds nobody would call speech.
fn sounds() -> Vec<(String, Vec<f32>)> {
    let mut all = vec![("silence".to_owned(), silence(4000))];
    for (i, level) in [0.001, 0.01, 0.05, 0.2, 0.8].into_iter().enumerate() {
        all.push((format!("white noise at {level}"), noise(4000, level, i as u32 + 1)));
    }
    // A cough: two bursts of noise that rise fast and fall slowly, darker than white noise.
    let burst = |seed: u32| -> Vec<f32> {
        let mut low = 0.0;
        noise(280, 1.0, seed)
            .iter()
            .enumerate()
            .map(|(i, x)| {
                low += 0.35 * (x - low);
                let t = i as f32 / RATE as f32;
                low * (t / 0.01).min(1.0) * (-t / 0.07).exp()
            })
            .collect()
    };
    all.push(("a cough".into(), joined(&[&silence(1000), &burst(7), &silence(120), &burst(8), &silence(2000)])));
    // Music: a slow arpeggio of tones with overtones.
    let notes = [220.0_f32, 277.2, 329.6, 440.0, 329.6, 277.2];
    let music = (0..6 * RATE)
        .map(|i| {
            let t = i as f32 / RATE as f32;
            let f = notes[(t * 2.0) as usize % notes.len()];
            let decay = (-(t * 2.0).fract() * 2.0).exp();
            (1..=4).map(|k| (t * f * k as f32 * std::f32::consts::TAU).sin() / (k * k) as f32).sum::<f32>()
                * 0.2
                * decay
        })
        .collect();
    all.push(("music".into(), music));
    let hum = (0..4 * RATE).map(|i| (i as f32 / RATE as f32 * 50.0 * std::f32::consts::TAU).sin() * 0.3).collect();
    all.push(("mains hum".into(), hum));
    let beeps = (0..4 * RATE)
        .map(|i| {
            let t = i as f32 / RATE as f32;
            if t.fract() < 0.2 { (t * 1000.0 * std::f32::consts::TAU).sin() * 0.3 } else { 0.0 }
        })
        .collect();
    all.push(("beeps".into(), beeps));
    all
}

#[test]
fn silence_noise_coughs_and_music_are_no_turn() {
    let test = "silence_noise_coughs_and_music_are_no_turn";
    let Some(paths) = hearing_models(test) else { return };
    let _one = alone();
    let (mut ears, mut stt) = (ears(&paths, &["alexa", "hey_jarvis"]), stt(&paths));
    let mut heard = Vec::new();
    for (what, pcm) in sounds() {
        let pcm = joined(&[&silence(500), &pcm, &silence(1500)]);
        heard.extend(hear(&mut ears, &mut stt, &pcm, false).into_iter().map(|said| format!("{what}: {said:?}")));
    }
    assert!(heard.is_empty(), "{heard:#?}");
}

#[test]
fn the_recogniser_alone_makes_little_of_noise() {
    let test = "the_recogniser_alone_makes_little_of_noise";
    let Some(paths) = hearing_models(test) else { return };
    let _one = alone();
    let mut stt = stt(&paths);
    let never = AtomicBool::new(false);
    let mut heard = Vec::new();
    for (what, pcm) in sounds() {
        // As if the VAD had been fooled for half a second.
        if let Some(t) = stt.transcribe(&pcm, 500, Pass::Final, &never).expect("the recogniser runs") {
            heard.push(format!("{what}: {t:?}"));
        }
        assert_eq!(stt.transcribe(&pcm, 0, Pass::Final, &never).expect("no run"), None, "{what} without any speech");
    }
    assert!(heard.is_empty(), "{heard:#?}");
}

#[test]
fn deaf_ears_hear_nothing_and_hear_again_afterwards() {
    let test = "deaf_ears_hear_nothing_and_hear_again_afterwards";
    let (Some(paths), Some(alexa)) = (hearing_models(test), recordings(test, "alexa_0")) else { return };
    let _one = alone();
    let mut ears = ears(&paths, &["alexa"]);
    let pcm = joined(&[&silence(1000), &read(&alexa[0]), &silence(1000)]);
    ears.set_mode(EarMode::Deaf);
    listen(&mut ears, &pcm, |e, _| panic!("{e:?}"));
    assert_eq!(ears.utterance().len(), 0);
    let before = ears.now_samples();
    assert_eq!(before, pcm.len() as u64, "the clock goes on");
    ears.set_mode(EarMode::Asleep);
    let mut wakes = 0;
    listen(&mut ears, &pcm, |e, _| {
        if let EarEvent::Wake { start_samples, .. } = e {
            assert!(*start_samples > before);
            wakes += 1;
        }
    });
    assert_eq!(wakes, 1);
}

#[test]
fn events_do_not_depend_on_how_the_sound_is_cut() {
    let test = "events_do_not_depend_on_how_the_sound_is_cut";
    let (Some(paths), Some(alexa), Some(lights)) =
        (hearing_models(test), recordings(test, "alexa_0"), recordings(test, "turn-on"))
    else {
        return;
    };
    let _one = alone();
    let pcm = joined(&[&silence(1000), &read(&alexa[1]), &read(&lights[0]), &silence(2000)]);
    let events = |piece: usize| {
        let mut ears = ears(&paths, &["alexa"]);
        ears.set_mode(EarMode::Open);
        let mut events = Vec::new();
        pcm.chunks(piece).for_each(|p| events.extend(ears.push(p).expect("the ears run")));
        (events, ears.finished().to_vec())
    };
    let whole = events(pcm.len());
    assert!(whole.0.iter().any(|e| matches!(e, EarEvent::Wake { model, .. } if model == "alexa")), "{:?}", whole.0);
    assert!(matches!(whole.0.last(), Some(EarEvent::TurnEnd { reason: EndReason::Silence, .. })), "{:?}", whole.0);
    for piece in [160, 333, 4096] {
        assert!(events(piece) == whole, "pieces of {piece} samples");
    }
}

#[test]
fn endless_speech_is_cut_at_the_longest_utterance() {
    let test = "endless_speech_is_cut_at_the_longest_utterance";
    let (Some(paths), Some(jfk)) = (hearing_models(test), recordings(test, "jfk")) else { return };
    let _one = alone();
    let mut settings = Settings::default();
    settings.turn.max_utterance_s = 5;
    settings.turn.silence_ms = 1500;
    settings.turn.max_silence_ms = 1500;
    let mut ears = Ears::load(&settings, &paths, &Budget::unlimited()).expect("the ears load");
    ears.set_mode(EarMode::Open);
    let pcm = read(&jfk[0]);
    let mut turns: Vec<(u64, u64, EndReason)> = Vec::new();
    let all = joined(&[&silence(300), &pcm, &pcm]);
    let mut events = ears.push(&all).expect("the ears run");
    events.extend(ears.finish());
    for e in events {
        if let EarEvent::TurnEnd { start_samples: start, end_samples: end, reason, .. } = e {
            assert!(end - start <= RATE as u64 * 51 / 10, "{start} to {end}");
            turns.push((start, end, reason));
        }
    }
    assert!(turns.len() >= 4 && turns.iter().filter(|t| t.2 == EndReason::TooLong).count() >= 3, "{turns:?}");
    assert!(turns.windows(2).all(|w| w[0].1 <= w[1].0), "turns overlap: {turns:?}");
    assert!(ears.finished().len() <= 6 * RATE);
}

#[test]
fn a_cancelled_transcript_stops_and_the_next_one_is_right() {
    let test = "a_cancelled_transcript_stops_and_the_next_one_is_right";
    let (Some(paths), Some(jfk)) = (hearing_models(test), recordings(test, "jfk")) else { return };
    let _one = alone();
    let mut stt = stt(&paths);
    let pcm = read(&jfk[0]);
    let cancel = AtomicBool::new(true);
    let e = stt.transcribe(&pcm, 9000, Pass::Partial, &cancel).expect_err("cancelled before it began");
    assert_eq!(e.kind(), Kind::Cancelled);
    std::thread::scope(|s| {
        cancel.store(false, Ordering::Release);
        s.spawn(|| {
            std::thread::sleep(Duration::from_millis(60));
            cancel.store(true, Ordering::Release);
        });
        match stt.transcribe(&pcm, 9000, Pass::Partial, &cancel) {
            Err(e) => assert_eq!(e.kind(), Kind::Cancelled),
            Ok(t) => assert!(t.is_some(), "a machine fast enough to finish must have the text"),
        }
    });
    let never = AtomicBool::new(false);
    for pass in [Pass::Partial, Pass::Final] {
        let t = stt.transcribe(&pcm, 9000, pass, &never).expect("the recogniser runs").expect("a transcript");
        assert_eq!(normal(&t.text), JFK);
    }
}

#[test]
fn what_hearing_takes_is_reserved_first_and_estimated_well() {
    let test = "what_hearing_takes_is_reserved_first_and_estimated_well";
    let Some(paths) = hearing_models(test) else { return };
    // What a part takes is seen in the growth of the process, so this needs one of its own.
    if std::env::var_os("TERCET_ALONE").is_none() {
        let exe = std::env::current_exe().expect("the test binary");
        let out = std::process::Command::new(exe)
            .args(["--exact", &format!("hearing::{test}"), "--nocapture", "--test-threads=1"])
            .env("TERCET_ALONE", "1")
            .output()
            .expect("the test binary runs");
        let (said, why) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success() && said.contains("1 passed"), "{said}\n{why}");
        return;
    }
    let _one = alone();
    let budget = Budget::new(Bytes::gb(1));
    let settings = Settings::default();
    let ears = Ears::load(&settings, &paths, &budget).expect("the ears load");
    let stt = Stt::load(&settings.stt, settings.turn.max_utterance_s, &paths, &budget).expect("the recogniser loads");
    for item in budget.items() {
        let measured = item.measured.expect("measured");
        println!("{:14} {:24} reserved {:>9} measured {measured:>9}", item.component.name(), item.what, item.reserved);
        assert!(measured <= item.reserved, "{}: {measured} of {}", item.what, item.reserved);
        assert!(measured.0 * 10 >= item.reserved.0 * 6, "{}: {measured} of {}", item.what, item.reserved);
    }
    let parts: Vec<Component> = budget.lines().iter().map(|l| l.component).collect();
    assert_eq!(parts, [Component::Stt, Component::Detect, Component::Runtime]);
    drop((ears, stt));
    assert_eq!(budget.lines().len(), 1, "only ONNX Runtime stays");

    let small = Budget::new(Bytes::mb(40));
    let e = Stt::load(&settings.stt, 20, &paths, &small).map(|_| ()).expect_err("does not fit");
    assert_eq!(e.kind(), Kind::OverBudget);
}

#[test]
fn unknown_wake_words_and_missing_models_are_named() {
    let paths = Paths::from_env();
    let mut settings = Settings::default();
    settings.wake.models = vec!["hey_nobody".into()];
    let e = Ears::load(&settings, &paths, &Budget::unlimited()).map(|_| ()).expect_err("there is no such word");
    assert!(e.to_string().contains("hey_nobody") || e.to_string().contains("silero"), "{e}");
}
