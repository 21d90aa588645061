//! The kernels compiled, on any machine: the compiler comes from PyPI (`tercet models fetch nvrtc`); without it these tests print
//! that they skipped.

use super::super::agreed::{Field, Layout};
use super::*;
use crate::store::{self, Paths};

fn nvrtc() -> Option<Nvrtc> {
    let required = std::env::var_os("TERCET_REQUIRE_MODELS").is_some();
    match store::locate_file(&Paths::from_env(), "nvrtc", "libnvrtc.so.12").and_then(|p| Nvrtc::open(&p)) {
        Ok(n) => Some(n),
        Err(e) if !required => {
            println!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn the_compilers_report_is_read() {
    let log = "ptxas info    : 0 bytes gmem\nptxas info    : Compiling entry function 'a' for 'sm_87'\n\
        ptxas info    : Function properties for a\n    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n\
        ptxas info    : Used 128 registers, used 1 barriers, 17460 bytes smem, 424 bytes cmem[0]\n\
        ptxas info    : Compiling entry function 'b' for 'sm_87'\n    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
        ptxas info    : Used 22 registers, used 0 barriers\n";
    let table = usage("sm_87", "x", log);
    assert_eq!(table.len(), 2);
    assert_eq!((table[0].registers, table[0].shared, table[0].spill, table[0].stack), (128, 17460, 20, 16));
    assert_eq!((table[1].kernel.as_str(), table[1].registers, table[1].spill), ("b", 22, 0));
}

#[test]
fn every_kernel_compiles_for_orin_and_hopper_without_a_spill() {
    let Some(nvrtc) = nvrtc() else { return };
    for arch in DEFAULT_ARCHES {
        let table = build(arch, &nvrtc, None).expect("compiles");
        assert!(table.len() > 80, "{} kernels", table.len());
        for k in table {
            assert_eq!((k.spill, k.stack), (0, 0), "{} {} spills", k.arch, k.kernel);
            assert!(k.registers > 0, "the report of {} was not read", k.kernel);
        }
    }
}

/// A kernel whose struct is not its launcher's does not compile, whatever differs.
#[test]
fn kernels_that_disagree_with_their_launcher_do_not_compile() {
    let Some(nvrtc) = nvrtc() else { return };
    let compiled = |structs: &'static [Layout]| {
        let source = Source { structs, ..copy(&embed::SOURCE) };
        compile(&nvrtc, &source, &options("sm_87", &source)).map(|_| ())
    };
    compiled(embed::SOURCE.structs).expect("they agree");
    let fields = embed::SOURCE.structs[0].fields;
    let field = |i: usize| Field { name: fields[i].name, ..fields[i] };
    let all = |change: &dyn Fn(usize, Field) -> Field| -> &'static [Layout] {
        let changed: Vec<Field> = (0..fields.len()).map(|i| change(i, field(i))).collect();
        let of = Layout { name: "EmbedArgs", bytes: embed::SOURCE.structs[0].bytes, fields: changed.leak() };
        vec![of].leak()
    };
    compiled(all(&|_, f| f)).expect("a copy agrees");
    let longer = Layout { name: "EmbedArgs", bytes: embed::SOURCE.structs[0].bytes + 8, fields };
    let swapped = |i: usize, f: Field| Field {
        name: fields[match i {
            0 => 1,
            1 => 0,
            i => i,
        }]
        .name,
        ..f
    };
    for (what, structs, told) in [
        ("another size", &*vec![longer].leak(), "EmbedArgs"),
        (
            "a field elsewhere",
            all(&|i, f| Field { offset: f.offset + usize::from(i == 2) * 4, ..f }),
            "EmbedArgs::row_bytes",
        ),
        (
            "a field of another size",
            all(&|i, f| Field { bytes: f.bytes * (1 + usize::from(i == 7)), ..f }),
            "EmbedArgs::cols",
        ),
        ("a field of another name", all(&|i, f| if i == 6 { Field { name: "kind", ..f } } else { f }), "kind"),
        ("two fields changed over", all(&swapped), "EmbedArgs::table"),
    ] {
        let e = compiled(structs).expect_err(what);
        assert!(e.kind() == Kind::Internal && e.to_string().contains(told), "{what}: {e}");
    }
}

/// Each constant is the launcher's: a file that has one of its own, or another layout of the file's blocks, does not compile.
#[test]
fn kernels_take_their_constants_from_their_launcher() {
    let Some(nvrtc) = nvrtc() else { return };
    for source in SOURCES {
        let arch = if source.arch > 87 { "sm_90" } else { "sm_87" };
        for (name, value) in source.constants {
            let mut options = options(arch, source);
            let given = format!("-D{name}={value}");
            let at = options.iter().position(|o| *o == given).expect("it is given");
            options.remove(at);
            let e = compile(&nvrtc, source, &options).expect_err(name);
            assert!(e.to_string().contains(name), "{} without {name}: {e}", source.name);
        }
        if source.text.contains("blocks.cuh") {
            let mut options = options(arch, source);
            let blocks = options.iter_mut().find(|o| o.starts_with("-DBLOCKS_AGREED=")).expect("it is given");
            *blocks = blocks.replace("block_bytes(T_Q6_K)==210", "block_bytes(T_Q6_K)==208");
            let e = compile(&nvrtc, source, &options).expect_err("another block");
            assert!(e.to_string().contains("T_Q6_K"), "{}: {e}", source.name);
        }
    }
}

fn copy(of: &Source) -> Source {
    Source { structs: &[], name: of.name, text: of.text, constants: of.constants, arch: of.arch }
}

/// Two builds at once, of processes or of threads, each leave whole cubins, and nothing else.
#[test]
fn builds_at_once_leave_whole_cubins() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = dir.path().join("gemv.cubin");
    // Cubins as long as they are, so that a write takes its time; each is one letter.
    let cubin = |letter: u8| vec![letter; 1 << 20];
    std::thread::scope(|s| {
        for letter in *b"abcd" {
            let whole = &whole;
            s.spawn(move || (0..10).for_each(|_| install(whole, &cubin(letter)).expect("writes")));
        }
        for _ in 0..100 {
            // Whoever looks finds nothing, or one whole cubin.
            let Ok(found) = std::fs::read(&whole) else { continue };
            assert!(found.len() == 1 << 20 && found.iter().all(|b| *b == found[0]), "a torn cubin");
        }
    });
    let left =
        || -> Vec<_> { std::fs::read_dir(dir.path()).expect("reads").map(|e| e.expect("reads").file_name()).collect() };
    assert_eq!(left(), ["gemv.cubin"]);
    // What cannot be put in its place is not left beside it.
    std::fs::remove_file(&whole).expect("removes");
    std::fs::create_dir(&whole).expect("creates");
    assert_eq!(install(&whole, b"x").expect_err("a folder is there").kind(), Kind::Io);
    assert_eq!(left(), ["gemv.cubin"]);
}

/// The same with the compiler, of the kernels that it is quick with: both builds succeed, and what they leave is found.
#[test]
fn two_builds_at_once_into_one_folder() {
    let Some(nvrtc) = nvrtc() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let quick = [&embed::SOURCE, &repack::SOURCE];
    std::thread::scope(|s| {
        let one = || build_files(quick.into_iter(), "sm_87", &nvrtc, Some(dir.path())).expect("builds").len();
        let both = [s.spawn(one), s.spawn(one)].map(|t| t.join().expect("no panic"));
        assert!(both[0] == both[1] && both[0] > 2, "{both:?}");
    });
    let built = dir.path().join(fingerprint()).join("sm_87");
    assert_eq!(std::fs::read_dir(&built).expect("reads").count(), quick.len(), "nothing is left over");
    let folders = [dir.path().join("nothing here"), dir.path().to_owned()];
    let kind = |found: Result<_>| found.map(|f: Vec<_>| f.len()).map_err(|e| e.kind());
    assert_eq!(kind(find(&folders, 87, "a test")), Err(Kind::Unavailable), "only some are there");
    for source in sources(87) {
        let path = built.join(format!("{}.cubin", source.name));
        if !path.exists() {
            install(&path, b"\x7fELF").expect("writes");
        }
    }
    let found = find(&folders, 87, "a test").expect("they are there");
    assert_eq!(found.len(), sources(87).count());
    assert!(found.iter().all(|(_, cubin)| cubin.starts_with(b"\x7fELF")));
    // On a later device of the same generation they run too; on another generation they do not.
    assert_eq!(kind(find(&folders, 89, "a test")), Ok(found.len()));
    assert_eq!(kind(find(&folders, 90, "a test")), Err(Kind::Unavailable));
    assert_eq!(kind(find(&[], 87, "a test")), Err(Kind::Unavailable));
}
