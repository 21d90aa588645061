#![no_main]

#[path = "../../tests/hostile/drive.rs"]
#[allow(dead_code)] // one target, one function
mod drive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { drive::template(bytes); });
