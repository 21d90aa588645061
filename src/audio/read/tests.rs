use super::*;
use proptest::prelude::*;

fn write(dir: &Path, spec: hound::WavSpec, seconds: f32) -> std::path::PathBuf {
    let path = dir.join(format!("{}-{}-{}.wav", spec.bits_per_sample, spec.sample_rate, spec.channels));
    let mut w = hound::WavWriter::create(&path, spec).unwrap();
    for i in 0..(seconds * spec.sample_rate as f32) as usize {
        let x = 0.5 * (2.0 * std::f32::consts::PI * 440.0 * i as f32 / spec.sample_rate as f32).sin();
        for c in 0..spec.channels {
            // Channels that differ: the mix must be their mean.
            let x = if c == 0 { x * f32::from(spec.channels) } else { 0.0 } * 0.9 / f32::from(spec.channels);
            match spec.sample_format {
                hound::SampleFormat::Float => w.write_sample(x).unwrap(),
                hound::SampleFormat::Int => {
                    w.write_sample((x * ((1i64 << (spec.bits_per_sample - 1)) - 1) as f32) as i32).unwrap();
                }
            }
        }
    }
    w.finalize().unwrap();
    path
}

fn spec(bits: u16, rate: u32, channels: u16, float: bool) -> hound::WavSpec {
    let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format }
}

#[test]
fn any_depth_rate_and_channel_count_is_the_same_tone() {
    let dir = tempfile::tempdir().unwrap();
    for (bits, rate, channels, float) in [
        (8, 8_000, 1, false),
        (16, 16_000, 1, false),
        (24, 44_100, 2, false),
        (32, 96_000, 2, false),
        (32, 48_000, 6, true),
        (8, 96_000, 2, false),
        (16, 11_025, 8, false),
    ] {
        let path = write(dir.path(), spec(bits, rate, channels, float), 1.0);
        let clip = read_file(&path).unwrap();
        assert_eq!((clip.rate.0, clip.samples.len()), (rate, rate as usize), "{path:?}");
        let pcm = read_16k(&path).unwrap();
        assert_eq!(pcm.len(), 16_000, "{path:?}");
        let tolerance = if bits == 8 { 0.02 } else { 0.003 };
        for (i, got) in pcm.iter().enumerate().take(15_000).skip(1_000) {
            let want = 0.45 / f32::from(channels) * (2.0 * std::f32::consts::PI * 440.0 * i as f32 / 16_000.0).sin();
            assert!((got - want).abs() < tolerance, "{path:?} sample {i}: {got} for {want}");
        }
    }
}

/// `sox -n -r 44100 -c 2 -b 24 tone.flac synth 0.5 sine 440 vol 0.5 remix 1 1v0`
const FLAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tone.flac");

#[test]
fn flac_is_read_and_a_truncated_one_refused() {
    let clip = read_file(Path::new(FLAC)).unwrap();
    assert_eq!((clip.rate, clip.samples.len()), (SampleRate(44_100), 22_050));
    let pcm = read_16k(Path::new(FLAC)).unwrap();
    assert_eq!(pcm.len(), 8_000);
    for (i, got) in pcm.iter().enumerate().take(7_500).skip(500) {
        let want = 0.25 * (2.0 * std::f32::consts::PI * 440.0 * i as f32 / 16_000.0).sin();
        assert!((got - want).abs() < 0.003, "sample {i}: {got} for {want}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (bytes, path) = (std::fs::read(FLAC).unwrap(), dir.path().join("cut.flac"));
    std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let e = read_file(&path).expect_err("truncated");
    assert_eq!(e.kind(), Kind::Corrupt);
    assert!(e.to_string().contains("truncated") || e.to_string().contains("after"), "{e}");
}

#[test]
fn what_cannot_be_read_names_the_file_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read(write(dir.path(), spec(16, 16_000, 1, false), 2.0)).unwrap();
    let mut huge_rate = good.clone();
    huge_rate[24..28].copy_from_slice(&0xfff0_0000u32.to_le_bytes());
    let mut zero_rate = good.clone();
    zero_rate[24..28].copy_from_slice(&[0; 4]);
    let mut no_channels = good.clone();
    no_channels[22..24].copy_from_slice(&[0; 2]);
    let mut no_format = good.clone();
    no_format[12..16].copy_from_slice(b"what");
    let mut adpcm = good.clone();
    adpcm[20] = 2;
    let mut long = good.clone();
    long[4..8].copy_from_slice(&(4000u32 * 32_000 + 36).to_le_bytes());
    long[40..44].copy_from_slice(&(4000u32 * 32_000).to_le_bytes());
    let cases: [(&str, &[u8], Kind); 10] = [
        ("empty.wav", b"", Kind::Corrupt),
        ("text.wav", b"this is no recording at all, but some text", Kind::Unsupported),
        ("header-only.wav", &good[..20], Kind::Corrupt),
        ("no-samples.wav", &good[..44], Kind::Corrupt),
        ("no-sound.wav", &good[..36], Kind::Corrupt),
        ("no-format.wav", &no_format, Kind::Corrupt),
        ("adpcm.wav", &adpcm, Kind::Unsupported),
        ("huge-rate.wav", &huge_rate, Kind::Corrupt),
        ("zero-rate.wav", &zero_rate, Kind::Corrupt),
        ("no-channels.wav", &no_channels, Kind::Corrupt),
    ];
    for (name, bytes, kind) in cases {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let e = read_16k(&path).expect_err(name);
        assert!(e.to_string().contains(name), "{name}: {e}");
        assert!(e.remedy_text().is_some(), "{name}: {e}");
        assert!(matches!(e.kind(), Kind::Corrupt | Kind::Unsupported) && e.kind() == kind, "{name}: {e:?}");
    }
    // Its length is that of the file: nothing needs to be written for it.
    let path = dir.path().join("too-long.wav");
    std::fs::write(&path, &long).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(44 + 4000 * 32_000).unwrap();
    let e = read_16k(&path).expect_err("more than an hour");
    assert!(e.kind() == Kind::Unsupported && e.to_string().contains("longer than 60 minutes"), "{e}");
    let e = read_file(&dir.path().join("none.wav")).expect_err("missing");
    assert_eq!(e.kind(), Kind::NotFound);
    assert!(read_file(dir.path()).expect_err("a folder").remedy_text().is_some());
}

/// A WAV of `chunks`, each with the size it claims; what `form` and the RIFF size say is free.
fn riff(form: &[u8; 4], riff_size: u32, chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let number = |n: u32| if form == b"RIFX" { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut file = [&form[..], &number(riff_size), b"WAVE"].concat();
    for (id, size, body) in chunks {
        file.extend_from_slice(&[&id[..], &number(*size), body].concat());
    }
    file
}

/// `fmt ` of 16-bit mono at 16 kHz.
const FORMAT: &[u8] = &[1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0];
const FORMAT_BIG: &[u8] = &[0, 1, 0, 1, 0, 0, 0x3e, 0x80, 0, 0, 0x7d, 0, 0, 2, 0, 16];

/// A ramp: sample n is n − 500, of 1,000.
fn ramp() -> Vec<u8> {
    (0..1000i16).flat_map(|n| (n - 500).to_le_bytes()).collect()
}

/// What came out, which must be the ramp's first samples; how many, and whether a note was due.
#[track_caller]
fn check_ramp(what: &str, bytes: &[u8], samples: usize, noted: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ramp.wav");
    std::fs::write(&path, bytes).unwrap();
    let mut recording = Recording::open(&path).unwrap_or_else(|e| panic!("{what}: {e}"));
    let Sound::Wave { header, source } = &mut recording.sound else { panic!("{what}: no WAV") };
    let note = decode_wave("ramp.wav", header, source, &mut |_, _| Ok(())).unwrap();
    assert_eq!(note.is_some(), noted, "{what}: {note:?}");
    let streamed = read_stream(std::io::Cursor::new(bytes.to_vec()), "standard input").unwrap();
    for clip in [read_file(&path).unwrap(), streamed] {
        assert_eq!(clip.samples.len(), samples, "{what}");
        for (n, x) in clip.samples.iter().enumerate() {
            assert_eq!(*x, (n as f32 - 500.0) / 32_768.0, "{what}, sample {n}");
        }
    }
}

#[test]
fn sizes_that_cannot_be_are_not_believed() {
    let sound = ramp();
    let list: &[u8] = b"INFOIART\x03\x00\x00\x00abc";
    let padded = [list, &[0]].concat();
    let fmt = (b"fmt ", 16, FORMAT);
    let data = (b"data", 2000, &sound[..]);
    let right = 36 + 2000;
    for (what, bytes, noted) in [
        ("right", riff(b"RIFF", right, &[fmt, data]), false),
        ("RIFF size 0", riff(b"RIFF", 0, &[fmt, data]), true),
        ("RIFF size 8 short", riff(b"RIFF", right - 8, &[fmt, data]), true),
        ("RIFF size of the header alone", riff(b"RIFF", 36, &[fmt, data]), true),
        ("RIFF size larger than the file", riff(b"RIFF", right + 4000, &[fmt, data]), true),
        ("RIFF size unknown", riff(b"RIFF", u32::MAX, &[fmt, data]), true),
        ("data size 0", riff(b"RIFF", right, &[fmt, (b"data", 0, &sound)]), true),
        ("both sizes 0", riff(b"RIFF", 0, &[fmt, (b"data", 0, &sound)]), true),
        ("data size of a pipe", riff(b"RIFF", u32::MAX, &[fmt, (b"data", u32::MAX, &sound)]), true),
        ("data size of another pipe", riff(b"RIFF", 0x7fff_ffff, &[fmt, (b"data", 0x7fff_ffff - 36, &sound)]), true),
        ("data size of a third pipe", riff(b"RIFF", 0x8000_0024, &[fmt, (b"data", 0x8000_0000, &sound)]), true),
        ("data larger than the file", riff(b"RIFF", right, &[fmt, (b"data", 50_000, &sound)]), true),
        ("LIST padded", riff(b"RIFF", right + 24, &[fmt, (b"LIST", 15, &padded), data]), false),
        ("LIST not padded", riff(b"RIFF", right + 23, &[fmt, (b"LIST", 15, list), data]), false),
        ("LIST larger than the file", riff(b"RIFF", right + 24, &[fmt, (b"LIST", 1 << 20, &padded), data]), true),
        ("LIST into the sound", riff(b"RIFF", right + 24, &[fmt, (b"LIST", 300, &padded), data]), true),
        ("LIST too small", riff(b"RIFF", right + 24, &[fmt, (b"LIST", 5, &padded), data]), true),
        ("LIST of all ones", riff(b"RIFF", right + 24, &[fmt, (b"LIST", u32::MAX, &padded), data]), true),
        ("fmt with a wrong size", riff(b"RIFF", right, &[(b"fmt ", 1000, FORMAT), data]), true),
        (
            "other chunks before and after",
            {
                let junk = [7u8; 28];
                let last = (b"LIST", 15, &padded[..]);
                riff(b"RIFF", right + 72, &[(b"JUNK", 28, &junk), fmt, (b"fact", 4, &[0; 4]), data, last])
            },
            false,
        ),
    ] {
        check_ramp(what, &bytes, 1000, noted);
    }
    check_ramp("cut in the middle", &riff(b"RIFF", right, &[fmt, data])[..44 + 1001], 500, true);
    check_ramp("last sample cut", &riff(b"RIFF", right - 1, &[fmt, (b"data", 1999, &sound[..1999])]), 999, true);
    let e =
        read_stream(std::io::Cursor::new(riff(b"RIFF", 60, &[fmt, (b"data", 0, &[]), (b"LIST", 15, &padded)])), "x")
            .expect_err("an empty data chunk before another chunk is empty");
    assert!(e.to_string().contains("no samples"), "{e}");
}

#[test]
fn long_and_big_endian_files_are_read() {
    let sound = ramp();
    let swapped: Vec<u8> = sound.chunks(2).flat_map(|s| [s[1], s[0]]).collect();
    let fmt = (b"fmt ", 16, FORMAT);
    let ds64 = |data: u64| [&(data + 72).to_le_bytes()[..], &data.to_le_bytes(), &[0; 12]].concat();
    let data = (b"data", u32::MAX, &sound[..]);
    for form in [b"RF64", b"BW64"] {
        for (what, long, data, noted) in [
            ("64 bits", ds64(2000), data, false),
            ("32 bits", ds64(0), (b"data", 2000, &sound[..]), false),
            ("not filled in", ds64(0), data, true),
            ("larger than the file", ds64(1 << 40), data, true),
            ("absurd", ds64(u64::MAX - 100), data, true),
        ] {
            check_ramp(what, &riff(form, u32::MAX, &[(b"ds64", 28, &long), fmt, data]), 1000, noted);
        }
        let trailer = (b"LIST", 4, &b"INFO"[..]);
        check_ramp("trailer", &riff(form, u32::MAX, &[(b"ds64", 28, &ds64(2000)), fmt, data, trailer]), 1000, false);
    }
    let big = riff(b"RIFX", 2036, &[(b"fmt ", 16, FORMAT_BIG), (b"data", 2000, &swapped)]);
    check_ramp("big-endian", &big, 1000, false);
    check_ramp(
        "big-endian, to a pipe",
        &riff(b"RIFX", 0, &[(b"fmt ", 16, FORMAT_BIG), (b"data", 0, &swapped)]),
        1000,
        true,
    );
}

#[test]
fn extensible_formats_are_what_their_guid_says() {
    const TAIL: &[u8] = &[0, 0, 0, 0, 16, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
    let sound = ramp();
    let format = |tag: u8, bits: u8, bytes: u8| {
        let plain = [0xfe, 0xff, 1, 0, 0x80, 0x3e, 0, 0, 0, 0, 0, 0, bytes, 0, bytes * 8, 0];
        [&plain[..], &[22, 0, bits, 0, 4, 0, 0, 0, tag, 0], TAIL].concat()
    };
    check_ramp(
        "16 bits",
        &riff(b"RIFF", 2060, &[(b"fmt ", 40, &format(1, 16, 2)), (b"data", 2000, &sound)]),
        1000,
        false,
    );
    let wide: Vec<u8> = sound.chunks(2).flat_map(|s| [0, 0, s[0], s[1]]).collect();
    check_ramp(
        "24 of 32 bits",
        &riff(b"RIFF", 4060, &[(b"fmt ", 40, &format(1, 24, 4)), (b"data", 4000, &wide)]),
        1000,
        false,
    );
    let float: Vec<u8> = (0..1000).flat_map(|n| ((n as f32 - 500.0) / 32_768.0).to_le_bytes()).collect();
    check_ramp(
        "float",
        &riff(b"RIFF", 4060, &[(b"fmt ", 40, &format(3, 32, 4)), (b"data", 4000, &float)]),
        1000,
        false,
    );
    let e = read_stream(
        std::io::Cursor::new(riff(b"RIFF", 60, &[(b"fmt ", 40, &format(0x55, 16, 2)), (b"data", 2000, &sound)])),
        "standard input",
    );
    assert!(e.expect_err("MP3").to_string().contains("standard input: its sound is compressed (MP3)"));
}

#[test]
fn a_flac_is_read_from_a_stream() {
    let bytes = std::fs::read(FLAC).unwrap();
    let clip = read_stream(std::io::Cursor::new(bytes), "standard input").unwrap();
    assert_eq!(clip, read_file(Path::new(FLAC)).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_is_refused_or_read_but_never_fatal(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        flac in any::<bool>(),
        header in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g.wav");
        let mut file = Vec::new();
        if header {
            file.extend_from_slice(if flac { b"fLaC\x00\x00\x00\x22" } else { b"RIFF\xff\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00" });
        }
        file.extend_from_slice(&bytes);
        std::fs::write(&path, &file).unwrap();
        if let Err(e) = read_file(&path) {
            prop_assert!(e.to_string().contains("g.wav"));
        }
    }

    /// Sound headers with a few bytes changed: read or refused, within an hour of sound, whatever the sizes claim.
    #[test]
    fn changed_headers_are_read_or_refused(
        changes in proptest::collection::vec((0usize..120, any::<u8>()), 1..5),
        form in 0usize..4,
        cut in 0usize..200,
    ) {
        let sound = ramp();
        let big = form == 3;
        let fmt = if big { FORMAT_BIG } else { FORMAT };
        let ds64 = [&2072u64.to_le_bytes()[..], &2000u64.to_le_bytes(), &[0; 12]].concat();
        let chunks: [(&[u8; 4], u32, &[u8]); 4] =
            [(b"ds64", 28, &ds64), (b"LIST", 5, b"INFOx\0"), (b"fmt ", 16, fmt), (b"data", 2000, &sound)];
        let mut file = riff([b"RIFF", b"RF64", b"BW64", b"RIFX"][form], 2100, &chunks);
        for (at, byte) in changes {
            file[at] = byte;
        }
        file.truncate(file.len() - cut);
        for length in [None, Some(file.len() as u64)] {
            match Recording::new(std::io::Cursor::new(file.clone()), "x".into(), length).and_then(Recording::clip) {
                Ok(clip) => prop_assert!(clip.samples.len() <= file.len()),
                Err(e) => prop_assert!(e.to_string().starts_with("cannot read x: "), "{e}"),
            }
        }
    }
}
