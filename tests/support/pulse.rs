//! A sound card made of software: a private PulseAudio with a virtual microphone and a virtual loudspeaker, which the
//! real program opens through ALSA as it opens real ones.
//!
//! Everything lives in a temporary folder of its own, so that tests run beside each other, also as root in a container.
//! Programs under test get the environment from [`Pulse::command`]; the test's own process is not touched.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Rate of the virtual loudspeaker's recordings.
pub(crate) const RATE: u32 = 48_000;

const MIC: [&str; 5] = [
    "module-null-sink",
    "sink_name=mic_sink",
    "rate=48000",
    "channels=1",
    "sink_properties=device.description=mic_sink",
];
const MIC_SOURCE: [&str; 4] =
    ["module-remap-source", "source_name=mic", "master=mic_sink.monitor", "source_properties=device.description=mic"];
const SPEAKER: [&str; 5] =
    ["module-null-sink", "sink_name=speaker", "rate=48000", "channels=2", "sink_properties=device.description=speaker"];

/// A running private PulseAudio; it ends when this is dropped.
pub(crate) struct Pulse {
    dir: tempfile::TempDir,
    server: Child,
}

/// Where the programs that this needs are missing, their names.
pub(crate) fn missing() -> Option<String> {
    let there = |p: &str| {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(p).is_file()))
    };
    let missing: Vec<&str> = ["pulseaudio", "pactl", "paplay", "parec"].into_iter().filter(|p| !there(p)).collect();
    let plugin = ["x86_64-linux-gnu", "aarch64-linux-gnu", "."]
        .iter()
        .any(|a| Path::new("/usr/lib").join(a).join("alsa-lib/libasound_module_pcm_pulse.so").is_file());
    match (missing.is_empty(), plugin) {
        (true, true) => None,
        (true, false) => Some("libasound2-plugins is not installed".into()),
        _ => Some(format!("{} not installed", missing.join(", "))),
    }
}

impl Pulse {
    /// Starts the server with both devices. `None`, with the skip printed, where PulseAudio is not installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        if let Some(why) = missing() {
            super::skip(test, &why);
            return None;
        }
        let dir = tempfile::Builder::new().prefix("tercet-pulse-").tempdir().expect("a temporary folder");
        for sub in ["run", "pulse", "state", "home", "machine"] {
            std::fs::create_dir(dir.path().join(sub)).expect("a folder");
        }
        // Without card or system configuration: the default is the server, and nothing else is there.
        let plugins = "pcm.mic { type pulse device mic }\n\
                       pcm.speaker { type pulse device speaker }\n\
                       pcm.!default { type asym capture.pcm mic playback.pcm speaker }\n\
                       pcm.pulse { type pulse hint { show on description \"PulseAudio Sound Server\" } }\n";
        std::fs::write(dir.path().join("asound.conf"), plugins).expect("asound.conf");
        let server = serve(dir.path());
        let mut pulse = Self { dir, server };
        pulse.come_up();
        Some(pulse)
    }

    /// The server ends and is started again, as after a crash or an update.
    pub(crate) fn restart(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        for socket in ["pulse/native", "pulse/cli"] {
            let _ = std::fs::remove_file(self.dir.path().join(socket));
        }
        self.server = serve(self.dir.path());
        self.come_up();
    }

    fn come_up(&mut self) {
        self.wait_until_up();
        self.replug_speaker();
        self.replug_mic();
    }

    /// A command that sees this sound card and no other, with a home and state of its own.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut c = Command::new(program);
        environment(&mut c, self.dir.path());
        c
    }

    /// The program under test on this sound card.
    pub(crate) fn tercet(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_tercet"))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Says 16-bit mono samples at `rate` into the microphone; returns when all has been said.
    pub(crate) fn speak_into_mic(&self, pcm: &[f32], rate: u32) {
        let mut child = self
            .command("pacat")
            .args(["--playback", "--device=mic_sink", "--format=s16le", "--channels=1", "--raw", "--latency-msec=50"])
            .arg(format!("--rate={rate}"))
            .stdin(Stdio::piped())
            .spawn()
            .expect("pacat starts");
        let bytes: Vec<u8> = pcm.iter().flat_map(|x| ((x * 32_767.0).round() as i16).to_le_bytes()).collect();
        // The server takes it at the pace of the clock; a broken pipe shows in the status.
        let _ = child.stdin.take().expect("a pipe").write_all(&bytes);
        assert!(child.wait().expect("pacat ends").success(), "pacat failed:\n{}", self.log());
    }

    /// Says a WAV or FLAC file into the microphone.
    pub(crate) fn speak_file_into_mic(&self, path: &Path) {
        let clip = tercet::audio::read_file(path).expect("a recording");
        self.speak_into_mic(&clip.samples, clip.rate.0);
    }

    /// Records what the loudspeaker plays, until the handle is asked for it.
    pub(crate) fn record_speaker(&self) -> Recording {
        self.record("speaker.monitor")
    }

    /// Records a source of the server.
    pub(crate) fn record(&self, source: &str) -> Recording {
        let file = self.dir.path().join(format!("record-{}.raw", Instant::now().elapsed().as_nanos() + unique()));
        let out = std::fs::File::create(&file).expect("a file");
        let child = self
            .command("parec")
            .args(["--format=s16le", "--channels=1", "--raw", "--latency-msec=20"])
            .arg(format!("--device={source}"))
            .arg(format!("--rate={RATE}"))
            .stdin(Stdio::null())
            .stdout(out)
            .spawn()
            .expect("parec starts");
        let recording = Recording { child, file };
        wait("the recorder to start", || std::fs::metadata(&recording.file).is_ok_and(|m| m.len() > 0));
        recording
    }

    /// The microphone goes away, as when its plug is pulled.
    pub(crate) fn unplug_mic(&self) {
        for name in ["source_name=mic ", "sink_name=mic_sink "] {
            for module in self.modules(name) {
                self.pactl(&["unload-module", &module]);
            }
        }
        // The server would rather move them to what is left; hardware does not do that.
        self.kill("kill-source-output", &self.streams("source-outputs"));
    }

    /// The microphone comes (back).
    pub(crate) fn replug_mic(&self) {
        self.load(&MIC);
        self.load(&MIC_SOURCE);
        self.pactl(&["set-default-source", "mic"]);
    }

    /// The loudspeaker goes away.
    pub(crate) fn unplug_speaker(&self) {
        for module in self.modules("sink_name=speaker ") {
            self.pactl(&["unload-module", &module]);
        }
        self.kill("kill-sink-input", &self.streams("sink-inputs"));
    }

    /// The loudspeaker comes back.
    pub(crate) fn replug_speaker(&self) {
        self.load(&SPEAKER);
        self.pactl(&["set-default-sink", "speaker"]);
    }

    /// The server stands still, or goes on.
    pub(crate) fn hang(&self, still: bool) {
        let (signal, pid) = (if still { "-STOP" } else { "-CONT" }, self.server.id().to_string());
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// The microphone hears the loudspeaker at `db`, as in a room without echo cancellation.
    pub(crate) fn loopback_db(&self, db: f64) {
        self.load(&["module-loopback", "source=speaker.monitor", "sink=mic_sink", "latency_msec=20", "adjust_time=0"]);
        let list = self.pactl(&["list", "short", "sink-inputs"]);
        let input = list.lines().last().and_then(|l| l.split_whitespace().next()).expect("a loopback").to_owned();
        self.pactl(&["set-sink-input-volume", &input, &format!("{db}dB")]);
    }

    /// What the server said, for failure messages.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("pulse.log")).unwrap_or_default()
    }

    fn modules(&self, argument: &str) -> Vec<String> {
        let list = self.pactl(&["list", "short", "modules"]);
        let with = |l: &&str| format!("{l} ").replace('\t', " ").contains(argument);
        list.lines().filter(with).filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// The program's own streams of a kind.
    fn streams(&self, kind: &str) -> Vec<String> {
        let list = self.pactl(&["list", kind]);
        let ours = |block: &&str| block.contains("application.name = \"ALSA plug-in [");
        let number = |block: &str| Some(block.split_once('#')?.1.split_whitespace().next()?.to_owned());
        list.split("\n\n").filter(ours).filter_map(number).collect()
    }

    fn kill(&self, command: &str, streams: &[String]) {
        let mut cli =
            std::os::unix::net::UnixStream::connect(self.dir.path().join("pulse/cli")).expect("the server's CLI");
        for s in streams {
            writeln!(cli, "{command} {s}").expect("the server listens");
        }
        cli.shutdown(std::net::Shutdown::Write).expect("the server listens");
        // It closes the connection when all is done.
        std::io::copy(&mut cli, &mut std::io::sink()).expect("the server answers");
    }

    fn load(&self, module: &[&str]) {
        let mut args = vec!["load-module"];
        args.extend(module);
        self.pactl(&args);
    }

    fn pactl(&self, args: &[&str]) -> String {
        let out = self.command("pactl").args(args).output().expect("pactl runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "pactl {args:?}: {said}\n{}", self.log());
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn wait_until_up(&mut self) {
        let up = |p: &Self| p.command("pactl").arg("info").output().is_ok_and(|o| o.status.success());
        let begun = Instant::now();
        while !up(self) {
            let ended = self.server.try_wait().expect("a child").is_some();
            assert!(!ended && begun.elapsed() < Duration::from_secs(20), "pulseaudio does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A recording under way; dropped, it stops.
pub(crate) struct Recording {
    child: Child,
    file: PathBuf,
}

impl Recording {
    /// Ends the recording and gives it as a WAV file in the sound card's folder.
    pub(crate) fn finish_wav(self) -> PathBuf {
        let wav = self.file.with_extension("wav");
        let samples = self.finish();
        let mut w = tercet::audio::WavWriter::create(&wav, tercet::units::SampleRate(RATE)).expect("a WAV file");
        w.write(&samples).expect("samples are written");
        w.finish().expect("the WAV file is complete");
        wav
    }

    /// What has been recorded so far, at [`RATE`].
    pub(crate) fn so_far(&self) -> Vec<f32> {
        let bytes = std::fs::read(&self.file).expect("the recording");
        bytes.as_chunks::<2>().0.iter().map(|b| f32::from(i16::from_le_bytes(*b)) / 32_768.0).collect()
    }

    /// Stops and gives all of it.
    pub(crate) fn finish(mut self) -> Vec<f32> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.so_far()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that another process does; fails after 30 s.
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the server without devices.
fn serve(dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("pulse.log")).expect("a log");
    let cli = format!("module-cli-protocol-unix socket={}", dir.join("pulse/cli").display());
    let native = format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket(dir).display());
    let mut command = Command::new("pulseaudio");
    environment(&mut command, dir);
    command
        .env_remove("PULSE_SERVER")
        .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"])
        .args(["--realtime=no", "--high-priority=no", "--log-level=notice", "-L", &native, "-L", &cli])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log);
    command.spawn().expect("pulseaudio starts")
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("pulse/native")
}

fn unique() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64
}

fn environment(command: &mut Command, dir: &Path) {
    command
        .env("HOME", dir.join("home"))
        .env("XDG_RUNTIME_DIR", dir.join("run"))
        .env("XDG_CONFIG_HOME", dir.join("home/.config"))
        // Without this the state lies below TERCET_CACHE, where timers of one test would talk into the next.
        .env("TERCET_STATE", dir.join("tercet"))
        .env("PULSE_RUNTIME_PATH", dir.join("pulse"))
        .env("PULSE_STATE_PATH", dir.join("state"))
        .env("PULSE_COOKIE", dir.join("cookie"))
        .env("PULSE_SERVER", format!("unix:{}", socket(dir).display()))
        .env("ALSA_CONFIG_PATH", dir.join("asound.conf"))
        .env_remove("PULSE_SINK")
        .env_remove("PULSE_SOURCE")
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
}
