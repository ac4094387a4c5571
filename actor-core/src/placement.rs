//! Where an actor or a task should run, as programs say it; whoever joins nodes chooses.
//!
//! The floor knows of other nodes only that they have names; what lies where, and what a group is, it is told by those
//! who know.

use std::fmt;
use std::sync::Arc;

use crate::id::{GroupId, NodeId};

/// Where an actor or task should run. On one node there is one answer; the choice is kept for when there
/// are many.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Placement {
    /// On the node with the least to do.
    #[default]
    LeastLoaded,
    /// On as many nodes as there are.
    Spread,
    /// On as few nodes as will do.
    Pack,
    /// On this node, or, if `or_elsewhere`, where there is room when it cannot be there.
    OnNode {
        /// Which.
        node: NodeId,
        /// Whether another node will do.
        or_elsewhere: bool,
    },
    /// Where most of these bytes are: see [`Locate`].
    Near(Arc<dyn Locate>),
    /// On a node with this label; if `or_elsewhere`, rather there than elsewhere.
    Labelled {
        /// The label's name.
        name: String,
        /// Its value.
        value: String,
        /// Whether another node will do.
        or_elsewhere: bool,
    },
    /// In the room of a placement group, which must be formed. See [`Grouped`].
    InGroup {
        /// Which group.
        group: GroupId,
        /// Which of its bundles; any otherwise.
        bundle: Option<u32>,
    },
}

/// A placement group, as options take it.
pub trait Grouped {
    /// Its name.
    fn group_id(&self) -> GroupId;

    /// Whether it was removed: nothing starts in it any more.
    fn is_removed(&self) -> bool;
}

/// Something that lies on nodes, and that one may want to be near to.
pub trait Locate: fmt::Debug + Send + Sync {
    /// The nodes it lies on, with the bytes on each.
    fn bytes_by_node(&self) -> Vec<(NodeId, u64)>;
}
