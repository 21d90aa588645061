#!/usr/bin/env bash
# Holds the whole agent against sentences that others wrote down: the expansions of Home Assistant's intents in
# tests/data/oracle.tsv (tests/golden/oracle makes it). Fails if anything is done that was not asked for, or if less than
# RIGHT_MIN_PERCENT of what must be done is done at once and rightly.
# usage: scripts/oracle.sh     needs the release binary, no network; 45 seconds on two cores
set -euo pipefail
cd "$(dirname "$0")/.."
RIGHT_MIN_PERCENT=${RIGHT_MIN_PERCENT:-92}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Settings and a state of its own: those of this machine's agent have no say in the figures.
touch "$scratch/tercet.toml"
TERCET_STATE="$scratch/state" TERCET_MODELS="$PWD/models" target/release/tercet eval agent tests/data/oracle.tsv \
    --commands tests/data/oracle.toml --config "$scratch/tercet.toml" | tee "$scratch/report"

total='^wrong actions \([0-9]*\) of [0-9]*; acted at once and rightly [0-9]* of [0-9]* (\([0-9]*\)\.[0-9]* %).*'
read -r wrong right <<<"$(sed -n "s/$total/\1 \2/p" "$scratch/report")"
if [ -z "${right:-}" ]; then
    echo "oracle: the report ends without its totals" >&2
    exit 1
fi
if [ "$wrong" -gt 0 ] || [ "$right" -lt "$RIGHT_MIN_PERCENT" ]; then
    echo "oracle: no wrong action may be left, and $RIGHT_MIN_PERCENT % must be done at once and rightly" >&2
    exit 1
fi
