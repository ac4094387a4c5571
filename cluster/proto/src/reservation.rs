//! Reservations: room that a node keeps for somebody for a moment, and tasks that are bound to it late.
//!
//! To push a task to the node that looks idle puts it behind whoever pushed first; a queue length is a poor
//! promise. (Sparrow, SOSP '13: probes are answered with a place in the queue, and the task is bound when its turn has
//! come.)
//! So a node is asked for room, keeps it for 200 ms, and only then gets a task: whichever of that shape has waited
//! longest by then. What was reserved is used again for the next task of that shape, so many like tasks
//! cost one question.
//!
//! Invariants:
//! - room is never given twice: what is free, reserved and bound is together what the node has;
//! - a reservation that nobody binds is given back after its time, whoever died;
//! - a task asks at most [`spill::HOPS_MAX`] nodes, then it waits where it is;
//! - pinned tasks and actors are never stolen.
//!
//! - [`grants`]: the side that has room.
//! - [`spill`]: the side that has tasks.
//! - [`steal`]: the side that has nothing to do.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod grants;
pub mod spill;
pub mod steal;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;

/// Names a reservation: who asked, and the how-manieth of his. Never used again in his life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId {
    /// Who asked.
    pub holder: NodeId,
    /// His number for it.
    pub number: u64,
}
