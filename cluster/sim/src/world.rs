//! The world: machines, the network between them, and one loop that lets time pass.
//!
//! A test that drives cores by hand tests the hand. Here every core runs behind [`Protocol`] on a machine with
//! its own clock, may be stopped, killed, cut off or restarted at any tick, and hears of the others only what the
//! network brings.
//!
//! - `machine`: what belongs to one of them.
//! - [`lives`]: boot, kill, crash, stall.
//! - `streams`: dials, links and what travels on them.
//! - `spread`: floods and datagrams.
//!
//! Invariant: a run is a function of the seed, the conditions and the calls made; nothing else draws or counts.

pub mod lives;
mod machine;
mod spread;
mod streams;

use std::fmt;

use mobula_proto::time::Time;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::network::flood::{FloodId, Floods};
use crate::network::links::{ConnectionId, Links};
use crate::network::{Conditions, Network};
use crate::protocol::{Effect, Ending, Host, Input, Protocol};
use crate::queue::{Queue, Tick};

pub use self::machine::{Machine, Record};

/// The birth of a process, as its factory sees it.
#[derive(Debug, Clone, Copy)]
pub struct Birth {
    /// On which machine.
    pub host: Host,
    /// Which process on that machine, from 0.
    pub life: u32,
    /// What its clock shows.
    pub local: Time,
    /// The true time; stands for the wall clock, on which incarnations are based.
    pub now: Tick,
}

/// Makes the process of a machine that boots.
pub type Factory<P> = Box<dyn FnMut(Birth, &mut SmallRng) -> P>;

/// What is to happen; internal to the world.
#[derive(Debug)]
pub(crate) enum Event<M> {
    Wake { host: Host },
    Resume { host: Host, until: Tick },
    Stream { id: ConnectionId, to: Host, from: Host, message: M },
    Datagram { to: Host, from: Host, message: M },
    Flood { id: FloodId, to: Host, from: Host },
    Syn { dialler: Host, to: Host, attempt: u32 },
    Redial { dialler: Host, to: Host, attempt: u32, tries: u32 },
    Established { id: ConnectionId, host: Host, peer: Host, attempt: Option<u32> },
    Refused { dialler: Host, peer: Host, attempt: u32 },
    DialLimit { dialler: Host, peer: Host, attempt: u32 },
    Broken { id: ConnectionId, host: Host, peer: Host, ending: Ending },
    Retransmit { id: ConnectionId, from: Host, to: Host, wait: Tick },
}

/// Machines and network under one clock.
pub struct World<P: Protocol> {
    now: Tick,
    queue: Queue<Event<P::Message>>,
    machines: Vec<Machine<P>>,
    /// The network; conditions may be changed between steps.
    pub network: Network,
    links: Links<P::Message>,
    floods: Floods<P::Message>,
    rng: SmallRng,
    factory: Factory<P>,
    effects: Vec<Effect<P::Message, P::Notice>>,
    notices: Vec<(Host, P::Notice)>,
    flood_peers: Vec<Host>,
    events: u64,
    undeliverable: u64,
}

impl<P: Protocol> fmt::Debug for World<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("World")
            .field("now", &self.now)
            .field("machines", &self.machines.len())
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> World<P> {
    /// An empty world of `hosts` machines, all off.
    #[must_use]
    pub fn new(hosts: u32, conditions: Conditions, seed: u64, factory: Factory<P>) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let skew = conditions.clock_skew_ppm;
        let machines = (0..hosts).map(|_| Machine::new(skew, &mut rng)).collect();
        Self {
            now: 0,
            queue: Queue::default(),
            machines,
            network: Network::new(conditions),
            links: Links::default(),
            floods: Floods::default(),
            rng,
            factory,
            effects: Vec::new(),
            notices: Vec::new(),
            flood_peers: Vec::new(),
            events: 0,
            undeliverable: 0,
        }
    }

    /// The true time.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.now
    }

    /// All machines, by host number.
    #[must_use]
    pub fn machines(&self) -> &[Machine<P>] {
        &self.machines
    }

    /// One machine.
    ///
    /// # Panics
    /// If there is no such host.
    #[must_use]
    pub fn machine(&self, host: Host) -> &Machine<P> {
        &self.machines[host.index()]
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = Host> + use<P> {
        (0..u32::try_from(self.machines.len()).unwrap_or(u32::MAX)).map(Host)
    }

    /// The process of a host that runs and is not stalled.
    #[must_use]
    pub fn running(&self, host: Host) -> Option<&P> {
        let machine = self.machines.get(host.index())?;
        machine.process.as_ref().filter(|_| !machine.stalled)
    }

    /// Events handled so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Messages that were sent without a link, or over the bound of a stuck one.
    #[must_use]
    pub fn undeliverable(&self) -> u64 {
        self.undeliverable
    }

    /// Open links of a host.
    #[must_use]
    pub fn link_count(&self, host: Host) -> usize {
        let ends = self.links.ends(host);
        ends.iter().filter(|(peer, _)| self.links.open_end(host, *peer).is_some()).count()
    }

    /// The world's own randomness, for workloads.
    pub fn rng(&mut self) -> &mut SmallRng {
        &mut self.rng
    }

    /// What processes told their surroundings since this was last called, and on which host.
    pub fn take_notices(&mut self) -> std::vec::Drain<'_, (Host, P::Notice)> {
        self.notices.drain(..)
    }

    /// Hands a command to a running process; false if none runs there.
    pub fn command(&mut self, host: Host, command: P::Command) -> bool {
        let runs = self.running(host).is_some();
        if runs {
            self.feed(host, Input::Command(command));
        }
        runs
    }

    /// Lets the next event happen, unless it is later than `until`; then time stands at `until`.
    ///
    /// Returns the host that was touched, if an event happened.
    pub fn step(&mut self, until: Tick) -> Option<Host> {
        let Some((at, event)) = self.queue.pop_until(until) else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = at;
        self.events += 1;
        Some(self.happen(event))
    }

    /// Lets time pass until `until`, looking at nothing.
    pub fn run_until(&mut self, until: Tick) {
        while self.step(until).is_some() {
            self.notices.clear();
        }
    }

    fn happen(&mut self, event: Event<P::Message>) -> Host {
        let host = event.host();
        if self.machines[host.index()].stalled && event.waits_for_a_stalled_process() {
            self.machines[host.index()].backlog.push_back(event);
            return host;
        }
        match event {
            Event::Wake { host } => self.wake(host),
            Event::Resume { host, until } => self.resume(host, until),
            Event::Stream { id, to, from, message } => self.stream_arrives(id, to, from, message),
            Event::Datagram { to, from, message } => self.feed(to, Input::Datagram(from, message)),
            Event::Flood { id, to, from } => self.flood_arrives(id, to, from),
            Event::Syn { dialler, to, attempt } => self.syn_arrives(dialler, to, attempt),
            Event::Redial { dialler, to, attempt, tries } => {
                self.send_syn(dialler, to, attempt, tries);
            }
            Event::Established { id, host, peer, attempt } => {
                self.established(id, host, peer, attempt);
            }
            Event::Refused { dialler, peer, attempt } => {
                self.dial_ends(dialler, peer, attempt, Input::Refused(peer));
            }
            Event::DialLimit { dialler, peer, attempt } => {
                self.dial_ends(dialler, peer, attempt, Input::Unreachable(peer));
            }
            Event::Broken { id, host, peer, ending } => self.broken(id, host, peer, ending),
            Event::Retransmit { id, from, to, wait } => self.retransmit(id, from, to, wait),
        }
        host
    }

    /// When the interface of `host` has sent this much more, behind what it has to send already.
    fn departure(&mut self, host: Host, size_bytes: u32) -> Tick {
        let span = u64::from(size_bytes) / self.network.conditions.bytes_per_tick.max(1);
        let machine = &mut self.machines[host.index()];
        machine.sends_until = machine.sends_until.max(self.now) + span;
        machine.sends_until
    }

    fn wake(&mut self, host: Host) {
        let machine = &mut self.machines[host.index()];
        if machine.wake != Some(self.now) {
            return;
        }
        machine.wake = None;
        let local = machine.clock.local(self.now);
        let due = machine.process.as_ref().and_then(P::next_wake).is_some_and(|at| at <= local);
        if due {
            self.feed(host, Input::Wake);
        } else {
            self.plan_wake(host);
        }
    }

    fn plan_wake(&mut self, host: Host) {
        let slack = self.network.conditions.timer_slack;
        let machine = &mut self.machines[host.index()];
        let Some(local) = machine.process.as_ref().and_then(P::next_wake) else { return };
        let due = machine.clock.when(local).max(self.now);
        if machine.wake.is_none_or(|planned| due.saturating_add(slack) < planned) {
            let at = due + 1 + if slack > 0 { self.rng.random_range(0..slack) } else { 0 };
            machine.wake = Some(at);
            self.queue.push(at, Event::Wake { host });
        }
    }

    /// Gives one input to a process and carries out what it wants.
    fn feed(&mut self, host: Host, input: Input<P::Message, P::Command>) {
        let machine = &mut self.machines[host.index()];
        let Some(process) = machine.process.as_mut() else { return };
        let local = machine.clock.local(self.now);
        let mut effects = std::mem::take(&mut self.effects);
        process.on(local, input, &mut machine.rng, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(to, message) => self.send(host, to, message),
                Effect::Datagram(to, message) => self.send_datagram(host, to, message),
                Effect::Flood(message) => self.publish(host, message),
                Effect::Dial(to) => self.dial(host, to),
                Effect::HangUp(to) => self.hang_up(host, to),
                Effect::Notice(notice) => self.notices.push((host, notice)),
                Effect::Exit => self.exit(host),
            }
        }
        self.effects = effects;
        self.plan_wake(host);
    }
}

impl<M> Event<M> {
    fn host(&self) -> Host {
        match self {
            Self::Wake { host }
            | Self::Resume { host, .. }
            | Self::Established { host, .. }
            | Self::Broken { host, .. } => *host,
            Self::Stream { to, .. }
            | Self::Datagram { to, .. }
            | Self::Flood { to, .. }
            | Self::Syn { to, .. } => *to,
            Self::Redial { dialler, .. }
            | Self::Refused { dialler, .. }
            | Self::DialLimit { dialler, .. } => *dialler,
            Self::Retransmit { from, .. } => *from,
        }
    }

    /// A stopped process does nothing, but its kernel goes on: it buffers, and retransmits.
    fn waits_for_a_stalled_process(&self) -> bool {
        !matches!(self, Self::Resume { .. } | Self::Redial { .. } | Self::Retransmit { .. })
    }
}
