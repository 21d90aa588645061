"""tercet beside llama.cpp, and ik_llama.cpp: the same model file, the same machine, the same minute.

    cargo build --release
    python3 -m venv /tmp/peer && . /tmp/peer/bin/activate
    pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36   # builds llama.cpp for this machine: ten minutes
    python3 benches/peer_llm.py [--model FILE] [--threads 2] [--rounds 7] [--ik FILE …]

Each round runs prefill and decode once in each program, one after the other, so that whatever else the machine does
meets all of them. Prints each program's mean ± deviation, its median, and how many times tercet's median is that. `--ik`
adds ik_llama.cpp (see peer_ik.py).
"""

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import llama_cpp as L

ROOT = Path(__file__).resolve().parents[1]


class LlamaCpp:
    """What llama-bench does: random tokens, logits of the last one, the cache cleared before each run."""

    def __init__(self, model, threads, context):
        L.llama_backend_init()
        self.quiet = L.llama_log_callback(lambda level, text, data: None)
        L.llama_log_set(self.quiet, ctypes.c_void_p(0))
        self.model = L.llama_model_load_from_file(str(model).encode(), L.llama_model_default_params())
        params = L.llama_context_default_params()
        params.n_ctx = context
        params.n_batch = params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = threads
        self.ctx = L.llama_init_from_model(self.model, params)
        self.vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))

    def feed(self, tokens):
        array = (L.llama_token * len(tokens))(*tokens)
        assert L.llama_decode(self.ctx, L.llama_batch_get_one(array, len(tokens))) == 0
        L.llama_synchronize(self.ctx)

    def tokens(self, n):
        return [(7 + 7919 * i) % self.vocabulary for i in range(n)]

    def prefill(self, n):
        L.llama_memory_clear(L.llama_get_memory(self.ctx), True)
        start = time.perf_counter()
        self.feed(self.tokens(n))
        return n / (time.perf_counter() - start)

    def decode(self, n):
        L.llama_memory_clear(L.llama_get_memory(self.ctx), True)
        start = time.perf_counter()
        for t in self.tokens(n):
            self.feed([t])
        return n / (time.perf_counter() - start)


class Ik:
    """ik_llama.cpp through `peer_ik.py serve`, in a process of its own."""

    def __init__(self, args, repack):
        command = [sys.executable, str(ROOT / "benches/peer_ik.py"), "serve", "--model", str(args.ik)]
        command += ["--library", str(args.ik_library), "--bindings", str(args.ik_bindings)]
        command += ["--threads", str(args.threads), "--context", str(max(args.p, args.n) + 64)]
        command += ["--repack"] if repack else []
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        while (line := self.process.stdout.readline()).strip() != "ready":
            assert line, "ik_llama.cpp did not start; try peer_ik.py serve by hand"

    def run(self, test):
        self.process.stdin.write(f"{test[:2]} {test[2:]}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def tercet(program, args, p, n):
    """One round of tercet: tokens per second by test. The program warms up before it measures."""
    command = [program, "bench", "llm", "--model", str(args.model), "-p", str(p), "-n", str(n), "-r", "1"]
    command += ["--threads", str(args.threads), "--backend", args.backend, "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return {r["test"]: r["tokens_per_second"] for r in rows}, rows[0]["backend"]


def options(doc, backend, rounds):
    """The options of every comparison, with these defaults; the caller adds its own."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=ROOT / "models/pocket.gguf")
    ap.add_argument("--program", default=str(ROOT / "target/release/tercet"))
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--backend", default=backend)
    ap.add_argument("-n", type=int, default=64)
    ap.add_argument("--rounds", type=int, default=rounds)
    return ap


def main():
    ap = options(__doc__, "auto", 7)
    ap.add_argument("-p", type=int, default=128)
    ap.add_argument("--ik", type=Path, help="also ik_llama.cpp, on this file (see peer_ik.py)")
    ap.add_argument("--ik-library", type=Path, help="its libllama.so")
    ap.add_argument("--ik-bindings", type=Path, help="the folder ik_llama_cpp of its Python package")
    ap.add_argument("--ik-repack", action="store_true", help="once more with its run-time repacking")
    args = ap.parse_args()

    peer = LlamaCpp(args.model, args.threads, max(args.p, args.n) + 64)
    tests = {f"pp{args.p}": lambda: peer.prefill(args.p), f"tg{args.n}": lambda: peer.decode(args.n)}
    peers = {"llama.cpp": lambda t: tests[t]()}
    if args.ik:
        peers["ik"] = Ik(args, False).run
        if args.ik_repack:
            peers["ik, repacked"] = Ik(args, True).run
    speeds = {(p, t): [] for p in ["tercet", *peers] for t in tests}
    backend = ""
    for _ in range(args.rounds):
        ours, backend = tercet(args.program, args, args.p, args.n)
        for t in tests:
            speeds["tercet", t].append(ours[t])
            for p, run in peers.items():
                run(t)
                speeds[p, t].append(run(t))

    print(f"{args.model.name}, {args.threads} threads, {args.rounds} rounds; tercet: {backend}; llama.cpp of llama-cpp-python {L.__version__}")
    print(f"{'test':8} {'program':16} {'tok/s':>18} {'median':>9} {'tercet/it':>9}")
    for (p, t), xs in sorted(speeds.items(), key=lambda x: x[0][1]):
        cell = f"{statistics.mean(xs):.1f} ± {statistics.stdev(xs) if len(xs) > 1 else 0:.1f}"
        ratio = statistics.median(speeds["tercet", t]) / statistics.median(xs)
        print(f"{t:8} {p:16} {cell:>18} {statistics.median(xs):9.1f} {ratio:9.2f}")


if __name__ == "__main__":
    main()
