//! Launcher of `kernels/decode.cu`: all layers of one token in one launch, on devices that copy in bulk (sm_90).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::agreed::{Arguments, Source, arguments, type_code};
use super::attend::HeadNorms;
use super::function::{Function, Launch};
use super::gpu::Gpu;
use super::kv::Kv;
use super::linear::Linear;
use super::memory::{Buffer, KeepAlive, View, or_null};
use super::packing::Packing;
use super::partials::{GROUP_HEADS, MIN_SPAN, Partials};
use super::room::{Block, Memory};
use super::rows::Rows;
use super::stream::Stream;
use crate::error::Result;
use crate::llm::backend::{Footprint, KvShape, shapes};
use crate::llm::gguf::TensorType;

const WARPS: usize = 16;
const THREADS: usize = WARPS * 32;
const RING_BYTES: usize = 12288;
const AREA_BYTES: usize = 16384;
const SCRATCH_BYTES: usize = 7168;
const MAX_LAYERS: usize = 64;
const MAX_STRIPS: usize = 32;
/// Splits of a context that one warp puts together.
const MAX_SPLITS: usize = 32;
/// float4s that a thread has of a row that is normed.
const MAX_NORM_FOURS: usize = 4;
/// Columns of the widest row that is normed.
const NORM_COLS: usize = MAX_NORM_FOURS * 4 * THREADS;
/// The oldest architecture with bulk copies.
pub(super) const ARCH: u32 = 90;

pub(super) const SOURCE: Source = Source {
    name: "decode",
    text: include_str!("../../../../kernels/decode.cu"),
    constants: &[
        ("WARPS", WARPS),
        ("RING_BYTES", RING_BYTES),
        ("AREA_BYTES", AREA_BYTES),
        ("SCRATCH_BYTES", SCRATCH_BYTES),
        ("MAX_LAYERS", MAX_LAYERS),
        ("MAX_STRIPS", MAX_STRIPS),
        ("GROUP_HEADS", GROUP_HEADS),
        ("MIN_SPAN", MIN_SPAN),
        ("MAX_NORM_FOURS", MAX_NORM_FOURS),
    ],
    structs: &[Shape::LAYOUT, Layer::LAYOUT, Args::LAYOUT],
    arch: ARCH,
};

arguments! {
    #[derive(PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
    Shape as "Shape" { rows: i32, cols: i32, tiles: i32, strips: i32 }
}

arguments! {
    #[derive(bytemuck::Pod, bytemuck::Zeroable)]
    Layer as "Layer" { w: [u64; 4], scale: [f32; 8] }
}

arguments! {
    Args as "DecodeArgs" {
        layer: u64,
        row: u64,
        x: [u64; 3],
        between: [u64; 2],
        qkv: [u64; 2],
        attended: [u64; 2],
        hidden: [u64; 2],
        partial: [u64; 2],
        norms: u64,
        head_norms: u64,
        rope: u64,
        k: u64,
        v: u64,
        k_scale: u64,
        v_scale: u64,
        barrier: u64,
        shapes: u64,
        width: i32,
        layers: i32,
        half: i32,
        end0: i32,
        end1: i32,
        heads: i32,
        kv_heads: i32,
        context: i32,
        pairs: i32,
        splits: i32,
        ty: i32,
        position: i32,
        eps: f32,
        head_eps: f32,
    }
}

/// The matrices of a layer: qkv, output, gate and up, down.
pub(super) type Matrices<'a> = [&'a Linear; 4];

/// Norms on the device: both of every layer, f32 `[2 · layer + which, width]`; those of the heads, f32 `[layer, 2, head_dim]`.
#[derive(Clone, Copy)]
pub(super) struct Norms<'a> {
    pub(super) layers: View<'a>,
    pub(super) eps: f32,
    pub(super) heads: Option<HeadNorms<'a>>,
}

/// What a token comes in with: its position, and its row of the embedding in memory that the device can read, as blocks of `ty`.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) position: usize,
    pub(super) row: View<'a>,
    pub(super) row_bytes: usize,
    pub(super) ty: TensorType,
}

/// The right to decode on the device with this kernel. Its blocks wait for each other, so all of them must come to run: two such
/// kernels with half of their blocks each would wait for ever. A cooperative launch would see to that too, for 20 µs a token;
/// work of other kinds ends by itself, and other processes have the device in turns.
pub(super) struct DecodeLock(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

static DECODING: Mutex<()> = Mutex::new(());

impl DecodeLock {
    pub(super) fn wait() -> Self {
        Self(DECODING.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A model's layers, ready to be launched.
pub(super) struct Decoder {
    args: Args,
    function: Function,
    grid: u32,
    context: usize,
    /// Everything whose address `args` or the table of layers holds.
    #[expect(dead_code, reason = "kept, not read")]
    owners: Vec<KeepAlive>,
}

fn shape(w: &Linear) -> Shape {
    Shape { rows: w.rows as i32, cols: w.cols as i32, tiles: w.tiles as i32, strips: w.strips as i32 }
}

/// Whether the kernel computes these layers; what it does not takes a launch an operation.
fn takes(layers: &[Matrices<'_>], s: &KvShape, grid: usize) -> bool {
    let Some(first) = layers.first() else { return false };
    let same = |w: &Matrices<'_>| {
        let plain = |w: &Linear| w.group.is_none() && w.packing == Packing::TwoBits;
        w.iter().zip(first).all(|(w, f)| plain(w) && shape(w) == shape(f) && w.half == f.half && w.ends == f.ends)
    };
    let [qkv, out, gate_up, down] = first;
    let narrow = |w: &Linear, cols: usize| {
        w.cols <= cols && w.tiles * 128 <= AREA_BYTES && w.strips.div_ceil(grid) <= MAX_STRIPS
    };
    layers.len() <= MAX_LAYERS
        && layers.iter().all(same)
        && [qkv, gate_up].into_iter().all(|w| narrow(w, NORM_COLS))
        && [out, down].into_iter().all(|w| narrow(w, AREA_BYTES))
        && gate_up.half > 0
        && qkv.half == 0
        && (out.half, down.half) == (0, 0)
        && [out.rows, down.rows, gate_up.cols] == [qkv.cols; 3]
        && [out.cols, down.cols, qkv.rows] == [s.out_cols(), gate_up.half, s.qkv_cols()]
        && matches!(s.head_dim, 64 | 128)
        && s.heads / s.kv_heads <= GROUP_HEADS
        && s.kv_heads <= grid
}

/// Every block has a share of every matrix.
fn grid(gpu: &Gpu, layers: &[Matrices<'_>]) -> usize {
    layers.iter().flatten().map(|w| w.strips).fold(gpu.blocks as usize, usize::min)
}

fn launch(grid: usize) -> Launch {
    let shared = (WARPS * RING_BYTES + AREA_BYTES + SCRATCH_BYTES) as u32;
    Launch { grid: (grid as u32, 1, 1), threads: THREADS as u32, shared, overlap: false }
}

fn function(gpu: &Gpu, s: &KvShape) -> Result<Function> {
    let element = if s.precision == crate::llm::backend::KvPrecision::Int8 { "i8" } else { "f16" };
    gpu.kernel(&format!("decode_{element}_{}", s.head_dim))
}

/// Whether the kernel computes these layers on this device.
///
/// # Errors
/// What the driver says.
pub(super) fn fits(gpu: &Gpu, layers: &[Matrices<'_>], s: &KvShape) -> Result<bool> {
    let grid = grid(gpu, layers);
    Ok(gpu.device.arch >= ARCH && takes(layers, s, grid) && function(gpu, s)?.fits_at_once(launch(grid))?)
}

/// Columns of a token's rows: the residual stream's; queries', keys' and values'; attention's output; the FFN's inner one's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    pub(super) x: usize,
    pub(super) qkv: usize,
    pub(super) attended: usize,
    pub(super) hidden: usize,
}

/// The kernel's memory. It tells by a number's bits whether it is there yet, so its rows are its own, and most are there twice:
/// layers take turns.
pub(super) struct Room<B = Buffer> {
    /// Weights and scales of every layer, and the shapes of the four matrices.
    layers: B,
    /// u32 `[2]`, 0 between launches.
    barrier: B,
    between: [Rows<B>; 2],
    /// The second and the third; the first is the session's.
    x: [Rows<B>; 2],
    qkv: [Rows<B>; 2],
    attended: [Rows<B>; 2],
    hidden: [Rows<B>; 2],
    /// As large as [`Partials::sums`], which is the first.
    partial: B,
}

impl<B: Block> Room<B> {
    /// For a model of `layers` layers whose partial results of attention take `partial_bytes`.
    pub(super) fn lay_out<M: Memory<Block = B>>(
        memory: &mut M,
        layers: usize,
        widths: Widths,
        partial_bytes: u64,
    ) -> Result<Self> {
        let mut two = |cols: usize| -> Result<[Rows<B>; 2]> {
            Ok([Rows::lay_out(memory, 1, cols)?, Rows::lay_out(memory, 1, cols)?])
        };
        Ok(Self {
            between: two(widths.x)?,
            x: two(widths.x)?,
            qkv: two(widths.qkv)?,
            attended: two(widths.attended)?,
            hidden: two(widths.hidden)?,
            layers: memory.zeros((layers * size_of::<Layer>() + 4 * size_of::<Shape>()) as u64)?,
            barrier: memory.zeros(8)?,
            partial: memory.zeros(partial_bytes)?,
        })
    }

    fn rows(&self) -> impl Iterator<Item = &Rows<B>> {
        [&self.between, &self.x, &self.qkv, &self.attended, &self.hidden].into_iter().flatten()
    }

    pub(super) fn resident(&self) -> u64 {
        let rows: u64 = self.rows().map(Rows::resident).sum();
        rows + self.layers.bytes() + self.barrier.bytes() + self.partial.bytes()
    }

    /// Queries, keys and values; attention's output; the FFN's inner row: where the last layer leaves them.
    pub(super) fn last(&self) -> [&Rows<B>; 3] {
        [&self.qkv[0], &self.attended[0], &self.hidden[0]]
    }
}

impl Decoder {
    /// Layers that [`fits`] has said yes to. `x` is where the last layer leaves the residual stream.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where memory is shorter than the shapes say.
    pub(super) fn new(
        gpu: &Gpu,
        stream: &Stream,
        layers: &[Matrices<'_>],
        kv: &Kv,
        norms: Norms<'_>,
        norms_owner: KeepAlive,
        (x, partials, room): (&Rows, &Partials, &Room),
    ) -> Result<Self> {
        let s = &kv.shape;
        let grid = grid(gpu, layers);
        shapes::shape(takes(layers, s, grid), || {
            let sizes = layers.first().map(|first| first.map(|w| (w.rows, w.cols)));
            let (layers, heads, kv_heads, head_dim) = (layers.len(), s.heads, s.kv_heads, s.head_dim);
            format!(
                "decode: the kernel does not take {layers} layers of matrices {sizes:?} with {heads} query heads and \
                 {kv_heads} KV heads of {head_dim} on {grid} blocks"
            )
        })?;
        let [qkv, _, gate_up, _] = layers[0];
        let mut table: Vec<Layer> = Vec::with_capacity(layers.len());
        for w in layers {
            let [qkv, out, gate_up, down] = w.map(|w| w.scales);
            table.push(Layer {
                w: [w[0].weights()?, w[1].weights()?, w[2].weights()?, w[3].weights()?],
                scale: [qkv[0], qkv[1], qkv[2], out[0], gate_up[0], gate_up[1], down[0], 0.0],
            });
        }
        let shapes = layers[0].map(shape);
        let before = size_of_val(table.as_slice());
        stream.upload(&room.layers, 0, bytemuck::cast_slice(&table))?;
        stream.upload(&room.layers, before as u64, bytemuck::cast_slice(&shapes))?;

        let row = |of: &Rows, cols: usize| of.view().holding(cols * 4, "a row of the decode kernel");
        let two = |of: &[Rows; 2], cols: usize| -> Result<[u64; 2]> { Ok([row(&of[0], cols)?, row(&of[1], cols)?]) };
        let splits = (grid / s.kv_heads).min(s.context.div_ceil(MIN_SPAN)).min(MAX_SPLITS);
        let sums = s.kv_heads * super::partials::sums_bytes(splits, s.head_dim);
        let [x1, x2] = two(&room.x, qkv.cols)?;
        let at = kv.layer(0)?;
        let positions = s.layers * s.kv_heads * s.context;
        let head_norms = or_null(norms.heads.map(|h| h.q), layers.len() * 2 * s.head_dim * 4, "head norms' weights")?;
        let args = Args {
            layer: room.layers.view().holding(before, "the table of layers")?,
            row: 0,
            x: [row(x, qkv.cols)?, x1, x2],
            between: two(&room.between, qkv.cols)?,
            qkv: two(&room.qkv, qkv.rows)?,
            attended: two(&room.attended, s.out_cols())?,
            hidden: two(&room.hidden, gate_up.half)?,
            partial: [
                partials.sums.view().holding(sums, "partial sums")?,
                room.partial.view().holding(sums, "partial sums")?,
            ],
            norms: norms.layers.holding(2 * layers.len() * qkv.cols * 4, "norms' weights")?,
            head_norms,
            rope: at.rope.holding(s.context * s.rope.pairs * 8, "the table of rotations")?,
            k: at.k.holding(positions * kv.row_bytes(), "keys")?,
            v: at.v.holding(positions * kv.row_bytes(), "values")?,
            k_scale: or_null(at.k_scale, positions * 4, "scales")?,
            v_scale: or_null(at.v_scale, positions * 4, "scales")?,
            barrier: room.barrier.view().holding(8, "the barrier")?,
            shapes: room.layers.view().after(before as u64)?.holding(size_of_val(&shapes), "shapes")?,
            width: qkv.cols as i32,
            layers: layers.len() as i32,
            half: gate_up.half as i32,
            end0: qkv.ends[0],
            end1: qkv.ends[1],
            heads: s.heads as i32,
            kv_heads: s.kv_heads as i32,
            context: s.context as i32,
            pairs: s.rope.pairs as i32,
            splits: splits as i32,
            ty: 0,
            position: 0,
            eps: norms.eps,
            head_eps: norms.heads.map_or(0.0, |h| h.eps),
        };
        let mut owners: Vec<KeepAlive> = layers.iter().flatten().map(|w| w.data.owner()).collect();
        owners.extend(kv.owners());
        owners.extend(room.rows().chain([x]).map(|r| r.data.owner()));
        owners.extend([&room.layers, &room.barrier, &room.partial, &partials.sums].map(Buffer::owner));
        owners.push(norms_owner);
        Ok(Self { args, function: function(gpu, s)?, grid: grid as u32, context: s.context, owners })
    }

    /// Enqueues one token: the last row of the residual stream goes into `x`, its key and value into the cache. `_lock` must be
    /// held until the stream has been waited for.
    ///
    /// # Errors
    /// [`crate::error::Kind::Internal`] where the position lies outside the context, or the row is too short.
    pub(super) fn step(&self, stream: &Stream, token: Token<'_>, _lock: &DecodeLock) -> Result<()> {
        let row_bytes = token.ty.row_bytes(self.args.width as usize);
        let fits = token.position < self.context && row_bytes.is_some_and(|b| b <= token.row_bytes);
        shapes::shape(fits, || {
            let (position, context, width) = (token.position, self.context, self.args.width);
            format!(
                "decode: position {position} of a context of {context}; a row of {width} columns of {} in {} bytes",
                token.ty, token.row_bytes
            )
        })?;
        // The kernel reads whole words.
        let row = token.row.holding(token.row_bytes.next_multiple_of(4), "a token's row")?;
        let args = Args { row, ty: type_code(token.ty), position: token.position as i32, ..self.args };
        // SAFETY: the struct is the kernel's; lengths were checked here and in `new`, and `owners` keeps what is not the token's.
        unsafe { stream.launch(&self.function, launch(self.grid as usize), &args) }
    }
}
