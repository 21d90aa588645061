#!/usr/bin/env bash
# Checks the CUDA backend on a machine with a GPU: operations, the default model, memory accesses and races.
# usage: scripts/gpu_check.sh [FOLDER]   FOLDER holds `unit` (the library's test binary) and `kernels`; without it both are built here.
# TERCET_TEST_ROOT is the folder above models/pocket.gguf (default: the repository).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-}
if [ -z "$folder" ]; then
    folder=$(mktemp -d)
    cargo test --release --no-default-features --lib --no-run --message-format json \
        | python3 -c 'import json,sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")][-1])' \
        | xargs -I{} cp {} "$folder/unit"
    cargo run --release --no-default-features -- kernels build --out "$folder/kernels" | tail -1
fi
export TERCET_REQUIRE_GPU=1 TERCET_KERNELS=$folder/kernels TERCET_TEST_ROOT=${TERCET_TEST_ROOT:-$root}
"$folder/unit" backend::cuda --nocapture --test-threads=4
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        compute-sanitizer --tool $tool --report-api-errors no --error-exitcode 1 \
            "$folder/unit" quick_pass --test-threads=1
    done
else
    echo "skipped: compute-sanitizer is not here"
fi
