#!/usr/bin/env bash
# The main job on recorded speech: a wake word and a question, a follow-up without it, and two commands that use
# tools, spoken by another voice (flite) into the file-backed microphone of the real daemon.
# usage: scripts/demo.sh [FOLDER]     the folder gets the questions and the replies (default: target/demo)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-target/demo}
mkdir -p "$folder"
# A state of its own: the demo's timer must not ring in the user's agent, nor in the next demo.
TERCET_STATE=$(mktemp -d)
export TERCET_STATE
trap 'rm -rf "$TERCET_STATE"' EXIT

say() { # NAME TEXT
    flite -voice slt -t "$2" -o "$folder/$1.wav"
}
say 1-question "Alexa, what is the capital of France?"
say 2-follow-up "What is the capital of Italy?"
say 3-timer "Set a timer for ten minutes."
say 4-light "Turn on the light in the kitchen."

echo "Four recordings go in; what is said comes out in $folder/replies.wav."
echo
target/release/tercet run --config demo/demo.toml --show --report \
    --input "$folder"/1-question.wav "$folder"/2-follow-up.wav "$folder"/3-timer.wav "$folder"/4-light.wav \
    --replies "$folder/replies.wav"
echo
echo "Replies: $folder/replies.wav"
