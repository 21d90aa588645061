"""ik_llama.cpp as a peer: its file made from ours, and its speed on request.

    pip download --no-deps --no-binary :all: --no-build-isolation ik-llama-cpp-python==0.1.5   # wants scikit-build-core
    tar xf ik_llama_cpp_python-0.1.5.tar.gz
    cmake -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \\
        -DLLAMA_BUILD_SERVER=OFF -DGGML_NATIVE=ON ik_llama_cpp_python-0.1.5/vendor/ik_llama.cpp
    cmake --build build --target llama      # its sources lack what pip would need to build the rest; a quarter of an hour

    tercet convert --synthetic llama3-8b --type tq2_0 -o 8b.gguf
    python3 benches/peer_ik.py repack 8b.gguf 8b-iq2_bn.gguf
    python3 benches/peer_llm.py --model 8b.gguf --ik 8b-iq2_bn.gguf --ik-library build/src/libllama.so \\
        --ik-bindings ik_llama_cpp_python-0.1.5/ik_llama_cpp -p 64 -n 12

ik_llama.cpp does not know TQ2_0. `repack` moves the codes into its IQ2_BN (exactly: one f32 scale a row, which the file's
fp16 scales of a row must agree on) and copies everything else. `serve` is what peer_llm.py talks to, in a process of its
own, because both libraries have the same names.
"""

import argparse
import ctypes
import importlib.util
import os
import struct
import sys
import time
from pathlib import Path

import numpy as np

TQ2_0, IQ2_BN = 35, 135
# Of the types that stand beside TQ2_0 in a model: weights and bytes of a block.
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 30: (1, 2), TQ2_0: (256, 66)}
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


class Header:
    """As much of a GGUF header as moving tensors takes."""

    def __init__(self, data):
        self.data, self.at = data, 4
        assert bytes(data[:4]) == b"GGUF" and self.number("<I") == 3
        tensors, keys = self.number("<Q"), self.number("<Q")
        self.alignment = 32
        for _ in range(keys):
            key = self.text()
            kind = self.number("<I")
            if key == b"general.alignment":
                self.alignment = struct.unpack_from("<I", data, self.at)[0]
            self.skip(kind)
        self.metadata_end = self.at
        self.tensors = []
        for _ in range(tensors):
            name = self.text()
            dims = [self.number("<Q") for _ in range(self.number("<I"))]
            self.tensors.append((name, dims, self.number("<I"), self.number("<Q")))
        self.start = -(-self.at // self.alignment) * self.alignment

    def number(self, form):
        self.at += struct.calcsize(form)
        return struct.unpack_from(form, self.data, self.at - struct.calcsize(form))[0]

    def text(self):
        n = self.number("<Q")
        self.at += n
        return bytes(self.data[self.at - n : self.at])

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            of, n = self.number("<I"), self.number("<Q")
            if of == STRING:
                for _ in range(n):
                    self.text()
            else:
                self.at += n * SIZES[of]
        else:
            self.at += SIZES[kind]


def iq2_bn(raw, rows, cols):
    """TQ2_0 rows as IQ2_BN: an f32 scale, then 16 bytes for 64 weights, weight n in byte n % 16 at bit 2⌊n/16⌋."""
    blocks = np.frombuffer(raw, np.uint8).reshape(rows, cols // 256, 66)
    scales = blocks[:, :, 64:].copy().view("<f2")[:, :, 0].astype("<f4")
    assert (scales == scales[:, :1]).all(), "the scales within a row differ: IQ2_BN cannot hold them"
    packed = blocks[:, :, :64].reshape(rows, cols // 256, 2, 1, 32)
    codes = (packed >> np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)) & 3
    codes = codes.reshape(rows, cols // 64, 4, 16)
    out = np.empty((rows, 4 + cols // 4), np.uint8)
    out[:, :4] = scales[:, :1].copy().view(np.uint8)
    out[:, 4:] = (codes << np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)).sum(axis=2, dtype=np.uint8).reshape(rows, -1)
    return out.tobytes()


def repack(source, to):
    data = np.memmap(source, np.uint8, "r")
    h = Header(data)
    infos, at, sizes = bytearray(), 0, []
    for name, dims, kind, _ in h.tensors:
        rows, cols = int(np.prod(dims[1:])), dims[0]
        weights, size = BLOCKS[kind]
        stored = rows * cols // weights * size
        new = rows * (4 + cols // 4) if kind == TQ2_0 else stored
        infos += struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        infos += struct.pack("<IQ", IQ2_BN if kind == TQ2_0 else kind, at)
        sizes.append((rows, cols, stored, new))
        at += -(-new // h.alignment) * h.alignment
    with open(to, "wb") as out:
        out.write(data[: h.metadata_end].tobytes() + infos)
        out.write(bytes(-out.tell() % h.alignment))
        for (_, _, kind, offset), (rows, cols, stored, _) in zip(h.tensors, sizes):
            begin = h.start + offset
            raw = data[begin : begin + stored].tobytes()
            out.write(iq2_bn(raw, rows, cols) if kind == TQ2_0 else raw)
            out.write(bytes(-out.tell() % h.alignment))


def serve(args):
    """Reads `pp N` or `tg N` a line, writes tokens per second a line."""
    os.environ["IK_LLAMA_CPP_LIB_PATH"] = str(args.library.resolve())
    # The low-level bindings alone: the package's own start-up wants more than they do.
    package = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("ik", None, is_package=True))
    package.__path__ = [str(args.bindings)]
    sys.modules["ik"] = package
    from ik import _ctypes_api as L

    L.llama_backend_init()
    mp = L.llama_model_default_params()
    mp.repack_tensors = args.repack
    mp.use_mmap = not args.repack
    model = L.llama_model_load_from_file(str(args.model).encode(), mp)
    assert model, f"ik_llama.cpp does not load {args.model}"
    cp = L.llama_context_default_params()
    cp.n_ctx = args.context
    cp.n_batch = cp.n_ubatch = 512
    cp.n_threads = cp.n_threads_batch = args.threads
    cp.flash_attn = True
    ctx = L.llama_init_from_model(model, cp)
    vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    batch = L.llama_batch_init(512, 0, 1)

    def feed(tokens, position):
        batch.n_tokens = len(tokens)
        for i, t in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = t, position + i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, i == len(tokens) - 1
        assert L.llama_decode(ctx, batch) == 0
        # Waits for the result, as a sampler would.
        return L.llama_get_logits_ith(ctx, len(tokens) - 1)[0]

    print("ready", flush=True)
    for line in sys.stdin:
        test, n = line.split()
        tokens = [(7 + 7919 * i) % vocabulary for i in range(int(n))]
        L.llama_kv_cache_clear(ctx)
        start = time.perf_counter()
        if test == "pp":
            feed(tokens, 0)
        else:
            for i, t in enumerate(tokens):
                feed([t], i)
        print(len(tokens) / (time.perf_counter() - start), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(required=True, dest="what")
    p = sub.add_parser("repack")
    p.add_argument("source", type=Path)
    p.add_argument("to", type=Path)
    p = sub.add_parser("serve")
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--library", type=Path, required=True)
    p.add_argument("--bindings", type=Path, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--context", type=int, default=512)
    p.add_argument("--repack", action="store_true", help="its own run-time repacking (IQ2_BN_R4)")
    args = ap.parse_args()
    if args.what == "repack":
        repack(args.source, args.to)
    else:
        serve(args)


if __name__ == "__main__":
    main()
