#!/usr/bin/env python3
"""What tercet takes of the processor while nobody talks to it, thread by thread.

`tercet run` waits for its wake word on a virtual microphone (a private PulseAudio, as the live tests have it) on which a
room's quiet noise is heard; `tercet chat` waits for a line. Processor time comes from /proc, over --seconds each.

    python3 benches/idle.py --seconds 60
"""

import argparse
import os
import random
import struct
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")


def threads(pid):
    """Seconds of processor time by thread name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICK
    return found


def measure(what, pid, seconds):
    before = threads(pid)
    time.sleep(seconds)
    after = threads(pid)
    shares = {n: 100 * (s - before.get(n, 0)) / seconds for n, s in after.items()}
    print(f"{what}: {sum(shares.values()):.2f} % of one processor over {seconds} s")
    for name, share in sorted(shares.items(), key=lambda x: -x[1]):
        if share > 0.005:
            print(f"  {name:16} {share:5.2f} %")


def sound_card(folder):
    """The environment of programs that see a virtual microphone and loudspeaker; the server."""
    env = dict(os.environ, HOME=folder, XDG_RUNTIME_DIR=folder, PULSE_RUNTIME_PATH=folder, PULSE_STATE_PATH=folder)
    env |= {"PULSE_COOKIE": f"{folder}/cookie", "ALSA_CONFIG_PATH": f"{folder}/asound.conf", "XDG_CONFIG_HOME": folder}
    Path(folder, "asound.conf").write_text(
        "pcm.mic { type pulse device mic }\npcm.speaker { type pulse device speaker }\n"
        "pcm.!default { type asym capture.pcm mic playback.pcm speaker }\n"
    )
    modules = [
        f"module-native-protocol-unix auth-anonymous=1 socket={folder}/native",
        "module-null-sink sink_name=mic_sink rate=48000 channels=1",
        "module-remap-source source_name=mic master=mic_sink.monitor",
        "module-null-sink sink_name=speaker rate=48000 channels=2",
    ]
    command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"]
    command += ["--realtime=no", "--high-priority=no"] + [a for m in modules for a in ("-L", m)]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env["PULSE_SERVER"] = f"unix:{folder}/native"
    for _ in range(100):
        if subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode == 0:
            return env, server
        time.sleep(0.1)
    raise SystemExit("pulseaudio does not start")


def room(folder):
    """Ten seconds of noise at about -60 dB, as a raw file."""
    rng = random.Random(1)
    path = Path(folder, "room.raw")
    path.write_bytes(b"".join(struct.pack("<h", int(rng.gauss(0, 33))) for _ in range(160_000)))
    return path


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--tercet", default=str(ROOT / "target/release/tercet"))
    args = args.parse_args()
    cache = os.environ.get("TERCET_CACHE", os.path.expanduser("~/.cache/tercet"))
    with tempfile.TemporaryDirectory() as folder:
        env, server = sound_card(folder)
        env["TERCET_CACHE"] = cache
        # Not below the cache: a timer of another run would ring in this one.
        env["TERCET_STATE"] = f"{folder}/tercet"
        noise = room(folder)
        play = f"while :; do cat {noise}; done | pacat --playback --device=mic_sink --format=s16le --channels=1 --rate=16000 --raw"
        speaker = subprocess.Popen(["sh", "-c", play], env=env, start_new_session=True, stderr=subprocess.DEVNULL)
        daemon = subprocess.Popen([args.tercet, "run", "--json"], env=env, stdout=subprocess.PIPE, text=True)
        try:
            while '"ready"' not in (line := daemon.stdout.readline()):
                if not line:
                    raise SystemExit("tercet run ended")
            time.sleep(5)
            measure("tercet run, waiting for its wake word", daemon.pid, args.seconds)
        finally:
            daemon.terminate()
            os.killpg(speaker.pid, 15)
            daemon.wait()
            server.terminate()
    chat = subprocess.Popen([args.tercet, "chat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(5)
    measure("tercet chat, waiting for a line", chat.pid, args.seconds)
    chat.stdin.close()
    chat.wait()


main()
