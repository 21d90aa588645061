//! Models of known shape with random weights: they do exactly the computation of a real checkpoint of that shape, at the
//! same speed, and their output is meaningless. Same seed, same file.

use std::fs::File;
use std::path::Path;

use super::{LinearType, Output, Watch};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::{Draft, TensorType, Writer};
use crate::llm::{Architecture, Yarn};

mod random;
mod words;

use random::{Blocks, Rng};

/// A shape to imitate.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    pub name: &'static str,
    /// `general.name` of the file.
    title: &'static str,
    architecture: Architecture,
    family: Family,
    width: usize,
    pub layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    ffn: usize,
    vocabulary: usize,
    context: usize,
    rope_base: f32,
    yarn: Option<Yarn>,
    norm_eps: f32,
}

/// What decides tokens, template, and how scales and embeddings are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Llama3,
    Falcon3,
    /// Scales for groups of columns; embedding and head are ternary too.
    Bonsai,
}

const LLAMA3_8B: Preset = Preset {
    name: "llama3-8b",
    title: "synthetic Llama3-8B",
    architecture: Architecture::Llama,
    family: Family::Llama3,
    width: 4096,
    layers: 32,
    heads: 32,
    kv_heads: 8,
    head_dim: 128,
    ffn: 14336,
    vocabulary: 128_256,
    context: 8192,
    rope_base: 500_000.0,
    yarn: None,
    norm_eps: 1e-5,
};

const FALCON3_7B: Preset = Preset {
    name: "falcon3-7b",
    title: "synthetic Falcon3-7B",
    family: Family::Falcon3,
    width: 3072,
    layers: 28,
    heads: 12,
    kv_heads: 4,
    head_dim: 256,
    ffn: 23040,
    vocabulary: 131_072,
    context: 32_768,
    rope_base: 1_000_042.0,
    norm_eps: 1e-6,
    ..LLAMA3_8B
};

const BONSAI_8B: Preset = Preset {
    name: "bonsai-8b",
    title: "synthetic Ternary-Bonsai-8B",
    architecture: Architecture::Qwen3,
    family: Family::Bonsai,
    layers: 36,
    ffn: 12288,
    vocabulary: 151_936,
    context: 65_536,
    rope_base: 1_000_000.0,
    yarn: Some(Yarn { factor: 4.0, original: 16_384.0, attention: 1.0, beta_fast: 32.0, beta_slow: 1.0 }),
    norm_eps: 1e-6,
    ..LLAMA3_8B
};

const TINY_LLAMA: Preset = Preset {
    name: "tiny-llama",
    title: "synthetic tiny Llama",
    width: 256,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    head_dim: 64,
    ffn: 768,
    vocabulary: 1024,
    context: 512,
    ..LLAMA3_8B
};

const TINY_QWEN3: Preset = Preset {
    name: "tiny-qwen3",
    title: "synthetic tiny Qwen3",
    width: 256,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    // As in Qwen3-4B, heads are wider together than the model.
    head_dim: 128,
    ffn: 768,
    vocabulary: 1024,
    context: 2048,
    yarn: Some(Yarn { factor: 4.0, original: 512.0, attention: 1.0, beta_fast: 32.0, beta_slow: 1.0 }),
    ..BONSAI_8B
};

impl Preset {
    pub const ALL: [Preset; 5] = [LLAMA3_8B, FALCON3_7B, BONSAI_8B, TINY_LLAMA, TINY_QWEN3];

    /// How a checkpoint of this kind is stored best.
    pub fn default_type(&self) -> LinearType {
        if self.family == Family::Bonsai { LinearType::Q2_0 } else { LinearType::Tq2_0 }
    }
}

impl std::str::FromStr for Preset {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let names = Self::ALL.map(|p| p.name).join(", ");
        Self::ALL.into_iter().find(|p| p.name == s).ok_or_else(|| format!("{s} is not a known shape; {names} are"))
    }
}

/// A file to make.
#[derive(Debug, Clone)]
pub struct Plan {
    pub preset: Preset,
    pub ty: LinearType,
    /// Fewer layers than the preset's, for tests.
    pub layers: usize,
    pub seed: u64,
}

/// One tensor to make.
struct Job {
    name: String,
    cols: usize,
    rows: usize,
    make: Make,
}

enum Make {
    /// Numbers around one.
    Norm,
    /// Random blocks under scales around this.
    Blocks { ty: TensorType, scale: f32, grouped: bool },
}

impl Plan {
    pub fn new(preset: Preset) -> Self {
        let (ty, layers) = (preset.default_type(), preset.layers);
        Self { preset, ty, layers, seed: 1 }
    }

    /// Size of the file in bytes.
    ///
    /// # Errors
    /// As [`Plan::write`].
    pub fn file_bytes(&self) -> Result<u64> {
        Ok(self.draft(&self.jobs())?.file_bytes())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a plan that makes no model; [`Kind::Io`] where the disk does not take it; [`Kind::Cancelled`].
    pub fn write(&self, path: &Path, watch: &mut Watch<'_>) -> Result<()> {
        self.fill(path, |bytes| Output::create(path, bytes), watch).map(drop)
    }

    /// Writes a file in `folder` that has no name: it disappears with the process, however that ends.
    ///
    /// # Errors
    /// As [`Plan::write`].
    pub fn write_unnamed(&self, folder: &Path, watch: &mut Watch<'_>) -> Result<File> {
        self.fill(folder, |bytes| Output::unnamed(folder, bytes), watch)
    }

    fn fill(&self, path: &Path, create: impl FnOnce(u64) -> Result<Output>, watch: &mut Watch<'_>) -> Result<File> {
        if self.layers == 0 || self.layers > self.preset.layers {
            let what = format!("{} has 1 to {} layers, not {}", self.preset.name, self.preset.layers, self.layers);
            return Err(Error::new(Kind::Usage, what));
        }
        let jobs = self.jobs();
        let draft = self.draft(&jobs)?;
        let mut out = create(draft.file_bytes())?;
        let failed = |e| Error::io("write", path, e);
        let mut writer = draft.begin(&mut out).map_err(failed)?;
        for job in &jobs {
            self.make(job, &mut writer, path, watch)?;
        }
        writer.finish().map_err(failed)?;
        out.finish()
    }

    fn make(&self, job: &Job, to: &mut Writer<&mut Output>, path: &Path, watch: &mut Watch<'_>) -> Result<()> {
        let mut rng = Rng::for_tensor(self.seed, &job.name);
        let failed = |e| Error::io("write", path, e);
        match job.make {
            Make::Norm => {
                let values = (0..job.cols).flat_map(|_| rng.around(1.0, 0.25).to_le_bytes()).collect::<Vec<_>>();
                to.write(&job.name, &values).map_err(failed)
            }
            Make::Blocks { ty, scale, grouped } => {
                let (weights, _) = ty.block();
                let mut left = job.rows * job.cols / weights;
                let mut blocks = Blocks::new(ty, scale, grouped);
                let mut chunk = Vec::new();
                while left > 0 {
                    let n = left.min(1 << 14);
                    chunk.clear();
                    blocks.fill(n, &mut rng, &mut chunk);
                    to.write(&job.name, &chunk).map_err(failed)?;
                    watch.step(chunk.len() as u64)?;
                    left -= n;
                }
                Ok(())
            }
        }
    }

    fn jobs(&self) -> Vec<Job> {
        let p = &self.preset;
        let bonsai = p.family == Family::Bonsai;
        let linear = self.ty.tensor_type(p.width);
        let table = if bonsai { linear } else { TensorType::Q4_0 };
        // Groups with scales of their own exist where the format has groups that small.
        let grouped = bonsai && matches!(linear, TensorType::Q2_0 | TensorType::Q2_0G128);
        let blocks = |name: String, rows: usize, cols: usize, ty: TensorType, gain: f32| {
            // Of unit variance per output for normed input: random codes have a variance of 2/3, nibbles one of 21.
            let variance = if ty == TensorType::Q4_0 { 21.25 } else { 2.0 / 3.0 };
            let scale = gain / (variance * cols as f32).sqrt();
            Job { name, cols, rows, make: Make::Blocks { ty, scale, grouped } }
        };
        let norm = |name: String, cols: usize| Job { name, cols, rows: 1, make: Make::Norm };
        let (q, kv) = (p.heads * p.head_dim, p.kv_heads * p.head_dim);
        // The residual stream grows by as much in each of 2·layers additions; together they double it.
        let added = (1.0 / (2.0 * self.layers as f32)).sqrt();
        let mut jobs = vec![blocks("token_embd.weight".into(), p.vocabulary, p.width, table, (p.width as f32).sqrt())];
        for i in 0..self.layers {
            let name = |n: &str| format!("blk.{i}.{n}.weight");
            jobs.push(norm(name("attn_norm"), p.width));
            jobs.push(blocks(name("attn_q"), q, p.width, linear, 1.0));
            jobs.push(blocks(name("attn_k"), kv, p.width, linear, 1.0));
            jobs.push(blocks(name("attn_v"), kv, p.width, linear, 1.0));
            if p.architecture == Architecture::Qwen3 {
                jobs.push(norm(name("attn_q_norm"), p.head_dim));
                jobs.push(norm(name("attn_k_norm"), p.head_dim));
            }
            jobs.push(blocks(name("attn_output"), p.width, q, linear, added));
            jobs.push(norm(name("ffn_norm"), p.width));
            jobs.push(blocks(name("ffn_gate"), p.ffn, p.width, linear, 1.0));
            jobs.push(blocks(name("ffn_up"), p.ffn, p.width, linear, 1.0));
            jobs.push(blocks(name("ffn_down"), p.width, p.ffn, linear, added));
        }
        jobs.push(norm("output_norm.weight".into(), p.width));
        jobs.push(blocks("output.weight".into(), p.vocabulary, p.width, table, 2.0));
        jobs
    }

    fn draft(&self, jobs: &[Job]) -> Result<Draft> {
        let p = &self.preset;
        let mut d = Draft::default();
        let arch = p.architecture.name();
        d.text("general.architecture", arch);
        d.text("general.name", format!("{} {}", p.title, self.ty.name()));
        d.text("general.description", "random weights, for measuring speed; its output is meaningless");
        for (key, value) in [
            ("block_count", self.layers),
            ("context_length", p.context),
            ("embedding_length", p.width),
            ("feed_forward_length", p.ffn),
            ("attention.head_count", p.heads),
            ("attention.head_count_kv", p.kv_heads),
            ("attention.key_length", p.head_dim),
            ("attention.value_length", p.head_dim),
            ("rope.dimension_count", p.head_dim),
            ("vocab_size", p.vocabulary),
        ] {
            d.uint(&format!("{arch}.{key}"), value)?;
        }
        d.float(format!("{arch}.rope.freq_base"), p.rope_base);
        d.float(format!("{arch}.attention.layer_norm_rms_epsilon"), p.norm_eps);
        if let Some(yarn) = p.yarn {
            d.text(format!("{arch}.rope.scaling.type"), "yarn");
            d.float(format!("{arch}.rope.scaling.factor"), yarn.factor as f32);
            d.uint(&format!("{arch}.rope.scaling.original_context_length"), yarn.original as usize)?;
        }
        words::describe(p.family, p.vocabulary, &mut d)?;
        for job in jobs {
            match job.make {
                Make::Norm => d.tensor(&job.name, &[job.cols], TensorType::F32)?,
                Make::Blocks { ty, .. } => d.tensor(&job.name, &[job.cols, job.rows], ty)?,
            }
        }
        Ok(d)
    }
}
