//! Where models and state live.

use std::path::{Path, PathBuf};

use super::manifest::{FileEntry, Model, Origin};

/// The folders of one installation.
#[derive(Debug, Clone)]
pub struct Paths {
    cache: PathBuf,
    state: PathBuf,
    /// Searched in order for models that come with tercet.
    shipped: Vec<PathBuf>,
    /// Searched in order for the kernels of GPUs.
    kernels: Vec<PathBuf>,
}

impl Paths {
    /// From the environment: the cache is `TERCET_CACHE`, else `$XDG_CACHE_HOME/tercet`, else `~/.cache/tercet`
    /// (`/var/cache/tercet` for a user without a home).
    pub fn from_env() -> Self {
        let cache = absolute("TERCET_CACHE");
        let state = match (absolute("TERCET_STATE"), &cache) {
            (Some(s), _) => s,
            (None, Some(cache)) => cache.join("state"),
            (None, None) => user_dir("XDG_STATE_HOME", ".local/state", "/var/lib/tercet"),
        };
        let cache = cache.unwrap_or_else(|| user_dir("XDG_CACHE_HOME", ".cache", "/var/cache/tercet"));
        let mut paths = Self { shipped: Vec::new(), kernels: Vec::new(), state, cache };
        paths.shipped.extend(absolute("TERCET_MODELS"));
        paths.kernels.extend(absolute("TERCET_KERNELS"));
        if let Ok(exe) = std::env::current_exe() {
            paths.kernels.extend(exe.parent().map(|dir| dir.join("kernels")));
            // Beside the program in an unpacked release; above it in a build folder (target/release/deps → root).
            paths.shipped.extend(exe.ancestors().skip(1).take(5).map(|dir| dir.join("models")));
        }
        paths.shipped.extend(["/usr/local/share/tercet/models", "/usr/share/tercet/models"].map(PathBuf::from));
        paths.shipped.push(paths.models_dir());
        paths.kernels.extend(["/usr/local/share/tercet/kernels", "/usr/share/tercet/kernels"].map(PathBuf::from));
        paths.kernels.push(paths.kernels_dir());
        paths
    }

    /// Everything below one folder; models that come with tercet are looked for in its `models` only.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        let cache = cache.into();
        let (shipped, kernels) = (vec![cache.join("models")], vec![cache.join("kernels")]);
        Self { state: cache.join("state"), shipped, kernels, cache }
    }

    /// Root of what can be fetched again.
    pub fn cache_dir(&self) -> &Path {
        &self.cache
    }

    /// Fetched models, one folder each.
    pub fn models_dir(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// Where kernels of GPUs are built to.
    pub fn kernels_dir(&self) -> PathBuf {
        self.cache.join("kernels")
    }

    /// Where kernels of GPUs are looked for: `TERCET_KERNELS`, beside the program, the system's folders, the cache.
    pub fn kernel_folders(&self) -> &[PathBuf] {
        &self.kernels
    }

    /// Downloaded wheels, where the user asked to keep them.
    pub fn wheels_dir(&self) -> PathBuf {
        self.cache.join("wheels")
    }

    /// What must outlive the cache: `TERCET_STATE`, else `state` below `TERCET_CACHE`, else `$XDG_STATE_HOME/tercet`,
    /// else `~/.local/state/tercet`.
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone()
    }

    pub(super) fn model_dir(&self, id: &str) -> PathBuf {
        self.models_dir().join(id)
    }

    /// Where a model's file is, or would be.
    pub(super) fn file(&self, model: &Model, entry: &FileEntry) -> PathBuf {
        let fetched = self.model_dir(&model.id).join(&entry.name);
        if !matches!(model.origin, Origin::Shipped) {
            return fetched;
        }
        let candidates = self.shipped.iter().flat_map(|d| [d.join(&entry.name), d.join(&model.id).join(&entry.name)]);
        candidates.into_iter().find(|p| p.is_file()).unwrap_or(fetched)
    }
}

/// An environment variable that holds a path, made absolute; unset and empty are the same.
fn absolute(var: &str) -> Option<PathBuf> {
    let value = std::env::var_os(var).filter(|v| !v.is_empty())?;
    std::path::absolute(value).ok()
}

/// `$XDG…/tercet`, else a folder below home, else a system folder. The XDG rules ignore relative paths.
fn user_dir(xdg: &str, below_home: &str, system: &str) -> PathBuf {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    match (var(xdg), var("HOME")) {
        (Some(dir), _) => dir.join("tercet"),
        (None, Some(home)) => home.join(below_home).join("tercet"),
        (None, None) => PathBuf::from(system),
    }
}
