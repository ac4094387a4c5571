//! What programs contain, and whose program has what.
//!
//! Nodes of one cluster need not run one build: an update in which all stop at once is no update. To give nothing to
//! another build is safe and useless; to send work there and see is late, and a message that is read as another
//! type is worse. So every function, constructor and handler has a key, made of name, version and signature, and
//! nodes tell each other a number that stands for all their keys. Equal numbers need no further word; whoever sees
//! an unknown one asks a member of that build for its table, once, and checks it against the number.
//!
//! Invariant: work goes only to a node whose table has its key; of a build whose table has not come nothing is known,
//! and it is given nothing.
//!
//! [`table`] is what a program contains, [`learning`] how it is asked for.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use mobula_cluster::{Record, Status};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::profile::Profile;

pub(crate) mod learning;
pub(crate) mod table;

use table::BuildTable;

/// Builds that a node remembers beside its own: more than a cluster ever runs at one time.
pub(crate) const BUILDS_MAX: usize = 64;

/// Nodes that an error names.
const NAMED_MAX: usize = 8;

/// The tables of all builds that were seen, by the number that stands for each.
pub(crate) struct Builds {
    own: Arc<BuildTable>,
    known: RwLock<HashMap<u64, Arc<BuildTable>>>,
    /// Counts what was learnt.
    news: watch::Sender<u64>,
}

impl Builds {
    pub(crate) fn new(own: BuildTable) -> Self {
        // What says nothing of itself provides nothing.
        let nothing = Arc::new(BuildTable::default());
        let known = HashMap::from([(Profile::default().build, nothing)]);
        Self { own: Arc::new(own), known: RwLock::new(known), news: watch::Sender::new(0) }
    }

    /// This program's own.
    pub(crate) const fn own(&self) -> &Arc<BuildTable> {
        &self.own
    }

    /// Whether it is known what a node of this build can do.
    pub(crate) fn is_known(&self, build: u64) -> bool {
        self.table(build).is_some()
    }

    /// Whether a node of this build can do this.
    pub(crate) fn provides(&self, build: u64, key: u64) -> bool {
        self.table(build).is_some_and(|table| table.get(key).is_some())
    }

    /// All that a node of this build can do, rising; nothing, while its table is unknown.
    pub(crate) fn keys(&self, build: u64) -> Arc<[u64]> {
        self.table(build).map(|table| table.keys()).unwrap_or_default()
    }

    /// How often a table was learnt.
    pub(crate) fn news_count(&self) -> u64 {
        *self.news.borrow()
    }

    /// Changes whenever a table was learnt.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn table(&self, build: u64) -> Option<Arc<BuildTable>> {
        if build == self.own.number() {
            return Some(Arc::clone(&self.own));
        }
        self.known.read().get(&build).cloned()
    }

    /// Takes up the table of a build, if it is the one that the number stands for; those of builds that no living node has go
    /// first when there are too many.
    fn learn(&self, build: u64, table: BuildTable, is_needed: impl Fn(u64) -> bool) -> bool {
        if table.number() != build || !table.is_within_limits() {
            return false;
        }
        let mut known = self.known.write();
        if known.len() >= BUILDS_MAX {
            let unsaid = Profile::default().build;
            known.retain(|build, _| *build == unsaid || is_needed(*build));
        }
        let has_room = known.len() < BUILDS_MAX;
        if has_room {
            known.insert(build, Arc::new(table));
        }
        drop(known);
        self.news.send_modify(|count| *count += 1);
        has_room
    }

    /// What was seen where nobody provides `key`: each node, and what it has of that name.
    pub(crate) fn seen(&self, key: u64, records: &[&Record]) -> String {
        let wanted = self.own.get(key);
        let mut text = match wanted {
            Some(wanted) => format!("{wanted} was asked for"),
            None => format!("what is known by {key:016x} was asked for"),
        };
        for record in records.iter().take(NAMED_MAX) {
            let node = mobula_actor_core::NodeId(record.node.0);
            let found = match (self.table(Profile::of(record).build), wanted) {
                (None, _) => "has not told yet what its program contains".to_owned(),
                (Some(table), Some(wanted)) => table.instead_of(wanted),
                (Some(_), None) => "has it not".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = write!(text, "; node {node} {found}");
        }
        if records.len() > NAMED_MAX {
            let _ = write!(text, "; and {} more", records.len() - NAMED_MAX);
        }
        text
    }
}

/// Whether anything may be placed on a member at all: it is well, and no mere client or observer.
pub(crate) fn is_host(record: &Record) -> bool {
    record.status == Status::Alive && super::profile::hosts(record)
}

impl fmt::Debug for Builds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builds")
            .field("own", &self.own.number())
            .field("known", &self.known.read().len())
            .finish_non_exhaustive()
    }
}
