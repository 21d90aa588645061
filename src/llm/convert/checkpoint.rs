//! From a Hugging Face folder to one GGUF file, tensor by tensor: no more of the checkpoint is in memory than one packed
//! linear or a few thousand numbers, whatever its size.

use std::path::Path;

use half::f16;

use super::hf::{Config, Scheme, check_folder};
use super::linear::{How, Linear, looks_grouped, scale_of};
use super::safetensors::Shards;
use super::tokens::Tokens;
use super::{LinearType, Output, Watch, plain_name};
use crate::error::{Error, Kind, Result};
use crate::llm::gguf::{Draft, TensorType, Writer};
use crate::llm::quant::{Halves, encode};
use crate::llm::{Architecture, RopeScaling};

/// How embeddings and head are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableType {
    Q4_0,
    Q8_0,
    F16,
    Bf16,
    F32,
}

impl TableType {
    const ALL: [(TableType, &str); 5] = [
        (TableType::Q4_0, "q4_0"),
        (TableType::Q8_0, "q8_0"),
        (TableType::F16, "f16"),
        (TableType::Bf16, "bf16"),
        (TableType::F32, "f32"),
    ];

    fn tensor_type(self) -> TensorType {
        match self {
            TableType::Q4_0 => TensorType::Q4_0,
            TableType::Q8_0 => TensorType::Q8_0,
            TableType::F16 => TensorType::F16,
            TableType::Bf16 => TensorType::Bf16,
            TableType::F32 => TensorType::F32,
        }
    }
}

impl std::str::FromStr for TableType {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let wanted = plain_name(s);
        let wanted = match wanted.as_str() {
            "fp16" | "float16" | "half" => "f16",
            "bfloat16" => "bf16",
            "fp32" | "float32" | "float" => "f32",
            other => other,
        };
        let found = Self::ALL.into_iter().find(|(_, name)| *name == wanted).map(|(t, _)| t);
        found.ok_or_else(|| format!("{s} is not a type of embeddings; {} are", Self::ALL.map(|t| t.1).join(", ")))
    }
}

/// What is wanted of a conversion; `None` leaves it to what the checkpoint is.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub linears: Option<LinearType>,
    pub embeddings: Option<TableType>,
    /// The model's name, in place of what the checkpoint says.
    pub name: Option<String>,
    /// The pre-tokenizer, where the checkpoint's own is not recognised.
    pub pre: Option<String>,
    /// Ternarize plain numbers by their mean magnitude even where they are ternary already.
    pub absmean: bool,
}

/// A checkpoint that was looked at and can be converted.
pub struct Conversion {
    shards: Shards,
    config: Config,
    how: How,
    linears: LinearType,
    table: Table,
    items: Vec<Item>,
    draft: Draft,
    notes: Vec<String>,
    source_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Numbers(TensorType),
    Ternary(TensorType),
}

/// One tensor of the file.
struct Item {
    name: String,
    rows: usize,
    cols: usize,
    from: Origin,
}

enum Origin {
    /// A vector, as F32.
    Vector(String),
    /// Numbers that are known already, as F32.
    Given(Vec<f32>),
    /// Embedding or head.
    Table(String),
    /// A linear, its stem, its rows in this order; `d` in every block.
    Linear { stem: String, order: Option<Halves>, scale: f32 },
}

const LAYER: &str = "model.layers.";

impl Conversion {
    /// Looks at the checkpoint in `folder`. Reads headers, the tokenizer, and the numbers that scales depend on.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where the folder is not a checkpoint, [`Kind::Unsupported`] naming what is not converted,
    /// [`Kind::Corrupt`] naming the file and tensor, [`Kind::Usage`] where the request does not fit the checkpoint.
    pub fn open(folder: &Path, request: &Request, watch: &mut Watch<'_>) -> Result<Self> {
        check_folder(folder)?;
        let config = Config::read(folder)?;
        if request.absmean && config.scheme.is_packed() {
            let what = format!("the linears of {} are packed: they are ternary already", folder.display());
            return Err(Error::new(Kind::Usage, what).remedy("leave out --ternarize"));
        }
        let name = request.name.clone().unwrap_or_else(|| name_of(folder, &config));
        let shards = Shards::open(folder)?;
        let tokens = Tokens::read(folder, config.vocabulary, request.pre.as_deref())?;
        let mut notes: Vec<String> = shards.note().into_iter().collect();
        let first = shards.require("model.layers.0.self_attn.q_proj.weight")?;
        let grouped = config.scheme == Scheme::Plain && !request.absmean && looks_grouped(&first)?;
        let how = if grouped { How::Groups } else { How::Scheme(config.scheme) };
        if config.scheme == Scheme::Plain && !grouped {
            notes.push(
                "the checkpoint is not ternary: its linears are rounded to −1, 0, 1 by their mean magnitude. \
                 Without training for it, the model will write poorly."
                    .to_owned(),
            );
        }
        if !tokens.has_template() {
            notes.push("the checkpoint has no chat template: it was not made for conversation".to_owned());
        }
        let linears = match request.linears {
            Some(LinearType::Q4_0) => {
                return Err(Error::new(Kind::Usage, "linears are ternary; q4_0 is for --synthetic only"));
            }
            Some(LinearType::Smallest) | None if grouped => LinearType::Q2_0,
            wanted => wanted.unwrap_or(LinearType::Smallest),
        };
        let embedding = shards.require("model.embed_tokens.weight")?;
        let table = match request.embeddings {
            None if grouped && looks_grouped(&embedding)? => Table::Ternary(linears.tensor_type(config.width)),
            wanted => Table::Numbers(wanted.unwrap_or(TableType::Q4_0).tensor_type()),
        };
        let mut conversion = Self {
            source_bytes: 0,
            shards,
            config,
            how,
            linears,
            table,
            items: Vec::new(),
            draft: Draft::default(),
            notes,
        };
        conversion.plan(watch)?;
        conversion.check_all_used()?;
        conversion.describe(&name, tokens)?;
        Ok(conversion)
    }

    /// What the user should know before using the file.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Size of the file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.draft.file_bytes()
    }

    /// Bytes of the checkpoint that are read once; progress counts them.
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    fn plan(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        let c = self.config.clone();
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        // llama.cpp rotates a Llama's adjacent pairs and a Qwen3's halves; Hugging Face has halves for both.
        let order = match c.architecture {
            Architecture::Llama => Some(Halves { head_dim: c.head_dim, pairs: c.head_dim / 2 }),
            Architecture::Qwen3 => None,
        };
        self.table_item("token_embd.weight", "model.embed_tokens.weight")?;
        if let Some(factors) = c.rope_factors() {
            let item =
                Item { name: "rope_freqs.weight".into(), rows: 1, cols: factors.len(), from: Origin::Given(factors) };
            self.items.push(item);
        }
        for i in 0..c.layers {
            watch.step(0)?;
            let from = |n: &str| format!("{LAYER}{i}.{n}");
            let to = |n: &str| format!("blk.{i}.{n}");
            self.vector(to("attn_norm"), from("input_layernorm.weight"), c.width)?;
            self.linear(to("attn_q"), (from("self_attn.q_proj"), order), (q, c.width), watch)?;
            self.linear(to("attn_k"), (from("self_attn.k_proj"), order), (kv, c.width), watch)?;
            self.linear(to("attn_v"), (from("self_attn.v_proj"), None), (kv, c.width), watch)?;
            if c.architecture == Architecture::Qwen3 {
                self.vector(to("attn_q_norm"), from("self_attn.q_norm.weight"), c.head_dim)?;
                self.vector(to("attn_k_norm"), from("self_attn.k_norm.weight"), c.head_dim)?;
            }
            self.linear(to("attn_output"), (from("self_attn.o_proj"), None), (c.width, q), watch)?;
            self.vector(to("ffn_norm"), from("post_attention_layernorm.weight"), c.width)?;
            self.linear(to("ffn_gate"), (from("mlp.gate_proj"), None), (c.ffn, c.width), watch)?;
            self.linear(to("ffn_up"), (from("mlp.up_proj"), None), (c.ffn, c.width), watch)?;
            self.linear(to("ffn_down"), (from("mlp.down_proj"), None), (c.width, c.ffn), watch)?;
        }
        self.vector("output_norm".into(), "model.norm.weight".into(), c.width)?;
        if !c.tied {
            self.table_item("output.weight", "lm_head.weight").map_err(|e| match e.kind() {
                Kind::Corrupt if self.shards.get("lm_head.weight").is_none() => e.remedy(
                    "download the checkpoint again; where its head is the embedding, set \"tie_word_embeddings\": true in config.json",
                ),
                _ => e,
            })?;
        }
        Ok(())
    }

    fn vector(&mut self, to: String, from: String, cols: usize) -> Result<()> {
        let tensor = self.shards.require(&from)?;
        tensor.check_shape(&[cols])?;
        self.items.push(Item { name: format!("{to}.weight"), rows: 1, cols, from: Origin::Vector(from) });
        Ok(())
    }

    fn table_item(&mut self, to: &str, from: &str) -> Result<()> {
        let (rows, cols) = (self.config.vocabulary, self.config.width);
        let tensor = self.shards.require(from)?;
        tensor.check_shape(&[rows, cols])?;
        self.source_bytes += tensor.bytes();
        self.items.push(Item { name: to.into(), rows, cols, from: Origin::Table(from.into()) });
        Ok(())
    }

    fn linear(
        &mut self,
        to: String,
        (stem, order): (String, Option<Halves>),
        (rows, cols): (usize, usize),
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let ty = self.linears.tensor_type(cols);
        let weights = ty.block().0;
        if !cols.is_multiple_of(weights) {
            let what = format!("{stem} has {cols} columns, but {ty} stores blocks of {weights}");
            return Err(Error::new(Kind::Unsupported, what).remedy("convert with --type smallest, or q2_0"));
        }
        let scale = scale_of(&self.shards, &stem, (rows, cols), self.how, watch)?;
        self.source_bytes += self.shards.require(&format!("{stem}.weight"))?.bytes();
        // The block's scale is fp16; what that loses is kept beside it, so that the product is exact to f32.
        let left = scale / f16::from_f32(scale).to_f32();
        if !left.is_finite() || left == 0.0 {
            let what = format!("{stem} has the scale {scale}, which fp16 does not hold");
            return Err(Error::new(Kind::Unsupported, what));
        }
        self.items.push(Item { name: format!("{to}.weight"), rows, cols, from: Origin::Linear { stem, order, scale } });
        if left != 1.0 {
            self.items.push(Item { name: format!("{to}.scale"), rows: 1, cols: 1, from: Origin::Given(vec![left]) });
        }
        Ok(())
    }

    /// A model with parts that are not converted would answer nonsense.
    fn check_all_used(&self) -> Result<()> {
        let tied_copy = |n: &str| self.config.tied && n == "lm_head.weight";
        let used: std::collections::HashSet<String> = self
            .items
            .iter()
            .flat_map(|item| match &item.from {
                Origin::Vector(n) | Origin::Table(n) => vec![n.clone()],
                Origin::Linear { stem, .. } => vec![format!("{stem}.weight"), format!("{stem}.weight_scale")],
                Origin::Given(_) => Vec::new(),
            })
            .collect();
        match self.shards.names().find(|n| !used.contains(*n) && !tied_copy(n) && !n.ends_with("rotary_emb.inv_freq")) {
            None => Ok(()),
            Some(extra) => {
                let what = format!("tensor {extra} is not part of a {} model", self.config.architecture.name());
                Err(Error::new(Kind::Unsupported, what)
                    .remedy("use a plain checkpoint: without biases, sub-norms, experts or adapters"))
            }
        }
    }

    fn describe(&mut self, name: &str, tokens: Tokens) -> Result<()> {
        let c = &self.config;
        let d = &mut self.draft;
        let arch = c.architecture.name();
        d.text("general.architecture", arch);
        d.text("general.name", name);
        for (key, value) in [
            ("block_count", c.layers),
            ("context_length", c.context),
            ("embedding_length", c.width),
            ("feed_forward_length", c.ffn),
            ("attention.head_count", c.heads),
            ("attention.head_count_kv", c.kv_heads),
            ("attention.key_length", c.head_dim),
            ("attention.value_length", c.head_dim),
            ("rope.dimension_count", c.head_dim),
            ("vocab_size", c.vocabulary),
        ] {
            d.uint(&format!("{arch}.{key}"), value)?;
        }
        d.float(format!("{arch}.rope.freq_base"), c.rope_base as f32);
        d.float(format!("{arch}.attention.layer_norm_rms_epsilon"), c.norm_eps as f32);
        let scaling = |k: &str| format!("{arch}.rope.scaling.{k}");
        match c.rope_scaling {
            RopeScaling::None => {}
            RopeScaling::Linear(factor) => {
                d.text(scaling("type"), "linear");
                d.float(scaling("factor"), factor as f32);
            }
            RopeScaling::Yarn(y) => {
                d.text(scaling("type"), "yarn");
                d.float(scaling("factor"), y.factor as f32);
                d.uint(&scaling("original_context_length"), y.original as usize)?;
                for (key, value, usual) in [
                    ("attn_factor", y.attention, 1.0),
                    ("yarn_beta_fast", y.beta_fast, 32.0),
                    ("yarn_beta_slow", y.beta_slow, 1.0),
                ] {
                    if value != usual {
                        d.float(scaling(key), value as f32);
                    }
                }
            }
        }
        tokens.describe(d);
        for item in &self.items {
            let ty = match (&item.from, self.table) {
                (Origin::Vector(_) | Origin::Given(_), _) => TensorType::F32,
                (Origin::Table(_), Table::Numbers(ty) | Table::Ternary(ty)) => ty,
                (Origin::Linear { .. }, _) => self.linears.tensor_type(item.cols),
            };
            let dims = [item.cols, item.rows];
            let vector = matches!(item.from, Origin::Vector(_) | Origin::Given(_));
            let dims = if vector { &dims[..1] } else { &dims[..] };
            d.tensor(&item.name, dims, ty)?;
        }
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Cancelled`], or what is wrong with the checkpoint's numbers. No file is left behind.
    pub fn write(self, path: &Path, watch: &mut Watch<'_>) -> Result<()> {
        let mut out = Output::create(path, self.draft.file_bytes())?;
        let failed = |e| Error::io("write", path, e);
        let mut to = self.draft.clone().begin(&mut out).map_err(failed)?;
        for item in &self.items {
            self.write_item(item, &mut to, path, watch)?;
        }
        to.finish().map_err(failed)?;
        out.finish().map(drop)
    }

    fn write_item(&self, item: &Item, to: &mut Writer<&mut Output>, path: &Path, watch: &mut Watch<'_>) -> Result<()> {
        let failed = |e| Error::io("write", path, e);
        let mut bytes = Vec::new();
        match &item.from {
            Origin::Given(values) => {
                encode(TensorType::F32, values, &mut bytes)?;
                to.write(&item.name, &bytes).map_err(failed)
            }
            Origin::Vector(name) => {
                let mut values = vec![0f32; item.cols];
                self.shards.require(name)?.floats(0, &mut Vec::new(), &mut values)?;
                encode(TensorType::F32, &values, &mut bytes)?;
                to.write(&item.name, &bytes).map_err(failed)
            }
            Origin::Table(name) => match self.table {
                Table::Ternary(ty) => {
                    let stem = name.strip_suffix(".weight").unwrap_or(name);
                    let order = None;
                    self.write_linear(item, (stem, order, 1.0), ty, to, path, watch)
                }
                Table::Numbers(ty) => {
                    let tensor = self.shards.require(name)?;
                    let (mut raw, mut row) = (Vec::new(), vec![0f32; item.cols]);
                    for r in 0..item.rows {
                        tensor.floats(r * item.cols, &mut raw, &mut row)?;
                        bytes.clear();
                        encode(ty, &row, &mut bytes)?;
                        to.write(&item.name, &bytes).map_err(failed)?;
                        watch.step(raw.len() as u64)?;
                    }
                    Ok(())
                }
            },
            Origin::Linear { stem, order, scale } => {
                let ty = self.linears.tensor_type(item.cols);
                self.write_linear(item, (stem, *order, *scale), ty, to, path, watch)
            }
        }
    }

    fn write_linear(
        &self,
        item: &Item,
        (stem, order, scale): (&str, Option<Halves>, f32),
        ty: TensorType,
        to: &mut Writer<&mut Output>,
        path: &Path,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let mut linear = Linear::open(&self.shards, stem, (item.rows, item.cols), self.how, scale)?;
        let step = self.shards.require(&format!("{stem}.weight"))?.bytes() / item.rows as u64;
        let mut bytes = Vec::new();
        for r in 0..item.rows {
            bytes.clear();
            linear.encode(order.map_or(r, |o| o.stored(r)), ty, f16::from_f32(scale), &mut bytes)?;
            to.write(&item.name, &bytes).map_err(|e| Error::io("write", path, e))?;
            watch.step(step)?;
        }
        Ok(())
    }
}

/// The model's name: what the configuration says, or the folder's. The cache of Hugging Face keeps `org/name` as
/// `models--org--name/snapshots/revision`.
fn name_of(folder: &Path, c: &Config) -> String {
    let of = |p: &Path| {
        let parts: Vec<String> = p.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        match parts.as_slice() {
            [.., repository, snapshots, _] if snapshots == "snapshots" && repository.starts_with("models--") => {
                repository.rsplit("--").next().map(str::to_owned)
            }
            _ => p.file_name().map(|n| n.to_string_lossy().into_owned()),
        }
    };
    let said = c.name.as_ref().and_then(|name| of(Path::new(name.trim())));
    said.or_else(|| folder.canonicalize().ok().and_then(|p| of(&p))).unwrap_or_else(|| "converted".to_owned())
}
