//! Relocation: an actor that waits for what no node has is started on one that comes to have it.
//!
//! Where it was spawned, the actor is there at once, with its name and its mailbox, and its constructor has not run. So it
//! can still go anywhere: what it needs for that is written down when it begins to wait, and kept.
//!
//! Invariant: there is never a second one. It is asked for at one node at a time; while an answer is out nothing starts
//! here, and after the loss of a node that may have begun it nothing starts at all.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::actor::BoxFuture;
use crate::exit::ExitReason;
use crate::id::NodeId;
use crate::placement::Placement;
use crate::remote::{
    Baggage, Home, NotSpawned, Place, Remote, SpawnKind, SpawnOptions, SpawnRequest,
};
use crate::system::System;
use crate::wire::baggage::Hold;

/// How long after a refusal another node, or the same, is asked at the earliest.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The same after many refusals, each of which doubles it, if there is no news.
const PAUSE_MAX: Duration = Duration::from_secs(32);

/// How one actor is started elsewhere.
pub(crate) struct Relocation {
    kind: SpawnKind,
    options: SpawnOptions,
    /// Until the actor has begun somewhere: what its arguments refer to must not live as long as it does.
    args: Mutex<Option<Args>>,
    at: Mutex<At>,
}

/// The constructor's arguments, for every request.
#[derive(Clone)]
struct Args {
    written: Vec<u8>,
    refer_to: Arc<Vec<Hold>>,
}

/// How far it has come.
#[derive(Clone, Debug)]
enum At {
    /// No node that could take it was seen.
    Nowhere,
    UnderWay(NodeId),
    Refused(NodeId, ExitReason),
}

impl Relocation {
    pub(crate) fn new(
        kind: SpawnKind,
        args: Vec<u8>,
        baggage: Vec<Hold>,
        options: SpawnOptions,
    ) -> Self {
        let args = Args { written: args, refer_to: Arc::new(baggage) };
        Self { kind, options, args: Mutex::new(Some(args)), at: Mutex::new(At::Nowhere) }
    }

    /// The node where it should be started now; none where this one has what it needs by now, or nobody has.
    pub(crate) fn place(&self, system: &System, remote: &dyn Remote) -> Option<NodeId> {
        let demand = &self.options.demand;
        if system.resource_book().is_none_or(|book| book.can_ever(demand)) {
            return None;
        }
        match remote.place(&Placement::LeastLoaded, &self.kind, demand) {
            Ok(Place::There(node)) => Some(node),
            Ok(Place::Here | Place::Later(_)) | Err(_) => None,
        }
    }

    /// Asks `node` to start it.
    pub(crate) fn start(
        &self,
        remote: &dyn Remote,
        node: NodeId,
    ) -> BoxFuture<'static, Result<Home, NotSpawned>> {
        let Some(args) = self.args.lock().clone() else {
            // It has begun.
            return Box::pin(std::future::ready(Err(NotSpawned::Refused(ExitReason::NoActor))));
        };
        *self.at.lock() = At::UnderWay(node);
        let held = (!args.refer_to.is_empty()).then(|| Box::new(args.refer_to) as Hold);
        let request = SpawnRequest {
            key: self.kind.key,
            args: args.written,
            options: self.options.clone(),
            baggage: Baggage(held.into_iter().collect()),
        };
        remote.spawn(node, request)
    }

    /// The actor has begun: what was kept to begin it elsewhere goes.
    pub(crate) fn has_begun(&self) {
        let args = self.args.lock().take();
        drop(args);
    }

    /// That node would not.
    pub(crate) fn refused(&self, node: NodeId, reason: ExitReason) {
        tracing::info!(actor = self.kind.name, %node, %reason, "a waiting actor was not taken");
        *self.at.lock() = At::Refused(node, reason);
    }

    /// What is to be said of it beside what it waits for.
    pub(crate) fn note(&self) -> Option<String> {
        match &*self.at.lock() {
            At::Nowhere => None,
            At::UnderWay(node) => Some(format!("it is being started on node {node}")),
            At::Refused(node, reason) => Some(format!("node {node} refused it: {reason}")),
        }
    }
}

impl fmt::Debug for Relocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relocation({}, {:?})", self.kind.name, *self.at.lock())
    }
}

/// How long to wait for news after one more refusal, the pause before it given.
pub(crate) fn next_pause(before: Option<Duration>) -> Duration {
    before.map_or(PAUSE_MIN, |pause| (pause * 2).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_asked_about_ever_more_rarely_up_to_a_limit() {
        let pauses =
            std::iter::successors(Some(next_pause(None)), |last| Some(next_pause(Some(*last))));
        let seconds: Vec<u64> = pauses.take(8).map(|pause| pause.as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 32, 32]);
    }
}
