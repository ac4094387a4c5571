//! Membership: which nodes there are, who watches whom, and who is down ("rings").
//!
//! Watching everybody costs a node O(N); asking a random member each period (SWIM) wants a connection to anyone.
//! So the members stand on four hash rings and each watches its neighbours, at most eight, over connections that stay.
//! What one observer sees is only a vote; facts go to all by broadcast, and digest exchange repairs what that loses.
//!
//! Invariant: a member is declared down by us only with the votes of 5/8 of the observers able to see it.
//! How to read: [`Membership::on`] is the table of contents; the folder holds one rule a file.
//! Sources: Rapid (ATC 2018) for rings and implicit alerts; SWIM and Lifeguard for refutation and self-health.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_core::RngCore;

use crate::config::Config;
use crate::id::{Incarnation, NodeId};
use crate::member::{Details, Member, Record, Status};
use crate::time::Time;

pub mod message;

pub use message::{Alert, Fact, Heartbeat, LoadDigest, LoadReport, Message, Reason};

/// How a connection ended, as far as the driver can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The peer closed it in order.
    Closed,
    /// The stream was reset, and it is not known whether the peer still listens: the driver should dial anew.
    Reset,
    /// The connection broke and dialling anew was refused: hard evidence.
    Refused,
    /// Anything else: a timeout, an address that does not answer.
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The moment asked for by [`Membership::next_wake`] has come (or any other).
    Tick,
    /// `from`, as authenticated by the connection, sent a message.
    Received {
        /// The peer at the other end.
        from: NodeId,
        /// What it sent.
        message: Message,
    },
    /// A broadcast arrived whose author, as authenticated by its signature, is `from`.
    Broadcast {
        /// The author, not the one who passed it on.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// A control connection to `node` stands, whoever dialled.
    Connected {
        /// The peer.
        node: NodeId,
    },
    /// The control connection to `node` ended, or could not be made.
    Disconnected {
        /// The peer.
        node: NodeId,
        /// How.
        evidence: Evidence,
    },
    /// Join the cluster of whoever is or gets connected.
    Join,
    /// Leave the cluster.
    Leave,
    /// Our own load, from now on.
    Load(LoadDigest),
    /// What we say of ourselves, from now on (addresses, labels…); our incarnation rises.
    Describe(Details),
}

/// What to do. The order matters: carry outputs out as they stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send over the control connection; if there is none, drop it.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Carry to all members; may be lost.
    Broadcast(Message),
    /// Make a control connection and keep it.
    Connect {
        /// With whom.
        node: NodeId,
        /// The member's words, addresses among them.
        details: Arc<Details>,
    },
    /// The control connection is no longer wanted by us. The peer may still want it: close it when both have said so,
    /// or when it has carried nothing for a while.
    Disconnect {
        /// With whom.
        node: NodeId,
    },
    /// For the layers above.
    Event(MembershipEvent),
}

/// What the layers above learn.
///
/// For each node: `Joined` or `Healed`, then any of `Suspected`, `Recovered`, `Updated`, `Leaving`, then `Down` or `Left`; and again.
/// An incarnation that rises within one life is no event; a new life is `Down` of the old one, then `Joined`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipEvent {
    /// A member, or a new life of one.
    Joined(Member),
    /// A member that was down is back in the same life: what it held may have been given to others.
    Healed(Member),
    /// A member says something new of itself.
    Updated(Member),
    /// Place nothing there; kill nothing.
    Suspected(NodeId),
    /// Suspected no longer.
    Recovered(NodeId),
    /// It finishes its work and will leave.
    Leaving(NodeId),
    /// It left.
    Left(NodeId),
    /// Contact is lost, say `observers`; empty if we learnt it in an exchange or its next life told us.
    Down {
        /// Who.
        node: NodeId,
        /// In which incarnation.
        incarnation: Incarnation,
        /// Who voted, at most 16.
        observers: Vec<NodeId>,
    },
    /// The others have declared us down: what we held may have been given to others.
    /// We return with a higher incarnation, after a wait that grows if it happens often.
    SelfDeclaredDown {
        /// The incarnation that was declared down.
        incarnation: Incarnation,
    },
    /// Our own tick came late by more than two periods: we were stopped or starved.
    SelfStalled,
    /// The cluster has let us in.
    JoinCompleted {
        /// Members we know, ourselves included.
        member_count: usize,
    },
}

/// What one node knows of the cluster, and what it does about it.
///
/// Feed every input to [`on`](Self::on), with a time that never runs backwards; carry out what it returns; call it with
/// [`Input::Tick`] at [`next_wake`](Self::next_wake).
#[derive(Debug)]
pub struct Membership {
    config: Config,
    me: Member,
    records: BTreeMap<NodeId, Record>,
    connected: BTreeMap<NodeId, Time>,
    beat_sequence: u64,
    next_beat: Time,
}

impl Membership {
    /// A node alone, at `now`. `me` carries the incarnation of this life ([`Member::new`]).
    #[must_use]
    pub fn new(config: Config, me: Member, now: Time) -> Self {
        let records = BTreeMap::from([(me.node, Record::alive(&me))]);
        let next_beat = now + config.heartbeat;
        Self { config, me, records, connected: BTreeMap::new(), beat_sequence: 0, next_beat }
    }

    /// Takes one input and appends what to do to `out`.
    pub fn on(&mut self, now: Time, input: Input, _rng: &mut impl RngCore, out: &mut Vec<Output>) {
        match input {
            Input::Tick => self.beat(now, out),
            Input::Received { message, .. } | Input::Broadcast { message, .. } => {
                if message.is_within_limits()
                    && let Message::Facts(facts) = message
                {
                    for fact in facts {
                        self.learn(fact, out);
                    }
                }
            }
            Input::Connected { node } => drop(self.connected.insert(node, now)),
            Input::Disconnected { node, .. } => drop(self.connected.remove(&node)),
            Input::Join | Input::Leave | Input::Load(_) | Input::Describe(_) => {}
        }
    }

    /// When to call with [`Input::Tick`], if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        Some(self.next_beat)
    }

    /// Ourselves, in our present incarnation.
    #[must_use]
    pub const fn me(&self) -> &Member {
        &self.me
    }

    /// What is known of `node`.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<Record> {
        self.records.get(&node).cloned()
    }

    /// All records, ourselves included, in an order that depends on the names alone.
    pub fn view(&self) -> impl Iterator<Item = Record> + '_ {
        self.records.values().cloned()
    }

    /// Members that are live (alive, suspect or leaving), ourselves included.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.records.values().filter(|record| record.status.is_live()).count()
    }

    fn beat(&mut self, now: Time, out: &mut Vec<Output>) {
        if now < self.next_beat {
            return;
        }
        self.next_beat = now + self.config.heartbeat;
        self.beat_sequence += 1;
        for &to in self.connected.keys() {
            let message = Message::Heartbeat(Heartbeat {
                incarnation: self.me.incarnation,
                sequence: self.beat_sequence,
                view_hash: 0,
                loads: Arc::new([]),
            });
            out.push(Output::Send { to, message });
        }
    }

    fn learn(&mut self, fact: Fact, out: &mut Vec<Output>) {
        let record = match fact {
            Fact::Alert(_) => return,
            Fact::Record(record) | Fact::Down { record, .. } => record,
        };
        match self.records.get_mut(&record.node) {
            Some(known) => drop(known.merge(&record)),
            None if record.status == Status::Alive => {
                out.push(Output::Event(MembershipEvent::Joined(record.member())));
                self.records.insert(record.node, record);
            }
            None => {}
        }
    }
}
