//! What a node knows of the cluster, for everybody in the process to read without asking anyone.
//!
//! A lock around the table would make every send wait for every change; a copy for each reader is stale at once.
//! So one writer, the driver, publishes whole snapshots, and readers take the newest with one atomic load.
//!
//! Invariant: a [`View`] never changes once published.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mobula_proto::id::NodeId;
use mobula_proto::load::Load;
use mobula_proto::member::{Record, Status};
use mobula_proto::membership;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::admission::Admitted;
use crate::lanes::AddressBook;

/// A snapshot of the membership. A copy shares its memory.
#[derive(Clone, Debug)]
pub struct View {
    known: membership::View,
}

impl Default for View {
    fn default() -> Self {
        Self { known: membership::View::new() }
    }
}

impl View {
    pub(crate) const fn new(known: membership::View) -> Self {
        Self { known }
    }

    /// What is known of `node`, if anything.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Record> {
        self.known.get(node)
    }

    /// All that is known, those down or gone included, in an order that depends on the names alone.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.known.iter()
    }

    /// Members that take part: alive, suspect or leaving; ourselves included.
    pub fn live(&self) -> impl Iterator<Item = &Record> {
        self.known.iter().filter(|record| record.status.is_live())
    }

    /// Members on which something may be placed: alive, neither suspect nor leaving.
    pub fn alive(&self) -> impl Iterator<Item = &Record> {
        self.known.iter().filter(|record| record.status == Status::Alive)
    }

    /// How many members take part.
    #[must_use]
    pub const fn live_count(&self) -> usize {
        self.known.live_count()
    }
}

/// A snapshot of how busy others say they are; at most as many as membership keeps. Rumours: they are seconds old.
#[derive(Clone, Debug, Default)]
pub struct LoadView {
    /// Another number for each snapshot.
    pub version: u64,
    /// By node, each with the number of its report: of one node, higher is newer.
    pub reports: Vec<(NodeId, u64, Load)>,
}

/// The newest view, and who was met.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) view: ArcSwap<View>,
    pub(crate) loads: ArcSwap<LoadView>,
    /// Says that there is a newer one.
    pub(crate) loads_changed: watch::Sender<u64>,
    /// Peers with a control connection, as they were let in.
    pub(crate) met: Mutex<BTreeMap<NodeId, Arc<Admitted>>>,
}

impl Directory {
    /// Shows the loads that are known now; where nothing is new, at the price of one comparison.
    pub(crate) fn publish_loads(&self, core: &membership::Membership) {
        let version = core.loads_version();
        if self.loads.load().version == version {
            return;
        }
        let reports = core.loads();
        let reports = reports.map(|report| (report.node, report.sequence, report.digest.into()));
        self.loads.store(Arc::new(LoadView { version, reports: reports.collect() }));
        self.loads_changed.send_replace(version);
    }
}

impl AddressBook for Directory {
    fn addresses(&self, node: NodeId) -> Vec<String> {
        if let Some(record) = self.view.load().get(node) {
            return record.details.addresses.clone();
        }
        let met = self.met.lock();
        met.get(&node).map(|admitted| admitted.presence.addresses.clone()).unwrap_or_default()
    }
}
