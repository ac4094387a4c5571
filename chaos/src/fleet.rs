//! The nodes of a run as processes: started, told, heard, signalled, ended.
//!
//! Each node speaks over its own pipes, which no fault of the network touches. One thread for each reads to the end,
//! so that the last word of a node that was killed is heard, too.
//!
//! Invariant: no node outlives the fleet (`process`), and their number is bounded.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::event::{Line, Order, Place};
use crate::process;

/// Nodes and hogs that may run at once.
const PROCESSES_MAX: usize = 256;

/// How long one may take to end after it was told.
const FAREWELL_LIMIT: Duration = Duration::from_secs(15);

/// What comes from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Said(Line),
    /// Its pipe is closed: it has ended.
    Ended,
}

/// Something of the machine's was not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("no directory for the nodes' logs")]
    NoDirectory(#[source] io::Error),
    #[error("node {place} could not be started")]
    NotStarted { place: Place, source: io::Error },
    #[error("{PROCESSES_MAX} processes run already, which is the limit")]
    TooMany,
}

/// The running nodes.
pub(crate) struct Fleet {
    directory: PathBuf,
    members: BTreeMap<Place, Member>,
    hogs: Vec<Child>,
    sender: Sender<(Place, Heard)>,
    heard: Receiver<(Place, Heard)>,
}

struct Member {
    child: Child,
    orders: Option<ChildStdin>,
}

/// Microseconds of the wall clock, as nodes tell them.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock that all processes of a machine share"
)]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Fleet {
    /// A fleet without nodes, whose logs go to a new directory.
    pub(crate) fn new(name: &str) -> Result<Self, FleetError> {
        let own = format!("mobula-chaos-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        fs::create_dir_all(&directory).map_err(FleetError::NoDirectory)?;
        let (sender, heard) = mpsc::channel();
        Ok(Self { directory, members: BTreeMap::new(), hogs: Vec::new(), sender, heard })
    }

    /// Starts a node; `command` is this program on the machine in question, without arguments. To be called by the
    /// main thread: nodes end with the thread that started them.
    pub(crate) fn start(
        &mut self,
        mut command: Command,
        place: Place,
        arguments: &[String],
    ) -> Result<(), FleetError> {
        if self.members.len() + self.hogs.len() >= PROCESSES_MAX {
            return Err(FleetError::TooMany);
        }
        let not_started = |source| FleetError::NotStarted { place, source };
        let log = File::create(self.log(place)).map_err(not_started)?;
        command
            .args(["node", "--machine", &place.machine.to_string()])
            .args(["--life", &place.life.to_string()])
            .args(arguments);
        process::own(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(not_started)?;
        let orders = child.stdin.take();
        if let Some(said) = child.stdout.take() {
            let sender = self.sender.clone();
            drop(thread::spawn(move || hear(place, BufReader::new(said), &sender)));
        }
        self.members.insert(place, Member { child, orders });
        Ok(())
    }

    /// The next thing that is heard from anybody, until `limit`.
    pub(crate) fn next(&mut self, limit: Instant) -> Option<(Place, Heard)> {
        self.heard.recv_timeout(limit.saturating_duration_since(Instant::now())).ok()
    }

    /// Gives an order; to one that has ended it is lost.
    pub(crate) fn order(&mut self, place: Place, order: &Order) {
        let Some(orders) = self.members.get_mut(&place).and_then(|member| member.orders.as_mut())
        else {
            return;
        };
        if let Ok(mut line) = serde_json::to_vec(order) {
            line.push(b'\n');
            // Whether it has ended is heard on its other pipe.
            let _ = orders.write_all(&line).and_then(|()| orders.flush());
        }
    }

    pub(crate) fn signal(&mut self, place: Place, signal: Signal) {
        if let Some(member) = self.members.get_mut(&place) {
            process::signal(&mut member.child, signal);
        }
    }

    /// The node's process, as the machine lists it.
    #[must_use]
    pub(crate) fn pid(&self, place: Place) -> Option<u32> {
        self.members.get(&place).map(|member| member.child.id())
    }

    /// Waits for one that is about to end, and says how it did.
    #[expect(clippy::disallowed_methods, reason = "a thread waits here for a process, not a task")]
    pub(crate) fn reap(&mut self, place: Place) -> Result<(), String> {
        let Some(mut member) = self.members.remove(&place) else { return Ok(()) };
        drop(member.orders.take());
        let limit = Instant::now() + FAREWELL_LIMIT;
        loop {
            match member.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(status.to_string()),
                Ok(None) if Instant::now() < limit => thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => {
                    process::end(&mut member.child);
                    return Err(format!("did not end within {FAREWELL_LIMIT:?}"));
                }
            }
        }
    }

    /// So many programs that only burn CPU, from now on.
    pub(crate) fn hogs(&mut self, count: u16) {
        while self.hogs.len() > usize::from(count) {
            if let Some(mut hog) = self.hogs.pop() {
                process::end(&mut hog);
            }
        }
        while self.hogs.len() < usize::from(count) {
            let mut command = Command::new(process::own_program());
            process::own(command.arg("hog")).stdin(Stdio::null()).stdout(Stdio::null());
            // One hog less is no reason to end a run.
            match command.spawn() {
                Ok(hog) => self.hogs.push(hog),
                Err(_) => break,
            }
        }
    }

    /// What a node's log says that must not be there: the first panic.
    #[must_use]
    pub(crate) fn panic_of(&self, place: Place) -> Option<String> {
        let text = fs::read_to_string(self.log(place)).ok()?;
        let at = text.lines().position(|line| line.contains("panicked at"))?;
        Some(text.lines().skip(at).take(2).collect::<Vec<_>>().join(": "))
    }

    /// Where the nodes' logs are.
    #[must_use]
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The logs are of no interest.
    pub(crate) fn forget_logs(&self) {
        // They are in a directory for such things.
        let _ = fs::remove_dir_all(&self.directory);
    }

    fn log(&self, place: Place) -> PathBuf {
        self.directory.join(format!("{place}.log"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.members.values_mut().for_each(|member| process::end(&mut member.child));
        self.hogs.iter_mut().for_each(process::end);
    }
}

fn hear(place: Place, mut said: impl io::BufRead, sender: &Sender<(Place, Heard)>) {
    let mut line = String::new();
    while said.read_line(&mut line).is_ok_and(|length| length > 0) {
        // Of the last line of one that was killed there may be half.
        if let Ok(read) = serde_json::from_str(&line)
            && sender.send((place, Heard::Said(read))).is_err()
        {
            return;
        }
        line.clear();
    }
    // If nobody listens any more, nobody waits for this.
    let _ = sender.send((place, Heard::Ended));
}
