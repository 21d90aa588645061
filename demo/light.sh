#!/bin/sh
# A configured command: arguments come as single words, never through a shell; JSON on stdout goes to the model.
mkdir -p target/demo
printf '%s %s\n' "$1" "$2" >>target/demo/lights.log
printf '{"ok": true}\n'
