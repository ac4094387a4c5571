//! The two processes of one run.
//!
//! Invariant: when a run is over, however it ended, neither of its processes is left.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::entrant::Entrant;
use super::entrants::erlang::Home;
use super::pattern::FarPattern;
use crate::error::BenchError;

/// How long a near side may take; far more than any does.
const RUN_LIMIT: Duration = Duration::from_secs(180);

/// Plays a pattern once between two fresh processes.
pub(crate) fn run(
    entrant: Entrant,
    erlang: Option<&Home>,
    (pattern, load): (FarPattern, u64),
) -> Result<Vec<f64>, BenchError> {
    let (_far, address) = Side::start(entrant.name(), entrant.far_command(erlang)?)?;
    let mut near = entrant.near_command(erlang, (pattern, load), &address)?;
    near.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut near = Side { child: near.spawn()?, _stdin: None };
    let until = Instant::now() + RUN_LIMIT;
    let status = loop {
        if let Some(status) = near.child.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            let text = format!("it had not ended after {RUN_LIMIT:?}");
            return Err(BenchError::Child { framework: entrant.name(), text });
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the end of a process is no event that a deadline can bound"
        )]
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = |pipe: Option<&mut dyn std::io::Read>| -> Result<String, BenchError> {
        let mut text = String::new();
        if let Some(pipe) = pipe {
            pipe.read_to_string(&mut text)?;
        }
        Ok(text)
    };
    let said = text(near.child.stdout.as_mut().map(|pipe| pipe as _))?;
    let complaint = text(near.child.stderr.as_mut().map(|pipe| pipe as _))?;
    let figures: Option<Vec<f64>> =
        said.split_whitespace().map(|figure| figure.parse().ok()).collect();
    match figures {
        Some(figures) if status.success() => Ok(figures),
        _ => Err(BenchError::Child {
            framework: entrant.name(),
            text: format!("{} {}", said.trim(), complaint.trim()),
        }),
    }
}

/// A process of ours, killed when it is dropped.
pub(crate) struct Side {
    child: Child,
    /// Open as long as the process is to live.
    _stdin: Option<ChildStdin>,
}

impl Side {
    /// Starts a far side and waits for the line with its address.
    fn start(name: &'static str, mut command: Command) -> Result<(Self, String), BenchError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let _stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let side = Self { child, _stdin };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().to_owned();
        if address.is_empty() {
            let text = "its far side ended before it said where it is".to_owned();
            return Err(BenchError::Child { framework: name, text });
        }
        Ok((side, address))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
