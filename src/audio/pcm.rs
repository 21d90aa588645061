//! How samples are written in WAV files, and what they are as numbers in [−1, 1].
//!
//! Source: ITU-T G.711 (1988) for A-law and µ-law; "Multimedia Programming Interface and Data Specifications 1.0" (IBM and
//! Microsoft, 1991) for integers: one byte without a sign, more with one.

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// One byte without a sign, or two to four with one.
    Integer {
        bytes: usize,
    },
    Float32,
    Float64,
    /// ITU-T G.711.
    ALaw,
    /// ITU-T G.711.
    MuLaw,
}

impl Encoding {
    /// Bytes of a sample.
    pub(super) fn bytes(self) -> usize {
        match self {
            Encoding::Integer { bytes } => bytes,
            Encoding::Float32 => 4,
            Encoding::Float64 => 8,
            Encoding::ALaw | Encoding::MuLaw => 1,
        }
    }

    /// Appends the samples of `raw` to `out`; a last one that is cut short is left out.
    pub(super) fn decode(self, big_endian: bool, raw: &[u8], out: &mut Vec<f32>) {
        match self {
            Encoding::Integer { bytes: 1 } => out.extend(raw.iter().map(|&b| (f32::from(b) - 128.0) / 128.0)),
            Encoding::Integer { .. } => out.extend(whole(self, raw).map(|s| {
                // At the upper end of 32 bits every width has the same scale.
                let mut word = [0; 4];
                if big_endian {
                    word[..s.len()].copy_from_slice(s);
                    i32::from_be_bytes(word) as f32 / 2_147_483_648.0
                } else {
                    word[4 - s.len()..].copy_from_slice(s);
                    i32::from_le_bytes(word) as f32 / 2_147_483_648.0
                }
            })),
            Encoding::Float32 => out.extend(whole(self, raw).map(|s| {
                let word = [s[0], s[1], s[2], s[3]];
                if big_endian { f32::from_be_bytes(word) } else { f32::from_le_bytes(word) }
            })),
            Encoding::Float64 => out.extend(whole(self, raw).map(|s| {
                let word = [s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]];
                (if big_endian { f64::from_be_bytes(word) } else { f64::from_le_bytes(word) }) as f32
            })),
            Encoding::ALaw => out.extend(raw.iter().map(|&b| a_law(b))),
            Encoding::MuLaw => out.extend(raw.iter().map(|&b| mu_law(b))),
        }
    }
}

/// The samples of `raw` that are whole.
fn whole(encoding: Encoding, raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.chunks_exact(encoding.bytes())
}

/// G.711: a sign, three bits of exponent and four of mantissa, every second bit inverted; full scale is 2¹⁵.
fn a_law(byte: u8) -> f32 {
    let b = byte ^ 0x55;
    let (exponent, mantissa) = (b >> 4 & 7, i32::from(b & 15) << 4);
    let magnitude = match exponent {
        0 => mantissa + 8,
        e => (mantissa + 0x108) << (e - 1),
    };
    (if b & 0x80 == 0 { -magnitude } else { magnitude }) as f32 / 32_768.0
}

/// G.711: as A-law, all bits inverted, with a bias of 132; full scale is 2¹⁵.
fn mu_law(byte: u8) -> f32 {
    let b = !byte;
    let (exponent, mantissa) = (b >> 4 & 7, i32::from(b & 15) << 3);
    let magnitude = ((mantissa + 0x84) << exponent) - 0x84;
    (if b & 0x80 == 0 { magnitude } else { -magnitude }) as f32 / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, big_endian: bool, raw: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        encoding.decode(big_endian, raw, &mut out);
        out
    }

    #[test]
    fn every_encoding_and_byte_order_gives_the_same_numbers() {
        assert_eq!(decoded(Encoding::Integer { bytes: 1 }, false, &[0, 128, 192]), [-1.0, 0.0, 0.5]);
        let want = [0.5, -1.0, -1.0 / 256.0];
        for bytes in 2..=4 {
            let shift = 8 * bytes - 8;
            let words: Vec<i32> = [64, -128, -1i32].iter().map(|x| x << shift).collect();
            let (mut little, mut big) = (Vec::new(), Vec::new());
            for w in words {
                let le = w.to_le_bytes();
                little.extend_from_slice(&le[..bytes]);
                big.extend(le[..bytes].iter().rev());
            }
            let want = want.map(|x| if x == -1.0 / 256.0 { -1.0 / 128.0 } else { x });
            assert_eq!(decoded(Encoding::Integer { bytes }, false, &little), want, "{bytes}");
            assert_eq!(decoded(Encoding::Integer { bytes }, true, &big), want, "{bytes}");
        }
        let (x, y) = (0.25f32, -0.75f64);
        assert_eq!(decoded(Encoding::Float32, false, &x.to_le_bytes()), [x]);
        assert_eq!(decoded(Encoding::Float32, true, &x.to_be_bytes()), [x]);
        assert_eq!(decoded(Encoding::Float64, false, &y.to_le_bytes()), [-0.75]);
        assert_eq!(decoded(Encoding::Float64, true, &y.to_be_bytes()), [-0.75]);
    }

    #[test]
    fn companded_samples_are_those_of_the_standard() {
        // Of 16-bit full scale, as tables of G.711 give them.
        let at = |encoding, byte: u8| decoded(encoding, false, &[byte])[0] * 32_768.0;
        for (byte, want) in [(0xd5, 8.0), (0x55, -8.0), (0xaa, 32_256.0), (0x2a, -32_256.0), (0x80, 5_504.0)] {
            assert_eq!(at(Encoding::ALaw, byte), want, "{byte:#x}");
        }
        for (byte, want) in [(0xff, 0.0), (0x7f, 0.0), (0x80, 32_124.0), (0x00, -32_124.0), (0xf0, 120.0)] {
            assert_eq!(at(Encoding::MuLaw, byte), want, "{byte:#x}");
        }
    }

    #[test]
    fn a_sample_that_is_cut_short_is_left_out() {
        assert_eq!(decoded(Encoding::Integer { bytes: 3 }, false, &[0, 0, 64, 1, 1]), [0.5]);
        assert!(decoded(Encoding::Float64, false, &[0; 7]).is_empty());
    }
}
