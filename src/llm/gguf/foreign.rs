//! What a file is that is no GGUF, as far as its first bytes tell: people name another file of a download, or one that did
//! not arrive.

/// What it is, and what to do about it where that is not to fetch it again.
pub(super) fn told(bytes: &[u8]) -> (&'static str, Option<&'static str>) {
    const CONVERT: &str = "convert the checkpoint's folder: tercet convert FOLDER -o OUT.gguf";
    let text = bytes.trim_ascii_start();
    if is_safetensors(bytes) {
        ("is a safetensors file, not a GGUF", Some(CONVERT))
    } else if bytes.starts_with(b"PK\x03\x04") {
        (
            "is a ZIP archive or a PyTorch checkpoint, not a GGUF",
            Some("unpack it, or use the model's GGUF or safetensors"),
        )
    } else if text.starts_with(b"version https://git-lfs") {
        ("is a Git LFS pointer, not the file itself", Some("fetch the file with `git lfs pull`, or download it again"))
    } else if [&b"<!doctype html"[..], b"<html"].iter().any(|tag| begins(text, tag)) {
        ("is a web page, not a GGUF", Some("download the file itself, not the page that shows it"))
    } else if [b"lmgg", b"fmgg", b"tjgg", b"algg"].iter().any(|magic| bytes.starts_with(*magic)) {
        ("is a GGML file from before GGUF", Some("use the model's GGUF"))
    } else {
        ("is not a GGUF file (the magic is wrong)", None)
    }
}

/// The length of a header, then the header: a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, header)) = bytes.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*length) <= header.len() as u64 && header.starts_with(b"{\"")
}

/// Whether `text` begins with `tag`, in small letters or large.
fn begins(text: &[u8], tag: &[u8]) -> bool {
    text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_called_what_they_are() {
        for (bytes, wanted) in [
            (&b"\x02\0\0\0\0\0\0\0{\"a"[..], "safetensors"),
            (b"\xff\xff\0\0\0\0\0\0{\"a", "the magic is wrong"),
            (b"PK\x03\x04....", "PyTorch"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
            (b"\n<!DOCTYPE html><html>", "web page"),
            (b"<HTML>", "web page"),
            (b"tjgg\x03\0\0\0", "before GGUF"),
            (b"", "the magic is wrong"),
            (b"GGML0000", "the magic is wrong"),
        ] {
            let (what, remedy) = told(bytes);
            assert!(what.contains(wanted), "{bytes:?}: {what}");
            assert_eq!(remedy.is_none(), wanted.contains("magic"), "{bytes:?}: {remedy:?}");
        }
    }
}
