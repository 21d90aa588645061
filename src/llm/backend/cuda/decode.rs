//! Launcher of `kernels/decode.cu`: all layers of one token in one launch, on devices that copy in bulk (sm_90).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::attend::HeadNorms;
use super::driver::{Buffer, Launch, Stream};
use super::linear::{Linear, Packing};
use super::modules::Function;
use super::{Gpu, Kv, Rows, type_code};
use crate::error::Result;
use crate::llm::gguf::TensorType;

/// The kernel's constants of the same names.
const WARPS: usize = 16;
const THREADS: usize = WARPS * 32;
const RING_BYTES: usize = 12288;
const AREA_BYTES: usize = 16384;
const SCRATCH_BYTES: usize = 7168;
const MAX_LAYERS: usize = 64;
const MAX_STRIPS: usize = 32;
const GROUP_HEADS: usize = 4;
/// Splits of a context that one warp puts together.
const MAX_SPLITS: usize = 32;
/// Columns of the widest row that is normed.
const NORM_COLS: usize = 4 * 4 * THREADS;
/// The oldest architecture with bulk copies.
pub(super) const ARCH: u32 = 90;

#[derive(Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Shape {
    rows: i32,
    cols: i32,
    tiles: i32,
    strips: i32,
}

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Layer {
    w: [u64; 4],
    scale: [f32; 8],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Args {
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

/// The matrices of a layer: qkv, output, gate and up, down.
pub(super) type Matrices<'a> = [&'a Linear; 4];

/// Workspace of one row.
#[derive(Clone, Copy)]
pub(super) struct Workspace<'a> {
    pub(super) x: &'a Rows,
    pub(super) qkv: &'a Rows,
    pub(super) attended: &'a Rows,
    pub(super) hidden: &'a Rows,
}

/// Norms on the device: both of every layer, one after the other; those of the heads, layer by layer.
#[derive(Clone, Copy)]
pub(super) struct Norms {
    pub(super) layers: u64,
    pub(super) eps: f32,
    pub(super) heads: HeadNorms,
}

/// What a token comes in with: its position, and its row of the embedding in memory that the device can read.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) position: usize,
    pub(super) row: u64,
    pub(super) ty: TensorType,
}

/// The right to have this kernel on the device. Its blocks wait for each other, so all of them must come to run: two such
/// kernels with half of their blocks each would wait for ever. A cooperative launch would see to that too, for 20 µs a token;
/// work of other kinds ends by itself, and other processes have the device in turns.
pub(super) struct Turn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

static DECODING: Mutex<()> = Mutex::new(());

impl Turn {
    pub(super) fn wait() -> Self {
        Self(DECODING.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A model's layers, ready to be launched.
pub(super) struct Decoder {
    args: Args,
    function: Function,
    grid: u32,
    /// Weights and scales of every layer, and the shapes of the four matrices.
    layers: Buffer,
    barrier: Buffer,
    /// Results that nothing else needs: both of [`between`](Args::between), and the second of everything else.
    results: Buffer,
}

fn shape(w: &Linear) -> Shape {
    Shape { rows: w.rows as i32, cols: w.cols as i32, tiles: w.tiles as i32, strips: w.strips as i32 }
}

/// Whether the kernel computes these layers; what it does not takes a launch an operation.
fn takes(layers: &[Matrices<'_>], kv: &Kv, grid: usize) -> bool {
    let Some(first) = layers.first() else { return false };
    let s = &kv.shape;
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

/// Columns of a token's rows: the residual stream's; queries', keys' and values'; attention's output; the FFN's inner one's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    pub(super) x: usize,
    pub(super) qkv: usize,
    pub(super) attended: usize,
    pub(super) hidden: usize,
}

impl Widths {
    /// Where the parts of [`Decoder::results`] begin: both `between`, x, qkv, attended, hidden, partial results, x again; then
    /// their end.
    fn offsets(self, partial_bytes: u64) -> [u64; 9] {
        let mut at = 0;
        let mut next = |bytes: u64| {
            let from = at;
            at += bytes.next_multiple_of(16);
            from
        };
        let row = |columns: usize| columns as u64 * 4;
        [
            row(self.x),
            row(self.x),
            row(self.x),
            row(self.qkv),
            row(self.attended),
            row(self.hidden),
            partial_bytes,
            row(self.x),
            0,
        ]
        .map(&mut next)
    }
}

impl Decoder {
    /// Bytes on the device for a model of `layers` layers whose partial results of attention take `partial_bytes`; the least
    /// allocation, for the barrier, is of 16.
    pub(super) fn bytes(layers: usize, widths: Widths, partial_bytes: u64) -> u64 {
        (layers * size_of::<Layer>() + 4 * size_of::<Shape>() + 16) as u64 + widths.offsets(partial_bytes)[8]
    }

    pub(super) fn resident(&self) -> u64 {
        self.layers.bytes + self.barrier.bytes + self.results.bytes
    }

    /// `None` where the device or the model needs a launch an operation.
    pub(super) fn new(
        gpu: &Gpu,
        stream: &Stream,
        layers: &[Matrices<'_>],
        kv: &Kv,
        norms: Norms,
        work: Workspace<'_>,
    ) -> Result<Option<Self>> {
        // Every block has a share of every matrix.
        let grid = layers.iter().flatten().map(|w| w.strips).fold(gpu.blocks as usize, usize::min);
        if gpu.device.arch < ARCH || !takes(layers, kv, grid) {
            return Ok(None);
        }
        let function = gpu.kernel(&format!("decode_{}_{}", kv.element(), kv.shape.head_dim))?;
        if !gpu.device.holds_together(function, Self::launch(grid as u32))? {
            return Ok(None);
        }
        let table: Vec<Layer> = layers
            .iter()
            .map(|w| Layer {
                w: w.map(|w| w.data.at),
                scale: {
                    let [qkv, out, gate_up, down] = w.map(|w| w.scales);
                    [qkv[0], qkv[1], qkv[2], out[0], gate_up[0], gate_up[1], down[0], 0.0]
                },
            })
            .collect();
        let shapes = layers[0].map(shape);
        let before = size_of_val(table.as_slice()) as u64;
        let buffer = gpu.device.alloc(before + size_of_val(&shapes) as u64)?;
        stream.upload(&buffer, 0, bytemuck::cast_slice(&table))?;
        stream.upload(&buffer, before, bytemuck::cast_slice(&shapes))?;
        let barrier = gpu.device.zeros(8, stream)?;
        let [qkv, _, gate_up, _] = layers[0];
        let partials = kv.partials()?;
        let widths = Widths { x: qkv.cols, qkv: qkv.rows, attended: work.attended.cols, hidden: gate_up.half };
        let at = widths.offsets(partials.resident());
        let results = gpu.device.alloc(at[8])?;
        let own = |i: usize| results.at + at[i];
        stream.wait()?;
        let (s, (k, v, k_scale, v_scale)) = (&kv.shape, kv.layer(0));
        let splits = (grid / s.kv_heads).min(s.context.div_ceil(64)).min(MAX_SPLITS);
        let args = Args {
            layer: buffer.at,
            row: 0,
            x: [work.x.data.at, own(2), own(7)],
            between: [own(0), own(1)],
            qkv: [work.qkv.data.at, own(3)],
            attended: [work.attended.data.at, own(4)],
            hidden: [work.hidden.data.at, own(5)],
            partial: [partials.at(), own(6)],
            norms: norms.layers,
            head_norms: norms.heads.q,
            rope: kv.rope.at,
            k,
            v,
            k_scale,
            v_scale,
            barrier: barrier.at,
            shapes: buffer.at + before,
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
            head_eps: norms.heads.eps,
        };
        Ok(Some(Self { args, function, grid: grid as u32, layers: buffer, barrier, results }))
    }

    fn launch(grid: u32) -> Launch {
        let shared = (WARPS * RING_BYTES + AREA_BYTES + SCRATCH_BYTES) as u32;
        Launch { grid: (grid, 1, 1), threads: THREADS as u32, shared, overlap: false }
    }

    /// The token's last row of the residual stream into `x`, its key and value into the cache. `_turn` must be held until
    /// the stream has been waited for.
    pub(super) fn step(&self, stream: &Stream, token: Token, _turn: &Turn) -> Result<()> {
        let (ty, position) = (type_code(token.ty), token.position as i32);
        let args = Args { row: token.row, ty, position, ..self.args };
        stream.launch(self.function, Self::launch(self.grid), &args)
    }
}
