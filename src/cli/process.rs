//! Sets up the process before a command runs in it.

/// Sets up what holds for every command. Call it first thing.
pub(super) fn prepare() {
    #[cfg(feature = "voice")]
    sleep_where_threads_wait();
    fail_where_files_grow_too_large();
    adopt_orphans();
}

/// OpenMP's threads spin for the work of the others unless told to sleep, and one transcript takes four times as long as
/// soon as something else wants a core. OpenMP reads its wait policy when the process starts, so this replaces the process
/// by itself, once, with the policy set. A policy that is set already is respected.
#[cfg(feature = "voice")]
fn sleep_where_threads_wait() {
    use std::os::unix::process::CommandExt;
    const POLICY: &str = "OMP_WAIT_POLICY";
    if std::env::var_os(POLICY).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    // Does not return; if it fails, spinning threads are better than none.
    let failed = std::process::Command::new("/proc/self/exe").arg0(name).args(arguments).env(POLICY, "passive").exec();
    tracing::debug!("cannot set {POLICY}: {failed}");
}

/// A file that grows beyond its limit (`ulimit -f`) is an error of that write, like a full disk, and does not kill the process.
fn fail_where_files_grow_too_large() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the handler does nothing, so it may run at any time. Being a handler and not "ignore", it is not passed on to
    // programs that are started.
    unsafe { libc::signal(libc::SIGXFSZ, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
}

/// What a configured command leaves behind becomes a child of this process, which can then find it and end it.
fn adopt_orphans() {
    // SAFETY: this option takes plain integers; it only changes who the parent of orphans is.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}
