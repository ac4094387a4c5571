//! What comes of a node's search for room.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::id::NodeId;

use super::GrantId;

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<S, K> {
    /// Ask the node for room for one task of this shape.
    Reserve {
        /// Whom.
        to: NodeId,
        /// The name of the reservation.
        id: GrantId,
        /// For what.
        shape: S,
    },
    /// Send the task; it is bound to this reservation on arrival.
    Push {
        /// Where to.
        to: NodeId,
        /// The reservation.
        id: GrantId,
        /// For what it was made.
        shape: S,
        /// Which task.
        task: K,
    },
    /// Give the room back.
    Release {
        /// Where.
        to: NodeId,
        /// The reservation.
        id: GrantId,
    },
    /// Nobody had room: the task waits here, and this node advertises its queue. It may be stolen.
    QueueHere {
        /// Which task.
        task: K,
    },
}
