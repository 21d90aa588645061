#!/usr/bin/env bash
# Reruns the GPU figures of docs/benchmarks.md: every kernel by itself, then Llama3-8B's shape through `tercet bench llm`.
# usage: scripts/gpu_bench.sh [TERCET]   the program (default: target/release/tercet), its kernels where it finds them
set -euo pipefail
tercet=${1:-$(dirname "$0")/../target/release/tercet}
model=$(mktemp -d "${TMPDIR:-/tmp}/tercet.XXXXXX")/llama3-8b.gguf
trap 'rm -rf "$(dirname "$model")"' EXIT
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader
date -u
for of in "" --base3; do "$tercet" kernels bench $of; done
echo "on 8 multiprocessors:"
"$tercet" kernels bench --blocks 8
"$tercet" convert --synthetic llama3-8b --type tq2_0 --output "$model" >/dev/null
for packing in two-bits base3; do
    "$tercet" bench llm --model "$model" --backend cuda --kv int8 -p 512 -n 128 -d 0,4096 -r 5 \
        --set llm.prefill_chunk=512 --set llm.packing=$packing
    "$tercet" bench llm --model "$model" --backend cuda --kv int8 -p 0 -n 64 -d 4032 -r 2 --set llm.packing=$packing --json
done
