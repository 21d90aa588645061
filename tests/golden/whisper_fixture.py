#!/usr/bin/env python3
"""Makes tests/data/whisper-fixture: a tiny random Whisper as CTranslate2 stores it, and the two files that
whisper.cpp would read, written from the random tensors themselves and not from the CTranslate2 file.

    pip install numpy gguf
    python3 tests/golden/whisper_fixture.py tests/data/whisper-fixture

Independent of tercet's converter: Q8_0 comes from the `gguf` package, the filterbank from librosa's published
formula. The fixture covers float16, float32 and int8 weights, rows that are no multiple of 32, and an alias.
"""

import math
import pathlib
import struct
import sys

import numpy as np
from gguf import GGMLQuantizationType, quants

STATE, HEADS, MELS, AUDIO_CTX, TEXT_CTX, VOCABULARY = 32, 2, 4, 6, 5, 40
ENCODER_FFN, DECODER_FFN = [64], [64, 48]  # 48 columns: stays float16
rng = np.random.default_rng(20260101)

source = {}  # CTranslate2 name -> array as stored
target = []  # (ggml name, float array, is it a weight) in file order


def random(*shape):
    return (rng.standard_normal(shape) * 0.3).astype(np.float32)


def store(name, values, kind="f16"):
    """Stores a weight; returns the values that a reader gets back."""
    if kind == "f16":
        source[name] = values.astype(np.float16)
        return source[name].astype(np.float32)
    if kind == "f32":
        source[name] = values
        return values
    scale = (127.0 / np.abs(values).max(axis=1)).astype(np.float32)
    source[name] = np.rint(values * scale[:, None]).astype(np.int8)
    source[name.replace("/weight", "/weight_scale")] = scale
    return source[name].astype(np.float32) / scale[:, None]


def norm(to, name):
    for ours, theirs in (("weight", "gamma"), ("bias", "beta")):
        target.append((f"{to}.{ours}", store(f"{name}/{theirs}", random(STATE)), False))


def linear(to, name, rows, columns, kind="f16"):
    target.append((f"{to}.weight", store(f"{name}/weight", random(rows, columns), kind), True))
    target.append((f"{to}.bias", store(f"{name}/bias", random(rows)), False))


def fused(to, name, parts, kind="f16"):
    bias = random(len(parts) * STATE)
    if "key" in parts:
        at = parts.index("key") * STATE
        bias[at:at + STATE] = 0
    weights = store(f"{name}/weight", random(len(parts) * STATE, STATE), kind)
    bias = store(f"{name}/bias", bias)
    for i, part in enumerate(parts):
        rows = slice(i * STATE, (i + 1) * STATE)
        target.append((f"{to}.{part}.weight", weights[rows], True))
        if part != "key":
            target.append((f"{to}.{part}.bias", bias[rows], False))


for side, context in (("encoder", AUDIO_CTX), ("decoder", TEXT_CTX)):
    values = store(f"{side}/position_encodings/encodings", random(context, STATE))
    target.append((f"{side}.positional_embedding", values, False))
    source[f"{side}/num_heads"] = np.int16(HEADS)
values = store("decoder/embeddings/weight", random(VOCABULARY, STATE))
target.append(("decoder.token_embedding.weight", values, True))
for conv, inputs in (("conv1", MELS), ("conv2", STATE)):
    target.append((f"encoder.{conv}.weight", store(f"encoder/{conv}/weight", random(STATE, inputs, 3)), True))
    target.append((f"encoder.{conv}.bias", store(f"encoder/{conv}/bias", random(STATE)).reshape(-1, 1), False))
norm("encoder.ln_post", "encoder/layer_norm")
norm("decoder.ln", "decoder/layer_norm")
for side, layers in (("encoder", ENCODER_FFN), ("decoder", DECODER_FFN)):
    for i, ffn in enumerate(layers):
        to, name = f"{side}.blocks.{i}", f"{side}/layer_{i}"
        norm(f"{to}.attn_ln", f"{name}/self_attention/layer_norm")
        fused(f"{to}.attn", f"{name}/self_attention/linear_0", ["query", "key", "value"])
        linear(f"{to}.attn.out", f"{name}/self_attention/linear_1", STATE, STATE, "f32")
        norm(f"{to}.mlp_ln", f"{name}/ffn/layer_norm")
        linear(f"{to}.mlp.0", f"{name}/ffn/linear_0", ffn, STATE, "int8")
        linear(f"{to}.mlp.2", f"{name}/ffn/linear_1", STATE, ffn)
        if side == "decoder":
            norm(f"{to}.cross_attn_ln", f"{name}/attention/layer_norm")
            linear(f"{to}.cross_attn.query", f"{name}/attention/linear_0", STATE, STATE)
            fused(f"{to}.cross_attn", f"{name}/attention/linear_1", ["key", "value"], "int8")
            linear(f"{to}.cross_attn.out", f"{name}/attention/linear_2", STATE, STATE)

# --- the CTranslate2 file

CODES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def text(s):
    b = s.encode() + b"\0"
    return struct.pack("<H", len(b)) + b


def model_bin():
    out = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(source))
    for name in sorted(source):
        a = np.asarray(source[name])
        out += text(name) + struct.pack(f"<B{a.ndim}I", a.ndim, *a.shape)
        out += struct.pack("<BI", CODES[str(a.dtype)], a.nbytes) + a.tobytes()
    return out + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


# GPT-2's printable alphabet, from its rule: bytes without a glyph of their own take the characters from U+0100 on.
own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
alphabet = {b: chr(b) for b in own}
for b in range(256):
    alphabet.setdefault(b, chr(256 + len(alphabet) - len(own)))
tokens = [b"!", b" the", b"\n", bytes([0]), bytes([0x7F, 0x80, 0xA0, 0xAD]), "é".encode(), "漢字".encode()]
tokens += [bytes([65 + i]) for i in range(VOCABULARY - len(tokens) - 1)]
lines = ["".join(alphabet[b] for b in t) for t in tokens] + ["<|endoftext|>"]
tokens.append(b"")

# --- the ggml files


def filterbank():
    def to_hz(mel):
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp(math.log(6.4) / 27 * (mel - 15))

    top = 15 + math.log(8) / (math.log(6.4) / 27)
    edges = [0.0] + [to_hz(top * i / (MELS + 1)) for i in range(1, MELS + 1)] + [8000.0]
    rows = []
    for low, peak, high in zip(edges, edges[1:], edges[2:]):
        rows.append([max(0.0, min((f - low) / (peak - low), (high - f) / (high - peak))) * 2 / (high - low)
                     for f in range(0, 8001, 40)])
    return np.array(rows, dtype=np.float32) + np.float32(0)


def ggml(q8):
    out = struct.pack("<12i", 0x67676D6C, VOCABULARY, AUDIO_CTX, STATE, HEADS, len(ENCODER_FFN), TEXT_CTX, STATE,
                      HEADS, len(DECODER_FFN), MELS, 2007 if q8 else 1)
    out += struct.pack("<2i", MELS, 201) + filterbank().tobytes() + struct.pack("<i", len(tokens))
    for t in tokens:
        out += struct.pack("<i", len(t)) + t
    for name, a, weight in target:
        a = np.ascontiguousarray(a, dtype=np.float32)
        if weight and q8 and a.ndim == 2 and a.shape[1] % 32 == 0:
            kind, data = 8, quants.quantize(a, GGMLQuantizationType.Q8_0).tobytes()
        elif weight:
            kind, data = 1, a.astype(np.float16).tobytes()
        else:
            kind, data = 0, a.tobytes()
        out += struct.pack("<3i", a.ndim, len(name), kind) + struct.pack(f"<{a.ndim}i", *a.shape[::-1])
        out += name.encode() + data
    return out


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
(folder / "model.bin").write_bytes(model_bin())
(folder / "vocabulary.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
(folder / "f16.bin").write_bytes(ggml(False))
(folder / "q8_0.bin").write_bytes(ggml(True))
