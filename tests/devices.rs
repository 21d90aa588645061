//! The real program on a real (virtual) sound card.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tercet::audio::{WavWriter, read_16k, read_file};
use tercet::units::SampleRate;

use crate::support::pulse::{Pulse, RATE, wait};

/// A program under test whose JSON lines are read as they come.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// Reads on until `event`; fails when the program ends before.
    fn until(&mut self, event: &str) -> Value {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("the program ended before {event:?}")).expect("text");
            let v: Value = serde_json::from_str(&line).expect("JSON");
            if v["event"] == event {
                return v;
            }
        }
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("the program ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<f32> {
    let w = 2.0 * std::f64::consts::PI * hz / f64::from(rate);
    (0..(seconds * f64::from(rate)) as usize).map(|i| (0.5 * (w * i as f64).sin()) as f32).collect()
}

/// Amplitude of `hz` in `pcm` (Goertzel).
fn amplitude(pcm: &[f32], rate: u32, hz: f64) -> f64 {
    let w = 2.0 * std::f64::consts::PI * hz / f64::from(rate);
    let (re, im) = pcm.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, &x)| {
        let a = w * i as f64;
        (re + f64::from(x) * a.cos(), im + f64::from(x) * a.sin())
    });
    2.0 * f64::hypot(re, im) / pcm.len().max(1) as f64
}

/// Seconds of `pcm`, in pieces of 10 ms, in which `hz` sounds and nothing else is louder.
fn seconds_of(pcm: &[f32], rate: u32, hz: f64) -> f64 {
    let piece = rate as usize / 100;
    let rms = |x: &[f32]| (x.iter().map(|v| f64::from(v * v)).sum::<f64>() / x.len() as f64).sqrt();
    let sounds = |x: &&[f32]| amplitude(x, rate, hz) > 0.25 && amplitude(x, rate, hz) > 1.2 * rms(x);
    pcm.chunks_exact(piece).filter(sounds).count() as f64 / 100.0
}

fn write_tone(pulse: &Pulse, hz: f64, rate: u32, seconds: f64) -> std::path::PathBuf {
    let path = pulse.dir().join(format!("tone-{hz}-{rate}.wav"));
    let mut w = WavWriter::create(&path, SampleRate(rate)).expect("a file");
    w.write(&tone(hz, rate, seconds)).expect("written");
    w.finish().expect("finished");
    path
}

#[test]
fn devices_are_listed_with_the_default_marked() {
    let Some(pulse) = Pulse::start("devices_are_listed_with_the_default_marked") else { return };
    let out = pulse.tercet().args(["devices", "--json"]).output().expect("runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("text");
    let all: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let default = all.iter().find(|d| d["default"] == true).expect("a default");
    for direction in ["input", "output"] {
        let rates = default[direction]["rates"].as_array().expect("rates");
        assert!(rates.contains(&48_000.into()) && rates.contains(&16_000.into()), "{default}");
        assert_eq!(default[direction]["chosen"]["rate"], 48_000);
    }
    let named = all.iter().find(|d| d["id"] == "alsa:pulse").expect("the one with a name");
    assert_eq!(named["name"], "PulseAudio Sound Server");
    let out = pulse.tercet().arg("devices").output().expect("runs");
    let text = String::from_utf8(out.stdout).expect("text");
    assert!(text.contains("Microphones") && text.contains("Loudspeakers") && text.contains("* "), "{text}");
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_device_is_found_by_part_of_its_name() {
    let Some(pulse) = Pulse::start("a_device_is_found_by_part_of_its_name") else { return };
    let wav = pulse.dir().join("named.wav");
    let named = |name: &str| {
        let mut c = pulse.tercet();
        c.args(["devices", "test", "--seconds", "0.2", "--input", name, "--record"]).arg(&wav).output().expect("runs")
    };
    for name in ["alsa:pulse", "pulse", "pulseaudio sound"] {
        let out = named(name);
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let out = named("kitchen");
    assert_eq!(out.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no microphone named \"kitchen\""));
}

#[test]
fn a_sound_server_that_restarts_is_found_again() {
    let Some(mut pulse) = Pulse::start("a_sound_server_that_restarts_is_found_again") else { return };
    let wav = pulse.dir().join("heard.wav");
    let mut c = pulse.tercet();
    c.args(["devices", "test", "--json", "--seconds", "5", "--record"]).arg(&wav);
    let mut run = Running::start(c);
    run.until("first_sound");
    pulse.restart();
    run.until("lost");
    run.until("restored");
    pulse.speak_into_mic(&tone(880.0, 48_000, 1.0), 48_000);
    run.until("recorded");
    assert_eq!(run.exit_code(), Some(0));
    let heard = seconds_of(&read_16k(&wav).expect("a recording"), 16_000, 880.0);
    assert!(heard > 0.8, "{heard} s");
}

#[test]
fn without_a_sound_card_every_way_in_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let nothing = dir.path().join("asound.conf");
    std::fs::write(&nothing, "").expect("written");
    let wav = dir.path().join("x.wav");
    let wav = wav.to_str().expect("a path");
    for args in [
        &["devices"][..],
        &["devices", "--json"],
        &["devices", "test", "--record", wav],
        &["devices", "test", "--input", "kitchen"],
    ] {
        let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
        let out = c.args(args).env("ALSA_CONFIG_PATH", &nothing).output().expect("runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(69), "{args:?}: {said}");
        assert!(said.contains("error: ") && said.contains("hint: "), "{args:?}: {said}");
        assert!(!said.contains("ALSA lib"), "{args:?}: {said}");
    }
    assert!(std::fs::read_dir(dir.path()).expect("a folder").count() == 1, "nothing half-written is left");
}

#[test]
fn the_microphone_is_heard() {
    let Some(pulse) = Pulse::start("the_microphone_is_heard") else { return };
    let wav = pulse.dir().join("heard.wav");
    let mut c = pulse.tercet();
    c.args(["devices", "test", "--json", "--set", "audio.volume=100", "--seconds", "4", "--record"]).arg(&wav);
    let mut run = Running::start(c);
    run.until("first_sound");
    pulse.speak_into_mic(&tone(440.0, 22_050, 1.5), 22_050);
    let end = run.until("recorded");
    assert_eq!(run.exit_code(), Some(0));
    let clip = read_file(&wav).expect("a recording");
    assert_eq!((clip.rate, clip.samples.len()), (SampleRate::HEARING, 64_000));
    let heard = seconds_of(&clip.samples, 16_000, 440.0);
    assert!((1.3..=1.55).contains(&heard), "{heard} s of the tone, {end}\n{}", pulse.log());
    assert_eq!(end["dropped"], 0, "{end}");
}

#[test]
fn the_loudspeaker_is_heard_and_stops_when_told() {
    let Some(pulse) = Pulse::start("the_loudspeaker_is_heard_and_stops_when_told") else { return };
    let file = write_tone(&pulse, 600.0, 22_050, 3.0);
    let recording = pulse.record_speaker();
    let mut c = pulse.tercet();
    c.args(["devices", "test", "--json", "--set", "audio.volume=100", "--play"]).arg(&file);
    let mut run = Running::start(c);
    let played = run.until("played");
    assert_eq!(run.exit_code(), Some(0));
    let heard = seconds_of(&recording.finish(), RATE, 600.0);
    assert!((2.7..=3.05).contains(&heard), "{heard} s, {played}\n{}", pulse.log());
    let counted = played["heard_s"].as_f64().expect("a number");
    assert!((2.99..=3.01).contains(&counted), "{played}");

    let recording = pulse.record_speaker();
    let mut c = pulse.tercet();
    c.args(["devices", "test", "--json", "--set", "audio.volume=100", "--stop-after", "1", "--play"]).arg(&file);
    let mut run = Running::start(c);
    run.until("stopped");
    let played = run.until("played");
    let at_silence = recording.so_far().len();
    assert_eq!(run.exit_code(), Some(0));
    std::thread::sleep(std::time::Duration::from_millis(500));
    let all = recording.finish();
    let heard = seconds_of(&all, RATE, 600.0);
    assert!(heard > 0.3 && heard < 1.5, "{heard} s, {played}");
    // When the program says that it is silent, the room is.
    let late = seconds_of(&all[at_silence.min(all.len())..], RATE, 600.0);
    assert!(late < 0.15, "{late} s of sound after the end, {played}");
}

#[test]
fn the_microphone_may_go_away_and_come_back() {
    let Some(pulse) = Pulse::start("the_microphone_may_go_away_and_come_back") else { return };
    let wav = pulse.dir().join("heard.wav");
    let mut c = pulse.tercet();
    c.args(["devices", "test", "--json", "--set", "audio.volume=100", "--seconds", "6", "--record"]).arg(&wav);
    let mut run = Running::start(c);
    run.until("first_sound");
    pulse.speak_into_mic(&tone(440.0, 48_000, 0.5), 48_000);
    pulse.unplug_mic();
    let lost = run.until("lost");
    assert!(lost["reason"].as_str().is_some_and(|r| !r.is_empty()), "{lost}");
    pulse.replug_mic();
    run.until("restored");
    pulse.speak_into_mic(&tone(880.0, 48_000, 1.0), 48_000);
    let end = run.until("recorded");
    assert_eq!(run.exit_code(), Some(0));
    assert_eq!(end["lost"], 1, "{end}");
    let pcm = read_16k(&wav).expect("a recording");
    let (before, after) = (seconds_of(&pcm, 16_000, 440.0), seconds_of(&pcm, 16_000, 880.0));
    assert!(before > 0.2 && after > 0.8, "{before} s before, {after} s after, {end}");
}

#[test]
fn a_loudspeaker_that_goes_away_drops_the_reply_and_says_so() {
    let Some(pulse) = Pulse::start("a_loudspeaker_that_goes_away_drops_the_reply_and_says_so") else { return };
    let file = write_tone(&pulse, 600.0, 22_050, 20.0);
    let recording = pulse.record_speaker();
    let mut c = pulse.tercet();
    c.args(["devices", "test", "--json", "--set", "audio.volume=100", "--play"]).arg(&file).stderr(Stdio::piped());
    let mut run = Running::start(c);
    run.until("playing");
    wait("sound", || seconds_of(&recording.so_far(), RATE, 600.0) > 0.3);
    pulse.unplug_speaker();
    let played = run.until("played");
    assert_eq!(played["lost"], 1, "{played}");
    assert!(played["heard_s"].as_f64().expect("a number") < 15.0, "{played}");
    assert_eq!(run.exit_code(), Some(69));
    pulse.replug_speaker();
    let out = pulse.tercet().args(["devices", "test", "--json", "--stop-after", "0.5", "--play"]).arg(&file).output();
    assert!(out.expect("runs").status.success(), "the loudspeaker is back");
}

#[test]
fn the_loudspeaker_is_heard_by_the_microphone_when_looped_back() {
    let Some(pulse) = Pulse::start("the_loudspeaker_is_heard_by_the_microphone_when_looped_back") else { return };
    pulse.loopback_db(-10.0);
    let file = write_tone(&pulse, 600.0, 48_000, 3.0);
    let recording = pulse.record("mic");
    let out = pulse
        .tercet()
        .args(["devices", "test", "--json", "--set", "audio.volume=100", "--play"])
        .arg(&file)
        .output()
        .expect("runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let pcm = recording.finish();
    let loudest = pcm.chunks_exact(RATE as usize / 10).map(|x| amplitude(x, RATE, 600.0)).fold(0.0, f64::max);
    // PulseAudio's scale is cubic and the tone is at 0.5: -10 dB of it.
    assert!((loudest - 0.158).abs() < 0.03, "{loudest}");
}
