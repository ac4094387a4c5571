//! What every part of the workload needs: the node, its voice, the members, the watcher, and whether it is over.

use std::time::Duration;

use mobula::prelude::*;
use mobula::{MemberRow, NodeId};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use tokio::sync::{oneshot, watch};

use super::actors::{Ledger, Sentinel};
use super::voice::Voice;
use crate::event::Event;

/// How often it is looked for new members, and for one that is away.
const PAUSE: Duration = Duration::from_millis(100);

/// The work under way; clones are the same.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) node: Node,
    pub(super) voice: &'static Voice,
    sentinel: ActorRef<Sentinel>,
    is_over: watch::Receiver<bool>,
}

impl Work {
    pub(super) fn new(node: &Node, voice: &'static Voice, is_over: watch::Receiver<bool>) -> Self {
        let sentinel = node.enter_sync(Sentinel::remote);
        Self { node: node.clone(), voice, sentinel, is_over }
    }

    pub(super) fn is_over(&self) -> bool {
        // Nobody is left to say so when the sender is gone.
        *self.is_over.borrow() || self.is_over.has_changed().is_err()
    }

    /// Waits a little, or until the work ends.
    pub(super) async fn pause(&self) {
        let mut is_over = self.is_over.clone();
        let _ = tokio::time::timeout(PAUSE, is_over.wait_for(|over| *over)).await;
    }

    /// Between two things: mostly a millisecond or two, sometimes more.
    pub(super) async fn pace(&self, rng: &mut StdRng) {
        let micros = if rng.random_bool(0.1) { 20_000 } else { 3000 };
        let length = Duration::from_micros(rng.random_range(0..micros));
        tokio::time::sleep(length).await;
    }

    /// Sets a monitor on a stream's receiver; what comes back hears when it fires.
    pub(super) async fn watch(
        &self,
        stream: u64,
        ledger: &ActorRef<Ledger>,
    ) -> oneshot::Receiver<()> {
        let watch = self.voice.number();
        let (told, fired) = oneshot::channel();
        self.voice.say(Event::Watched { watch, stream });
        // The sentinel lives as long as the work.
        let _ = self.sentinel.watch_over(ledger.clone(), watch, told).await;
        fired
    }

    fn others(&self) -> Vec<MemberRow> {
        self.node.nodes().into_iter().filter(|row| !row.is_here).collect()
    }

    pub(super) fn alive(&self) -> Vec<NodeId> {
        let rows = self.others().into_iter().filter(|row| row.status == "alive");
        rows.map(|row| row.node).collect()
    }

    pub(super) fn is_alive(&self, node: NodeId) -> bool {
        self.alive().contains(&node)
    }

    /// Whether the member may be sent to again: one that left will not come back.
    pub(super) fn may_return(&self, node: NodeId) -> bool {
        self.others().iter().any(|row| row.node == node && row.status != "left")
    }

    /// A living member that is not this one.
    pub(super) fn somebody(&self, rng: &mut StdRng) -> Option<NodeId> {
        self.alive().choose(rng).copied()
    }

    /// Two different ones.
    pub(super) fn two(&self, rng: &mut StdRng) -> Option<(NodeId, NodeId)> {
        let alive = self.alive();
        let chosen: Vec<NodeId> = alive.choose_multiple(rng, 2).copied().collect();
        match chosen[..] {
            [one, other] => Some((one, other)),
            _ => None,
        }
    }
}
