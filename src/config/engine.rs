//! How the language model of a configuration is loaded, and whether it can be.

use crate::error::Kind;
use crate::llm::{self, BackendKind, Options};
use crate::problems::Problems;
use crate::store::{self, LANGUAGE_MODEL, Paths};

/// How an engine with these settings is loaded on this machine.
pub fn engine_options(settings: &llm::Settings, paths: &Paths) -> Options {
    Options { kernels: paths.kernel_folders().to_vec(), ..Options::from(settings.clone()) }
}

/// Adds a language model that is not here or does not run, and a GPU that does not answer.
pub(super) fn look_at_model(llm: &llm::Settings, paths: &Paths, problems: &mut Problems) {
    if !LANGUAGE_MODEL.look(problems, "model", &llm.model, paths) {
        return;
    }
    // The plain backend is everywhere; a GPU is only asked after where it must be there.
    let backend = if llm.backend == BackendKind::Cuda { BackendKind::Cuda } else { BackendKind::Reference };
    let options = engine_options(&llm::Settings { backend, ..llm.clone() }, paths);
    let looked = store::model_path(paths, &llm.model).and_then(|path| llm::estimate(&path, &options));
    let Err(e) = looked else { return };
    let remedy = e.remedy_text().map(|r| format!("; {r}")).unwrap_or_default();
    match e.kind() {
        Kind::Unavailable | Kind::Device => {
            problems.note("backend", format!("cuda does not work here now: {e}{remedy}"))
        }
        _ => problems.wrong("model", format!("{e}{remedy}")),
    }
}
