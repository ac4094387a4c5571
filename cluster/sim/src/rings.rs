//! The membership core behind the simulator's waist: a model of the driver that production puts around it.
//!
//! The core says what it wants (a connection, a broadcast) and somebody must do it: keep wanted links up, dial
//! anew after a reset to learn whether the peer still listens, look for a seed until the cluster has let us in.
//! A kinder driver than the real one would make the core look better than it is, so this one does no more.
//!
//! Invariant: the core hears of links in the order in which they stand and fall.

mod names;
mod births;

use std::collections::BTreeMap;
use std::time::Duration;

use mobula_proto::id::NodeId;
use mobula_proto::member::Record;
use mobula_proto::membership::{
    Alert, Evidence, Fact, Input as CoreInput, LoadDigest, Membership, MembershipEvent, Message,
    Output, Reason,
};
use mobula_proto::time::Time;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::protocol::{Effect, Ending, Host, Input, Protocol};

pub use self::births::{joining, knowing, knowing_first};
pub use self::names::{host_of, name_of};

/// How long an unwanted link may be silent before it is closed.
const IDLE: Duration = Duration::from_secs(5);
/// Between two looks for idle links and for a seed.
const SWEEP: Duration = Duration::from_secs(1);
/// Between two dials of a seed that is no member, once the cluster has let us in.
const SEEK: Duration = Duration::from_secs(5);
/// From the wish to leave until the process ends.
const FAREWELL: Duration = Duration::from_millis(250);

/// A message with what the driver adds to it.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Who wrote it; on a link, who is at the other end.
    pub author: NodeId,
    /// How many bytes it takes, encoded.
    pub size_bytes: u32,
    /// The message.
    pub message: Message,
}

/// What a workload can ask of a node.
#[derive(Debug, Clone)]
pub enum Command {
    /// Leave the cluster.
    Leave,
    /// Say this load from now on.
    Load(LoadDigest),
    /// Lie: accuse this member in the name of all others.
    Slander(NodeId),
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    wanted: bool,
    linked: bool,
    heard: Time,
}

/// One node: the core, and what its driver remembers.
#[derive(Debug)]
pub struct Node {
    core: Membership,
    peers: BTreeMap<Host, Peer>,
    seeds: Vec<Host>,
    joined: bool,
    sweep_at: Time,
    seek_at: Time,
    exit_at: Option<Time>,
    outputs: Vec<Output>,
    beat: (u64, usize, u32),
}

impl Node {
    /// A node with its core, which looks for `seeds` until it has joined.
    #[must_use]
    pub fn new(core: Membership, seeds: Vec<Host>, now: Time) -> Self {
        Self {
            core,
            peers: BTreeMap::new(),
            seeds,
            joined: false,
            sweep_at: now,
            seek_at: now,
            exit_at: None,
            outputs: Vec::new(),
            beat: (u64::MAX, 0, 0),
        }
    }

    /// The core, for the invariants.
    #[must_use]
    pub fn core(&self) -> &Membership {
        &self.core
    }

    /// Whether the cluster has let it in.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.joined
    }

    /// Whether it is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.exit_at.is_some()
    }

    /// Hosts to which its core wants a link.
    pub fn wanted(&self) -> impl Iterator<Item = Host> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.wanted).map(|(host, _)| *host)
    }

    /// Hosts to which a link stands.
    pub fn linked(&self) -> impl Iterator<Item = Host> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.linked).map(|(host, _)| *host)
    }

    fn peer(&mut self, host: Host, now: Time) -> &mut Peer {
        self.peers.entry(host).or_insert(Peer { wanted: false, linked: false, heard: now })
    }

    fn core_on(
        &mut self,
        now: Time,
        input: CoreInput,
        rng: &mut SmallRng,
        effects: &mut Vec<Effect<Carried, MembershipEvent>>,
    ) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.core.on(now, input, rng, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Send { to, message } => {
                    let carried = self.carry(message);
                    effects.push(Effect::Send(host_of(to), carried));
                }
                Output::Broadcast(message) => {
                    let carried = self.carry(message);
                    effects.push(Effect::Flood(carried));
                }
                Output::Connect { node, .. } => {
                    let host = host_of(node);
                    let peer = self.peer(host, now);
                    peer.wanted = true;
                    if !peer.linked {
                        effects.push(Effect::Dial(host));
                    }
                }
                Output::Disconnect { node } => {
                    let peer = self.peer(host_of(node), now);
                    peer.wanted = false;
                    peer.heard = now;
                }
                Output::Event(event) => {
                    self.joined |= matches!(event, MembershipEvent::JoinCompleted { .. });
                    effects.push(Effect::Notice(event));
                }
            }
        }
        self.outputs = outputs;
    }

    /// What a liar would say, signed by itself: it cannot sign as others.
    fn slander(&mut self, accused: NodeId) -> Carried {
        let view = self.core.view();
        let incarnation = view.get(accused).map(|record| record.incarnation).unwrap_or_default();
        let others = view.iter().filter(|record| record.node != accused);
        let alert = |record: &Record| Alert {
            accused,
            incarnation,
            observer: record.node,
            observer_incarnation: record.incarnation,
            sequence: u64::MAX,
            reason: Reason::Refused,
            on: true,
        };
        let facts = others.map(|record| Fact::Alert(alert(record))).collect();
        self.carry(Message::Facts(facts))
    }

    /// Adds author and size; the eight heartbeats of one beat are alike and measured once.
    fn carry(&mut self, message: Message) -> Carried {
        let author = self.core.me().node;
        let size_bytes = match &message {
            Message::Heartbeat(beat)
                if (self.beat.0, self.beat.1) == (beat.sequence, beat.loads.len()) =>
            {
                self.beat.2
            }
            _ => encoded_bytes(&message),
        };
        if let Message::Heartbeat(beat) = &message {
            self.beat = (beat.sequence, beat.loads.len(), size_bytes);
        }
        Carried { author, size_bytes, message }
    }

    /// Closes links nobody uses, and looks for a seed.
    fn sweep(
        &mut self,
        now: Time,
        rng: &mut SmallRng,
        effects: &mut Vec<Effect<Carried, MembershipEvent>>,
    ) {
        self.sweep_at = now + SWEEP;
        self.peers.retain(|_, peer| peer.wanted || peer.linked);
        let idle: Vec<Host> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.linked && !peer.wanted && now.since(peer.heard) >= IDLE)
            .map(|(host, _)| *host)
            .collect();
        for host in idle {
            self.peers.remove(&host);
            effects.push(Effect::HangUp(host));
            let input = CoreInput::Disconnected { node: name_of(host), evidence: Evidence::Closed };
            self.core_on(now, input, rng, effects);
        }
        if now < self.seek_at || self.exit_at.is_some() {
            return;
        }
        // Later on, too: what started as two clusters would stay two.
        self.seek_at = now + if self.joined { SEEK } else { SWEEP };
        let is_member = |seed: &Host| self.joined && self.core.view().is_live(name_of(*seed));
        let missing: Vec<Host> =
            self.seeds.iter().copied().filter(|seed| !is_member(seed)).collect();
        if !missing.is_empty() {
            effects.push(Effect::Dial(missing[rng.random_range(0..missing.len())]));
        }
    }

    fn ended(
        &mut self,
        now: Time,
        host: Host,
        evidence: Evidence,
        rng: &mut SmallRng,
        effects: &mut Vec<Effect<Carried, MembershipEvent>>,
    ) {
        // A wish for a link ends with the link; the core wishes again.
        let wanted = self.peers.remove(&host).is_some_and(|peer| peer.wanted);
        // Nobody knows yet whether the process lives: ask its kernel.
        if wanted && evidence == Evidence::Reset {
            self.peer(host, now).wanted = true;
            effects.push(Effect::Dial(host));
        }
        self.core_on(now, CoreInput::Disconnected { node: name_of(host), evidence }, rng, effects);
    }
}

impl Protocol for Node {
    type Message = Carried;
    type Command = Command;
    type Notice = MembershipEvent;

    fn on(
        &mut self,
        now: Time,
        input: Input<Carried, Command>,
        rng: &mut SmallRng,
        effects: &mut Vec<Effect<Carried, MembershipEvent>>,
    ) {
        match input {
            Input::Start => {
                let first = if self.joined { CoreInput::Tick } else { CoreInput::Join };
                self.core_on(now, first, rng, effects);
                self.sweep(now, rng, effects);
            }
            Input::Wake => {
                if self.exit_at.is_some_and(|at| at <= now) {
                    effects.push(Effect::Exit);
                    return;
                }
                if self.sweep_at <= now {
                    self.sweep(now, rng, effects);
                }
                if self.core.next_wake().is_some_and(|at| at <= now) {
                    self.core_on(now, CoreInput::Tick, rng, effects);
                }
            }
            Input::Received(host, carried) => {
                self.peer(host, now).heard = now;
                let input = CoreInput::Received { from: carried.author, message: carried.message };
                self.core_on(now, input, rng, effects);
            }
            Input::Flooded(_, carried) | Input::Datagram(_, carried) => {
                let input = CoreInput::Broadcast { from: carried.author, message: carried.message };
                self.core_on(now, input, rng, effects);
            }
            Input::Connected(host) => {
                let peer = self.peer(host, now);
                peer.linked = true;
                peer.heard = now;
                self.core_on(now, CoreInput::Connected { node: name_of(host) }, rng, effects);
            }
            Input::Refused(host) => self.ended(now, host, Evidence::Refused, rng, effects),
            Input::Unreachable(host) | Input::Ended(host, Ending::TimedOut) => {
                self.ended(now, host, Evidence::Unknown, rng, effects);
            }
            Input::Ended(host, Ending::Reset) => {
                self.ended(now, host, Evidence::Reset, rng, effects);
            }
            Input::Ended(host, Ending::Closed) => {
                self.ended(now, host, Evidence::Closed, rng, effects);
            }
            Input::Command(Command::Leave) => {
                self.exit_at = Some(now + FAREWELL);
                self.core_on(now, CoreInput::Leave, rng, effects);
            }
            Input::Command(Command::Slander(accused)) => {
                let slander = self.slander(accused);
                effects.push(Effect::Flood(slander));
            }
            Input::Command(Command::Load(load)) => {
                self.core_on(now, CoreInput::Load(load), rng, effects);
            }
        }
    }

    fn next_wake(&self) -> Option<Time> {
        [self.core.next_wake(), Some(self.sweep_at), self.exit_at].into_iter().flatten().min()
    }

    fn size_bytes(message: &Carried) -> u32 {
        message.size_bytes
    }

    fn leave() -> Option<Command> {
        Some(Command::Leave)
    }
}

/// Counts what an encoder writes.
struct Scale(u32);

impl std::io::Write for Scale {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a message takes in the wire's encoding (`MessagePack`, named fields).
fn encoded_bytes(message: &Message) -> u32 {
    let mut scale = Scale(0);
    match rmp_serde::encode::write_named(&mut scale, message) {
        Ok(()) => scale.0,
        Err(_unreachable) => u32::MAX,
    }
}
