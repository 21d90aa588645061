//! Making model files: from Hugging Face checkpoints, and from nothing ([`synthetic`]) for measuring.
//!
//! Files are written front to back under a temporary name and renamed when they are whole: a command that was stopped
//! leaves nothing to clean up, and one that is run again starts afresh.

use super::gguf::TensorType;
use crate::error::{Error, Kind, Result};

mod checkpoint;
mod hf;
mod linear;
mod output;
pub mod safetensors;
pub mod synthetic;
mod tokens;

pub use checkpoint::{Conversion, Request, TableType};
use output::Output;
pub use safetensors::checkpoint_bytes;
pub use tokens::vocabulary_of;

/// How the linears of a new file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearType {
    /// Each in the smallest type that its columns are whole blocks of, and that llama.cpp reads too.
    Smallest,
    Tq1_0,
    Tq2_0,
    /// One scale for 64 columns.
    Q2_0,
    /// One scale for 128 columns; llama.cpp itself does not read it.
    Q2_0G128,
    /// Not ternary, so tercet does not run it: for measuring other programs.
    Q4_0,
}

impl LinearType {
    const ALL: [LinearType; 6] = [
        LinearType::Tq1_0,
        LinearType::Tq2_0,
        LinearType::Q2_0,
        LinearType::Q2_0G128,
        LinearType::Q4_0,
        LinearType::Smallest,
    ];

    pub fn name(self) -> &'static str {
        match self {
            LinearType::Tq1_0 => "tq1_0",
            LinearType::Tq2_0 => "tq2_0",
            LinearType::Q2_0 => "q2_0",
            LinearType::Q2_0G128 => "q2_0_g128",
            LinearType::Q4_0 => "q4_0",
            LinearType::Smallest => "smallest",
        }
    }

    /// The type of a linear of `cols` columns.
    pub fn tensor_type(self, cols: usize) -> TensorType {
        match self {
            LinearType::Smallest if cols.is_multiple_of(TensorType::Tq1_0.block().0) => TensorType::Tq1_0,
            LinearType::Smallest => TensorType::Q2_0,
            LinearType::Tq1_0 => TensorType::Tq1_0,
            LinearType::Tq2_0 => TensorType::Tq2_0,
            LinearType::Q2_0 => TensorType::Q2_0,
            LinearType::Q2_0G128 => TensorType::Q2_0G128,
            LinearType::Q4_0 => TensorType::Q4_0,
        }
    }
}

impl std::str::FromStr for LinearType {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let wanted = plain_name(s);
        // Other programs' names for the same.
        let wanted = match wanted.as_str() {
            "tq1" => "tq1_0",
            "tq2" => "tq2_0",
            "q2" | "q2_0_g64" | "q2_0g64" => "q2_0",
            "q2_0g128" => "q2_0_g128",
            other => other,
        };
        Self::ALL
            .into_iter()
            .find(|t| t.name() == wanted)
            .ok_or_else(|| format!("{s} is not a type of linears; {} are", Self::ALL.map(LinearType::name).join(", ")))
    }
}

/// A type's name in any spelling: `Q2_0`, `tq1-0`, `TQ2.0`.
fn plain_name(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['-', '.', ' '], "_")
}

/// Whether a file can be written at `path`, found out before the work of making it.
///
/// # Errors
/// The errors that writing would give.
pub fn check_output(path: &std::path::Path) -> Result<()> {
    Output::create(path, 0).map(drop)
}

/// Called with how many more bytes are done; its answer says whether to stop.
pub struct Watch<'a> {
    pub progress: &'a mut dyn FnMut(u64),
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Watch<'_> {
    fn step(&mut self, bytes: u64) -> Result<()> {
        (self.progress)(bytes);
        match (self.cancelled)() {
            true => Err(Error::new(Kind::Cancelled, "stopped")),
            false => Ok(()),
        }
    }
}
