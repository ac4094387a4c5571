//! The table of children, in start order.
//!
//! A map by name loses the order in which children depend on each other; a vector makes every exit
//! among ten thousand dynamic children a search. Keys here are numbers that only grow, so a sorted
//! map by key *is* the start order, and names are a second index. Invariants: a key is never used
//! twice; both indices hold the same children; a child's generation grows with every start, so an
//! event about an earlier life of it can be told from one about this life.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Instant};

use crate::{
    child_rules::{ChildKind, ChildRules},
    restart::ExitClass,
};

/// Names one child of one supervisor; its order is the start order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(pub(crate) u64);

impl fmt::Display for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {}", self.0)
    }
}

/// Names one thing that is done with children and takes time, such as the restart of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId(pub(crate) u64);

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// The spec is there, the actor is not, and nobody is about to start it.
    Down,
    /// A start is decided but waits: for a back-off, or for siblings to stop or start first.
    Waiting,
    /// Its start was ordered and has not succeeded or failed yet.
    Starting,
    /// Up since then.
    Running {
        /// When its start succeeded.
        since: Instant,
    },
    /// It ended by itself while the supervisor was busy; this is dealt with next.
    Ended {
        /// How it ended.
        exit: ExitClass,
    },
    /// It was told to stop and has not ended yet.
    Stopping {
        /// Whether it was killed, be it at once or after its deadline.
        killed: bool,
    },
}

impl ChildState {
    /// Whether an actor exists that would have to be stopped.
    #[must_use]
    pub fn is_alive(self) -> bool {
        match self {
            Self::Starting | Self::Running { .. } | Self::Stopping { .. } => true,
            Self::Down | Self::Waiting | Self::Ended { .. } => false,
        }
    }

    /// One word for listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Waiting | Self::Ended { .. } => "restarting",
            Self::Starting => "starting",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Child {
    /// How to treat it.
    pub rules: ChildRules,
    /// Where it is.
    pub state: ChildState,
    /// How often it was started; 0 before the first start.
    pub generation: u64,
    /// Faults in a row, for the back-off.
    pub attempt: u32,
    /// Restarts in its whole life, for its budget.
    pub restarts: u32,
    /// What is being done with it, if anything is.
    pub(crate) work: Option<WorkId>,
}

/// All children of one supervisor.
#[derive(Clone, Debug, Default)]
pub struct Children {
    by_key: BTreeMap<ChildKey, Child>,
    by_name: BTreeMap<Arc<str>, ChildKey>,
    next_key: u64,
}

/// How many children there are (OTP: `count_children`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// Specs, whether their actors are up or not.
    pub specs: usize,
    /// Children whose actor exists.
    pub active: usize,
    /// Specs of supervisors.
    pub supervisors: usize,
    /// Specs of workers.
    pub workers: usize,
}

impl Children {
    /// A fresh key, younger than all before it. The child is entered with [`insert`](Self::insert).
    pub fn next_key(&mut self) -> ChildKey {
        self.next_key += 1;
        ChildKey(self.next_key)
    }

    /// Enters a child that is down. Its name must be free; see [`by_name`](Self::by_name).
    pub fn insert(&mut self, key: ChildKey, rules: ChildRules) {
        debug_assert!(!self.by_name.contains_key(&rules.name), "names are checked before");
        self.by_name.insert(Arc::clone(&rules.name), key);
        let state = ChildState::Down;
        let child = Child { rules, state, generation: 0, attempt: 0, restarts: 0, work: None };
        self.by_key.insert(key, child);
    }

    /// Strikes a child out.
    pub fn remove(&mut self, key: ChildKey) -> Option<Child> {
        let child = self.by_key.remove(&key)?;
        self.by_name.remove(&child.rules.name);
        Some(child)
    }

    /// The child with this key.
    #[must_use]
    pub fn get(&self, key: ChildKey) -> Option<&Child> {
        self.by_key.get(&key)
    }

    /// The child with this key, to change it.
    pub fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.by_key.get_mut(&key)
    }

    /// The key of the child with this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<ChildKey> {
        self.by_name.get(name).copied()
    }

    /// All children in start order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ChildKey, &Child)> {
        self.by_key.iter().map(|(key, child)| (*key, child))
    }

    /// All keys in start order.
    #[must_use]
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = ChildKey> + '_ {
        self.by_key.keys().copied()
    }

    /// How many specs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Counts as OTP's `count_children` does.
    #[must_use]
    pub fn counts(&self) -> ChildCounts {
        let mut counts = ChildCounts { specs: self.len(), ..ChildCounts::default() };
        for child in self.by_key.values() {
            counts.active += usize::from(child.state.is_alive());
            match child.rules.kind {
                ChildKind::Worker => counts.workers += 1,
                ChildKind::Supervisor => counts.supervisors += 1,
            }
        }
        counts
    }
}
