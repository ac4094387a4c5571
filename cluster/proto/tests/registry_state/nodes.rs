//! The truth: nodes on which instances run, that hear of changes late and report late.

use std::collections::{BTreeMap, VecDeque};

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::registry::{ActorId, Change, Entry, Generation, Host, LogTime, Name, SessionId};
use rand::Rng;
use rand::rngs::SmallRng;

pub(crate) const NODES: u64 = 3;

pub(crate) fn host(node: u64, life: u64) -> Host {
    Host { node: NodeId(node), life: Incarnation(life) }
}

/// One process.
#[derive(Debug, Default)]
struct Process {
    life: u64,
    news: VecDeque<Change>,
    /// Under which session it runs what.
    running: BTreeMap<Name, (Generation, SessionId)>,
    /// Sessions of which its lease is over: it starts nothing under them.
    over: Vec<SessionId>,
    sessions: Vec<SessionId>,
}

#[derive(Debug, Default)]
pub(crate) struct Nodes {
    processes: Vec<Process>,
    /// Reports on their way to the log.
    reports: Vec<Report>,
}

#[derive(Clone, Debug)]
enum Report {
    Started(Name, Generation),
    Released(Name, Generation),
    Ended(Name, Generation, bool),
}

impl Nodes {
    fn process(&mut self, node: u64) -> &mut Process {
        while self.processes.len() < NODES as usize {
            self.processes.push(Process { life: 1, ..Process::default() });
        }
        &mut self.processes[node as usize]
    }

    pub(crate) fn life(&mut self, node: u64) -> u64 {
        self.process(node).life
    }

    /// Everybody will hear of these, some day.
    pub(crate) fn tell(&mut self, changes: &[Change]) {
        for node in 0..NODES {
            self.process(node).news.extend(changes.iter().cloned());
        }
    }

    pub(crate) fn hear(&mut self, rng: &mut SmallRng) -> Result<(), String> {
        let node = rng.random_range(0..NODES);
        for _ in 0..rng.random_range(1..6) {
            self.hear_one(node)?;
        }
        Ok(())
    }

    pub(crate) fn hear_all(&mut self, rng: &mut SmallRng) -> Result<(), String> {
        let first = rng.random_range(0..NODES);
        for node in (0..NODES).map(|node| (node + first) % NODES) {
            while !self.process(node).news.is_empty() {
                self.hear_one(node)?;
            }
        }
        Ok(())
    }

    fn hear_one(&mut self, node: u64) -> Result<(), String> {
        let process = self.process(node);
        let Some(change) = process.news.pop_front() else { return Ok(()) };
        let me = host(node, process.life);
        match change {
            Change::SessionOpened { session, host } if host == me => process.sessions.push(session),
            Change::Start { name, generation, host, session, .. }
                if host == me && !process.over.contains(&session) =>
            {
                self.start(node, name, generation, session)?;
            }
            Change::Stop { name, generation, session } if process.sessions.contains(&session) => {
                if process.running.get(&name).is_some_and(|&(running, _)| running == generation) {
                    process.running.remove(&name);
                }
                self.reports.push(Report::Released(name, generation));
            }
            _ => {}
        }
        Ok(())
    }

    fn start(
        &mut self,
        node: u64,
        name: Name,
        generation: Generation,
        session: SessionId,
    ) -> Result<(), String> {
        let other = self.processes.iter().find_map(|process| process.running.get(&name));
        if let Some((other, _)) = other {
            return Err(format!("{name} runs twice: as {other} and as {generation}"));
        }
        self.reports.push(Report::Started(name.clone(), generation));
        self.process(node).running.insert(name, (generation, session));
        Ok(())
    }

    /// An instance ends by itself, with a failure, without one, or for good.
    pub(crate) fn end_one(&mut self, is_failure: bool, rng: &mut SmallRng) {
        let node = rng.random_range(0..NODES);
        if let Some((name, (generation, _))) = self.process(node).running.pop_first() {
            let gives_up = rng.random_range(0..3) == 0;
            self.reports.push(if gives_up {
                Report::Released(name, generation)
            } else {
                Report::Ended(name, generation, is_failure)
            });
        }
    }

    /// A report reaches the log, in any order; some come twice.
    pub(crate) fn report(&mut self, at: LogTime, rng: &mut SmallRng) -> Option<Entry> {
        if self.reports.is_empty() {
            return None;
        }
        let at_index = rng.random_range(0..self.reports.len());
        let report = match rng.random_range(0..5) {
            0 => self.reports[at_index].clone(),
            _ => self.reports.swap_remove(at_index),
        };
        Some(match report {
            Report::Started(name, generation) => {
                Entry::Started { name, generation, actor: ActorId(generation.0) }
            }
            Report::Released(name, generation) => Entry::Release { name, generation },
            Report::Ended(name, generation, is_failure) => {
                Entry::Ended { name, generation, is_failure, at }
            }
        })
    }

    /// A process dies, and another life of its node begins. What it reported is under way or lost.
    pub(crate) fn crash(&mut self, rng: &mut SmallRng) {
        let node = rng.random_range(0..NODES);
        let process = self.process(node);
        let (life, news) = (process.life + 1, std::mem::take(&mut process.news));
        *process = Process { life, news, ..Process::default() };
    }

    /// A node stops all its actors and closes its session, if it knows of one.
    pub(crate) fn leave(&mut self, rng: &mut SmallRng) -> Option<SessionId> {
        let process = self.process(rng.random_range(0..NODES));
        let session = *process.sessions.last()?;
        process.running.retain(|_, (_, under)| *under != session);
        process.over.push(session);
        Some(session)
    }

    /// Whoever has this session stops what runs under it, and begins nothing more.
    pub(crate) fn lease_is_over(&mut self, session: SessionId) {
        for process in &mut self.processes {
            process.running.retain(|_, (_, under)| *under != session);
            process.over.push(session);
        }
    }

    pub(crate) fn runs(&self, name: &Name, generation: Option<Generation>) -> bool {
        let running = self.processes.iter().filter_map(|process| process.running.get(name));
        running.map(|&(running, _)| Some(running)).eq([generation])
    }
}
