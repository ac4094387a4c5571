//! How a cluster is founded when nobody is its head.
//!
//! If every node that finds nobody founded a cluster, two halves of one seed list would found two, and two registries
//! can never be merged: both have given the same names away. If one node were told to found it, that one would be the
//! head. So the nodes of a *seed list* decide together, once, by a majority: single-decree Paxos (Lamport, "Paxos made
//! simple", 2001), whose value is the cluster's id and first voters.
//!
//! Paxos asks its acceptors to remember; ours have no disk. A seed that may have voted before (the driver finds the
//! lock file of an earlier life) votes no more until a majority of the *other* seeds has answered a ballot of its own:
//! that tells it what they have accepted, and closes every earlier ballot that its earlier life may have promised.
//! If none of them has accepted anything, there is no cluster.
//!
//! Invariants:
//! - of one seed list at most one founding is ever told, as long as no majority of the seeds restarts in its midst;
//!   then the seeds stay silent, and it takes a person's word (`create`) to go on;
//! - two clusters are never merged: [`meet`] refuses, and both go on as they were.
//!
//! - [`acceptor`], [`ballot`]: what one seed promises and accepts.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod acceptor;
pub mod ballot;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::acceptor::{Acceptor, Answer};
use super::config::VOTERS_MAX;
use super::id::{ClusterId, VoterId};
use super::mutant::Mutant;
use crate::error::ForeignCluster;

pub use self::ballot::{Ballot, Founding, Seed};

/// Seeds in a list at most.
pub const SEEDS_MAX: usize = 64;

/// Whether this process can have voted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// The first life of this node: nothing is forgotten.
    First,
    /// There was an earlier life, or it is not known that there was none.
    Again,
}

/// Between seeds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Promise to take part in no earlier ballot.
    Prepare {
        /// Which ballot.
        ballot: Ballot,
    },
    /// Promised.
    Promise {
        /// Which ballot.
        ballot: Ballot,
        /// What was accepted so far, and in which ballot.
        accepted: Option<(Ballot, Founding)>,
        /// Who promises, as a voter.
        voter: VoterId,
    },
    /// A later ballot was promised.
    Reject {
        /// Which ballot is too early.
        ballot: Ballot,
        /// What was promised.
        promised: Ballot,
    },
    /// Accept this.
    Accept {
        /// In which ballot.
        ballot: Ballot,
        /// What.
        founding: Founding,
    },
    /// Accepted.
    Accepted {
        /// In which ballot.
        ballot: Ballot,
    },
    /// It is decided.
    Founded {
        /// What.
        founding: Founding,
    },
}

impl Message {
    fn is_within_limits(&self) -> bool {
        let founding = match self {
            Self::Promise { accepted, .. } => accepted.as_ref().map(|(_, founding)| founding),
            Self::Accept { founding, .. } | Self::Founded { founding } => Some(founding),
            Self::Prepare { .. } | Self::Reject { .. } | Self::Accepted { .. } => None,
        };
        founding.is_none_or(|founding| founding.voters.len() <= VOTERS_MAX)
    }
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send it; it may be lost.
    Send {
        /// To whom.
        to: Seed,
        /// What.
        message: Message,
    },
    /// The cluster is founded: join it, as one of its voters or not.
    Founded(Founding),
    /// Another seed is in another cluster. Raise the alarm.
    Foreign(ForeignCluster),
}

/// One seed's part in the founding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Genesis {
    me: Seed,
    voter: VoterId,
    count: u16,
    /// `None` while an earlier life may have voted.
    acceptor: Option<Acceptor>,
    /// The highest round that was seen anywhere.
    round: u32,
    attempt: Option<Attempt>,
    founding: Option<Founding>,
    mutant: Mutant,
}

/// A ballot of this seed's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    ballot: Ballot,
    /// The id that the cluster gets if nothing was accepted before.
    cluster: ClusterId,
    promises: BTreeMap<Seed, VoterId>,
    highest: Option<(Ballot, Founding)>,
    /// What is put to the vote, once a majority has promised.
    founding: Option<Founding>,
    accepted: BTreeSet<Seed>,
}

impl Genesis {
    /// A seed that begins. `seeds`: the length of the list (at most [`SEEDS_MAX`], the same on all of them); `me`: its
    /// place in it.
    #[must_use]
    pub fn new(me: Seed, voter: VoterId, seeds: u16, start: Start) -> Self {
        let acceptor = (start == Start::First).then(Acceptor::default);
        let (attempt, founding, round, mutant) = (None, None, 0, Mutant::None);
        Self { me, voter, count: seeds, acceptor, round, attempt, founding, mutant }
    }

    /// With a bug on purpose: for the mutation gate.
    #[doc(hidden)]
    #[must_use]
    pub fn with_mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = mutant;
        if mutant == Mutant::VoteWithoutRecovery && self.acceptor.is_none() {
            self.acceptor = Some(Acceptor::default());
        }
        self
    }

    /// The founding, once this seed knows it.
    #[must_use]
    pub const fn founding(&self) -> Option<&Founding> {
        self.founding.as_ref()
    }

    /// Whether this seed may vote: its earlier life, if there was one, is made up for.
    #[must_use]
    pub const fn may_vote(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Begins a ballot, or a later one if the last came to nothing. Wait a random while before each, so that seeds do
    /// not get in each other's way for ever. `cluster`: a random number. A seed that may not vote yet asks the others
    /// by it.
    pub fn attempt(&mut self, cluster: ClusterId, out: &mut Vec<Output>) {
        if self.founding.is_some() {
            return;
        }
        self.round += 1;
        let ballot = Ballot { round: self.round, seed: self.me, life: self.voter.life };
        self.attempt = Some(Attempt {
            ballot,
            cluster,
            promises: BTreeMap::new(),
            highest: None,
            founding: None,
            accepted: BTreeSet::new(),
        });
        self.to_others(&Message::Prepare { ballot }, out);
        if let Some(Answer::Yes(accepted)) = self.acceptor.as_mut().map(|own| own.prepare(ballot)) {
            self.on_promise(self.me, ballot, accepted, self.voter, out);
        }
    }

    /// Another seed says something. `from`: as authenticated by the connection. What is beyond a limit is dropped.
    pub fn handle_message(&mut self, from: Seed, message: Message, out: &mut Vec<Output>) {
        if !message.is_within_limits() {
            return;
        }
        if let Message::Founded { founding } = message {
            return self.on_founded(founding, out);
        }
        if let Some(founding) = &self.founding {
            let message = Message::Founded { founding: founding.clone() };
            return out.push(Output::Send { to: from, message });
        }
        match message {
            Message::Prepare { ballot } => {
                self.round = self.round.max(ballot.round);
                let Some(acceptor) = &mut self.acceptor else { return };
                let message = match acceptor.prepare(ballot) {
                    Answer::Yes(accepted) => {
                        Message::Promise { ballot, accepted, voter: self.voter }
                    }
                    Answer::No(promised) => Message::Reject { ballot, promised },
                };
                out.push(Output::Send { to: from, message });
            }
            Message::Accept { ballot, founding } => {
                self.round = self.round.max(ballot.round);
                let breaks_promise = self.mutant == Mutant::BreakPromise;
                let Some(acceptor) = &mut self.acceptor else { return };
                let message = match acceptor.accept(ballot, founding, breaks_promise) {
                    Answer::Yes(()) => Message::Accepted { ballot },
                    Answer::No(promised) => Message::Reject { ballot, promised },
                };
                out.push(Output::Send { to: from, message });
            }
            Message::Promise { ballot, accepted, voter } => {
                self.on_promise(from, ballot, accepted, voter, out);
            }
            Message::Accepted { ballot } => self.on_accepted(from, ballot, out),
            Message::Reject { ballot, promised } => {
                self.round = self.round.max(promised.round);
                self.attempt.take_if(|attempt| attempt.ballot == ballot);
            }
            Message::Founded { .. } => {}
        }
    }

    fn on_promise(
        &mut self,
        from: Seed,
        ballot: Ballot,
        accepted: Option<(Ballot, Founding)>,
        voter: VoterId,
        out: &mut Vec<Output>,
    ) {
        let majority = self.majority();
        let ignores_accepted = self.mutant == Mutant::IgnoreAccepted;
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.ballot == ballot) else {
            return;
        };
        attempt.promises.insert(from, voter);
        attempt.highest = attempt.highest.take().max(accepted);
        if attempt.promises.len() < majority || attempt.founding.is_some() {
            return;
        }
        // A seed that has restarted counts the others alone: it has not promised itself anything.
        let Some(own) = &mut self.acceptor else {
            let forgets = self.mutant == Mutant::RecoverNothing;
            let accepted = attempt.highest.take().filter(|_| !forgets);
            self.acceptor = Some(Acceptor::recovered(ballot, accepted));
            self.attempt = None;
            return;
        };
        let founding = match &attempt.highest {
            Some((_, founding)) if !ignores_accepted => founding.clone(),
            Some(_) | None => attempt.founding(self.count),
        };
        attempt.founding = Some(founding.clone());
        let own = own.accept(ballot, founding.clone(), false);
        self.to_others(&Message::Accept { ballot, founding }, out);
        if let Answer::Yes(()) = own {
            self.on_accepted(self.me, ballot, out);
        }
    }

    fn on_accepted(&mut self, from: Seed, ballot: Ballot, out: &mut Vec<Output>) {
        let majority = self.majority();
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.ballot == ballot) else {
            return;
        };
        attempt.accepted.insert(from);
        if attempt.accepted.len() < majority {
            return;
        }
        if let Some(founding) = attempt.founding.clone() {
            self.to_others(&Message::Founded { founding: founding.clone() }, out);
            self.on_founded(founding, out);
        }
    }

    fn on_founded(&mut self, founding: Founding, out: &mut Vec<Output>) {
        match &self.founding {
            None => {
                self.attempt = None;
                self.founding = Some(founding.clone());
                out.push(Output::Founded(founding));
            }
            Some(ours) => {
                if let Err(foreign) = meet(ours.cluster, founding.cluster) {
                    out.push(Output::Foreign(foreign));
                }
            }
        }
    }

    fn to_others(&self, message: &Message, out: &mut Vec<Output>) {
        let others = (0..self.count).map(Seed).filter(|&seed| seed != self.me);
        out.extend(others.map(|to| Output::Send { to, message: message.clone() }));
    }

    fn majority(&self) -> usize {
        let majority = usize::from(self.count / 2 + 1);
        if self.mutant == Mutant::MinorityFounds { majority - 1 } else { majority }
    }
}

impl Attempt {
    /// This seed's own proposal: it and those who promised first, as many as a cluster of this size has voters.
    fn founding(&self, seeds: u16) -> Founding {
        let count = super::leader::voters::count_for(usize::from(seeds));
        let of_me = self.promises.get(&self.ballot.seed).copied();
        let others = self.promises.iter().filter(|(seed, _)| **seed != self.ballot.seed);
        let voters = of_me.into_iter().chain(others.map(|(_, &voter)| voter));
        Founding { cluster: self.cluster, voters: voters.take(count).collect() }
    }
}

/// Whether two nodes are of one cluster.
///
/// # Errors
/// [`ForeignCluster`]: they are not. Refuse the connection and raise the alarm.
pub const fn meet(ours: ClusterId, theirs: ClusterId) -> Result<(), ForeignCluster> {
    if ours.0 == theirs.0 { Ok(()) } else { Err(ForeignCluster { ours, theirs }) }
}

#[cfg(test)]
mod tests;
