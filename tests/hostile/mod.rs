//! Hostile files from outside: the fuzz targets' corpus, replayed, and every file of it changed in many ways. What
//! each takes of memory is counted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::convert::repository;

mod drive;
pub(crate) mod meter;

/// What any file may take beside a multiple of its own size: a compiled regular expression, the template engine.
const BASE_BYTES: usize = 4 << 20;
/// Times its own size: a token's text, its place in maps, its merges.
const TIMES: usize = 32;
/// Changed copies of each file.
const CHANGES: u64 = 60;

/// Seeds that are sound: if one of these does not go all the way, the replay shows nothing.
const SOUND: [&str; 7] = ["whole-llama.gguf", "whole-qwen3.gguf", "sound", "packed", "sound.json", "llama3", "chatml"];
/// Files of the corpus together.
const CORPUS_BYTES: u64 = 200_000;
/// Files that the fuzzer found, at least, of each target.
const FOUND: usize = 30;

fn replay(target: &str, drive: fn(&[u8]) -> bool) {
    let folder = repository("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the corpus is here")
        .map(|e| e.expect("reads").path())
        .filter(|p| p.extension().is_none_or(|e| e != "md"))
        .collect();
    files.sort();
    let named = |p: &std::path::Path| p.file_name().expect("a name").to_string_lossy().into_owned();
    let found = files.iter().filter(|p| named(p).starts_with("found-")).count();
    assert!(found >= FOUND, "{target}: {found} found files of {}", files.len());
    // Whatever is built once for all is built before anything is counted.
    drive(&std::fs::read(&files[0]).expect("reads"));
    let (mut worst, mut n, mut sound_ones) = (0, 0, 0);
    for path in &files {
        let sound = std::fs::read(path).expect("reads");
        for change in 0..=CHANGES {
            let bytes = if change == 0 { sound.clone() } else { changed(&sound, change) };
            let (peak, outcome) = meter::peak_of(|| catch_unwind(AssertUnwindSafe(|| drive(&bytes))));
            let Ok(whole) = outcome else {
                let kept = std::env::temp_dir().join(format!("tercet-hostile-{target}"));
                std::fs::write(&kept, &bytes).expect("written");
                panic!("{}, change {change}, panics; it is kept as {}", path.display(), kept.display());
            };
            if change == 0 && SOUND.contains(&named(path).as_str()) {
                assert!(whole, "{} is sound, but does not get through", path.display());
                sound_ones += 1;
            }
            let allowed = BASE_BYTES + TIMES * bytes.len();
            assert!(peak <= allowed, "{}, change {change}, takes {peak} bytes, not {allowed}", path.display());
            worst = worst.max(peak);
            n += 1;
        }
    }
    assert!(sound_ones > 0, "{target} has no sound seed");
    println!("{target}: {n} files of {}, at most {worst} bytes", files.len());
}

/// `sound` with a few bytes, or runs of them, replaced, doubled, moved or cut.
fn changed(sound: &[u8], change: u64) -> Vec<u8> {
    let mut state = change.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ sound.len() as u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) % below.max(1) as u64) as usize
    };
    let mut bytes = sound.to_vec();
    for _ in 0..1 + next(4) {
        if bytes.is_empty() {
            break;
        }
        let (at, len) = (next(bytes.len()), 1 + next(16));
        let run = at..(at + len).min(bytes.len());
        match next(6) {
            0 => bytes[at] ^= 1 << next(8),
            1 => bytes[run].fill(if next(2) == 0 { 0xff } else { 0 }),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(run)),
            4 => {
                let copy = bytes[run].to_vec();
                let to = next(bytes.len());
                bytes.splice(to..to, copy);
            }
            // The length fields of GGUF: a little-endian number of any magnitude.
            _ => {
                let number = (1u64 << next(64)).wrapping_sub(next(3) as u64);
                let end = (at + 8).min(bytes.len());
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
        }
    }
    bytes
}

#[test]
fn the_corpus_is_small() {
    let folders = ["gguf", "safetensors", "tokenizer", "template"].map(|t| repository("fuzz/corpus").join(t));
    let files = folders.iter().flat_map(|f| std::fs::read_dir(f).expect("the corpus is here"));
    let bytes: u64 = files.map(|e| e.expect("reads").metadata().expect("there").len()).sum();
    assert!(bytes < CORPUS_BYTES, "{bytes} bytes: reduce it as fuzz/README.md says");
}

#[test]
fn model_files() {
    replay("gguf", drive::gguf);
}

#[test]
fn safetensors_headers() {
    replay("safetensors", drive::safetensors);
}

#[test]
fn tokenizers() {
    replay("tokenizer", drive::tokenizer);
}

#[test]
fn templates() {
    replay("template", drive::template);
}

/// Recordings are made here: a few bytes of each are all that is not sound.
#[test]
fn recordings() {
    let number = |big: bool, n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let wav = |form: &[u8; 4], bits: u8, channels: u8| {
        let big = form == b"RIFX";
        let rate = number(big, 16_000);
        let short = |n: u8| if big { [0, n] } else { [n, 0] };
        let fmt = [&short(1)[..], &short(channels), &rate, &rate, &short(bits / 8 * channels), &short(bits)].concat();
        let ds64 = [&20_100u64.to_le_bytes()[..], &20_000u64.to_le_bytes(), &[0; 12]].concat();
        let sound: Vec<u8> = (0..20_000u32).map(|i| (i * 7) as u8).collect();
        let mut bytes = [&form[..], &number(big, 20_100), b"WAVE"].concat();
        let chunks: [(&[u8; 4], &[u8]); 4] =
            [(b"ds64", &ds64), (b"LIST", b"INFOICMT\x04\0\0\0abc\0"), (b"fmt ", &fmt), (b"data", &sound)];
        for (id, body) in chunks {
            bytes.extend_from_slice(&[&id[..], &number(big, body.len() as u32), body].concat());
        }
        bytes
    };
    let flac = std::fs::read(repository("tests/data/tone.flac")).expect("reads");
    let seeds = [
        ("RIFF", wav(b"RIFF", 16, 1)),
        ("RIFX", wav(b"RIFX", 24, 2)),
        ("RF64", wav(b"RF64", 8, 1)),
        ("BW64", wav(b"BW64", 32, 2)),
        ("FLAC", flac),
    ];
    for (name, sound) in seeds {
        assert!(drive::recording(&sound), "{name} is sound, but is not read");
        // Most changes must meet the header.
        let (head, rest) = sound.split_at(128.min(sound.len()));
        for change in 1..=8 * CHANGES {
            let bytes = match change % 4 {
                0 => changed(&sound, change),
                _ => [&changed(head, change), rest].concat(),
            };
            let (peak, outcome) = meter::peak_of(|| catch_unwind(AssertUnwindSafe(|| drive::recording(&bytes))));
            assert!(outcome.is_ok(), "{name}, change {change}, panics");
            let allowed = BASE_BYTES + TIMES * bytes.len();
            assert!(peak <= allowed, "{name}, change {change}, takes {peak} bytes, not {allowed}");
        }
    }
}

#[test]
fn the_meter_sees_what_is_taken() {
    let (peak, len) = meter::peak_of(|| {
        let some = vec![1u8; 3 << 20];
        let more = vec![1u8; 2 << 20];
        drop(some);
        let last = vec![1u8; 1 << 20];
        more.len() + last.len()
    });
    assert!(len == 3 << 20 && (5 << 20..6 << 20).contains(&peak), "{peak}");
}
