//! What is measured of nodes without a workload: how soon they are there, how soon a death is known, what idling costs.
//!
//! Times are taken from the wall clock, which all processes of a machine share: at the order or the signal here, and in
//! the lines that nodes say at the moment itself. The reading of those lines costs nothing of what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::event::{Event, Order, Place};
use crate::fleet::{self, Fleet, FleetError, Heard};
use crate::process;

/// How long anything here may take, except what is asked for.
const LIMIT: Duration = Duration::from_secs(90);
/// After the members have met, before anything is measured.
const CALM: Duration = Duration::from_secs(3);

/// It could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("{what} was not there within {LIMIT:?}")]
    Late { what: &'static str },
    #[error("what the machine says of process {0} cannot be read")]
    NoRecord(u32),
}

/// Nodes on loopback that have met.
pub(crate) struct Meeting {
    fleet: Fleet,
    nodes: BTreeMap<Place, Known>,
    lives: u16,
    threads: usize,
}

#[derive(Default)]
struct Known {
    node: Option<u64>,
    addresses: Vec<String>,
    ready_at: u64,
    joined_at: Option<u64>,
}

/// How one node came to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) ready: Duration,
    pub(crate) joined: Duration,
    pub(crate) first_task: Option<Duration>,
}

/// What a process costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) resident_bytes: u64,
    /// Of one core.
    pub(crate) cpu_share: f64,
}

impl Meeting {
    /// One node, then all others at once; and how long it took from the start of the others until each of them
    /// all saw everybody.
    pub(crate) fn of(count: u16, threads: usize) -> Result<(Self, Duration), MeasureError> {
        let fleet = Fleet::new(&format!("measure-{count}"))?;
        let mut meeting = Self { fleet, nodes: BTreeMap::new(), lives: 0, threads };
        meeting.start(0)?;
        meeting.wait("the first node", |known| known.node.is_some())?;
        let began = fleet::now();
        for machine in 1..count {
            meeting.start(machine)?;
        }
        meeting.expect(usize::from(count))?;
        let last = meeting.nodes.values().filter_map(|known| known.joined_at).max();
        Ok((meeting, since(began, last.unwrap_or(began))))
    }

    /// Kills a node and starts another in its place: how long it took until the last of the others knew.
    pub(crate) fn kill(&mut self) -> Result<Duration, MeasureError> {
        let (victim, node) = self.victim()?;
        self.calm();
        let at = fleet::now();
        self.fleet.signal(victim, Signal::KILL);
        self.nodes.remove(&victim);
        let known = self.known_to_all(node, at)?;
        // It ended by the signal.
        let _ = self.fleet.reap(victim);
        self.lives += 1;
        self.start(victim.machine)?;
        self.expect(self.nodes.len())?;
        Ok(known)
    }

    /// Stops a node by a signal until all know, and lets it come back.
    pub(crate) fn freeze(&mut self) -> Result<Duration, MeasureError> {
        let (victim, node) = self.victim()?;
        self.calm();
        let at = fleet::now();
        self.fleet.signal(victim, Signal::STOP);
        let known = self.known_to_all(node, at);
        self.fleet.signal(victim, Signal::CONT);
        let known = known?;
        self.expect(self.nodes.len())?;
        Ok(known)
    }

    /// A node that comes to those who are there.
    pub(crate) fn arrival(&mut self) -> Result<Arrival, MeasureError> {
        let Some((machine, host)) =
            self.nodes.iter().find_map(|(p, known)| Some((p.machine, known.node?)))
        else {
            return Err(MeasureError::Late { what: "a node to join" });
        };
        let place = Place { machine: machine + 200, life: self.lives };
        self.lives += 1;
        let count = self.nodes.len() + 1;
        let at = fleet::now();
        self.start_as(place, true)?;
        // Said at once, read as soon as it listens.
        self.fleet.order(place, &Order::Expect { count });
        self.fleet.order(place, &Order::Task { on: host });
        let (mut ready, mut joined, mut first_task) = (None, None, None);
        let limit = Instant::now() + LIMIT;
        while first_task.is_none() {
            let Some((from, heard)) = self.fleet.next(limit) else {
                return Err(MeasureError::Late { what: "an arriving node" });
            };
            let Heard::Said(line) = heard else { continue };
            match line.event {
                Event::Ready { .. } if from == place => ready = Some(since(at, line.at)),
                Event::Joined { .. } if from == place => joined = Some(since(at, line.at)),
                Event::Tasked { micros } if from == place => {
                    first_task = Some(micros.map(Duration::from_micros));
                }
                _ => {}
            }
        }
        self.fleet.order(place, &Order::Leave);
        let _ = self.fleet.reap(place);
        self.nodes.remove(&place);
        let late = MeasureError::Late { what: "an arriving node" };
        match (ready, joined) {
            (Some(ready), Some(joined)) => {
                Ok(Arrival { ready, joined, first_task: first_task.flatten() })
            }
            _ => Err(late),
        }
    }

    /// How long a node takes from its start until it listens, alone.
    pub(crate) fn alone(threads: usize) -> Result<Duration, MeasureError> {
        let fleet = Fleet::new("alone")?;
        let mut meeting = Self { fleet, nodes: BTreeMap::new(), lives: 0, threads };
        let began = fleet::now();
        meeting.start(0)?;
        meeting.wait("a node alone", |known| known.node.is_some())?;
        let ready = meeting.nodes.values().map(|known| known.ready_at).max();
        Ok(since(began, ready.unwrap_or(began)))
    }

    /// What the nodes cost while nothing happens: the dearest of them.
    pub(crate) fn idle(&mut self, length: Duration) -> Result<Cost, MeasureError> {
        self.calm();
        let pids: Vec<u32> = self.nodes.keys().filter_map(|place| self.fleet.pid(*place)).collect();
        let before = pids.iter().map(|pid| ticks(*pid)).collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        self.hear_until(began + length);
        let wall = began.elapsed().as_secs_f64();
        let mut worst = Cost { resident_bytes: 0, cpu_share: 0.0 };
        for (pid, before) in pids.iter().zip(before) {
            #[expect(clippy::cast_precision_loss, reason = "ticks of seconds")]
            let used =
                (ticks(*pid)? - before) as f64 / rustix::param::clock_ticks_per_second() as f64;
            worst.cpu_share = worst.cpu_share.max(used / wall);
            worst.resident_bytes = worst.resident_bytes.max(resident(*pid)?);
        }
        Ok(worst)
    }

    /// How many living members were taken for dead while `hogs` programs burn CPU and every few seconds one node is
    /// stopped for less than a failure detector must stand.
    pub(crate) fn false_downs(&mut self, length: Duration, hogs: u16) -> Result<u64, MeasureError> {
        const STALL: Duration = Duration::from_millis(1500);
        const EVERY: Duration = Duration::from_secs(5);
        self.calm();
        self.fleet.hogs(hogs);
        let limit = Instant::now() + length;
        let mut gone = 0;
        while Instant::now() < limit {
            let (victim, _) = self.victim()?;
            self.fleet.signal(victim, Signal::STOP);
            gone += self.gone_until(Instant::now() + STALL);
            self.fleet.signal(victim, Signal::CONT);
            gone += self.gone_until(limit.min(Instant::now() + EVERY));
        }
        self.fleet.hogs(0);
        gone += self.gone_until(Instant::now() + CALM);
        Ok(gone)
    }

    fn gone_until(&mut self, limit: Instant) -> u64 {
        let mut gone = 0;
        while let Some((_, heard)) = self.fleet.next(limit) {
            let is_gone =
                matches!(heard, Heard::Said(ref line) if matches!(line.event, Event::Gone { .. }));
            gone += u64::from(is_gone);
        }
        gone
    }

    /// A node in turn, never the same twice in a row.
    fn victim(&mut self) -> Result<(Place, u64), MeasureError> {
        self.lives += 1;
        let index = usize::from(self.lives) * 7 % self.nodes.len().max(1);
        let chosen =
            self.nodes.iter().nth(index).and_then(|(place, known)| Some((*place, known.node?)));
        chosen.ok_or(MeasureError::Late { what: "a node to hurt" })
    }

    fn start(&mut self, machine: u16) -> Result<(), MeasureError> {
        let place = Place { machine, life: self.lives };
        self.start_as(place, !self.nodes.is_empty())
    }

    fn start_as(&mut self, place: Place, joins: bool) -> Result<(), MeasureError> {
        let mut arguments = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()];
        arguments.extend(["--threads".to_owned(), self.threads.to_string()]);
        // Any member will do; some, so that one that was just killed does no harm.
        let known = self.nodes.values().filter(|known| known.node.is_some()).take(3);
        let join: Vec<String> = known.flat_map(|known| known.addresses.clone()).collect();
        if joins {
            arguments.extend(["--join".to_owned(), join.join(",")]);
        }
        self.fleet.start(Command::new(process::own_program()), place, &arguments)?;
        self.nodes.insert(place, Known::default());
        Ok(())
    }

    /// Waits until every node sees so many, and lets each watch all.
    fn expect(&mut self, count: usize) -> Result<(), MeasureError> {
        self.wait("a node", |known| known.node.is_some())?;
        for known in self.nodes.values_mut() {
            known.joined_at = None;
        }
        let places: Vec<Place> = self.nodes.keys().copied().collect();
        for place in places {
            self.fleet.order(place, &Order::Expect { count });
        }
        self.wait("everybody's view of all", |known| known.joined_at.is_some())
    }

    fn wait(
        &mut self,
        what: &'static str,
        is_there: impl Fn(&Known) -> bool,
    ) -> Result<(), MeasureError> {
        let limit = Instant::now() + LIMIT;
        while !self.nodes.values().all(&is_there) {
            let (place, heard) = self.fleet.next(limit).ok_or(MeasureError::Late { what })?;
            self.hear(place, heard);
        }
        Ok(())
    }

    /// Until the last node that runs has said that this one is gone.
    fn known_to_all(&mut self, node: u64, at: u64) -> Result<Duration, MeasureError> {
        let mut ignorant: Vec<Place> = self
            .nodes
            .iter()
            .filter(|(_, known)| known.node != Some(node))
            .map(|(place, _)| *place)
            .collect();
        let mut last = at;
        let limit = Instant::now() + LIMIT;
        while !ignorant.is_empty() {
            let late = MeasureError::Late { what: "the news of a death" };
            let (place, heard) = self.fleet.next(limit).ok_or(late)?;
            if let Heard::Said(line) = &heard
                && line.event == (Event::Gone { node })
            {
                ignorant.retain(|one| *one != place);
                last = last.max(line.at);
            }
            self.hear(place, heard);
        }
        Ok(since(at, last))
    }

    fn calm(&mut self) {
        self.hear_until(Instant::now() + CALM);
    }

    fn hear_until(&mut self, limit: Instant) {
        while let Some((place, heard)) = self.fleet.next(limit) {
            self.hear(place, heard);
        }
    }

    fn hear(&mut self, place: Place, heard: Heard) {
        let (Some(known), Heard::Said(line)) = (self.nodes.get_mut(&place), heard) else { return };
        match line.event {
            Event::Ready { node, addresses } => {
                known.node = Some(node);
                known.addresses = addresses;
                known.ready_at = line.at;
            }
            Event::Joined { .. } => known.joined_at = Some(line.at),
            _ => {}
        }
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        self.fleet.forget_logs();
    }
}

const fn since(before: u64, after: u64) -> Duration {
    Duration::from_micros(after.saturating_sub(before))
}

/// The process's ticks of CPU so far: `proc(5)`, fields 14 and 15 of `stat`.
fn ticks(pid: u32) -> Result<u64, MeasureError> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    Some(field(11))
        .flatten()
        .zip(field(12))
        .map(|(user, kernel)| user + kernel)
        .ok_or(MeasureError::NoRecord(pid))
}

fn resident(pid: u32) -> Result<u64, MeasureError> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok());
    let pages = pages.ok_or(MeasureError::NoRecord(pid))?;
    Ok(pages * rustix::param::page_size() as u64)
}
