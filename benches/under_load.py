"""Decoding while other processes are busy: tercet beside llama.cpp.

    python3 benches/under_load.py [--model FILE] [--threads 2] [--busy 0,1,2] [-n 64] [--rounds 5]

Needs what peer_llm.py needs. `--busy` counts endless loops, each pinned to a core of its own, at the same priority. With as
many cores as threads, a loop takes half a core: what is left is the fair share that the table compares with. The last line
is what a loaded model takes of the processor while nobody asks anything.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from peer_llm import LlamaCpp, options, tercet

LOOP = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True:\n    pass\n"


def idle_share(args, seconds=5):
    """Share of one core that `tercet chat` takes when it waits for the next question."""
    pipe = subprocess.PIPE
    command = [args.program, "chat", "--model", str(args.model), "--threads", str(args.threads), "--max-tokens", "16"]
    chat = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    chat.stdin.write("Hello.\n")
    chat.stdin.flush()
    chat.stdout.readline()
    time.sleep(0.5)

    def spent():
        fields = Path(f"/proc/{chat.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(seconds)
    share = (spent() - before) / seconds
    chat.stdin.close()
    chat.wait()
    return share


def main():
    ap = options(__doc__, "cpu", 5)
    ap.add_argument("--busy", default="0,1,2")
    ap.add_argument("--no-peer", action="store_true")
    args = ap.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    peer = None if args.no_peer else LlamaCpp(args.model, args.threads, args.n + 64)
    base = {}
    print(f"{args.model.name}, {args.threads} threads on {len(cores)} cores, decode of {args.n} tokens, {args.rounds} rounds")
    print(f"{'busy':>4} {'left':>5} {'program':10} {'median tok/s':>12} {'min':>8} {'of alone':>8}")
    for busy in map(int, args.busy.split(",")):
        loops = [subprocess.Popen([sys.executable, "-c", LOOP, str(cores[-1 - i])]) for i in range(busy)]
        try:
            speeds = {"tercet": [], "llama.cpp": []}
            for _ in range(args.rounds):
                speeds["tercet"].append(tercet(args.program, args, 0, args.n)[0][f"tg{args.n}"])
                if peer:
                    speeds["llama.cpp"].append(peer.decode(args.n))
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        left = (len(cores) - busy / 2) / len(cores)
        for program, xs in speeds.items():
            if xs:
                median = statistics.median(xs)
                alone = base.setdefault(program, median)
                print(f"{busy:4} {left:5.2f} {program:10} {median:12.1f} {min(xs):8.1f} {median / alone:8.2f}", flush=True)
    print(f"idle with the model loaded: {100 * idle_share(args):.2f} % of a core")


if __name__ == "__main__":
    main()
