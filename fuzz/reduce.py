"""From what the fuzzer found, the few files that reach most for their size, into the corpus that the tests replay.

    python3 fuzz/reduce.py TARGET FOLDER...     # after cargo fuzz build; FOLDER: what `cargo fuzz run` wrote

libFuzzer's merge says which features (edges, and how often they are taken) each file adds. Files are taken while they
add most per byte, up to a number and a size for each target; they replace the `found-…` files that were there.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Files and bytes at most.
LIMITS = {"gguf": (45, 40_000), "safetensors": (40, 4_000), "tokenizer": (45, 25_000), "template": (60, 9_000)}
# What a file costs beside its bytes.
EACH = 200


def features(target, folders):
    """Files with the features that each adds to those before it."""
    with tempfile.TemporaryDirectory() as temporary:
        control, out = Path(temporary, "control"), Path(temporary, "out")
        out.mkdir()
        options = ["-merge=1", "-rss_limit_mb=512", "-max_len=30000", f"-merge_control_file={control}"]
        subprocess.run(["cargo", "fuzz", "run", target, out, *folders, "--", *options], check=True)
        lines = control.read_text().splitlines()
    count = int(lines[0])
    found = {Path(name): set() for name in lines[2 : 2 + count]}
    names = list(found)
    for line in lines[2 + count :]:
        kind, index, *rest = line.split()
        if kind == "FT":
            found[names[int(index)]] |= set(rest)
    return found


def main(target, *folders):
    corpus = HERE / "corpus" / target
    old = [p for p in corpus.iterdir() if p.name.startswith("found-")]
    data = {}
    files = features(target, [corpus, *folders])
    have = set()
    for path in files:
        if path.parent == corpus and path not in old:
            have |= files[path]
        else:
            data[path] = path.read_bytes()
    most, room = LIMITS[target]
    taken = []
    while data and len(taken) < most:
        best = max(data, key=lambda p: len(files[p] - have) / (EACH + len(data[p])))
        if not files[best] - have:
            break
        content = data.pop(best)
        if len(content) <= room:
            room -= len(content)
            have |= files[best]
            taken.append(content)
    for path in old:
        path.unlink()
    for content in taken:
        (corpus / f"found-{hashlib.sha256(content).hexdigest()[:8]}").write_bytes(content)
    print(f"{target}: {len(taken)} files")


main(*sys.argv[1:])
