//! Limits that the system sets on this process: an error caused by one says which to raise.

use std::path::Path;

/// What limits this process; `None` where there is no limit.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    /// Address space in bytes (`ulimit -v`).
    address_space: Option<u64>,
    /// Processes and threads of the user (`ulimit -u`); root has no such limit.
    user_tasks: Option<u64>,
    /// Size of a file in bytes (`ulimit -f`).
    file_size: Option<u64>,
    /// Processes and threads of the control group (`TasksMax`), where no more are left.
    group_tasks: Option<u64>,
}

/// What to do where a thread cannot be started, as an imperative.
pub fn thread_remedy() -> String {
    Limits::now().for_threads()
}

/// What to do where the system gives no memory, as an imperative.
pub fn memory_remedy() -> String {
    Limits::now().for_memory()
}

/// What to do where a file may not grow, as an imperative.
pub fn file_size_remedy() -> String {
    Limits::now().for_file_size()
}

impl Limits {
    fn now() -> Self {
        // SAFETY: takes nothing, returns a number.
        let root = unsafe { libc::geteuid() } == 0;
        Self {
            address_space: limit(libc::RLIMIT_AS),
            user_tasks: limit(libc::RLIMIT_NPROC).filter(|_| !root),
            file_size: limit(libc::RLIMIT_FSIZE),
            group_tasks: group_tasks(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        }
    }

    fn for_threads(&self) -> String {
        match (self.group_tasks, self.address_space, self.user_tasks) {
            (Some(n), ..) => {
                format!("raise the control group's limit on tasks (TasksMax of the service), which is {n}")
            }
            (_, Some(bytes), _) => {
                format!("raise the limit on address space (`ulimit -v`), which is {} kB", bytes / 1024)
            }
            (_, _, Some(n)) => {
                format!("stop other processes, or raise the user's limit on them (`ulimit -u`), which is {n}")
            }
            _ => "stop other programs: the system has no room for more threads".to_owned(),
        }
    }

    fn for_file_size(&self) -> String {
        match self.file_size {
            Some(bytes) => format!("raise the limit on file sizes (`ulimit -f`), which is {} kB", bytes / 1024),
            None => "write to another disk: this file system does not take larger files".to_owned(),
        }
    }

    fn for_memory(&self) -> String {
        match self.address_space {
            Some(bytes) => format!("raise the limit on address space (`ulimit -v`), which is {} kB", bytes / 1024),
            None => "stop other programs, or choose a smaller model or a smaller llm.context_tokens".to_owned(),
        }
    }
}

fn limit(of: libc::__rlimit_resource_t) -> Option<u64> {
    let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the one struct it is given.
    let status = unsafe { libc::getrlimit(of, &raw mut found) };
    (status == 0 && found.rlim_cur != libc::RLIM_INFINITY).then_some(found.rlim_cur)
}

/// The limit on tasks of the control group (version 2), where it is reached.
fn group_tasks(own: &Path, mount: &Path) -> Option<u64> {
    let own = std::fs::read_to_string(own).ok()?;
    let group = own.lines().find_map(|l| l.strip_prefix("0::/"))?;
    let number = |name: &str| std::fs::read_to_string(mount.join(group).join(name)).ok()?.trim().parse::<u64>().ok();
    let (max, now) = (number("pids.max")?, number("pids.current")?);
    (now + 1 >= max).then_some(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_stands_in_the_way_is_named() {
        let none = Limits::default();
        assert!(!none.for_threads().contains("ulimit") && !none.for_memory().contains("ulimit"));
        let space = Limits { address_space: Some(1 << 20), ..none };
        assert!(space.for_memory().contains("`ulimit -v`), which is 1024 kB"));
        assert!(space.for_threads().contains("`ulimit -v`"));
        assert!(Limits { user_tasks: Some(50), ..none }.for_threads().contains("`ulimit -u`), which is 50"));
        assert!(Limits { file_size: Some(2048), ..none }.for_file_size().contains("`ulimit -f`), which is 2 kB"));
        assert!(none.for_file_size().contains("another disk"));
        assert!(Limits { group_tasks: Some(9), ..space }.for_threads().contains("TasksMax"));
    }

    #[test]
    fn a_group_is_to_blame_only_where_its_tasks_are_used_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        std::fs::create_dir(dir.path().join("g")).expect("made");
        write("own", "1:cpu:/x\n0::/g\n");
        let of = || group_tasks(&dir.path().join("own"), dir.path());
        assert_eq!(of(), None);
        write("g/pids.max", "10\n");
        write("g/pids.current", "3\n");
        assert_eq!(of(), None);
        write("g/pids.current", "10\n");
        assert_eq!(of(), Some(10));
        write("g/pids.max", "max\n");
        assert_eq!(of(), None);
    }
}
