//! The run's own network namespace: made before anything else, gone with the run's last process.
//!
//! Whoever may, enters a new namespace; a plain user enters one of users, too, in which it may do what it likes with
//! its own network. Where neither is allowed the run goes on, on loopback and without faults of the network, and says
//! so loudly.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::process;

/// Set in the run inside.
const INSIDE: &str = "MOBULA_CHAOS_ENCLOSED";

/// What the run may do with a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Enclosure {
    /// It has one of its own, and can connect machines.
    Whole,
    /// Loopback only, for this reason.
    Loopback { why: String },
}

/// Starts this program again inside a namespace of its own, if it is not there yet; then says what it may do there.
pub(crate) fn enter() -> Enclosure {
    if std::env::var_os(INSIDE).is_some() {
        return look();
    }
    let Some(way) = WAYS.iter().find(|way| works(way, &["true"])) else {
        return Enclosure::Loopback {
            why: "this machine allows no network namespaces (try as root, or allow unprivileged \
                  user namespaces), or has no `unshare`"
                .to_owned(),
        };
    };
    // Inside, without loopback, nothing at all could be tried.
    if !works(way, &UP) {
        return Enclosure::Loopback {
            why: "`ip` is missing or fails: install iproute2".to_owned(),
        };
    }
    let mut command = Command::new("unshare");
    command.args(*way).arg("--").arg(process::own_program()).args(std::env::args_os().skip(1));
    // It returns only if it fails.
    let error = command.env(INSIDE, "1").exec();
    Enclosure::Loopback { why: format!("`unshare` could not be run: {error}") }
}

/// As root, and as anybody.
const WAYS: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
/// A new namespace's loopback is down.
const UP: [&str; 5] = ["ip", "link", "set", "lo", "up"];

fn works(way: &[&str], program: &[&str]) -> bool {
    let mut probe = Command::new("unshare");
    probe.args(way).args(program).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn look() -> Enclosure {
    // It worked in another one a moment ago.
    let _ = Command::new(UP[0]).args(&UP[1..]).status();
    match OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Enclosure::Whole,
        Err(error) => Enclosure::Loopback { why: tun_refused(&error) },
    }
}

fn tun_refused(error: &io::Error) -> String {
    format!("/dev/net/tun cannot be opened ({error}): try as root")
}
