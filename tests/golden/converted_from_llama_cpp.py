"""Golden logits of llama.cpp on converted checkpoints: the tiny ones of `from_transformers.py`, in every type it reads.

Run from the repository's root, in an environment that has `llama-cpp-python` (0.3.36 made the files here):

    cargo test --release --no-default-features --test tests -- --ignored write_files_for_llama_cpp
    python3 tests/golden/converted_from_llama_cpp.py

The first writes target/converted/, the second reads it and writes tests/data/golden/converted.json (each file's sha256 and
tokens) and converted.bin (fp16, little-endian: the logits after each token, file by file).
"""

import ctypes
import hashlib
import json
from pathlib import Path

import llama_cpp as L
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "target/converted"
OUT = ROOT / "tests/data/golden"

L.llama_backend_init()
quiet = L.llama_log_callback(lambda level, text, data: None)
L.llama_log_set(quiet, ctypes.c_void_p(0))


def logits(path, tokens):
    """The logits after each token, fed one by one."""
    model = L.llama_model_load_from_file(str(path).encode(), L.llama_model_default_params())
    assert model, f"llama.cpp does not load {path}"
    size = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    params = L.llama_context_default_params()
    params.n_ctx = 64
    params.n_threads = params.n_threads_batch = 1
    ctx = L.llama_init_from_model(model, params)
    rows = []
    for t in tokens:
        assert L.llama_decode(ctx, L.llama_batch_get_one((L.llama_token * 1)(t), 1)) == 0
        rows.append(np.ctypeslib.as_array(L.llama_get_logits_ith(ctx, -1), (size,)).copy())
    L.llama_free(ctx)
    L.llama_model_free(model)
    return np.stack(rows)


def main():
    rows, numbers = [], bytearray()
    for f in json.loads((FILES / "files.json").read_text()):
        path = FILES / f["file"]
        numbers += logits(path, f["tokens"]).astype("<f2").tobytes()
        rows.append(f | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    head = {"made_by": "tests/golden/converted_from_llama_cpp.py", "llama_cpp_python": L.__version__}
    lines = ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows)
    (OUT / "converted.json").write_text(json.dumps(head)[:-1] + ', "rows": [\n' + lines + "\n]}\n")
    (OUT / "converted.bin").write_bytes(numbers)
    print(f"{len(rows)} files, {len(numbers)} bytes")


if __name__ == "__main__":
    main()
