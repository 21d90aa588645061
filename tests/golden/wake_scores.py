#!/usr/bin/env python3
"""Makes wake_scores.json: the reference implementation's score of every 80 ms frame of recordings of real people.

    python3 -m venv venv && venv/bin/pip install openwakeword==0.4.0 onnxruntime==1.24.4 soundfile
    venv/bin/python tests/golden/wake_scores.py FOLDER_OF_RECORDINGS tests/data/golden/wake_scores.json

Of the recordings tests/data/speech holds a few; tests/hearing.rs compares those it finds.
Each file: fresh state, a second of silence before and after, frames of 1280 samples.
"""
import glob
import json
import os
import sys

import openwakeword
import soundfile

folder, out = sys.argv[1:3]
models = [p for p in openwakeword.get_pretrained_model_paths() if "alexa" in p or "hey_jarvis" in p]
scores = {}
for path in sorted(glob.glob(os.path.join(folder, "*.flac"))):
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000 and pcm.ndim == 1, path
    model = openwakeword.Model(wakeword_model_paths=models)
    frames = model.predict_clip(pcm, padding=1)
    scores[os.path.basename(path)] = {
        name.removesuffix("_v0.1"): [round(float(f[name]), 5) for f in frames] for name in frames[0]
    }
with open(out, "w") as f:
    json.dump({"made_by": "tests/golden/wake_scores.py", "openwakeword": "0.4.0", "scores": scores}, f, separators=(",", ":"))
print(len(scores), "files")
