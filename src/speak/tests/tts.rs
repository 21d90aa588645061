use super::*;

/// The default voice, or nothing where its models are not on this machine.
fn voice(test: &str, settings: &Settings) -> Option<Voice> {
    match Voice::load(settings, &Paths::from_env(), &Budget::unlimited()) {
        Ok(v) => Some(v),
        Err(e) if e.kind() == Kind::NotFound && std::env::var_os("TERCET_REQUIRE_MODELS").is_none() => {
            println!("SKIPPED {test}: {e}");
            None
        }
        Err(e) => panic!("{e:?}"),
    }
}

fn rms(x: &[f32]) -> f32 {
    (x.iter().map(|x| x * x).sum::<f32>() / x.len().max(1) as f32).sqrt()
}

#[test]
fn settings_out_of_range_are_named() {
    let mut problems = Problems::new();
    Settings::default().validate(&mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let bad = Settings {
        voice: " ".into(),
        speed: 0.1,
        variation: f32::NAN,
        sentence_gap_ms: 9_000,
        threads: 0,
        ..Settings::default()
    };
    bad.validate(&mut problems);
    let named: Vec<String> = problems.into_vec().iter().map(|p| p.key.to_string()).collect();
    assert_eq!(named, ["voice", "speed", "variation", "sentence_gap_ms", "threads"]);
}

#[test]
fn a_voice_that_is_not_there_or_does_not_fit_is_refused() {
    let empty = tempfile::tempdir().expect("a folder");
    let budget = Budget::new(Bytes::mb(400));
    let e = Voice::load(&Settings::default(), &Paths::new(empty.path()), &budget).err().expect("no models there");
    assert!(e.kind() == Kind::NotFound && e.remedy_text().is_some(), "{e:?}");
    assert_eq!(budget.reserved(), Bytes::ZERO);

    let small = Budget::new(Bytes::mb(60));
    match Voice::load(&Settings::default(), &Paths::from_env(), &small).err().expect("needs more than 60 MB") {
        e if e.kind() == Kind::NotFound => println!("SKIPPED the over-budget half: {e}"),
        e => assert_eq!(e.kind(), Kind::OverBudget),
    }
}

#[test]
fn sentences_sound_at_once_at_a_sane_length_and_level() {
    let Some(mut v) = voice("sentences_sound_at_once", &Settings::default()) else { return };
    for (text, seconds) in [
        ("The kitchen light is on.", 0.8..2.6),
        ("It is 07:52, and it's 21 °C outside; shall I close the window?", 2.5..7.0),
        ("Yes.", 0.15..1.2),
    ] {
        let pcm = v.synthesize(text).expect("spoken");
        let gap = pcm.rate.samples_in_ms(200);
        let sound = &pcm.samples[..pcm.samples.len() - gap];
        let s = sound.len() as f64 / f64::from(pcm.rate.0);
        assert!(seconds.contains(&s), "{text:?} takes {s} s");
        assert!(pcm.samples[sound.len()..].iter().all(|x| *x == 0.0), "the gap is silent");
        let peak = sound.iter().fold(0.0f32, |p, x| p.max(x.abs()));
        assert!((0.1..=0.95).contains(&peak), "{text:?} peaks at {peak}");
        let first = &sound[..pcm.rate.samples_in_ms(60)];
        assert!(rms(first) > 0.005 * peak, "{text:?} starts with silence");
    }
}

#[test]
fn nothing_to_pronounce_is_no_sound_and_no_error() {
    let Some(mut v) = voice("nothing_to_pronounce", &Settings::default()) else { return };
    for text in ["", "   ", "...", "—", "🎉", "\u{7}", "()[]{}"] {
        let pcm = v.synthesize(text).expect("no error");
        assert!(pcm.samples.is_empty(), "{text:?} gave {} samples", pcm.samples.len());
    }
    // Other scripts may be spelled out or dropped, but never fail.
    for text in ["早上好", "Привет", "naïve café", "مرحبا", "\u{301}\u{301}"] {
        v.synthesize(text).expect("no error");
    }
}

#[test]
fn speed_and_variation_do_what_they_say() {
    let even = |speed| Settings { variation: 0.0, speed, sentence_gap_ms: 0, ..Settings::default() };
    let Some(mut normal) = voice("speed_and_variation", &even(1.0)) else { return };
    let Some(mut fast) = voice("speed_and_variation", &even(1.5)) else { return };
    let text = "The quick brown fox jumps over the lazy dog, and then it sleeps.";
    let a = normal.synthesize(text).expect("spoken");
    assert_eq!(a, normal.synthesize(text).expect("spoken"), "without variation a sentence is always the same");
    let b = fast.synthesize(text).expect("spoken");
    let ratio = a.samples.len() as f64 / b.samples.len() as f64;
    // The model rounds each phoneme up to whole frames, so it shortens by a little less.
    assert!((1.25..1.6).contains(&ratio), "speed 1.5 shortens by {ratio}");
}

#[test]
fn a_garbled_configuration_and_an_absent_speaker_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("v.onnx.json");
    std::fs::write(&config, "{\"audio\": 3}").expect("written");
    let e = Voice::open(&Settings::default(), Path::new("v.onnx"), &config).err().expect("garbled");
    assert!(e.kind() == Kind::Corrupt && e.to_string().contains("v.onnx.json"), "{e:?}");

    let sound = r#"{"audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "num_speakers": 2,
        "inference": {"noise_scale": 0.6, "length_scale": 1.0, "noise_w": 0.8}, "speaker_id_map": {},
        "phoneme_id_map": {"a": [1]}}"#;
    std::fs::write(&config, sound).expect("written");
    let settings = Settings { speaker: 2, ..Settings::default() };
    let e = Voice::open(&settings, Path::new("v.onnx"), &config).err().expect("only two speakers");
    assert!(e.kind() == Kind::Config && e.remedy_text().is_some_and(|r| r.contains("0 to 1")), "{e:?}");
}
