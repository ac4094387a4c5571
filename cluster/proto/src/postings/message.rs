//! What the postings core is told, what it says to others, and what it wants done.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId};

use super::NEWS_ENTRIES_MAX;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<E> {
    /// The moment asked for by [`Postings::next_wake`](super::Postings::next_wake) has come (or any other).
    Tick,
    /// A node takes part, in this life of it.
    Member {
        /// Who.
        node: NodeId,
        /// In which life.
        life: Incarnation,
    },
    /// A node is down or has left.
    Lost {
        /// Who.
        node: NodeId,
    },
    /// What is sent to this node arrives, as a rule.
    Connected {
        /// Who.
        node: NodeId,
    },
    /// It does so no longer.
    Disconnected {
        /// Who.
        node: NodeId,
    },
    /// A neighbour said something.
    Received {
        /// Who, as authenticated by the connection.
        from: NodeId,
        /// What.
        message: Message<E>,
    },
}

/// Between neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message<E> {
    /// Stands for all that I know; if you know something else, show me your pages.
    Summary {
        /// The hash.
        hash: u64,
    },
    /// Of the owners in a range, I have the pages of these.
    Pages {
        /// The first owner of the range.
        from: NodeId,
        /// The last owner of the range.
        to: NodeId,
        /// Owner, life and hash of each page.
        pages: Vec<(NodeId, Incarnation, u64)>,
    },
    /// Of this page I have these buckets; send me newer ones.
    Versions {
        /// Whose page.
        owner: NodeId,
        /// In which life.
        life: Incarnation,
        /// Bucket and version of each.
        versions: Vec<(u8, u64)>,
        /// Whether this answers another one, and wants no answer itself.
        answers: bool,
    },
    /// Buckets, each with all of its entries.
    News {
        /// Whose page.
        owner: NodeId,
        /// In which life.
        life: Incarnation,
        /// Bucket, version and entries.
        buckets: Vec<(u8, u64, Vec<E>)>,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// Send over the control connection; if there is none, drop it.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message<E>,
    },
    /// Entries of another node came or went.
    Changed {
        /// Whose.
        owner: NodeId,
        /// In which life.
        life: Incarnation,
        /// What was not there before.
        added: Vec<E>,
        /// What was.
        removed: Vec<E>,
    },
    /// All entries of a life of a node are gone.
    Gone {
        /// Whose.
        owner: NodeId,
        /// In which life.
        life: Incarnation,
    },
}

/// Buckets of one page that are gathered for one message.
pub(super) struct News<E> {
    owner: NodeId,
    life: Incarnation,
    buckets: Vec<(u8, u64, Vec<E>)>,
    cost: usize,
}

impl<E> News<E> {
    pub(super) const fn new(owner: NodeId, life: Incarnation) -> Self {
        Self { owner, life, buckets: Vec::new(), cost: 0 }
    }

    pub(super) fn has_room(&self, owner: NodeId, life: Incarnation, cost: usize) -> bool {
        (self.owner, self.life) == (owner, life) && self.cost + cost <= NEWS_ENTRIES_MAX
    }

    pub(super) fn push(&mut self, bucket: u8, version: u64, entries: Vec<E>) {
        self.cost += entries.len() + 1;
        self.buckets.push((bucket, version, entries));
    }

    pub(super) fn into_output(self, to: NodeId) -> Output<E> {
        let Self { owner, life, buckets, .. } = self;
        Output::Send { to, message: Message::News { owner, life, buckets } }
    }
}
