//! How ternary weights lie in memory.

/// How weights lie in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// Two bits a weight: the faster.
    #[default]
    TwoBits,
    /// Five weights a byte: the smaller. Matrices with scales for groups of columns stay at two bits.
    Base3,
}

impl Packing {
    /// Runs of 32 columns in a tile.
    pub(super) fn runs(self) -> usize {
        match self {
            Packing::TwoBits => 4,
            Packing::Base3 => 5,
        }
    }

    /// Columns of a tile.
    pub(super) fn tile_cols(self) -> usize {
        32 * self.runs()
    }
}

/// Rows of a strip of tiles.
pub(super) const STRIP_ROWS: usize = 16;
/// Bytes of a tile.
pub(super) const TILE_BYTES: usize = 512;
