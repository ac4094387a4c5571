//! Processes that belong to this run: they end with it, however it ends.
//!
//! Ending children in `Drop` is enough for panics and not for `kill -9`, after which stopped children would stay for
//! ever. So each child asks the kernel at its start to be killed with its parent, which reaches stopped ones, too.
//!
//! Invariant: signals go to children of this process only, by the handle that started them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal};

/// Set for children: who started them.
const PARENT: &str = "MOBULA_CHAOS_PARENT";

/// The program that runs; children are the same.
#[must_use]
pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_else(|_unknown| std::env::args_os().next().map_or_else(PathBuf::new, Into::into))
}

/// Marks what will be a child. To be started by a thread that lives as long as the child should.
pub(crate) fn own(command: &mut Command) -> &mut Command {
    command.env(PARENT, std::process::id().to_string())
}

/// Called by a child before anything else: it is killed with its parent.
///
/// # Errors
/// The parent is gone already, or the kernel does not know this.
pub(crate) fn die_with_parent() -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("not to be bound to a parent: {error}"))?;
    let parent = rustix::process::getppid().map(|pid| OsString::from(pid.as_raw_pid().to_string()));
    if parent == std::env::var_os(PARENT) {
        return Ok(());
    }
    Err("this is a part of a run, and its run is gone; start `check` or `report`".to_owned())
}

/// Sends a signal to a child. One that has ended already gets none.
pub(crate) fn signal(child: &mut Child, signal: Signal) {
    // Asked first: its number may have been given to somebody else only once it was waited for.
    if matches!(child.try_wait(), Ok(None))
        && let Some(pid) = Pid::from_raw(child.id().cast_signed())
    {
        // It may end meanwhile; it stays ours until it is waited for.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Kills a child and waits for it.
pub(crate) fn end(child: &mut Child) {
    // Both fail only if it has ended.
    let _ = child.kill();
    let _ = child.wait();
}
