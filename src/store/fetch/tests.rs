use std::io::Write;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::file::hex;
use super::*;

/// A package of two models, its wheel in a folder, and an empty cache.
struct World {
    _dir: TempDir,
    paths: Paths,
    from: PathBuf,
    manifest: Manifest,
}

const WHEEL: &str = "things-1.0-py3-none-any.whl";
const ONE: &[u8] = b"the first model";
const TWO: &[u8] = b"the second model, somewhat longer";

fn sha(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, data) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("zip");
        zip.write_all(data).expect("zip");
    }
    zip.finish().expect("zip").into_inner()
}

fn world_with(wheel: &[u8]) -> World {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let from = dir.path().join("from");
    std::fs::create_dir(&from).expect("folder");
    std::fs::write(from.join(WHEEL), wheel).expect("write");
    let model = |id: &str, file: &str, data: &[u8]| {
        format!(
            "[[model]]\nid = \"{id}\"\nrole = \"wake\"\ndescription = \"\"\nlicence = \"MIT\"\nattribution = \"\"\n\
             source = \"\"\npackage = \"things\"\n\
             files = [{{ name = \"{file}\", path = \"things/{file}\", sha256 = \"{}\", bytes = {} }}]\n",
            sha(data),
            data.len()
        )
    };
    let text = format!(
        "[[package]]\nname = \"things\"\nversion = \"1.0\"\n\
         wheels = [{{ file = \"{WHEEL}\", sha256 = \"{}\", bytes = {} }}]\n{}{}",
        sha(wheel),
        wheel.len(),
        model("one", "one.onnx", ONE),
        model("two", "two.onnx", TWO),
    );
    let manifest = Manifest::parse(&text).expect("well formed");
    World { paths: Paths::new(dir.path().join("cache")), from, manifest, _dir: dir }
}

fn world() -> World {
    world_with(&zip_of(&[("things/one.onnx", ONE), ("things/two.onnx", TWO), ("things/__init__.py", b"")]))
}

impl World {
    fn fetch(&self, ids: &[&str]) -> Result<Vec<Outcome>> {
        self.fetch_with(ids, &Options { from: Some(self.from.clone()), keep_wheels: false })
    }

    fn fetch_with(&self, ids: &[&str], options: &Options) -> Result<Vec<Outcome>> {
        let models: Vec<&Model> = ids.iter().map(|id| self.manifest.model(id).expect("known")).collect();
        let outcomes = fetch(&self.paths, &self.manifest, &models, options, &mut |_| {})?;
        Ok(outcomes.into_iter().map(|(_, o)| o).collect())
    }

    fn state(&self, id: &str) -> State {
        state(&self.paths, self.manifest.model(id).expect("known"))
    }

    fn file(&self, id: &str) -> PathBuf {
        self.paths.models_dir().join(id).join(format!("{id}.onnx"))
    }

    /// Everything below the models folder but the lock.
    fn left_over(&self) -> Vec<String> {
        fn walk(dir: &Path, out: &mut Vec<String>) {
            for e in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if e.path().is_dir() {
                    walk(&e.path(), out);
                }
                out.push(e.path().display().to_string());
            }
        }
        let mut out = Vec::new();
        walk(&self.paths.models_dir(), &mut out);
        out.retain(|p| !p.ends_with(".lock"));
        out
    }
}

#[test]
fn a_wheel_is_unpacked_once() {
    let w = world();
    assert_eq!(w.fetch(&["one", "two", "one"]).expect("fetched"), [Outcome::Fetched; 3]);
    assert_eq!(std::fs::read(w.file("two")).expect("there"), TWO);
    assert_eq!((w.state("one"), w.state("two")), (State::Present, State::Present));
    // The source is not looked at again.
    std::fs::remove_dir_all(&w.from).expect("removed");
    assert_eq!(w.fetch(&["two", "one"]).expect("there"), [Outcome::Present; 2]);
    assert!(w.left_over().iter().all(|p| !p.contains(".partial") && !p.ends_with(".py")), "{:?}", w.left_over());
}

#[test]
fn a_wheel_with_other_bytes_is_refused_whole() {
    let w = world();
    let evil = zip_of(&[("things/one.onnx", ONE), ("things/two.onnx", b"something else")]);
    std::fs::write(w.from.join(WHEEL), evil).expect("write");
    let e = w.fetch(&["one", "two"]).expect_err("the wheel's hash differs");
    assert_eq!(e.kind(), Kind::Corrupt);
    assert!(e.to_string().contains(WHEEL) && e.remedy_text().is_some(), "{e}");
    assert!(w.left_over().is_empty(), "{:?}", w.left_over());
}

#[test]
fn a_wrong_file_in_a_right_wheel_is_refused_and_the_old_one_stays() {
    // A file that is too long, as an archive bomb would be, and one that is only different.
    for second in [&[b'x'; 100_000][..], b"the second model, slightly change"] {
        let w = world_with(&zip_of(&[("things/one.onnx", ONE), ("things/two.onnx", second)]));
        std::fs::create_dir_all(w.file("two").parent().expect("a folder")).expect("folder");
        std::fs::write(w.file("two"), b"older").expect("write");
        let e = w.fetch(&["one", "two"]).expect_err("two is wrong");
        assert_eq!(e.kind(), Kind::Corrupt);
        assert!(e.to_string().contains("two.onnx"), "{e}");
        assert_eq!(std::fs::read(w.file("two")).expect("there"), b"older");
        assert_eq!(w.state("one"), State::Present, "what came before the failure stays");
        assert!(w.left_over().iter().all(|p| !p.contains(".partial")), "{:?}", w.left_over());
    }
}

#[test]
fn unpacked_files_are_taken_from_where_they_lie() {
    let w = world();
    std::fs::remove_file(w.from.join(WHEEL)).expect("removed");
    let e = w.fetch(&["one"]).expect_err("nothing there");
    assert_eq!(e.kind(), Kind::NotFound);
    assert!(e.to_string().contains("one.onnx") && e.remedy_text().is_some_and(|r| r.contains(WHEEL)), "{e:?}");

    std::fs::write(w.from.join("one.onnx"), b"another file of that name").expect("write");
    assert_eq!(w.fetch(&["one"]).expect_err("wrong bytes").kind(), Kind::Corrupt);
    std::fs::create_dir_all(w.from.join("things")).expect("folder");
    std::fs::write(w.from.join("things/one.onnx"), ONE).expect("write");
    std::fs::create_dir_all(w.from.join("two")).expect("folder");
    std::fs::write(w.from.join("two/two.onnx"), TWO).expect("write");
    assert_eq!(w.fetch(&["one", "two"]).expect("right bytes are preferred"), [Outcome::Fetched; 2]);
}

#[test]
fn files_put_there_by_hand_are_hashed_and_kept() {
    let w = world();
    std::fs::remove_dir_all(&w.from).expect("removed");
    std::fs::create_dir_all(w.file("one").parent().expect("a folder")).expect("folder");
    std::fs::write(w.file("one"), ONE).expect("write");
    assert_eq!(w.state("one"), State::Unverified);
    assert_eq!(w.fetch(&["one"]).expect("right bytes"), [Outcome::Present]);
    assert_eq!(w.state("one"), State::Present);
}

#[test]
fn damage_is_seen_and_mended() {
    let w = world();
    w.fetch(&["one"]).expect("fetched");
    let mut damaged = ONE.to_vec();
    damaged[3] ^= 1;
    // The damage is as long as the original; only the modification time tells.
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(w.file("one"), &damaged).expect("write");
    assert_eq!(w.state("one"), State::Unverified);
    let check = verify(&w.paths, w.manifest.model("one").expect("known"), &mut |_| {}).expect("readable");
    assert_eq!(check.state, State::Corrupt);
    assert!(check.files[0].problem.as_ref().is_some_and(|p| p.contains(&sha(&damaged))));
    assert_eq!(w.fetch(&["one"]).expect("mended"), [Outcome::Fetched]);
    assert_eq!(std::fs::read(w.file("one")).expect("there"), ONE);

    std::fs::write(w.file("one"), b"short").expect("write");
    assert_eq!(w.state("one"), State::Corrupt, "another size needs no hashing");
}

#[test]
fn what_a_killed_fetch_left_is_removed() {
    let w = world();
    let left = w.paths.models_dir().join(".partial-1/download");
    std::fs::create_dir_all(&left).expect("folder");
    std::fs::write(left.join("half.whl"), b"half").expect("write");
    w.fetch(&["one"]).expect("fetched");
    assert!(!left.exists());
}

#[test]
fn kept_wheels_need_no_network_and_stay() {
    let w = world();
    std::fs::create_dir_all(w.paths.wheels_dir()).expect("folder");
    let kept = w.paths.wheels_dir().join(WHEEL);
    std::fs::copy(w.from.join(WHEEL), &kept).expect("copy");
    assert_eq!(w.fetch_with(&["two"], &Options::default()).expect("no download"), [Outcome::Fetched]);
    assert!(kept.is_file());
}

#[test]
fn two_fetches_at_once_do_the_work_once() {
    let w = world();
    let outcomes: Vec<Outcome> = std::thread::scope(|s| {
        let both: Vec<_> = (0..2).map(|_| s.spawn(|| w.fetch(&["one"]).expect("fetched"))).collect();
        both.into_iter().flat_map(|t| t.join().expect("no panic")).collect()
    });
    assert!(outcomes.contains(&Outcome::Fetched), "{outcomes:?}");
    assert_eq!(w.state("one"), State::Present);
}

#[test]
fn a_cache_that_cannot_be_made_names_the_way_out() {
    let w = world();
    let file = w.from.join("a-file");
    std::fs::write(&file, b"").expect("write");
    let w = World { paths: Paths::new(file.join("cache")), ..w };
    let e = w.fetch(&["one"]).expect_err("no folder can be made below a file");
    assert_eq!(e.kind(), Kind::Io);
    assert!(e.remedy_text().is_some_and(|r| r.contains("TERCET_CACHE")), "{e:?}");
}
