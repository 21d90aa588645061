//! Layers, problems and their wording, on the shipped files and on garbage.

use proptest::prelude::*;

use super::*;

/// Loads text as `--config FILE` would, beside variables and flags.
fn with(text: &str, env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Vec<Mistake>> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.toml");
    std::fs::write(&path, text).expect("written");
    gather(&Request {
        config: Some(path),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), Ok((*v).to_owned()))).collect(),
        set: set.iter().map(|s| (*s).to_owned()).collect(),
        ..Request::default()
    })
}

/// Problems without the folder's name.
fn problems(text: &str, env: &[(&str, &str)], set: &[&str]) -> Vec<String> {
    let all = with(text, env, set).err().unwrap_or_default();
    all.iter()
        .map(|p| {
            let s = p.to_string();
            s.find("t.toml").map_or(s.clone(), |at| s[at..].to_owned())
        })
        .collect()
}

#[test]
fn nothing_configured_is_the_defaults() {
    let l = load(&Request::default()).expect("defaults are valid");
    assert_eq!(*l.origin("budget.reserve_mb"), Origin::Default);
    assert!(!l.settings.privacy.keep_audio && !l.settings.privacy.log_transcripts, "private unless asked");
    assert!(l.files.is_empty());
}

#[test]
fn later_layers_win_key_by_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let (low, high) = (dir.path().join("etc.toml"), dir.path().join("user.toml"));
    std::fs::write(&low, "[budget]\ntotal_mb = 1000\nreserve_mb = 10\nruntime_mb = 20\n").expect("written");
    std::fs::write(&high, "[budget]\nreserve_mb = 11\nruntime_mb = 21\n").expect("written");
    let mut request = Request {
        searched: vec![low.clone(), high.clone(), dir.path().join("absent.toml")],
        env: vec![("TERCET__BUDGET__RUNTIME_MB".into(), Ok("22".into())), ("TERCET_LOG".into(), Ok("info".into()))],
        ..Request::default()
    };
    let l = load(&request).expect("valid");
    let b = &l.settings.budget;
    assert_eq!((b.total_mb, b.reserve_mb, b.runtime_mb), (Some(1000), 11, 22));
    assert_eq!(l.files, [low, high.clone()]);
    assert_eq!(l.origin("budget.reserve_mb").to_string(), format!("{}:2", high.display()));
    assert_eq!(l.origin("budget.runtime_mb").to_string(), "environment TERCET__BUDGET__RUNTIME_MB");

    request.set = vec!["budget.runtime_mb=23".into(), "budget.runtime_mb=24".into(), "budget.total_mb=".into()];
    let l = load(&request).expect("valid");
    assert_eq!(l.settings.budget.runtime_mb, 24, "the last flag wins");
    assert_eq!(l.settings.budget.total_mb, None, "an empty value unsets");

    let only = dir.path().join("only.toml");
    std::fs::write(&only, "").expect("written");
    request = Request { config: Some(only), searched: vec![high], ..Request::default() };
    assert_eq!(load(&request).expect("valid").settings.budget.reserve_mb, 256, "--config replaces the searched files");
}

#[test]
fn every_problem_is_listed_with_file_line_and_key() {
    let text = "\
[budget]
total_mb = \"lots\"
reserv_mb = 3
reserve_mb = -3

[privcy]
keep_audio = true

[privacy]
keep_audio = 1
runtime_mb = 5
";
    let found = problems(text, &[("TERCET__BUDGET__RUNTIME_MB", "0")], &["dialog.follow_up_ms=soon", "nonsense"]);
    let wanted = [
        "--set nonsense: is not of the form section.key=value",
        "t.toml:3: budget.reserv_mb: no such key; did you mean budget.reserve_mb?",
        "t.toml:4: budget.reserve_mb: must be between 0 and 1000000, not -3",
        "t.toml:2: budget.total_mb: must be a whole number from 0 up, not the text \"lots\"",
        "t.toml:10: privacy.keep_audio: must be true or false, not 1",
        "t.toml:11: privacy.runtime_mb: no such key here; did you mean budget.runtime_mb?",
        "t.toml:6: privcy: no such key; did you mean privacy?",
        "--set dialog.follow_up_ms=soon: dialog.follow_up_ms: must be a whole number from 0 up, not the text \"soon\"",
        "environment TERCET__BUDGET__RUNTIME_MB: budget.runtime_mb: must be between 1 and 1000000, not 0",
    ];
    for w in wanted {
        assert!(found.iter().any(|f| f == w), "{w}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), wanted.len(), "{}", found.join("\n"));
}

#[test]
fn range_checks_are_told_at_the_key_they_are_about() {
    assert_eq!(
        problems("[dialog]\nfollow_up_ms = 1\nwake_timeout_ms = 3\npersona = \"\"\n", &[], &[]),
        [
            "t.toml:3: dialog.wake_timeout_ms: must be between 1000 and 60000, not 3",
            "t.toml:4: dialog.persona: must not be empty: write one line of text"
        ]
    );
}

/// Whatever is wrong with whichever key: nobody is shown Rust syntax.
#[test]
fn no_words_of_rust_are_shown() {
    for (section, key) in show::keys() {
        for value in ["-1", "99999999999", "0.5", "1e30", "\"\"", "\"zzz\"", "[]", "[[3]]", "{ a = 1 }", "true"] {
            for text in problems(&format!("[{section}]\n{key} = {value}\n"), &[], &[]) {
                let rust =
                    ["..", "::", "Some(", "None", "struct", "variant", "enum", "u8", "u32", "f32", "usize", "expected"];
                let shown = text.replace("hear.wake.models", "").replace("tools.command", "");
                assert!(!rust.iter().any(|r| shown.contains(r)), "{text}");
                assert!(text.starts_with("t.toml:2: "), "{text}");
            }
        }
    }
}

/// A number that the key's type cannot hold is reported with the wording of its range.
#[test]
fn numbers_out_of_range_are_told_alike_whichever_way_they_are_out() {
    let told = |text: &str| problems(text, &[], &[]);
    for value in ["300", "-3", "5000000000"] {
        let found = told(&format!("[audio]\nvolume = {value}\n[hear.vad]\nonset = \"x\"\n"));
        assert!(
            found.contains(&format!("t.toml:2: audio.volume: must be between 0 and 100, not {value}")),
            "{found:?}"
        );
    }
    let found = told("[llm]\ncontext_tokens = -1\nthreads = -2\n[llm.sampling]\ntop_k = -1\n");
    for wanted in [
        "t.toml:2: llm.context_tokens: must be 0 or between 128 and 1048576, not -1",
        "t.toml:3: llm.threads: must be between 0 and 256, not -2",
        "t.toml:5: llm.sampling.top_k: must be a whole number from 0 up, not -1",
    ] {
        assert!(found.iter().any(|f| f == wanted), "{wanted} is not in {found:?}");
    }
    let command = "[[tools.command]]\nname = \"a\"\n[[tools.command]]\nname = \"b\"\nexec = [\"x\"]\ntimeout_ms = -1\n";
    let found = told(command);
    let wanted = "t.toml:6: tools.command[1].timeout_ms: must be between 100 and 120000, not -1";
    assert!(found.iter().any(|f| f == wanted), "{found:?}");
}

/// A value that cannot be removed alone is removed with its parent, and everything else is still judged.
#[test]
fn a_list_from_a_flag_does_not_hide_other_mistakes() {
    let set = ["hear.wake.models=[1,2]", "llm.sampling=hot", "tools.time_zone=Mars/Phobos", "tools.command=3"];
    let found = problems("", &[], &set);
    assert_eq!(found.len(), set.len(), "{found:#?}");
    assert!(found.iter().any(|f| f.contains("tools.time_zone: must be a time zone such as")), "{found:#?}");
}

/// A command's own flag is judged as every other layer is.
#[test]
fn flags_are_the_uppermost_layer_and_judged_with_the_rest() {
    let of = |value: &str, set: &[&str]| {
        let flag = Flag { name: "--temperature", key: "llm.sampling.temperature", value: value.to_owned() };
        let set = set.iter().map(|s| (*s).to_owned()).collect();
        gather(&Request { set, flags: vec![flag], ..Request::default() })
    };
    let l = of("0.5", &["llm.sampling.temperature=2"]).expect("valid");
    assert_eq!(l.settings.llm.sampling.temperature, 0.5);
    assert_eq!(l.origin("llm.sampling.temperature").to_string(), "flag --temperature");
    assert!(l.to_toml().contains("temperature = 0.5  # flag --temperature\n"));
    assert_eq!(l.to_json()["origins"]["llm.sampling.temperature"], "flag --temperature");
    for (written, meant) in [(".5", 0.5), ("007", 7.0), ("1", 1.0)] {
        let temperature = of(written, &[]).map(|l| l.settings.llm.sampling.temperature);
        match temperature {
            Ok(t) => assert_eq!(t, meant),
            Err(found) => assert!(meant > 5.0 && found[0].text.ends_with("not 7"), "{found:?}"),
        }
    }
    for (value, end) in [
        ("-1", "must be between 0 and 5, not -1"),
        ("hot", "must be a number, not the text \"hot\""),
        ("nan", "must be a number, not the text \"nan\""),
        ("inf", "must be a number, not the text \"inf\""),
    ] {
        let found = of(value, &["llm.threads=999"]).expect_err("wrong");
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.contains(&format!("flag --temperature: llm.sampling.temperature: {end}")), "{told:?}");
    }
    let seed = Flag { name: "--seed", key: "llm.sampling.seed", value: u64::MAX.to_string() };
    let l = gather(&Request { flags: vec![seed], ..Request::default() }).expect("a seed is any number");
    assert_eq!(l.settings.llm.sampling.seed, u64::MAX);
}

#[test]
fn a_mistake_hidden_by_a_higher_layer_is_still_told() {
    let found = problems("[budget]\nruntime_mb = \"x\"\n", &[], &["budget.runtime_mb=5"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("t.toml:2: budget.runtime_mb"), "{found:?}");
}

#[test]
fn broken_toml_is_told_with_its_line_and_the_rest_is_still_checked() {
    let found = problems("[budget]\ntotal_mb = = 3\nnope = 1\nruntime_mb = 0x\n[budget]\n", &[], &[]);
    assert!(found.iter().any(|f| f.starts_with("t.toml:2: not valid TOML")), "{found:?}");
    assert!(found.iter().any(|f| f.starts_with("t.toml:3: budget.nope: no such key; known are")), "{found:?}");
    assert!(problems("[budget]\ntotal_mb = 1979-05-27\n", &[], &[])[0].contains("not a date or time"));
    assert!(problems("[budget]\ntotal_mb = 99999999999999999999\n", &[], &[])[0].contains("too large"));
    assert!(problems("[budget]\ntotal_mb = nan\n", &[], &[])[0].contains("not a finite number"));
    assert!(problems("budget = 3\n", &[], &[])[0].contains("t.toml:1: budget: must be a table, not 3"));
    assert!(problems("zzz = 3\n", &[], &[])[0].contains("no such"));
    assert!(problems("\"\" = 3\n", &[], &[])[0].contains("t.toml:1: \"\": no such"));
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let of = |path: PathBuf| load(&Request { config: Some(path), ..Request::default() }).expect_err("no such thing");
    let e = of(dir.path().join("absent.toml"));
    assert_eq!(e.kind(), Kind::NotFound, "{e}");
    assert!(e.to_string().contains("absent.toml"), "{e}");
    assert_eq!(of(dir.path().to_owned()).kind(), Kind::Io);
    let binary = dir.path().join("b.toml");
    std::fs::write(&binary, b"[budget]\n\xff\xfe").expect("written");
    assert!(of(binary).to_string().contains("b.toml:2: is not UTF-8"));
    let huge = dir.path().join("huge.toml");
    std::fs::write(&huge, vec![b'#'; 1_000_001]).expect("written");
    assert!(of(huge).to_string().contains("too large"));
}

#[test]
fn malformed_variables_are_told() {
    let mut request = Request {
        env: vec![
            ("TERCET__BUDGET".into(), Ok("3".into())),
            ("TERCET__BUDGET____X".into(), Ok("3".into())),
            ("TERCET__BUDGET__TOTAL_MB".into(), Err("\u{fffd}".into())),
        ],
        ..Request::default()
    };
    assert_eq!(gather(&request).expect_err("three").len(), 3);
    request.env = vec![(format!("TERCET{}", "__A".repeat(30_000)), Ok("1".into()))];
    assert_eq!(gather(&request).expect_err("too deep").len(), 1);
}

#[test]
fn what_is_shown_loads_to_the_same_settings() {
    let shown =
        with("[budget]\ntotal_mb = 900\n[privacy]\nkeep_audio = true\n", &[], &["budget.reserve_mb=7"]).expect("valid");
    let text = shown.to_toml();
    assert!(text.contains("total_mb = 900  # ") && text.contains("t.toml:2\n"), "{text}");
    assert!(text.contains("reserve_mb = 7  # --set budget.reserve_mb=7\n"), "{text}");
    assert!(text.contains("runtime_mb = 24  # default\n"), "{text}");
    let again = with(&text, &[], &[]).expect("what is shown is valid");
    assert_eq!(json(&again.settings), json(&shown.settings));
    let j = shown.to_json();
    assert_eq!(j["settings"]["budget"]["total_mb"], 900);
    assert_eq!(j["origins"]["budget.reserve_mb"], "--set");
}

#[test]
fn every_serialized_value_is_a_known_key() {
    fn leaves(at: &str, v: &serde_json::Value, known: &[String], strays: &mut Vec<String>) {
        match v {
            _ if known.iter().any(|k| k == at) => {}
            serde_json::Value::Object(o) => {
                o.iter().for_each(|(k, v)| {
                    leaves(&if at.is_empty() { k.clone() } else { format!("{at}.{k}") }, v, known, strays)
                });
            }
            _ => strays.push(at.to_owned()),
        }
    }
    let known: Vec<String> = show::full_keys().collect();
    for key in ["budget.total_mb", "dialog.persona", "privacy.keep_audio"] {
        assert!(known.iter().any(|k| k == key), "{known:?}");
    }
    let mut strays = Vec::new();
    leaves("", &json(&Settings::default()), &known, &mut strays);
    assert!(strays.is_empty(), "{strays:?} of {known:?}");
}

fn json(s: &Settings) -> serde_json::Value {
    serde_json::to_value(s).expect("serializes")
}

fn shipped(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    let text = std::fs::read_to_string(&path).expect("shipped");
    (path, text)
}

#[test]
fn the_shipped_file_is_the_defaults_and_mentions_every_key() {
    let (path, text) = shipped("tercet.toml");
    let l = load(&Request { config: Some(path), ..Request::default() }).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        json(&l.settings),
        json(&Settings::default()),
        "a default in config/tercet.toml is not the built-in one"
    );
    let mut section = String::new();
    let mut mentioned = Vec::new();
    let mut undocumented = Vec::new();
    let mut comment = false;
    for line in text.lines() {
        if let Some(s) = line.strip_prefix('[') {
            section = s.trim_end_matches(']').to_owned();
        }
        let bare = line.trim_start_matches(['#', ' ']);
        let key = bare.split_once(" = ").map(|(k, _)| k);
        match key.filter(|k| !k.is_empty() && k.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))) {
            Some(k) => {
                if !comment {
                    undocumented.push(format!("{section}.{k}"));
                }
                mentioned.push(format!("{section}.{k}"));
            }
            None => comment = line.starts_with('#'),
        }
    }
    let missing: Vec<String> = show::full_keys().filter(|k| !mentioned.contains(k)).collect();
    assert!(missing.is_empty(), "config/tercet.toml does not mention {missing:?}");
    assert!(undocumented.is_empty(), "no comment above {undocumented:?}");
}

/// What the shipped file shows of configured commands is commented out; it must still be right.
#[test]
fn the_commented_command_of_the_shipped_file_works() {
    let example: Vec<&str> = shipped("tercet.toml").1.leak().lines().filter_map(|l| l.strip_prefix("#   ")).collect();
    assert!(example.contains(&"[[tools.command]]"));
    let l = with(&example.join("\n"), &[], &[]).unwrap_or_else(|p| panic!("{p:#?}"));
    let [command] = l.settings.tools.command.as_slice() else { panic!("one command") };
    assert_eq!((command.name.as_str(), command.params.len(), command.exec.len()), ("set_lamp", 3, 4));
    let shown = serde_json::to_value(command).expect("JSON");
    let absent: Vec<&str> = [
        "name",
        "description",
        "params",
        "exec",
        "timeout_ms",
        "say",
        "check_words",
        "status",
        "status_say",
        "undo",
        "confirm",
        "acts",
        "tell",
    ]
    .into_iter()
    .filter(|key| shown.get(key).is_none())
    .collect();
    assert!(absent.is_empty(), "the example does not show {absent:?}");
    assert_eq!(l.settings.tools.names.len(), 1);
    let again = with(&l.to_toml(), &[], &[]).unwrap_or_else(|p| panic!("{p:#?}\n{}", l.to_toml()));
    assert_eq!(json(&again.settings), json(&l.settings), "lists of tables are shown so that they load again");
}

#[test]
fn mistakes_in_lists_of_tables_are_told_one_by_one() {
    let text = "\
[[tools.command]]
name = \"a\"
exec = \"/bin/true\"

[[tools.command]]
exec = [\"/bin/true\", 3]
say = 4

[[tools.command]]
name = \"c\"
exec = [\"/bin/true\"]
paramz = []
params = [{ name = \"x\", type = \"integer\" }, { name = \"y\", type = \"bool\" }]

[[tools.command]]
name = \"D d\"
exec = [\"/bin/true\"]
";
    let found = problems(text, &[], &[]);
    let wanted = [
        "t.toml:3: tools.command[0].exec: must be a list",
        "t.toml:6: tools.command[1].exec[1]: must be text in quotes, not 3",
        "t.toml:7: tools.command[1].say: must be text in quotes, not 4",
        "t.toml:5: tools.command[1]: the key name is missing",
        "t.toml:12: tools.command[2].paramz: no such key; did you mean tools.command[2].params?",
        "t.toml:13: tools.command[2].params[0]: must be one of string, int, number, bool or enum, not \"integer\"; did you mean int?",
    ];
    for w in wanted {
        assert!(found.iter().any(|f| f.starts_with(w)), "{w}\nnot in\n{}", found.join("\n"));
    }
    // The fourth is judged by its module, which has not seen the one that lacks a name.
    assert_eq!(found.len(), wanted.len() + 1, "{}", found.join("\n"));
    let fourth = "t.toml:16: tools.command[3].name: must be at most 40 lowercase letters";
    assert!(found.iter().any(|f| f.starts_with(fourth) && f.ends_with("not \"D d\"")), "{}", found.join("\n"));
}

#[test]
fn a_key_that_an_argument_does_not_take_is_told_at_the_argument() {
    let command = |param: &str| format!("[[tools.command]]\nname = \"a\"\nexec = [\"x\"]\nparams = [\n{param}]\n");
    let told = |param: &str| problems(&command(param), &[], &[]);
    let text = told("{ name = \"n\", type = \"int\", mn = 3 },\n");
    assert_eq!(text, ["t.toml:5: tools.command[0].params[0]: has no key mn; did you mean min?"]);
    let text = told("{ name = \"n\", type = \"int\", min = 3, max = 2 },\n");
    assert_eq!(
        text,
        ["t.toml:5: tools.command[0].params[0].min: must be at most tools.command[0].params[0].max (2), not 3"]
    );
    let text = told("{ name = \"n\", type = \"enum\" },\n");
    assert_eq!(text, ["t.toml:5: tools.command[0].params[0]: needs values, or names: a list under tools.names"]);
    let text = told("3,\n");
    assert_eq!(text, ["t.toml:5: tools.command[0].params[0]: must be a table, not 3"]);
}

#[test]
fn mistakes_in_shared_names_are_told_at_their_place() {
    let text = "\
[tools.names]
rooms = [
    \"kitchen\",
    3,
    { name = \"hall\", als = [] },
    { name = \"den\", also = \"study\" },
    { also = [\"lounge\"] },
    \"Kitchen\",
]
lamps = \"desk\"
plugs = []
[[tools.command]]
name = \"a\"
exec = [\"x\"]
undo = \"oposite\"
status = \"x\"
confirm = 1
params = [{ name = \"room\", type = \"enum\", names = \"roms\" }]
";
    let found = problems(text, &[], &[]);
    let wanted = [
        "t.toml:4: tools.names.rooms[1]: must be text in quotes or a table with name and also, not 3",
        "t.toml:5: tools.names.rooms[2].als: no such key; did you mean tools.names.rooms[2].also?",
        "t.toml:6: tools.names.rooms[3].also: must be a list, not the text \"study\"",
        "t.toml:7: tools.names.rooms[4]: the key name is missing",
        "t.toml:8: tools.names.rooms[5]: \"Kitchen\" is given twice",
        "t.toml:10: tools.names.lamps: must be a list, not the text \"desk\"",
        "t.toml:11: tools.names.plugs: must not be empty: list the names",
        "t.toml:15: tools.command[0].undo: must be \"opposite\" or a list: a program and its arguments, not the text \"oposite\"",
        "t.toml:16: tools.command[0].status: must be a list, not the text \"x\"",
        "t.toml:17: tools.command[0].confirm: must be true or false, not 1",
        "t.toml:18: tools.command[0].params[0].names: there is no list \"roms\" under tools.names; did you mean rooms?",
    ];
    for w in wanted {
        assert!(found.iter().any(|f| f == w), "{w}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), wanted.len(), "{}", found.join("\n"));
}

#[test]
fn shared_names_are_layered_and_shown_so_that_they_load_again() {
    let text = "[tools.names]\nrooms = [\"kitchen\", { name = \"den\", also = [\"study\"] }]\n";
    let l = with(text, &[], &["tools.names.lamps=desk,hall"]).unwrap_or_else(|p| panic!("{p:#?}"));
    let names = |l: &Loaded| serde_json::to_value(&l.settings.tools.names).expect("JSON");
    let wanted =
        serde_json::json!({ "lamps": ["desk", "hall"], "rooms": ["kitchen", { "name": "den", "also": ["study"] }] });
    assert_eq!(names(&l), wanted);
    let again = with(&l.to_toml(), &[], &[]).unwrap_or_else(|p| panic!("{p:#?}\n{}", l.to_toml()));
    assert_eq!(names(&again), wanted);
}

#[test]
fn the_shipped_overlays_are_valid_and_change_something() {
    for name in ["orin-nano.toml", "kiosk.toml"] {
        let (path, _) = shipped(name);
        let l = load(&Request { config: Some(path), ..Request::default() }).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_ne!(json(&l.settings), json(&Settings::default()), "{name} changes nothing");
    }
}

/// Every problem must name where it is.
fn names_its_place(p: &Mistake) -> bool {
    match &p.origin {
        Origin::Default => false,
        Origin::File { path, line } => path.ends_with("t.toml") && *line >= 1,
        Origin::Env(name) => name.starts_with("TERCET__"),
        Origin::Set(_) | Origin::Flag(_) => true,
    }
}

/// A default can be made wrong by another key: that key's place is the one to fix.
#[test]
fn a_default_made_wrong_is_blamed_on_the_key_that_did_it() {
    for (text, place) in [
        ("[hear.vad]\nonset = 0.2\n", "t.toml:2: hear.vad.offset: must be at most hear.vad.onset (0.2), not 0.35"),
        (
            "[hear.turn]\n\nsilence_ms = 2000\n",
            "t.toml:3: hear.turn.max_silence_ms: must be at least hear.turn.silence_ms (2000), not 1200",
        ),
    ] {
        assert_eq!(problems(text, &[], &[]), [place]);
    }
}

/// The parser continues after an error and may invent a number where none was written.
#[test]
fn what_the_parser_made_up_is_no_problem_of_its_own() {
    for text in ["[hear]\n=\n", "= ", "[hear.vad]\nonset = \n", "[hear.vad]\nonset = .\n", "\n = +"] {
        let all = problems(text, &[], &[]);
        assert!(!all.is_empty() && all.iter().all(|p| !p.contains("finite number")), "{text:?}: {all:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn garbage_never_panics_and_problems_have_places(text in "\\PC{0,300}", flag in "\\PC{0,40}", value in "\\PC{0,40}") {
        let flag = flag.replace('\0', "");
        let all = with(&text, &[("TERCET__PRIVACY__KEEP_AUDIO", &value)], &[&flag]).err().unwrap_or_default();
        for p in &all {
            prop_assert!(names_its_place(p), "{p:?}");
        }
    }

    /// The shipped file with bytes changed, dropped and doubled: a verdict every time, and a key wherever the trouble
    /// is not the syntax itself.
    #[test]
    fn mutated_files_never_panic(edits in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 1..12)) {
        let mut bytes = shipped("tercet.toml").1.into_bytes();
        for (at, what, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let i = at.index(bytes.len());
            match what {
                0 => bytes[i] = byte,
                1 => { bytes.remove(i); }
                2 => bytes.insert(i, byte),
                _ => bytes[i] = b"=[]\"'\n.#0-"[usize::from(byte) % 10],
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for p in with(&text, &[], &[]).err().unwrap_or_default() {
            prop_assert!(names_its_place(&p), "{p:?}");
            prop_assert!(!p.key.is_empty() || p.text.contains("TOML"), "{p}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_overflowed(depth in 1usize..5_000, kind in 0u8..3) {
        let text = match kind {
            0 => format!("[budget]\ntotal_mb = {}", "[".repeat(depth)),
            1 => format!("[budget{}]\n", ".a".repeat(depth)),
            _ => format!("[budget]\ntotal_mb = {}", "{a=".repeat(depth)),
        };
        prop_assert!(with(&text, &[], &[]).is_err());
        let nested = format!("budget.total_mb={}", "[".repeat(depth));
        prop_assert!(with("", &[], &[&nested]).is_err());
        let long = format!("budget{}=1", ".a".repeat(depth));
        prop_assert!(with("", &[], &[&long]).is_err());
    }
}
