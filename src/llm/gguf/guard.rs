//! A mapped file that is truncated while it is read. Reading past its new end raises SIGBUS, which kills a process that
//! does not catch it. Here the missing page becomes one of zeros and the reader goes on; that the file is not the one that
//! was opened ([`super::Gguf::unchanged`]) is then an ordinary error.

use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use libc::{c_int, c_void, siginfo_t};

/// Maps that can be guarded at once; one more is read unguarded.
const MOST: usize = 64;

/// A guarded range of addresses; `from` is 0 where there is none, and [`CLAIMED`] while it is being entered.
struct Range {
    from: AtomicUsize,
    to: AtomicUsize,
}

const CLAIMED: usize = 1;

static RANGES: [Range; MOST] = [const { Range { from: AtomicUsize::new(0), to: AtomicUsize::new(0) } }; MOST];
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);
/// The handler that was there before, and its flags: SIGBUS outside guarded maps goes to it.
static BEFORE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
static BEFORE_FLAGS: AtomicI32 = AtomicI32::new(0);

/// Guards a map until it is dropped, which must be before the map is.
pub(super) struct Guard(Option<&'static Range>);

impl Guard {
    /// Guards `map`, which is a private or read-only map of whole pages.
    pub(super) fn new(map: &[u8]) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(install);
        let free = |r: &&Range| r.from.compare_exchange(0, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let range = RANGES.iter().find(free);
        if let Some(r) = range {
            let from = map.as_ptr() as usize;
            r.to.store(from + map.len(), Ordering::Release);
            r.from.store(from, Ordering::Release);
        }
        Self(range)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(range) = self.0 {
            range.from.store(0, Ordering::Release);
        }
    }
}

fn install() {
    PAGE_BYTES.store(super::page_size(), Ordering::Relaxed);
    // SAFETY: `sigaction` is a plain C structure, for which all zeros are sound.
    let (mut ours, mut before) = unsafe { std::mem::zeroed::<(libc::sigaction, libc::sigaction)>() };
    ours.sa_sigaction = on_bus_error as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both structures live during the call, and the handler keeps to what a signal handler may do.
    if unsafe { libc::sigaction(libc::SIGBUS, &ours, &mut before) } == 0 {
        BEFORE_FLAGS.store(before.sa_flags, Ordering::Relaxed);
        BEFORE.store(before.sa_sigaction, Ordering::Release);
    }
}

/// Calls only `mmap` and `signal`, and reads atomics: what may be done at any time.
extern "C" fn on_bus_error(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the description of this signal, valid during the call.
    let at = unsafe { (*info).si_addr() } as usize;
    let guarded = RANGES.iter().any(|r| {
        let from = r.from.load(Ordering::Acquire);
        from > CLAIMED && (from..r.to.load(Ordering::Acquire)).contains(&at)
    });
    if guarded {
        let page_bytes = PAGE_BYTES.load(Ordering::Relaxed);
        let page = (at / page_bytes * page_bytes) as *mut c_void;
        let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: the page lies in a map that its owner keeps as long as it is guarded and only reads; it is replaced by
        // one of the same size, which the owner's unmapping takes away with the rest.
        if unsafe { libc::mmap(page, page_bytes, libc::PROT_READ, how, -1, 0) } == page {
            return;
        }
    }
    match BEFORE.load(Ordering::Acquire) {
        // There is none: the same access is repeated after this, and then ends the process.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the call takes plain integers.
            unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        }
        handler if BEFORE_FLAGS.load(Ordering::Relaxed) & libc::SA_SIGINFO != 0 => {
            // SAFETY: it was installed as a handler of this form.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { std::mem::transmute(handler) };
            handler(number, info, context);
        }
        handler => {
            // SAFETY: it was installed as a handler of this form.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_is_cut_short_reads_as_zeros() {
        let file = tempfile::tempfile().expect("a file");
        let bytes = vec![7u8; 10 * 4096 + 5];
        std::io::Write::write_all(&mut &file, &bytes).expect("written");
        // SAFETY: only this test has the file, and it is cut short on purpose.
        let map = unsafe { memmap2::Mmap::map(&file) }.expect("mapped");
        let guard = Guard::new(&map);
        assert_eq!(map[..], bytes[..]);
        file.set_len(4096 + 1).expect("cut short");
        assert_eq!((map[0], map[4096], map[4097], map[9 * 4096]), (7, 7, 0, 0));
        assert!(map[2 * 4096..].iter().all(|b| *b == 0));
        drop(guard);
        // The place is free again, for any number of files after another.
        for _ in 0..2 * MOST {
            drop(Guard::new(&map));
        }
        assert!(RANGES.iter().any(|r| r.from.load(Ordering::Relaxed) == 0));
    }

    /// Any other SIGBUS still ends the process.
    #[test]
    fn what_is_not_guarded_ends_the_process_as_ever() {
        use std::os::unix::process::ExitStatusExt;
        let me = std::env::current_exe().expect("this program");
        let name = std::thread::current().name().expect("a test").replace("what_is_not", "alone_what_is_not");
        let out = std::process::Command::new(me).args(["--exact", &name, "--ignored"]).output().expect("it runs");
        assert_eq!(out.status.signal(), Some(libc::SIGBUS), "{out:?}");
    }

    #[test]
    #[ignore = "ends its process: see what_is_not_guarded_ends_the_process_as_ever"]
    fn alone_what_is_not_guarded_ends_the_process_as_ever() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(8 * 4096).expect("made");
        // SAFETY: only this test has the file, and it is cut short on purpose.
        let (map, other) = unsafe { (memmap2::Mmap::map(&file), memmap2::Mmap::map(&file)) };
        let (map, _guard) = (map.expect("mapped"), Guard::new(&other.expect("mapped")));
        file.set_len(1).expect("cut short");
        assert_eq!(map[5 * 4096], 0);
    }
}
