#!/usr/bin/env bash
# Reruns the GPU figures of docs/benchmarks.md in under ten minutes: every kernel by itself, then Llama3-8B's shape through
# `tercet bench llm` (speeds; peaks of memory, the context's, their sum), beside llama.cpp where it is brought along.
# usage: scripts/gpu_bench.sh [TERCET [PEER]]
#   TERCET  the program (default: target/release/tercet), its kernels where it finds them
#   PEER    llama.cpp's source as `--pack` made it, which is built here while models are written (four minutes on 16 processors), or
#           a folder that holds a `llama-bench`
# usage: scripts/gpu_bench.sh --pack SDIST OUT
#   Makes OUT (.tar.xz, 2.5 MB) of what llama-bench's CUDA build needs of llama-cpp-python's sdist.
set -euo pipefail
fail() {
    echo "gpu_bench.sh: $1" >&2
    exit 64
}
work=$(mktemp -d "${TMPDIR:-/tmp}/tercet.XXXXXX")
builder=
trap '[ -z "$builder" ] || kill -- "-$builder" 2>/dev/null || true; rm -rf "$work"' EXIT
if [ "${1:-}" = --pack ]; then
    [ $# = 3 ] && [ -f "$2" ] || fail "--pack takes llama-cpp-python's sdist and the archive to make"
    out=$(realpath "$3")
    tar -xf "$2" -C "$work" --strip-components=1
    cd "$work/vendor/llama.cpp"
    # Its own CMakeLists adds all tools: only this one.
    echo 'add_subdirectory(llama-bench)' >tools/CMakeLists.txt
    find tools -mindepth 1 -maxdepth 1 -type d ! -name llama-bench -exec rm -rf {} +
    rm -rf docs models media tests benches examples pocs app conversion gguf-py grammars skills ci scripts/snapdragon
    find ggml/src -mindepth 1 -maxdepth 1 -type d -name 'ggml-*' ! -name ggml-cpu ! -name ggml-cuda -exec rm -rf {} +
    tar -cJf "$out" -C .. llama.cpp
    exit
fi
tercet=${1:-$(dirname "$0")/../target/release/tercet}
peer=${2:-}
command -v "$tercet" >/dev/null || fail "there is no program $tercet: build it with \`cargo build --release\`"
[ -z "$peer" ] || [ -e "$peer" ] || fail "there is no peer $peer: make it with --pack"

build_peer() {
    mkdir "$work/peer"
    tar -xf "$peer" -C "$work/peer"
    cmake -S "$work/peer/llama.cpp" -B "$work/peer" -DCMAKE_BUILD_TYPE=Release -DGGML_CUDA=ON -DGGML_NATIVE=ON \
        -DCMAKE_CUDA_ARCHITECTURES="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)" \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_OPENSSL=OFF
    cmake --build "$work/peer" --target llama-bench -j "$(nproc)"
}
if [ -f "$peer" ]; then
    set -m # a group of its own, to be ended with this script
    build_peer >"$work/peer.log" 2>&1 &
    builder=$!
    set +m
fi

nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader
date -u
model=$work/llama3-8b.gguf
"$tercet" convert --synthetic llama3-8b --type tq2_0 --output "$model" >/dev/null
if [ -n "$peer" ]; then
    for type in q4_0 q2_0; do "$tercet" convert --synthetic llama3-8b --type $type --output "$work/$type.gguf" >/dev/null; done
fi
# What is timed has the machine to itself.
if [ -n "$builder" ]; then
    wait "$builder" || { tail -20 "$work/peer.log"; echo "the peer was not built: going on without it"; peer=; }
    builder=
    echo "the peer is there after $SECONDS s"
fi

for of in "" --base3; do "$tercet" kernels bench $of; done
echo "on 8 multiprocessors:"
"$tercet" kernels bench --blocks 8
for packing in two-bits base3; do
    "$tercet" bench llm --model "$model" --backend cuda --kv int8 -p 512 -n 128 -d 0,3968 -r 3 \
        --set llm.prefill_chunk=512 --set llm.packing=$packing
    # Memory with 4,096 tokens computed: of the process at its peak, of the device, of its context, and all together.
    for embedding in file device; do
        "$tercet" bench llm --model "$model" --backend cuda --kv int8 -p 0 -n 64 -d 4032 -r 2 \
            --embedding $embedding --set llm.packing=$packing --json
    done
done
if [ -n "$peer" ]; then
    llama_bench=$(find "$work/peer" "$peer" -name llama-bench -type f -perm -u+x 2>/dev/null | head -1)
    for type in q4_0 q2_0; do
        # Without a program for it there is nothing to compare with; a type that it does not read is no reason to stop.
        "$llama_bench" -m "$work/$type.gguf" -ngl 99 -fa 1 -p 512 -n 128 -d 0,3968 -r 3 || echo "llama.cpp: no figures for $type"
    done
fi
echo "done in $SECONDS s"
