//! Speaking with the real voice through the real program; what it said is heard back with Whisper.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tercet::audio::{WavWriter, read_file};
use tercet::speak::spoken::{Language, normalize};
use tercet::store::{self, Paths};
use tercet::units::SampleRate;

use crate::support::pulse::{Pulse, RATE};
use crate::support::skip;

/// Whether the models are here; prints a skip, or fails where TERCET_REQUIRE_MODELS is set.
fn models(test: &str, ids: &[&str]) -> bool {
    let paths = Paths::from_env();
    let Some(missing) = ids.iter().find_map(|id| store::locate(&paths, id).err()) else { return true };
    assert!(std::env::var_os("TERCET_REQUIRE_MODELS").is_none(), "{test} needs models: {missing}");
    skip(test, &missing.to_string());
    false
}

const VOICE: [&str; 2] = ["onnxruntime", "piper-en_US-joe-medium"];
const BOTH: [&str; 4] = ["onnxruntime", "piper-en_US-joe-medium", "silero-vad", "whisper-tiny.en"];
/// The same sentence sounds the same every time.
const EVEN: [&str; 2] = ["--set", "speak.variation=0"];

/// The program, without this machine's configuration files.
fn tercet(nowhere: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
    c.env_remove("TERCET_CONFIG").env("XDG_CONFIG_HOME", nowhere).stdin(Stdio::null());
    c
}

fn run(c: &mut Command) -> Output {
    c.output().expect("the program starts")
}

fn ok(c: &mut Command) -> String {
    let out = run(c);
    assert!(out.status.success(), "{:?}: {}", out.status, String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

fn say_json(dir: &Path, text: &str, more: &[&str]) -> (Value, PathBuf) {
    let file = dir.join("said.wav");
    let out = ok(tercet(dir).arg("say").arg(text).arg("-o").arg(&file).arg("--json").args(EVEN).args(more));
    (serde_json::from_str(&out).expect("one JSON object"), file)
}

/// What Whisper understood, in the words and the spelling of `normalize`: "21" and "twenty-one" are the same here.
fn heard(dir: &Path, file: &Path) -> String {
    let out = ok(tercet(dir).arg("transcribe").arg("--json").arg(file));
    let v: Value = serde_json::from_str(&out).expect("one JSON object");
    words(v["text"].as_str().expect("a text"))
}

fn words(text: &str) -> String {
    let plain: String = normalize(text, Language::English)
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_said_is_what_is_heard() {
    if !models("what_is_said_is_what_is_heard", &BOTH) {
        return;
    }
    // What is written, and ways in which it may be understood.
    let cases: [(&str, &[&str]); 10] = [
        ("The kitchen light is on.", &["kitchen light is on"]),
        ("It is 21 °C outside.", &["twenty one degrees"]),
        (
            "The alarm is set for 7:30 a.m. tomorrow.",
            &["seven thirty am", "seven point three zero am", "seven thirty a m"],
        ),
        ("The ticket costs $3.50 today.", &["three dollars fifty", "three fifty"]),
        ("The video is 3.5 GB.", &["three point five gigabytes"]),
        ("Today is 2026-11-23.", &["november twenty third"]),
        ("The battery is at 50%.", &["battery is at fifty percent"]),
        ("I set a timer for 10 minutes.", &["timer for ten minutes", "timer for a ten minutes"]),
        ("Dr. Smith drives 60 mph.", &["doctor smith drives sixty miles per hour"]),
        ("We have 1,234 books.", &["one thousand two hundred thirty four books", "twelve thirty four books"]),
    ];
    let dir = tempfile::tempdir().expect("a folder");
    let text = cases.map(|(written, _)| written).join(" ");
    let (report, file) = say_json(dir.path(), &text, &["--set", "speak.sentence_gap_ms=700"]);
    assert_eq!(report["sentences"], cases.len());
    let heard = heard(dir.path(), &file);
    let lost: Vec<&str> =
        cases.iter().filter(|(_, any)| !any.iter().any(|w| heard.contains(w))).map(|(written, _)| *written).collect();
    // Whisper tiny.en mishears a word now and then; the voice is at fault when it does so often.
    assert!(lost.len() <= 1, "not understood: {lost:?}\nin: {heard}");
    println!("understood {} of {}; not: {lost:?}", cases.len() - lost.len(), cases.len());
}

#[test]
fn the_report_is_true_and_memory_is_within_its_reservation() {
    if !models("the_report_is_true", &VOICE) {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let text = "The kitchen light is on. It is seven fifty-two, and the window in the hall is still open.";
    let (report, file) = say_json(dir.path(), text, &[]);
    let clip = read_file(&file).expect("a WAV");
    let seconds = report["duration_s"].as_f64().expect("a number");
    assert!((clip.duration().as_secs_f64() - seconds).abs() < 0.01);
    assert_eq!(u64::from(clip.rate.0), report["rate"]);
    assert!((4.0..12.0).contains(&seconds), "{seconds} s for {text:?}");

    let reserved = report["reserved_bytes"].as_f64().expect("a number");
    let measured = report["measured_bytes"].as_f64().expect("measured");
    println!("voice: reserved {:.0} MB, measured {:.0} MB; {report}", reserved / 1e6, measured / 1e6);
    assert!(measured <= reserved && measured >= 0.6 * reserved, "measured {measured} of {reserved}");

    let (again, second) = say_json(dir.path(), text, &[]);
    assert_eq!(again["duration_s"], report["duration_s"]);
    assert_eq!(read_file(&second).expect("a WAV").samples, clip.samples, "without variation it says it the same way");
    let (faster, _) = say_json(dir.path(), text, &["--speed", "1.5"]);
    let ratio = seconds / faster["duration_s"].as_f64().expect("a number");
    assert!((1.2..1.6).contains(&ratio), "speed 1.5 shortens by {ratio}");
}

#[test]
fn text_comes_from_standard_input_too() {
    if !models("text_comes_from_standard_input_too", &VOICE) {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("piped.wav");
    let mut c = tercet(dir.path());
    c.args(["say", "-", "-o"]).arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = c.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all("# Hello\nOne.\nTwo\nwrapped 🎉".as_bytes()).expect("written");
    let out = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.contains("3 sentences") && text.contains("RTF"), "{text}");
    assert!(read_file(&file).expect("a WAV").duration().as_secs_f64() > 1.0);
}

#[test]
fn the_words_are_printed_without_a_voice() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "World War II ended in 1945. It is <b>5 &lt; 6</b>, it costs 3,50 €.";
    let said =
        ["World War two ended in nineteen forty-five.", "It is five is less than six, it costs three euros fifty."];
    let out = ok(tercet(dir.path()).args(["say", "--words", text]));
    assert_eq!(out.lines().collect::<Vec<_>>(), said);

    let mut c = tercet(dir.path());
    c.args(["say", "--words", "--json", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = c.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let out = child.wait_with_output().expect("it ends");
    let v: Value = serde_json::from_slice(&out.stdout).expect("one JSON object");
    assert_eq!(v["sentences"], serde_json::json!(said));

    let out = run(tercet(dir.path()).args(["say", "--words", "🎉"]));
    assert_eq!(out.status.code(), Some(64), "{}", String::from_utf8_lossy(&out.stderr));
    let out = run(tercet(dir.path()).args(["say", "--words", "Hi.", "-o", "x.wav"]));
    assert_eq!(out.status.code(), Some(64), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn what_cannot_be_said_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let wav = dir.path().join("x.wav");
    let fails = |args: &[&str], code: i32, names: &str| {
        let out = run(tercet(dir.path()).arg("say").args(args).arg("-o").arg(&wav));
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(names), "{args:?} does not name {names:?}: {err}");
        assert!(!wav.exists(), "{args:?} left a file");
    };
    fails(&["..."], 64, "nothing to say");
    fails(&["Hi.", "--speed", "9"], 78, "flag --speed: speak.speed: must be between 0.5 and 2, not 9");
    fails(&["Hi.", "--set", "speak.voice=no-such-voice"], 78, "no-such-voice");
    if models("what_cannot_be_said_is_refused_with_a_reason", &VOICE) {
        fails(&["Hi.", "--set", "speak.espeak_data=/nowhere"], 66, "apt-get install espeak-ng-data");
        fails(&["Hi.", "--set", "speak.speaker=7"], 78, "speaker");
    }
}

#[test]
fn it_speaks_through_the_loudspeaker() {
    let test = "it_speaks_through_the_loudspeaker";
    if !models(test, &BOTH) {
        return;
    }
    let Some(pulse) = Pulse::start(test) else { return };
    let recording = pulse.record_speaker();
    let models = Paths::from_env().cache_dir().to_owned();
    ok(pulse.tercet().env("TERCET_CACHE", models).args(["say", "The timer is set for ten minutes."]).args(EVEN));
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("recorded.wav");
    let mut wav = WavWriter::create(&file, SampleRate(RATE)).expect("a file");
    wav.write(&recording.finish()).expect("written");
    wav.finish().expect("finished");
    let heard = heard(dir.path(), &file);
    assert!(heard.contains("ten minutes"), "the loudspeaker was heard to say {heard:?}");
}
