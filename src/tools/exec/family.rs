//! What a command started: found in /proc and killed, even if it left the command's process group and ignores signals.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

type Pid = libc::pid_t;

/// Rounds in which new members are looked for: each round stops those it finds, so that a tree of processes is complete
/// after as many rounds as it is deep.
const ROUNDS: usize = 64;
/// How long killed processes may take to disappear: one that waits for a disk does not exit at once.
const GONE: Duration = Duration::from_millis(500);

/// A process as /proc describes it.
struct Process {
    pid: Pid,
    parent: Pid,
    group: Pid,
    session: Pid,
    is_zombie: bool,
}

/// Children of this process from before a command started, which are not part of it.
pub(super) struct Before(Option<BTreeSet<Pid>>);

impl Before {
    /// Looks, and lets go of what earlier commands left and has ended since. Only where orphans become this process's
    /// children (`PR_SET_CHILD_SUBREAPER`): else a child of this process is nobody's leftover.
    pub(super) fn now() -> Self {
        if !adopts() {
            return Self(None);
        }
        let own = std::process::id() as Pid;
        let children: Vec<Process> = processes().into_iter().filter(|p| p.parent == own).collect();
        children.iter().filter(|p| p.is_zombie).for_each(|p| reap(p.pid));
        Self(Some(children.iter().map(|p| p.pid).collect()))
    }
}

/// Kills `command`, which is a child of this process in its own group, and all its descendants. The command itself is
/// still to be waited for.
pub(super) fn end(command: Pid, before: &Before) {
    let own = std::process::id() as Pid;
    let mut family = BTreeSet::from([command]);
    signal(command, libc::SIGSTOP);
    for _ in 0..ROUNDS {
        let of_it = |p: &Process| {
            [p.parent, p.group, p.session].iter().any(|id| family.contains(id))
                || p.parent == own && before.0.as_ref().is_some_and(|b| !b.contains(&p.pid))
        };
        let new: Vec<Pid> =
            processes().iter().filter(|p| !family.contains(&p.pid) && of_it(p)).map(|p| p.pid).collect();
        if new.is_empty() {
            break;
        }
        // A stopped process starts nothing more and keeps its children.
        new.iter().for_each(|p| signal(*p, libc::SIGSTOP));
        family.extend(new);
    }
    family.iter().for_each(|p| signal(*p, libc::SIGKILL));
    let latest = Instant::now() + GONE;
    family.remove(&command);
    loop {
        // Those that became children of this process must be reaped by it.
        let left: Vec<Process> = processes().into_iter().filter(|p| family.contains(&p.pid)).collect();
        left.iter().filter(|p| p.is_zombie && p.parent == own).for_each(|p| reap(p.pid));
        if left.iter().all(|p| p.is_zombie && p.parent != own) || Instant::now() > latest {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills the group of a command that has exited.
pub(super) fn end_group(group: Pid) {
    signal(-group, libc::SIGKILL);
}

fn adopts() -> bool {
    let mut is: libc::c_int = 0;
    // SAFETY: the kernel writes one int to the address given, which lives during the call.
    let status = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is, 0, 0, 0) };
    status == 0 && is != 0
}

fn signal(to: Pid, signal: libc::c_int) {
    // SAFETY: kill(2) touches no memory of ours. Every id here is a process's or, negative, that of a command's own group:
    // never 0, -1 or the group of this process.
    unsafe { libc::kill(to, signal) };
}

fn reap(child: Pid) {
    // SAFETY: a null status is allowed; the call does not wait, and another process's child is left alone.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Every process that can be seen. One that exits meanwhile is left out.
fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<Pid>().ok());
    pids.filter_map(|pid| parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// `PID (NAME) STATE PARENT GROUP SESSION …`, where the name may hold anything, also parentheses and line ends.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse::<Pid>().ok();
    Some(Process { pid, parent: number()?, group: number()?, session: number()?, is_zombie })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_read_past() {
        let p = parse(7, "7 (a) Z 1 2 (b)) S 3 4 5 0 -1").expect("it has all fields");
        assert_eq!((p.parent, p.group, p.session, p.is_zombie), (3, 4, 5, false));
        assert!(parse(7, "7 (a").is_none() && parse(7, "7 (a) S 1").is_none() && parse(7, "").is_none());
        let own = std::process::id() as Pid;
        assert!(processes().iter().any(|p| p.pid == own && !p.is_zombie));
    }
}
