//! Who is at the other end of a connection, and whether they may ask.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// The group whose members may ask the service.
const GROUP: &str = "tercet";
/// Most groups of one user that are looked at.
const GROUPS_MAX: usize = 1024;

/// The group's number, where the machine has it.
pub(super) fn group() -> Option<u32> {
    number_of(&std::fs::read_to_string("/etc/group").ok()?, GROUP)
}

fn number_of(groups: &str, name: &str) -> Option<u32> {
    let line = groups.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

/// Whether the other end may ask: this user, root, and members of `group`.
///
/// # Errors
/// Where the system does not tell who it is.
pub(super) fn may_ask(stream: &UnixStream, group: Option<u32>) -> io::Result<bool> {
    let peer = credentials(stream)?;
    // SAFETY: takes nothing and cannot fail.
    let own = unsafe { libc::geteuid() };
    if peer.uid == own || peer.uid == 0 {
        return Ok(true);
    }
    let Some(group) = group else { return Ok(false) };
    Ok(peer.gid == group || groups(stream)?.contains(&group))
}

fn credentials(stream: &UnixStream) -> io::Result<libc::ucred> {
    let mut peer = MaybeUninit::<libc::ucred>::uninit();
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `peer`, which the call fills or leaves alone.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            peer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done != 0 || length as usize != size_of::<libc::ucred>() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call said that it filled all of it.
    Ok(unsafe { peer.assume_init() })
}

/// The supplementary groups of the other end, as they were when it connected.
fn groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups = vec![0 as libc::gid_t; GROUPS_MAX];
    let mut length = (GROUPS_MAX * size_of::<libc::gid_t>()) as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `groups`.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(length as usize / size_of::<libc::gid_t>());
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let file = "root:x:0:\ntercet-x:x:7:\ntercet:x:998:ann,bob\nbad\n";
        assert_eq!(number_of(file, "tercet"), Some(998));
        assert_eq!((number_of(file, "ter"), number_of(file, "bad"), number_of("", "tercet")), (None, None, None));
    }

    #[test]
    fn this_user_may_ask() {
        let (a, _b) = UnixStream::pair().expect("a pair");
        assert!(may_ask(&a, None).expect("the system tells"));
        // SAFETY: takes nothing and cannot fail.
        assert_eq!(credentials(&a).expect("the system tells").uid, unsafe { libc::geteuid() });
        assert!(groups(&a).is_ok());
    }
}
