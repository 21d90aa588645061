#!/usr/bin/env bash
# Installs the Debian packages that building, testing or the demo need; skips those that are there.
# usage: scripts/setup.sh [build] [test] [demo]
set -euo pipefail

build="build-essential cmake clang libclang-dev pkg-config libasound2-dev libgomp1 python3 python3-pip espeak-ng-data"
demo="flite"
test="$demo pulseaudio pulseaudio-utils libasound2-plugins sox qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross"

wanted=
for set in "$@"; do
    case $set in
        build) wanted="$wanted $build" ;;
        test) wanted="$wanted $test" ;;
        demo) wanted="$wanted $demo" ;;
        *) echo "setup: unknown set '$set' (build, test or demo)" >&2; exit 64 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is no Debian-like system; install the counterparts of:$wanted" >&2
    exit 0
fi

missing=
for p in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null || true)" = "ii " ] || missing="$missing $p"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: these Debian packages are missing; installing them needs root. Run this, then the same make command again:" >&2
        echo "    sudo apt-get install -y$missing" >&2
        exit 77
    fi
    echo "setup: installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "setup: Rust is missing; install it from https://rustup.rs (1.95 or later), then run the same make command again" >&2
    exit 69
fi
