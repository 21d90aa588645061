//! One token through layers of random weights, both ways it can go: an operation a launch, or all layers at once.

use super::attend;
use super::decode::{self, DecodeLock, Decoder, Norms, Room, Token, Widths};
use super::gemv::{self, Input, Output, To};
use super::gpu::Gpu;
use super::kv::Kv;
use super::linear::Linear;
use super::memory::{Buffer, Pinned};
use super::operations::Cuda;
use super::partials::Partials;
use super::rows::Rows;
use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::llm::backend::{Backend, KvShape};
use crate::llm::gguf::TensorType;

/// Launches of a layer where an operation is one.
pub(super) const LAUNCHES: usize = 5;
/// Rows of keys and values that are written at once.
const FILL: usize = 256;

/// Numbers from −1 to 1.
pub(super) fn floats(n: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub(super) struct Rig<'a> {
    layers: &'a [[Linear; 4]],
    pub(super) kv: Kv,
    pub(super) x: Rows,
    partials: Partials,
    room: Room,
    input: Vec<f32>,
    norms: Buffer,
    position: usize,
    /// The token's row of the embedding.
    row: Pinned,
    step: Buffer,
    pub(super) decoder: Option<Decoder>,
}

const EPS: f32 = 1e-5;

impl<'a> Rig<'a> {
    /// A cache full of keys and values up to its last position.
    pub(super) fn new(cuda: &Cuda, layers: &'a [[Linear; 4]], shape: &KvShape) -> Result<Self> {
        let (device, stream) = (&cuda.gpu.device, &*cuda.stream);
        let Some(first) = layers.first() else { return Err(Error::new(Kind::Internal, "no layers")) };
        let (width, ffn) = (first[0].cols, first[3].cols);
        let norms: Vec<f32> = floats(2 * layers.len() * width).iter().map(|v| 1.0 + 0.5 * v).collect();
        let buffer = Buffer::new(device, size_of_val(norms.as_slice()) as u64)?;
        stream.upload(&buffer, 0, bytemuck::cast_slice(&norms))?;
        let input = floats(width);
        let mut row = Pinned::new(device, width * 4)?;
        row[..width * 4].copy_from_slice(bytemuck::cast_slice(&input));
        let widths = Widths { x: width, qkv: shape.qkv_cols(), attended: shape.out_cols(), hidden: ffn };
        let partials = Partials::lay_out(&mut { stream }, device.multiprocessors, shape)?;
        let room = Room::lay_out(&mut { stream }, layers.len(), widths, partials.sums.bytes())?;
        let mut rig = Self {
            layers,
            kv: Kv::new(stream, shape)?,
            x: cuda.rows(1, width)?,
            partials,
            room,
            input,
            norms: buffer,
            position: 0,
            row,
            step: stream.zeros(4)?,
            decoder: None,
        };
        let mut some = cuda.rows(FILL, shape.qkv_cols())?;
        cuda.write_rows(&mut some, &floats(FILL * shape.qkv_cols()))?;
        for start in (0..shape.context).step_by(FILL) {
            stream.upload(&rig.step, 0, &(start as u32).to_le_bytes())?;
            let of = attend::AttentionRows { qkv: some.view(), out: None, ..rig.rows() };
            for layer in 0..layers.len() {
                attend::rope_append(&cuda.gpu, stream, &rig.kv, layer, FILL.min(shape.context - start), of)?;
            }
        }
        stream.wait()?;
        let matrices: Vec<_> = layers.iter().map(|l| l.each_ref()).collect();
        if decode::fits(&cuda.gpu, &matrices, shape)? {
            let norms = Norms { layers: rig.norms.view(), eps: EPS, heads: None };
            let work = (&rig.x, &rig.partials, &rig.room);
            let decoder = Decoder::new(&cuda.gpu, stream, &matrices, &rig.kv, norms, rig.norms.owner(), work)?;
            rig.decoder = Some(decoder);
        }
        Ok(rig)
    }

    fn rows(&self) -> attend::AttentionRows<'_> {
        let [qkv, attended, _] = self.room.last();
        attend::AttentionRows { qkv: qkv.view(), out: Some(attended.view()), step: self.step.view(), norms: None }
    }

    /// The FFN's inner row.
    #[cfg(test)]
    pub(super) fn hidden(&self) -> &Rows {
        self.room.last()[2]
    }

    /// Puts the token at `position`, its embedding into x.
    pub(super) fn place(&mut self, cuda: &Cuda, position: usize) -> Result<()> {
        self.position = position;
        cuda.stream.upload(&self.step, 0, &(position as u32).to_le_bytes())?;
        let input = std::mem::take(&mut self.input);
        cuda.write_rows(&mut self.x, &input)?;
        self.input = input;
        cuda.stream.wait()
    }

    /// Launch `i` of [`LAUNCHES`] for each layer.
    pub(super) fn operation(&self, gpu: &Gpu, s: &Stream, i: usize) -> Result<()> {
        let (layer, l) = (i / LAUNCHES, &self.layers[i / LAUNCHES]);
        let norm = |which: usize| self.norms.view().after(((2 * layer + which) * self.x.cols * 4) as u64);
        let [qkv, attended, hidden] = self.room.last();
        let x = self.x.view();
        match i % LAUNCHES {
            0 => gemv::gemv(gpu, s, &l[0], Input::Norm(x, norm(0)?, EPS), To::rows(qkv, Output::Store)),
            1 => attend::attend(gpu, s, (&self.kv, layer), (1, true), self.rows(), &self.partials),
            2 => gemv::gemv(gpu, s, &l[1], Input::Row(attended.view()), To::rows(&self.x, Output::Add)),
            3 => gemv::gemv(gpu, s, &l[2], Input::Norm(x, norm(1)?, EPS), To::rows(hidden, Output::SwiGlu)),
            _ => gemv::gemv(gpu, s, &l[3], Input::Row(hidden.view()), To::rows(&self.x, Output::Add)),
        }
    }

    /// All layers at once, where the device does that.
    pub(super) fn at_once(&self, s: &Stream, lock: &DecodeLock) -> Result<()> {
        let Some(decoder) = &self.decoder else { return Ok(()) };
        let token =
            Token { position: self.position, row: self.row.view(), row_bytes: self.x.cols * 4, ty: TensorType::F32 };
        decoder.step(s, token, lock)
    }
}
