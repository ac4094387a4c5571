//! One run: nodes that work, a script of faults, quiet, and the checker.
//!
//! Time is real here, so a run cannot be repeated to the packet; what is repeated is the script, the workload's choices
//! and the network's dice. The verdict does not depend on time: every limit here is one on failure.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::checker::{self, Fate, History};
use crate::event::{Event, Order, Place};
use crate::fleet::{Fleet, FleetError, Heard};
use crate::lab::{self, Lab, LabError};
use crate::node::Mutant;
use crate::process;
use crate::script::{Fault, Plan, Script};
use crate::shape::Rules;
use crate::verdict::Verdict;

/// How long all may take to be there.
const GATHER_LIMIT: Duration = Duration::from_secs(40);
/// How long views may take to be one again after the last fault.
const SETTLE_LIMIT: Duration = Duration::from_secs(40);
/// How long everything that was begun may take to end after that.
const DRAIN_LIMIT: Duration = Duration::from_secs(40);
/// How long what nobody needs any more may take to go.
const CLEAR_LIMIT: Duration = Duration::from_secs(15);
/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// The history's file beside the logs.
const STORY: &str = "history";
/// Work goes on for so long after all is well again.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) mutant: Option<Mutant>,
}

/// What came of it.
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// From the last fault until all agreed; none if they did not.
    pub(crate) settled_after: Option<Duration>,
    /// Members that were seen as down while their process lived and was not stopped, whatever the network did.
    pub(crate) packets: Option<(u64, u64)>,
    /// Where the nodes' logs are, if they are of interest.
    pub(crate) logs: Option<std::path::PathBuf>,
}

/// The run could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("the nodes did not find each other within {GATHER_LIMIT:?}; their logs are in {0}")]
    NotGathered(String),
}

impl Trial {
    /// Runs it.
    pub(crate) fn run(&self, script: &Script) -> Result<Finding, TrialError> {
        let lab = match self.plan.has_network {
            true => Some(Lab::build(self.plan.machines, self.seed)?),
            false => None,
        };
        let fleet = Fleet::new(&self.seed.to_string())?;
        let lives = vec![0; usize::from(self.plan.machines)];
        let mut run = Run {
            trial: *self,
            lab,
            fleet,
            history: History::default(),
            times: Vec::new(),
            nodes: BTreeMap::new(),
            lives,
            is_working: false,
        };
        run.gather()?;
        run.work();
        let began = Instant::now();
        for (at, fault) in &script.steps {
            run.hear_until(began + *at);
            run.apply(fault)?;
        }
        run.hear_until(began + self.plan.length);
        let settled_after = run.settle();
        run.hear_until(Instant::now() + AFTERMATH);
        run.rest();
        run.part();
        let packets = run.lab.as_ref().map(Lab::carried);
        let verdict = checker::check(&run.history);
        let logs = if verdict.violations.is_empty() {
            run.fleet.forget_logs();
            None
        } else {
            run.write_down();
            Some(run.fleet.directory().to_owned())
        };
        Ok(Finding { verdict, settled_after, packets, logs })
    }
}

struct Run {
    trial: Trial,
    lab: Option<Lab>,
    fleet: Fleet,
    history: History,
    /// When each of the history's events was said.
    times: Vec<u64>,
    /// Nodes that run.
    nodes: BTreeMap<Place, Known>,
    lives: Vec<u16>,
    is_working: bool,
}

/// What was heard last from a node that runs.
#[derive(Default)]
struct Known {
    node: Option<u64>,
    addresses: Vec<String>,
    alive: Vec<u64>,
    left_over: Option<usize>,
    is_drained: bool,
}

impl Run {
    /// Starts all, the first one alone.
    fn gather(&mut self) -> Result<(), TrialError> {
        let limit = Instant::now() + GATHER_LIMIT;
        self.start(0)?;
        self.hear_while(limit, |run| run.nodes.values().any(|known| known.node.is_none()));
        for machine in 1..self.trial.plan.machines {
            self.start(machine)?;
        }
        self.hear_while(limit, |run| run.nodes.values().any(|known| known.node.is_none()));
        if self.agree(limit) {
            return Ok(());
        }
        Err(TrialError::NotGathered(self.fleet.directory().display().to_string()))
    }

    fn start(&mut self, machine: u16) -> Result<(), TrialError> {
        let place = Place { machine, life: self.lives[usize::from(machine)] };
        let program = process::own_program();
        let (command, listen) = match &self.lab {
            Some(lab) => {
                let listen = format!("{}:{}", lab::address(machine), lab::PORT);
                (lab.command(machine, &program), listen)
            }
            None => (Command::new(program), "127.0.0.1:0".to_owned()),
        };
        let mut arguments = vec!["--listen".to_owned(), listen];
        let others: Vec<String> = match &self.lab {
            // Any machine may be dead now and alive later.
            Some(_) if !self.nodes.is_empty() => (0..self.trial.plan.machines)
                .filter(|other| *other != machine)
                .map(|other| format!("{}:{}", lab::address(other), lab::PORT))
                .collect(),
            Some(_) | None => {
                self.nodes.values().flat_map(|known| known.addresses.clone()).collect()
            }
        };
        if !others.is_empty() {
            arguments.extend(["--join".to_owned(), others.join(",")]);
        }
        arguments.extend(["--look".to_owned(), "100".to_owned()]);
        if let Some(mutant) =
            self.trial.mutant.as_ref().and_then(clap::ValueEnum::to_possible_value)
        {
            arguments.extend(["--mutant".to_owned(), mutant.get_name().to_owned()]);
        }
        self.fleet.start(command, place, &arguments)?;
        self.nodes.insert(place, Known::default());
        Ok(())
    }

    fn work(&mut self) {
        self.is_working = true;
        let places: Vec<Place> = self.nodes.keys().copied().collect();
        places.into_iter().for_each(|place| self.order_work(place));
    }

    fn order_work(&mut self, place: Place) {
        let own = (u64::from(place.machine) << 32) | u64::from(place.life);
        self.fleet.order(place, &Order::Work { seed: self.trial.seed.wrapping_add(own << 8) });
    }

    fn apply(&mut self, fault: &Fault) -> Result<(), TrialError> {
        match fault {
            Fault::Kill(machine) => {
                if let Some(place) = self.place(*machine) {
                    self.kill(place);
                }
            }
            Fault::Start(machine) => {
                self.lives[usize::from(*machine)] += 1;
                self.start(*machine)?;
            }
            Fault::Freeze(machine) => self.signal(*machine, Signal::STOP),
            Fault::Thaw(machine) => self.signal(*machine, Signal::CONT),
            Fault::Hog(count) => self.fleet.hogs(*count),
            Fault::Network(rules) => self.network(rules.clone()),
            Fault::Unplug(machine) => self.in_lab(|lab| lab.plug(*machine, false))?,
            Fault::Plug(machine) => self.in_lab(|lab| lab.plug(*machine, true))?,
            Fault::Blackhole { at, to } => self.in_lab(|lab| lab.route(*at, *to, false))?,
            Fault::Route { at, to } => self.in_lab(|lab| lab.route(*at, *to, true))?,
        }
        Ok(())
    }

    fn network(&self, rules: Rules) {
        if let Some(lab) = &self.lab {
            lab.set(rules);
        }
    }

    fn in_lab(&self, change: impl Fn(&Lab) -> Result<(), LabError>) -> Result<(), LabError> {
        self.lab.as_ref().map_or(Ok(()), change)
    }

    fn place(&self, machine: u16) -> Option<Place> {
        self.nodes.keys().find(|place| place.machine == machine).copied()
    }

    fn signal(&mut self, machine: u16, signal: Signal) {
        if let Some(place) = self.place(machine) {
            self.fleet.signal(place, signal);
        }
    }

    fn kill(&mut self, place: Place) {
        self.history.fates.insert(place, Fate::Killed);
        self.fleet.signal(place, Signal::KILL);
        self.nodes.remove(&place);
        // It ended by the signal, which is what was wanted.
        let _ = self.fleet.reap(place);
    }

    /// Waits until all see each other and nobody else.
    fn settle(&mut self) -> Option<Duration> {
        let began = Instant::now();
        self.agree(began + SETTLE_LIMIT).then(|| began.elapsed())
    }

    fn agree(&mut self, limit: Instant) -> bool {
        while Instant::now() < limit {
            self.order_all(&Order::Look);
            self.hear_until(limit.min(Instant::now() + ASK_EVERY));
            let mut living: Vec<Option<u64>> =
                self.nodes.values().map(|known| known.node).collect();
            living.sort_unstable();
            let agrees = |known: &Known| {
                let seen = known.alive.iter().copied().map(Some);
                seen.eq(living.iter().copied())
            };
            if self.nodes.values().all(agrees) {
                return true;
            }
        }
        false
    }

    /// Lets everything end, and what nobody needs go.
    fn rest(&mut self) {
        self.is_working = false;
        self.order_all(&Order::Rest);
        let is_busy = |run: &Self| run.nodes.values().any(|known| !known.is_drained);
        self.hear_while(Instant::now() + DRAIN_LIMIT, is_busy);
        if is_busy(self) {
            return;
        }
        let limit = Instant::now() + CLEAR_LIMIT;
        while Instant::now() < limit {
            self.order_all(&Order::Count);
            self.hear_until(Instant::now() + ASK_EVERY);
            if self.nodes.values().all(|known| known.left_over == Some(0)) {
                break;
            }
        }
    }

    /// Asks all for a last look, and lets them go.
    fn part(&mut self) {
        // A node that had no time for a moment is suspected, and refutes; whoever looks just then sees no whole.
        self.agree(Instant::now() + SETTLE_LIMIT);
        let nodes = std::mem::take(&mut self.nodes);
        for (place, known) in nodes {
            self.fleet.order(place, &Order::Leave);
            let ended = self.fleet.reap(place);
            let fate = match ended {
                _ if !known.is_drained => Fate::Fell { how: "it did not come to rest".to_owned() },
                Ok(()) => Fate::Stayed,
                Err(how) => Fate::Fell { how },
            };
            let panicked = self.fleet.panic_of(place).map(|how| Fate::Fell { how });
            self.history.fates.insert(place, panicked.unwrap_or(fate));
        }
        self.hear_until(Instant::now());
    }

    /// Leaves the history beside the logs, for whoever looks for the cause.
    fn write_down(&self) {
        let mut text = String::new();
        for ((place, event), at) in self.history.events.iter().zip(&self.times) {
            if let Ok(event) = serde_json::to_string(event) {
                text.push_str(&format!("{at} {place} {event}\n"));
            }
        }
        // Without it there are still the logs and the verdict.
        let _ = std::fs::write(self.fleet.directory().join(STORY), text);
    }

    fn order_all(&mut self, order: &Order) {
        let places: Vec<Place> = self.nodes.keys().copied().collect();
        places.into_iter().for_each(|place| self.fleet.order(place, order));
    }

    fn hear_until(&mut self, limit: Instant) {
        self.hear_while(limit, |_| true);
    }

    fn hear_while(&mut self, limit: Instant, goes_on: impl Fn(&Self) -> bool) {
        while goes_on(self)
            && let Some((place, heard)) = self.fleet.next(limit)
        {
            self.hear(place, heard);
        }
    }

    fn hear(&mut self, place: Place, heard: Heard) {
        let line = match heard {
            Heard::Said(line) => line,
            Heard::Ended => {
                // Not by us, or its fate would be known and it forgotten.
                if self.nodes.remove(&place).is_some() {
                    let how = self.fleet.reap(place).err().unwrap_or_else(|| "it left".to_owned());
                    let how = self.fleet.panic_of(place).unwrap_or(how);
                    self.history.fates.insert(place, Fate::Fell { how });
                }
                return;
            }
        };
        if let Some(known) = self.nodes.get_mut(&place) {
            match &line.event {
                Event::Ready { node, addresses } => {
                    known.node = Some(*node);
                    known.addresses.clone_from(addresses);
                    if self.is_working {
                        self.order_work(place);
                    }
                }
                Event::View { rows } => {
                    let alive = rows.iter().filter(|(_, status)| status == "alive");
                    known.alive = alive.map(|(node, _)| *node).collect();
                    known.alive.sort_unstable();
                }
                Event::Census { objects, tasks, actors } => {
                    known.left_over = Some(objects + tasks + actors);
                }
                Event::Drained => known.is_drained = true,
                _ => {}
            }
        }
        self.times.push(line.at);
        self.history.events.push((place, line.event));
    }
}
