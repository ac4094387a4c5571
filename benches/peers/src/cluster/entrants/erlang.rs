//! Distributed Erlang: a module of its own, `tallier.erl`, compiled when the suite begins.
//!
//! Invariant: the port mapper that names its nodes is one of our own, on a free port, and ends with the suite.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::cluster::pattern::FarPattern;
use crate::error::BenchError;

const MODULE: &str = include_str!("tallier.erl");

/// What both nodes need, as long as the suite runs.
pub(crate) struct Home {
    directory: PathBuf,
    port: u16,
    names: Child,
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is gone already is gone.
        let _ = self.names.kill();
        let _ = self.names.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether there are `erl` and the port mapper beside it.
fn is_installed() -> bool {
    let starts = |program: &str, flag: &str| {
        let mut command = Command::new(program);
        command.arg(flag).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(|mut child| child.wait()).is_ok()
    };
    starts("erl", "-version") && starts("epmd", "-help")
}

impl Home {
    /// Compiles the module and starts the port mapper; `None`, loudly, where there is no Erlang.
    pub(crate) fn make() -> Result<Option<Self>, BenchError> {
        if !is_installed() {
            // The table goes to standard output and stays readable.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED: distributed Erlang: `erl` is not installed, so its column is missing"
            );
            return Ok(None);
        }
        let directory = std::env::temp_dir().join(format!("peers-erlang-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("tallier.erl"), MODULE)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut names = Command::new("epmd");
        names.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
        names.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let names = names.spawn()?;
        let home = Self { directory, port, names };
        let compile = "{ok, _} = compile:file(\"tallier.erl\", [report]), halt().";
        let status = home.erl().args(["-eval", compile]).stdout(Stdio::null()).status()?;
        if !status.success() {
            return Err(BenchError::refused("compile")(
                "`tallier.erl` was not compiled".to_owned(),
            ));
        }
        Ok(Some(home))
    }

    fn erl(&self) -> Command {
        let mut command = Command::new("erl");
        command.args(["-noshell", "-start_epmd", "false", "-setcookie", "peers"]);
        command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
        command.current_dir(&self.directory).env("ERL_EPMD_PORT", self.port.to_string());
        command.env("ERL_CRASH_DUMP", "/dev/null");
        command
    }

    pub(crate) fn far_command(&self) -> Command {
        let mut command = self.erl();
        command.args(["-name", "far@127.0.0.1", "-eval", "tallier:far()."]);
        command
    }

    pub(crate) fn near_command(&self, pattern: FarPattern, load: u64, address: &str) -> Command {
        let mut command = self.erl();
        let play = format!("tallier:near('{address}', {}, {load}).", pattern.name());
        command.args(["-name", "near@127.0.0.1", "-eval", &play]);
        command
    }
}
