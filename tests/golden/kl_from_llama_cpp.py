"""Golden distributions of llama.cpp on the default model: how likely it finds each next token.

Run from the repository's root, after `from_llama_cpp.py`, in an environment that has `llama-cpp-python` (0.3.36):

    python3 tests/golden/kl_from_llama_cpp.py

Reads the texts and positions of tests/data/golden/logits.json, computes each text at once, and writes
tests/data/golden/distributions.bin, little-endian: for each position, in the order of that file, the 16 best tokens (u16),
their logits (f32), and the logarithm of the sum of the exponentials of all logits (f32).
"""

import ctypes
import json
from pathlib import Path

import llama_cpp as L
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/golden"
TOP = 16
CONTEXT = 2048

L.llama_backend_init()
quiet = L.llama_log_callback(lambda level, text, data: None)
L.llama_log_set(quiet, ctypes.c_void_p(0))
model = L.llama_model_load_from_file(str(ROOT / "models/pocket.gguf").encode(), L.llama_model_default_params())
size = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
params = L.llama_context_default_params()
params.n_ctx = params.n_batch = params.n_ubatch = CONTEXT
params.n_threads = params.n_threads_batch = 1
ctx = L.llama_init_from_model(model, params)


def logits(tokens, at):
    L.llama_memory_clear(L.llama_get_memory(ctx), True)
    batch = L.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, t in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = t, i, 1, 0, True
    assert L.llama_decode(ctx, batch) == 0
    rows = [np.ctypeslib.as_array(L.llama_get_logits_ith(ctx, i), (size,)).copy() for i in at]
    L.llama_batch_free(batch)
    return np.stack(rows).astype(np.float64)


def main():
    rows = json.loads((DATA / "logits.json").read_text())["rows"]
    out = bytearray()
    for row in rows:
        for x in logits(row["tokens"], row["at"]):
            top = np.argsort(-x, kind="stable")[:TOP]
            whole = x.max() + np.log(np.exp(x - x.max()).sum())
            out += top.astype("<u2").tobytes() + x[top].astype("<f4").tobytes() + np.float32(whole).tobytes()
    (DATA / "distributions.bin").write_bytes(out)
    print(f"{sum(len(r['at']) for r in rows)} positions, {len(out)} bytes")


if __name__ == "__main__":
    main()
