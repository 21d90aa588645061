#!/usr/bin/env bash
# Checks the CUDA backend on a machine with a GPU, in under ten minutes: operations, the default model, what is left after a device
# error, memory accesses and races.
# usage: scripts/gpu_check.sh [FOLDER]   FOLDER holds `unit` (the library's test binary) and `kernels`; without it both are built here.
# TERCET_TEST_ROOT is the folder above models/pocket.gguf (default: the repository).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:+$(realpath "$1")}
if [ -z "$folder" ]; then
    folder=$(mktemp -d)
    cargo test --release --no-default-features --lib --no-run --message-format json \
        | python3 -c 'import json,sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")][-1])' \
        | xargs -I{} cp {} "$folder/unit"
    cargo run --release --no-default-features -- kernels build --out "$folder/kernels" | tail -1
fi
# Without a GPU a test fails here where it would otherwise say that it skipped.
export TERCET_REQUIRE_GPU=1 TERCET_KERNELS=$folder/kernels TERCET_TEST_ROOT=${TERCET_TEST_ROOT:-$root}
unit=$folder/unit
failed=()
"$unit" backend::cuda --nocapture --test-threads=4 || failed+=("the tests")
# A device error takes the GPU from its whole process: in processes of their own.
for test in $("$unit" --ignored --list backend::cuda::tests::lost | sed -n 's/: test$//p'); do
    timeout -k 5 60 "$unit" --ignored --exact "$test" --nocapture || failed+=("$test")
done

if ! command -v compute-sanitizer >/dev/null; then
    echo "skipped: compute-sanitizer is not here"
else
    # sanitized TOOL ARGUMENTS...: a minute at most; a line for each.
    sanitized() {
        local tool=$1 log=$folder/sanitizer.log status=0
        shift
        timeout -k 5 60 compute-sanitizer --tool "$tool" --report-api-errors no --error-exitcode 9 "$unit" "$@" --test-threads=1 >"$log" 2>&1 || status=$?
        case $status in
        0) echo "$tool $*: clean" ;;
        124 | 137) echo "$tool $*: not done within a minute" && failed+=("$tool $* (time)") ;;
        *) cat "$log" && failed+=("$tool $*") ;;
        esac
    }
    # It takes each page of the weights' arena for an allocation of its own.
    TERCET_NO_ARENA=1 sanitized memcheck --ignored cuda::tests::quick
    # Operation by operation, as long as there is time for another.
    for test in $("$unit" --ignored --list cuda::tests::quick | sed -n 's/: test$//p'); do
        if [ $SECONDS -gt 520 ]; then
            echo "racecheck $test: no time left" && failed+=("racecheck $test (time)")
        else
            sanitized racecheck --ignored --exact "$test"
        fi
    done
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "all is well, in $SECONDS s"
