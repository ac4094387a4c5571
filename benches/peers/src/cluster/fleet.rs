//! The patterns of many nodes, each a process: how fast one starts, what an idle one costs, how fast a dead one is known.
//!
//! The referee takes the time from outside: it starts and kills processes, tells them what to wait for, and notes when
//! their lines come. Invariant: no process is left when a pattern is over.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::pattern::FarPattern;
use crate::error::BenchError;

/// Nodes of an idle fleet: each has ten peers.
const IDLE_NODES: usize = 11;
/// Nodes of a fleet that loses two, one after the other.
const CRASH_NODES: usize = 12;
/// Nothing takes as long.
const LIMIT: Duration = Duration::from_secs(60);
/// Until a fleet that has just met has nothing to do any more.
const SETTLE: Duration = Duration::from_secs(3);
/// How long an idle fleet is watched.
const WATCH: Duration = Duration::from_secs(10);
/// What the kernel counts a process's time in, on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Plays a pattern once.
pub(crate) fn play(pattern: FarPattern, quick: bool) -> Result<Vec<f64>, BenchError> {
    match pattern {
        FarPattern::Start => start(),
        FarPattern::Idle => idle(if quick { WATCH / 5 } else { WATCH }),
        FarPattern::Crash => crash(),
        _ => Err(BenchError::NothingToRun("two processes will do for this")),
    }
}

/// Milliseconds from exec until a node alone is ready, until one that joins is known to the other, and from then until
/// its first task is done.
fn start() -> Result<Vec<f64>, BenchError> {
    let mut fleet = Fleet::new();
    fleet.launch()?;
    let (_, address) = fleet.ready(0)?;
    // The first start reads the program from disk, so the second counts.
    let mut alone = Fleet::new();
    let begun = Instant::now();
    alone.launch()?;
    let (ready_at, _) = alone.line_of(0, "ready")?;
    let ready = ready_at - begun;
    drop(alone);
    fleet.tell(0, "meet 2")?;
    fleet.join = Some(address);
    let begun = Instant::now();
    let newcomer = fleet.launch()?;
    let (met_at, _) = fleet.line_of(0, "done meet")?;
    let joined = met_at - begun;
    let (id, _) = fleet.ready(newcomer)?;
    let begun = Instant::now();
    fleet.tell(0, &format!("task {id}"))?;
    let (done_at, _) = fleet.line_of(0, "done task")?;
    Ok([ready, joined, done_at - begun].map(milliseconds).to_vec())
}

/// Megabytes and part of a core, the mean of all nodes.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement lets the nodes come to rest, and watches them for a while"
)]
fn idle(watch: Duration) -> Result<Vec<f64>, BenchError> {
    let fleet = Fleet::of(IDLE_NODES)?;
    std::thread::sleep(SETTLE);
    let before = fleet.each(cpu_seconds)?;
    let begun = Instant::now();
    std::thread::sleep(watch);
    let after = fleet.each(cpu_seconds)?;
    let watched = begun.elapsed().as_secs_f64();
    let resident = fleet.each(resident_bytes)?;
    Ok(vec![resident / 1e6, (after - before) / watched * 100.0])
}

/// Milliseconds until the last of all others knows.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement lets the nodes come to rest, and watches them for a while"
)]
fn crash() -> Result<Vec<f64>, BenchError> {
    let mut fleet = Fleet::of(CRASH_NODES)?;
    std::thread::sleep(SETTLE);
    let killed = fleet.lose("-KILL")?;
    let stopped = fleet.lose("-STOP")?;
    Ok([killed, stopped].map(milliseconds).to_vec())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Nodes, each a process of its own.
struct Fleet {
    nodes: Vec<Member>,
    join: Option<String>,
    lines_in: Sender<(usize, Instant, String)>,
    lines: Receiver<(usize, Instant, String)>,
    /// Lines that nobody has asked for yet.
    kept: Vec<(usize, Instant, String)>,
}

struct Member {
    child: Child,
    words: ChildStdin,
    id: u64,
}

impl Fleet {
    fn new() -> Self {
        let (lines_in, lines) = channel();
        Self { nodes: Vec::new(), join: None, lines_in, lines, kept: Vec::new() }
    }

    /// So many nodes that have all met.
    fn of(count: usize) -> Result<Self, BenchError> {
        let mut fleet = Self::new();
        fleet.launch()?;
        let (_, address) = fleet.ready(0)?;
        fleet.join = Some(address);
        for _ in 1..count {
            fleet.launch()?;
        }
        for index in 1..count {
            fleet.ready(index)?;
        }
        for index in 0..count {
            fleet.tell(index, &format!("meet {count}"))?;
        }
        for index in 0..count {
            fleet.line_of(index, "done meet")?;
        }
        Ok(fleet)
    }

    /// Starts a node; its place.
    fn launch(&mut self) -> Result<usize, BenchError> {
        let index = self.nodes.len();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("member").args(&self.join).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (words, said) = (child.stdin.take(), child.stdout.take());
        let (Some(words), Some(said)) = (words, said) else {
            return Err(BenchError::DriverLost);
        };
        let lines = self.lines_in.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                if lines.send((index, Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        self.nodes.push(Member { child, words, id: 0 });
        Ok(index)
    }

    /// Waits until a node is ready; its id and address.
    fn ready(&mut self, index: usize) -> Result<(u64, String), BenchError> {
        let (_, line) = self.line_of(index, "ready")?;
        let unreadable = || BenchError::refused("ready")(format!("`{line}`"));
        let mut parts = line.split_whitespace().skip(1);
        let (Some(id), Some(address)) = (parts.next(), parts.next()) else {
            return Err(unreadable());
        };
        self.nodes[index].id = id.parse().map_err(|_no_number| unreadable())?;
        Ok((self.nodes[index].id, address.to_owned()))
    }

    fn tell(&mut self, index: usize, word: &str) -> Result<(), BenchError> {
        let words = &mut self.nodes[index].words;
        writeln!(words, "{word}")?;
        Ok(words.flush()?)
    }

    /// The next line of a node that begins so, and when it came.
    fn line_of(&mut self, index: usize, begins: &str) -> Result<(Instant, String), BenchError> {
        let until = Instant::now() + LIMIT;
        loop {
            let is_it =
                |(of, _, line): &(usize, Instant, String)| *of == index && line.starts_with(begins);
            if let Some(place) = self.kept.iter().position(is_it) {
                let (_, at, line) = self.kept.swap_remove(place);
                return Ok((at, line));
            }
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((_, _, line)) if line.starts_with("failed") => {
                    return Err(BenchError::refused("member")(line));
                }
                Ok(line) => self.kept.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let text = format!("node {index} never said `{begins}`");
                    return Err(BenchError::refused("member")(text));
                }
            }
        }
    }

    /// Sends a signal to the last node; how long it takes until the last of all others knows that it is gone.
    fn lose(&mut self, signal: &str) -> Result<Duration, BenchError> {
        let Some(lost) = self.nodes.len().checked_sub(1) else {
            return Err(BenchError::NothingToRun("there is no node to lose"));
        };
        let word = format!("gone {}", self.nodes[lost].id);
        for index in 0..lost {
            self.tell(index, &word)?;
        }
        // All have heard the word before the signal: the answer to another one comes after it.
        for index in 0..lost {
            self.tell(index, "meet 1")?;
            self.line_of(index, "done meet 1")?;
        }
        let process = self.nodes[lost].child.id().to_string();
        let begun = Instant::now();
        let status = Command::new("kill").args([signal, &process]).status()?;
        if !status.success() {
            return Err(BenchError::refused("kill")(status.to_string()));
        }
        let mut last = begun;
        for index in 0..lost {
            let (at, _) = self.line_of(index, "done gone")?;
            last = last.max(at);
        }
        drop(self.nodes.pop());
        Ok(last - begun)
    }

    /// The mean of something over all nodes.
    fn each(&self, of: fn(u32) -> Option<f64>) -> Result<f64, BenchError> {
        let mut sum = 0.0;
        for node in &self.nodes {
            let unreadable = || BenchError::ResidentSet { path: "/proc" };
            sum += of(node.child.id()).ok_or_else(unreadable)?;
        }
        Ok(sum / self.nodes.len() as f64)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time on a processor so far.
fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold anything, so from behind its parenthesis: user time is the 12th field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn resident_bytes(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
