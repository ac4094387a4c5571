//! The board: what this node posts to all others, and what they have posted.
//!
//! Names are claimed and groups joined from any thread, often many at once; a queue into the driver would have to be
//! bounded, and a claim cannot wait. So the core lies under a short lock, a posting changes our page in place, and the
//! driver is woken to send what is owed.
//!
//! Invariant: whoever reads the board hears of each change once, in order, and of nothing while the core is locked.

use std::fmt;
use std::sync::Arc;

use mobula_actor_core::postings::Posting;
use mobula_proto::error::PostError;
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::postings::{Input, Output, Postings};
use mobula_proto::time::Time;
use parking_lot::Mutex;
use rand::RngCore;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who is told what other nodes post.
pub trait Reader: Send + Sync + 'static {
    /// A node, in this life of it, says this now and that no longer.
    fn changed(&self, from: (NodeId, Incarnation), added: Vec<Posting>, removed: Vec<Posting>);

    /// All that a node said in this life of it holds no longer.
    fn gone(&self, from: (NodeId, Incarnation));
}

/// The postings of all nodes, as this one knows them.
pub(crate) struct Board {
    origin: Instant,
    core: Mutex<Postings<Posting>>,
    reader: Mutex<Option<Arc<dyn Reader>>>,
    /// Something is owed to neighbours.
    pub(crate) woken: Notify,
}

impl Board {
    pub(crate) fn new(own: NodeId, life: Incarnation, origin: Instant) -> Self {
        let core = Mutex::new(Postings::new(own, life));
        Self { origin, core, reader: Mutex::default(), woken: Notify::new() }
    }

    pub(crate) fn post(&self, posting: Posting) -> Result<(), PostError> {
        let is_new = self.core.lock().post(self.now(), posting)?;
        if is_new {
            self.woken.notify_one();
        }
        Ok(())
    }

    pub(crate) fn withdraw(&self, posting: &Posting) {
        if self.core.lock().withdraw(self.now(), posting) {
            self.woken.notify_one();
        }
    }

    /// Tells `reader` all that is known, and from now on what changes.
    pub(crate) fn set_reader(&self, reader: Arc<dyn Reader>) {
        let mut place = self.reader.lock();
        let known: Vec<((NodeId, Incarnation), Vec<Posting>)> = {
            let core = self.core.lock();
            let entries = |node| core.entries_of(node).cloned().collect();
            core.owners().map(|from| (from, entries(from.0))).collect()
        };
        for (from, added) in known {
            reader.changed(from, added, Vec::new());
        }
        *place = Some(reader);
    }

    /// Gives the core an input and returns what is to be sent.
    pub(crate) fn on(
        &self,
        input: Input<Posting>,
        rng: &mut dyn RngCore,
    ) -> Vec<(NodeId, mobula_proto::postings::Message<Posting>)> {
        let mut out = Vec::new();
        self.core.lock().on(self.now(), input, rng, &mut out);
        let mut sends = Vec::new();
        let reader = self.reader.lock();
        for output in out {
            match output {
                Output::Send { to, message } => sends.push((to, message)),
                Output::Changed { owner, life, added, removed } => {
                    if let Some(reader) = &*reader {
                        reader.changed((owner, life), added, removed);
                    }
                }
                Output::Gone { owner, life } => {
                    if let Some(reader) = &*reader {
                        reader.gone((owner, life));
                    }
                }
            }
        }
        sends
    }

    /// When the core wants to be ticked.
    pub(crate) fn next_wake(&self) -> Instant {
        self.origin + self.core.lock().next_wake().since(Time::ZERO)
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board")
    }
}
