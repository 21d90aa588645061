//! The one error type of the crate.
//!
//! An error's [`Kind`] says what the caller can do next; its message names the thing that failed; its remedy says
//! what a person can do about it. Causes are chained, never flattened into the text.

use std::fmt;

/// Result with tercet's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong. Stop; say how to use it.
    Usage,
    /// The configuration is wrong. Stop; name every bad key.
    Config,
    /// A file or model that is needed is not there. Stop; say how to get it.
    NotFound,
    /// Bytes from outside are not what they claim to be (truncated, garbled, absurd). Stop; fetch or create them again.
    Corrupt,
    /// The bytes are valid but tercet does not support that kind. Stop; say what is supported.
    Unsupported,
    /// A reservation does not fit the memory budget. Degrade, or refuse with the numbers.
    OverBudget,
    /// A device went away or will not open. Retry later, with back-off; where its remedy says so, in a process of its own.
    Device,
    /// Something needed at run time is missing on this machine (a library, a driver, a program).
    Unavailable,
    /// Reading or writing failed (disk full, permission). Nothing half-written is left behind.
    Io,
    /// The work was cancelled or is stale. Drop it silently.
    Cancelled,
    /// A defect in tercet.
    Internal,
}

impl Kind {
    /// Process exit status, after BSD's sysexits.h.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 64,
            Kind::Corrupt | Kind::Unsupported => 65,
            Kind::NotFound => 66,
            Kind::Device | Kind::Unavailable => 69,
            Kind::Internal => 70,
            Kind::OverBudget => 71,
            Kind::Io => 74,
            Kind::Cancelled => 75,
            Kind::Config => 78,
        }
    }
}

/// An error: kind, what failed, what to do about it, and the cause.
pub struct Error {
    kind: Kind,
    context: String,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind`; `context` says what failed and why.
    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), remedy: None, source: None }
    }

    /// Adds what a person can do about it, as an imperative sentence.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds what a person can do about a thing that is not there; other errors stay as they are.
    pub fn if_missing(self, remedy: impl Into<String>) -> Self {
        if self.kind == Kind::NotFound { self.remedy(remedy) } else { self }
    }

    /// Chains the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An I/O failure on `path`; a missing file is [`Kind::NotFound`], a full disk gets its own remedy.
    pub fn io(doing: &str, path: &std::path::Path, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Io,
        };
        let e = Self::new(kind, format!("cannot {doing} {}", path.display()));
        let e = match source.kind() {
            std::io::ErrorKind::StorageFull => e.remedy("free some disk space and run the command again"),
            std::io::ErrorKind::PermissionDenied => {
                e.remedy("check the owner and permissions of the file and its folder")
            }
            _ => e,
        };
        e.because(source)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn context(&self) -> &str {
        &self.context
    }

    pub fn remedy_text(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(self);
        while let Some(c) = cause {
            // A nested tercet error prints its own chain.
            write!(f, ": {c}")?;
            cause = if c.is::<Error>() { None } else { c.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        if let Some(r) = &self.remedy {
            write!(f, " ({r})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_thing_and_the_whole_chain_once() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let inner = Error::io("open", std::path::Path::new("/models/x.gguf"), io);
        assert_eq!(inner.kind(), Kind::NotFound);
        let e = Error::new(Kind::Corrupt, "cannot load the language model").because(inner);
        assert_eq!(e.to_string(), "cannot load the language model: cannot open /models/x.gguf: no such file");
    }

    #[test]
    fn exit_codes_are_distinct_from_success_and_from_a_panic() {
        for k in [Kind::Usage, Kind::Config, Kind::Corrupt, Kind::OverBudget, Kind::Internal] {
            assert!(!matches!(k.exit_code(), 0 | 1 | 101));
        }
    }
}
