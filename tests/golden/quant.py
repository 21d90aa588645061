#!/usr/bin/env python3
"""Goldens for the block decoders: tests/data/golden/quant_*.bin = stored blocks, then the f32 they decode to.

    python3 -m venv v && v/bin/pip install gguf==0.19.0 numpy==2.4.6 && v/bin/python tests/golden/quant.py

Half the blocks are the package's own quantization of random (for ternary types: ternary) weights, half are random bytes
under a sane scale, so that every bit pattern counts. gguf's numpy dequantizers are the judge; Q2_0, which it
lacks, is decoded by a few lines of numpy written from the layout alone. encode_*.bin is the other way: f32, then blocks.
"""
import pathlib
import numpy as np
import gguf
from gguf import GGMLQuantizationType as Q, GGML_QUANT_SIZES, quants

out = pathlib.Path(__file__).resolve().parent.parent / "data" / "golden"
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(20240)


def write(name, raw, floats):
    floats = np.ascontiguousarray(floats, dtype="<f4").reshape(-1)
    assert np.isfinite(floats).all()
    (out / f"quant_{name}.bin").write_bytes(np.ascontiguousarray(raw, dtype=np.uint8).tobytes() + floats.tobytes())


def scales(n):
    """fp16 scales as bytes: both signs, three decades."""
    return (rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-3, 0, n)).astype("<f2").view(np.uint8).reshape(n, 2)


def packaged(name, q, where, blocks, ternary=False):
    weights, size = GGML_QUANT_SIZES[q]
    raw = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
    for at in where:
        raw[:, at:at + 2] = scales(blocks)
    w = rng.integers(-1, 2, (blocks, weights)) * 10.0 ** rng.uniform(-2, 0, (blocks, 1)) if ternary else rng.normal(0, 0.05, (blocks, weights))
    try:
        raw = np.concatenate([quants.quantize(w.astype(np.float32), q).reshape(blocks, size), raw])
    except NotImplementedError:  # the K-quants can only be read
        pass
    write(name, raw, quants.dequantize(raw.reshape(-1), q))


def q2_0(name, group, blocks):
    raw = rng.integers(0, 256, (blocks, 2 + group // 4), dtype=np.uint8)
    raw[:, :2] = scales(blocks)
    d = np.frombuffer(raw[:, :2].tobytes(), "<f2").astype(np.float32).reshape(blocks, 1)
    bits = np.unpackbits(raw[:, 2:], axis=1, bitorder="little").reshape(blocks, group, 2)
    codes = bits[:, :, 0].astype(np.float32) + 2 * bits[:, :, 1].astype(np.float32)
    write(name, raw, (codes - 1) * d)


f = rng.normal(0, 1, 512).astype("<f4")
write("f32", f.view(np.uint8), f)
h = (rng.choice([-1, 1], 512) * 10.0 ** rng.uniform(-8, 4, 512)).astype("<f2")  # subnormals too
write("f16", h.view(np.uint8), h.astype(np.float32))
b = rng.integers(0, 1 << 16, 1024, dtype=np.uint16)
b = b[(b & 0x7F80) != 0x7F80][:512].astype("<u2")  # finite
write("bf16", b.view(np.uint8), quants.dequantize(b.view(np.uint8), Q.BF16))
packaged("q4_0", Q.Q4_0, [0], 16)
packaged("q8_0", Q.Q8_0, [0], 16)
packaged("q4_k", Q.Q4_K, [0, 2], 4)
packaged("q6_k", Q.Q6_K, [208], 4)
packaged("tq1_0", Q.TQ1_0, [52], 4, ternary=True)
packaged("tq2_0", Q.TQ2_0, [64], 4, ternary=True)
q2_0("q2_0", 64, 16)
q2_0("q2_0_g128", 128, 8)


def encoded(name, q, ternary):
    """encode_NAME.bin: f32 numbers, then the blocks that gguf's quantizer makes of them."""
    weights, size = GGML_QUANT_SIZES[q]
    blocks = {1: 256, 32: 8}.get(weights, 2)
    d = np.float16(10.0 ** rng.uniform(-2, 0, (blocks, 1))).astype(np.float32)
    w = rng.integers(-1, 2, (blocks, weights)) * d if ternary else rng.normal(0, 0.05, (blocks, weights))
    w = w.astype("<f4")
    if weights == 32:
        w[0, :4] = 0.5, -0.5, 0.25, 0.0
        w[1] = 0
    (out / f"encode_{name}.bin").write_bytes(w.tobytes() + quants.quantize(w, q).tobytes())


encoded("q4_0", Q.Q4_0, False)
encoded("q8_0", Q.Q8_0, False)
encoded("bf16", Q.BF16, False)
encoded("tq1_0", Q.TQ1_0, True)
encoded("tq2_0", Q.TQ2_0, True)
print("wrote", len(list(out.glob("quant_*.bin"))), "files")
