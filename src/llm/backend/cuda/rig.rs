//! One token through layers of random weights, both ways it can go: an operation a launch, or all layers at once.

use super::attend::{self, HeadNorms};
use super::decode::{Decoder, Norms, Token, Turn, Workspace};
use super::driver::{Buffer, Pinned, Stream};
use super::gemv::{self, Input, Output, To};
use super::linear::Linear;
use super::{Cuda, Gpu, Kv, Rows};
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
    pub(super) qkv: Rows,
    pub(super) attended: Rows,
    pub(super) hidden: Rows,
    input: Vec<f32>,
    norms: Buffer,
    position: usize,
    /// The token's row of the embedding.
    sent: Pinned,
    step: Buffer,
    pub(super) decoder: Option<Decoder>,
}

const EPS: f32 = 1e-5;

impl<'a> Rig<'a> {
    /// A cache full of keys and values up to its last position.
    pub(super) fn new(cuda: &Cuda, layers: &'a [[Linear; 4]], shape: &KvShape) -> Result<Self> {
        let (device, stream) = (&cuda.gpu.device, &cuda.stream);
        let Some(first) = layers.first() else { return Err(Error::new(Kind::Internal, "no layers")) };
        let (width, ffn) = (first[0].cols, first[3].cols);
        let norms: Vec<f32> = floats(2 * layers.len() * width).iter().map(|v| 1.0 + 0.5 * v).collect();
        let buffer = device.alloc(size_of_val(norms.as_slice()) as u64)?;
        stream.upload(&buffer, 0, bytemuck::cast_slice(&norms))?;
        let input = floats(width);
        let mut sent = device.pinned(width * 4)?;
        sent[..width * 4].copy_from_slice(bytemuck::cast_slice(&input));
        let mut rig = Self {
            layers,
            kv: Kv::new(cuda, shape)?,
            x: cuda.rows(1, width)?,
            qkv: cuda.rows(1, shape.qkv_cols())?,
            attended: cuda.rows(1, shape.out_cols())?,
            hidden: cuda.rows(1, ffn)?,
            input,
            norms: buffer,
            position: 0,
            sent,
            step: device.zeros(16, stream)?,
            decoder: None,
        };
        let mut some = cuda.rows(FILL, shape.qkv_cols())?;
        cuda.write_rows(&mut some, &floats(FILL * shape.qkv_cols()))?;
        let of = attend::Rows { qkv: some.data.at, ..rig.rows() };
        for start in (0..shape.context).step_by(FILL) {
            stream.upload(&rig.step, 0, &(start as u32).to_le_bytes())?;
            for layer in 0..layers.len() {
                attend::rope_append(&cuda.gpu, stream, &rig.kv, layer, FILL.min(shape.context - start), of)?;
            }
        }
        stream.wait()?;
        let matrices: Vec<_> = layers.iter().map(|l| l.each_ref()).collect();
        let norms = Norms { layers: rig.norms.at, eps: EPS, heads: HeadNorms::default() };
        let work = Workspace { x: &rig.x, qkv: &rig.qkv, attended: &rig.attended, hidden: &rig.hidden };
        rig.decoder = Decoder::new(&cuda.gpu, stream, &matrices, &rig.kv, norms, work)?;
        Ok(rig)
    }

    fn rows(&self) -> attend::Rows {
        let (qkv, out) = (self.qkv.data.at, self.attended.data.at);
        attend::Rows { qkv, out, step: self.step.at, norms: HeadNorms::default() }
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
        let to = |y: &Rows, output| To { y: y.data.at, stride: y.cols, output, next: (0, 0) };
        let norm = |which: usize| self.norms.at + ((2 * layer + which) * self.x.cols * 4) as u64;
        let x = self.x.data.at;
        match i % LAUNCHES {
            0 => gemv::gemv(gpu, s, &l[0], Input::Norm(x, norm(0), EPS), to(&self.qkv, Output::Store)),
            1 => attend::attend(gpu, s, (&self.kv, layer), (1, true), self.rows(), self.kv.partials()?),
            2 => gemv::gemv(gpu, s, &l[1], Input::Row(self.attended.data.at), to(&self.x, Output::Add)),
            3 => gemv::gemv(gpu, s, &l[2], Input::Norm(x, norm(1), EPS), to(&self.hidden, Output::SwiGlu)),
            _ => gemv::gemv(gpu, s, &l[3], Input::Row(self.hidden.data.at), to(&self.x, Output::Add)),
        }
    }

    /// All layers at once, where the device does that.
    pub(super) fn at_once(&self, s: &Stream, turn: &Turn) -> Result<()> {
        let Some(decoder) = &self.decoder else { return Ok(()) };
        decoder.step(s, Token { position: self.position, row: self.sent.device_at, ty: TensorType::F32 }, turn)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Random, distance, gpu, kv_shape, stored};
    use super::super::{Packing, decode};
    use super::*;
    use crate::llm::backend::{KvPrecision, Part};
    use crate::llm::quant::Ternary;

    /// Random ternary rows, a part each.
    fn linear(cuda: &Cuda, seed: u64, parts: &[usize], cols: usize) -> Linear {
        let mut r = Random(seed);
        let bytes: Vec<_> = parts.iter().map(|&n| stored(&mut r, TensorType::Q2_0, n, cols, true)).collect();
        let mut all = Vec::new();
        for ((b, &rows), factor) in bytes.iter().zip(parts).zip([1.0, 0.6, 1.7]) {
            let weights = Ternary::new(TensorType::Q2_0, rows, cols, b).expect("sound");
            all.push(Part { weights, factor });
        }
        cuda.linear(&all).expect("loads")
    }

    /// A token at once is the token an operation at a time: integers are the same, floats differ in the order of their sums,
    /// and an activation near a tie may round the other way, which a second layer makes more of.
    #[test]
    fn a_token_at_once_is_the_same_token() {
        let Some(cuda) = gpu(Packing::TwoBits) else { return };
        if cuda.gpu.device.arch < decode::ARCH {
            println!("skipped: sm_{} has no bulk copies", cuda.gpu.device.arch);
            return;
        }
        // Width, FFN, heads, KV heads, head size, context: the default model's, Llama3-8B's, ragged ones.
        let models = [
            (768, 2048, 12, 4, 64, 1024),
            (4096, 14336, 32, 8, 128, 8192),
            (576, 1536, 9, 3, 64, 300),
            (192, 256, 4, 2, 128, 700),
            (3072, 8192, 24, 8, 128, 500),
        ];
        for (precision, layers, (width, ffn, heads, kv_heads, hd, context)) in
            [(KvPrecision::Int8, 1), (KvPrecision::F16, 1), (KvPrecision::Int8, 2), (KvPrecision::F16, 2)]
                .into_iter()
                .flat_map(|(p, l)| models.map(|m| (p, l, m)))
        {
            let near = if layers == 1 { 0.02 } else { 0.06 };
            let mut s = kv_shape(heads, kv_heads, hd, context, precision);
            s.layers = layers;
            let (q, kv) = (heads * hd, kv_heads * hd);
            let layer = |i: u64| {
                [
                    linear(&cuda, 4 * i, &[q, kv, kv], width),
                    linear(&cuda, 4 * i + 1, &[width], q),
                    linear(&cuda, 4 * i + 2, &[ffn, ffn], width),
                    linear(&cuda, 4 * i + 3, &[width], ffn),
                ]
            };
            let layers: Vec<_> = (0..s.layers as u64).map(layer).collect();
            let mut rig = Rig::new(&cuda, &layers, &s).expect("fits");
            assert!(rig.decoder.is_some(), "the kernel takes these");
            for position in [0, 1, 15, 63, 64, 65, 130, 299, 511, 1023, 4096, 8191].into_iter().filter(|&p| p < context)
            {
                let read = |rig: &Rig<'_>| {
                    // Other results are gone as soon as they have been used.
                    let rows = [&rig.x, &rig.hidden].map(|r| cuda.read_rows(r, 1));
                    (rows.map(|r| r.expect("reads")), cuda.save_kv(&rig.kv, position + 1).expect("saves"))
                };
                rig.place(&cuda, position).expect("places");
                let each = 0..s.layers * LAUNCHES;
                each.into_iter().try_for_each(|i| rig.operation(&cuda.gpu, &cuda.stream, i)).expect("runs");
                let (wanted, cache) = read(&rig);
                rig.place(&cuda, position).expect("places");
                let turn = Turn::wait();
                for _ in 0..3 {
                    rig.at_once(&cuda.stream, &turn).expect("runs");
                }
                let (found, own) = read(&rig);
                drop(turn);
                let far: Vec<_> = found.iter().zip(&wanted).map(|(f, w)| distance(f, w)).collect();
                let bytes = cache.iter().zip(&own).filter(|(a, b)| a != b).count();
                println!(
                    "{width}/{hd}, {} layers, {precision:?} at {position}: {far:?} apart; {bytes} bytes of the cache differ",
                    s.layers
                );
                assert!(far.iter().all(|&f| f < near), "x, hidden: {far:?}");
            }
        }
    }
}
