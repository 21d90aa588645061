#!/bin/sh
# The CPU backend's ARM kernels against the reference, on an x86 machine: cross-built, run by qemu's user mode.
# Where a part is missing it says which, and passes: ARM machines run the same tests as part of `cargo test`.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu

skip() {
    echo "skipped: ARM conformance needs $1"
    exit 0
}

[ "$(uname -m)" = aarch64 ] && exec cargo test --release --no-default-features --lib conformance
command -v qemu-aarch64 >/dev/null || skip "qemu-user (apt-get install qemu-user)"
command -v aarch64-linux-gnu-gcc >/dev/null || skip "a cross linker (apt-get install gcc-aarch64-linux-gnu)"
command -v rustup >/dev/null || skip "rustup, for the target $target"
rustup target list --installed | grep -qx "$target" || rustup target add "$target" >/dev/null 2>&1 ||
    skip "Rust's target $target (rustup target add $target)"

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
exec cargo test --release --no-default-features --target "$target" --lib conformance::tests::cpu_neon
