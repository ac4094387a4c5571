//! Monitors across nodes: one notice, exactly one, when a watched actor ends or its node is lost.
//!
//! To send one message when the actor ends loses the notice with the connection; to ask again and again costs a
//! message per monitor and period.
//! So both ends remember the monitor: the watcher until it has been notified, the watched side until the watcher has
//! said so. When an epoch ends, each side says again what the other may not have heard.
//! (Erlang's monitors: `NodeDown` means lost contact, not proof of death.)
//!
//! Invariants, each with a seeded bug ([`Mutant`]):
//! - the watcher is notified at most once, whatever comes twice or late: a number is never used again;
//! - when the actor has ended or its node is down, and messages come through, it is notified;
//! - an actor that is not there is answered [`Down::NoActor`].
//!
//! How to drive it: messages go over the control lane of associations. When an epoch ends in either direction,
//! [`Monitors::associated`]; when a node is down or in a new life, [`Monitors::node_down`], before anything that it
//! says after that. A message that cannot be sent because its node is down may be dropped after that.
//!
//! Pure: no clock, no I/O, no tasks.

mod mutant;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::MonitorError;
use crate::id::NodeId;

#[doc(hidden)]
pub use self::mutant::Mutant;

/// The most monitors in one message.
pub const WATCHES_MAX: usize = 1024;
/// The most monitors that one node may have open here, and that this node may have open: 2^20.
pub const OPEN_MAX: usize = 1 << 20;

/// Why a watched actor is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down<R> {
    /// It ended, for this reason.
    Exited(R),
    /// There was no such actor when the watch arrived: never, or no longer.
    NoActor,
    /// Contact with its node was lost. It may live on.
    NodeDown,
    /// The other node refused: too many monitors of this node are open there.
    Refused,
}

/// Between watcher and watched. A number is the watcher's, and never used again in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message<A, R> {
    /// Watcher: tell me when this actor ends.
    Watch {
        /// Number of the monitor.
        id: u64,
        /// Whom.
        actor: A,
    },
    /// Watcher: no longer, or: I was notified.
    Unwatch {
        /// Number of the monitor.
        id: u64,
    },
    /// Watcher, after an epoch ended: of the numbers in a range, these are open.
    Watches {
        /// The first number of the range.
        from: u64,
        /// The last number of the range.
        to: u64,
        /// Number and actor of each.
        open: Vec<(u64, A)>,
    },
    /// Watched: it is gone.
    Down {
        /// Number of the monitor.
        id: u64,
        /// Why.
        reason: Down<R>,
    },
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<A, R> {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message<A, R>,
    },
    /// Notify the watcher. Once per monitor.
    Notify {
        /// Number of the monitor.
        id: u64,
        /// Why.
        reason: Down<R>,
    },
}

/// A monitor that another node has on an actor of ours.
#[derive(Clone, Debug)]
enum Watched<A, R> {
    /// The actor lives.
    Open(A),
    /// It ended, and the watcher has not confirmed that it knows.
    Ended(Down<R>),
}

/// All monitors of one node, as watcher and as watched. `A` names an actor and its generation, `R` says why it ended.
#[derive(Debug)]
pub struct Monitors<A, R> {
    /// Ours, by number.
    open: BTreeMap<u64, (NodeId, A)>,
    next_id: u64,
    /// Theirs, by node and number.
    watched: BTreeMap<NodeId, BTreeMap<u64, Watched<A, R>>>,
    /// Who watches each actor of ours.
    by_actor: BTreeMap<A, BTreeSet<(NodeId, u64)>>,
    open_max: usize,
    mutant: Mutant,
}

impl<A: Clone + Ord, R: Clone> Default for Monitors<A, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Clone + Ord, R: Clone> Monitors<A, R> {
    /// No monitors.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            next_id: 1,
            watched: BTreeMap::new(),
            by_actor: BTreeMap::new(),
            open_max: OPEN_MAX,
            mutant: Mutant::None,
        }
    }

    /// Other than [`OPEN_MAX`]: per watching node, and for our own.
    #[must_use]
    pub const fn with_open_max(mut self, open_max: usize) -> Self {
        self.open_max = open_max;
        self
    }

    /// With a bug on purpose: for the mutation gate.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = mutant;
        self
    }

    /// Watches an actor of another node; the number of the monitor.
    ///
    /// If the node is known to be down, call [`Monitors::node_down`] right after: the notice comes at once.
    ///
    /// # Errors
    /// [`MonitorError::Full`]: nothing was sent.
    pub fn watch(
        &mut self,
        node: NodeId,
        actor: A,
        out: &mut Vec<Output<A, R>>,
    ) -> Result<u64, MonitorError> {
        if self.open.len() >= self.open_max {
            return Err(MonitorError::Full { max: self.open_max });
        }
        let id = self.next_id;
        self.next_id += 1;
        self.open.insert(id, (node, actor.clone()));
        out.push(Output::Send { to: node, message: Message::Watch { id, actor } });
        Ok(id)
    }

    /// Ends a monitor of ours: it will not be notified. `false` if it was already, or never was.
    pub fn unwatch(&mut self, id: u64, out: &mut Vec<Output<A, R>>) -> bool {
        let Some((node, _)) = self.open.remove(&id) else {
            return false;
        };
        out.push(Output::Send { to: node, message: Message::Unwatch { id } });
        true
    }

    /// An actor of ours ended.
    pub fn actor_ended(&mut self, actor: &A, reason: &R, out: &mut Vec<Output<A, R>>) {
        for (node, id) in self.by_actor.remove(actor).unwrap_or_default() {
            let reason = Down::Exited(reason.clone());
            self.end(node, id, reason, out);
        }
    }

    /// A message of this protocol arrived. `lives` says whether an actor of ours does.
    pub fn handle_message(
        &mut self,
        from: NodeId,
        message: Message<A, R>,
        lives: impl Fn(&A) -> bool,
        out: &mut Vec<Output<A, R>>,
    ) {
        match message {
            Message::Watch { id, actor } => self.on_watch(from, id, actor, &lives, out),
            Message::Unwatch { id } => self.forget(from, id),
            Message::Watches { from: first, to: last, open } => {
                let listed: BTreeSet<u64> = open.iter().map(|&(id, _)| id).collect();
                let ours = self.watched.get(&from).into_iter();
                let ours = ours.flat_map(|ids| ids.range(first..=last.max(first)));
                let unlisted: Vec<u64> =
                    ours.map(|(&id, _)| id).filter(|id| !listed.contains(id)).collect();
                unlisted.into_iter().for_each(|id| self.forget(from, id));
                for (id, actor) in open {
                    self.on_watch(from, id, actor, &lives, out);
                }
            }
            Message::Down { id, reason } => self.on_down(from, id, reason, out),
        }
    }

    /// An epoch between this node and `peer` has ended, in whichever direction: what was said may be lost, so it
    /// is said again.
    pub fn associated(&mut self, peer: NodeId, out: &mut Vec<Output<A, R>>) {
        if self.mutant != Mutant::NeverRepeatWatches {
            self.repeat_watches(peer, out);
        }
        if self.mutant != Mutant::NeverRepeatDown {
            for (&id, watched) in self.watched.get(&peer).into_iter().flatten() {
                if let Watched::Ended(reason) = watched {
                    let message = Message::Down { id, reason: reason.clone() };
                    out.push(Output::Send { to: peer, message });
                }
            }
        }
    }

    /// A node is down, or in a new life: all monitors on it are notified, all of it are forgotten.
    pub fn node_down(&mut self, node: NodeId, out: &mut Vec<Output<A, R>>) {
        let of_node = self.open.iter().filter(|(_, (at, _))| *at == node);
        for id in of_node.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.open.remove(&id);
            if self.mutant != Mutant::SilentNodeDown {
                out.push(Output::Notify { id, reason: Down::NodeDown });
            }
        }
        for (id, watched) in self.watched.remove(&node).unwrap_or_default() {
            if let Watched::Open(actor) = watched {
                self.unlist(&actor, node, id);
            }
        }
    }

    /// How many monitors of ours are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// How many monitors of others are remembered here.
    #[must_use]
    pub fn watched_count(&self) -> usize {
        self.watched.values().map(BTreeMap::len).sum()
    }

    fn on_watch(
        &mut self,
        from: NodeId,
        id: u64,
        actor: A,
        lives: &impl Fn(&A) -> bool,
        out: &mut Vec<Output<A, R>>,
    ) {
        let of_node = self.watched.entry(from).or_default();
        // What ended is told by `associated`; a watch that comes again must not make it live.
        if of_node.contains_key(&id) {
            return;
        }
        if of_node.len() >= self.open_max {
            out.push(down(from, id, Down::Refused));
        } else if lives(&actor) {
            of_node.insert(id, Watched::Open(actor.clone()));
            self.by_actor.entry(actor).or_default().insert((from, id));
        } else if self.mutant != Mutant::IgnoreUnknownActor {
            self.end(from, id, Down::NoActor, out);
        }
    }

    /// Remembers that it is over until the watcher knows.
    fn end(&mut self, node: NodeId, id: u64, reason: Down<R>, out: &mut Vec<Output<A, R>>) {
        out.push(down(node, id, reason.clone()));
        let of_node = self.watched.entry(node).or_default();
        if self.mutant == Mutant::ForgetBeforeConfirmed {
            of_node.remove(&id);
        } else {
            of_node.insert(id, Watched::Ended(reason));
        }
    }

    fn on_down(&mut self, from: NodeId, id: u64, reason: Down<R>, out: &mut Vec<Output<A, R>>) {
        let is_open = self.open.get(&id).is_some_and(|(node, _)| *node == from);
        if is_open || self.mutant == Mutant::NotifyAgain {
            self.open.remove(&id);
            out.push(Output::Notify { id, reason });
        }
        // Also for one that is not open: the other side still remembers it.
        out.push(Output::Send { to: from, message: Message::Unwatch { id } });
    }

    fn repeat_watches(&self, peer: NodeId, out: &mut Vec<Output<A, R>>) {
        let of_peer = self.open.iter().filter(|(_, (node, _))| *node == peer);
        let open: Vec<(u64, A)> = of_peer.map(|(&id, (_, actor))| (id, actor.clone())).collect();
        // Ranges without a gap, up to the newest number: each message stands alone.
        let mut from = 0;
        let mut rest = &open[..];
        loop {
            let (part, after) = rest.split_at(rest.len().min(WATCHES_MAX));
            let end = part.last().map(|&(id, _)| id).filter(|_| !after.is_empty());
            let to = end.unwrap_or(self.next_id - 1);
            let message = Message::Watches { from, to, open: part.to_vec() };
            out.push(Output::Send { to: peer, message });
            if after.is_empty() {
                return;
            }
            from = to + 1;
            rest = after;
        }
    }

    fn forget(&mut self, node: NodeId, id: u64) {
        let Some(of_node) = self.watched.get_mut(&node) else {
            return;
        };
        let watched = of_node.remove(&id);
        if of_node.is_empty() {
            self.watched.remove(&node);
        }
        if let Some(Watched::Open(actor)) = watched {
            self.unlist(&actor, node, id);
        }
    }

    fn unlist(&mut self, actor: &A, node: NodeId, id: u64) {
        if let Some(watchers) = self.by_actor.get_mut(actor) {
            watchers.remove(&(node, id));
            if watchers.is_empty() {
                self.by_actor.remove(actor);
            }
        }
    }
}

const fn down<A, R>(to: NodeId, id: u64, reason: Down<R>) -> Output<A, R> {
    Output::Send { to, message: Message::Down { id, reason } }
}

#[cfg(test)]
mod tests;
