//! What the membership core wants done, and what it has found out.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use crate::id::{Incarnation, NodeId};
use crate::member::{Details, Member};

use super::message::Message;

/// What to do. The order matters: carry outputs out as they stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send over the control connection; if there is none, drop it.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Carry to all members; may be lost.
    Broadcast(Message),
    /// Make a control connection and keep it.
    Connect {
        /// With whom.
        node: NodeId,
        /// The member's words, addresses among them.
        details: Arc<Details>,
    },
    /// The control connection is no longer wanted by us. The peer may still want it: close it when both have said so,
    /// or when it has carried nothing for a while.
    Disconnect {
        /// With whom.
        node: NodeId,
    },
    /// For the layers above.
    Event(MembershipEvent),
}

/// What the layers above learn.
///
/// For each node: `Joined` or `Healed`, then any of `Suspected`, `Recovered`, `Updated`, `Leaving`, then `Down` or `Left`; and again.
/// An incarnation that rises within one life is no event; a new life is `Down` of the old one, then `Joined`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipEvent {
    /// A member, or a new life of one.
    Joined(Member),
    /// A member that was down is back in the same life: what it held may have been given to others.
    Healed(Member),
    /// A member says something new of itself.
    Updated(Member),
    /// Place nothing there; kill nothing.
    Suspected(NodeId),
    /// Suspected no longer.
    Recovered(NodeId),
    /// It finishes its work and will leave.
    Leaving(NodeId),
    /// It left.
    Left(NodeId),
    /// Contact is lost, say `observers`; empty if we learnt it in an exchange or its next life told us.
    Down {
        /// Who.
        node: NodeId,
        /// In which incarnation.
        incarnation: Incarnation,
        /// Who voted, at most 16.
        observers: Vec<NodeId>,
    },
    /// The others have declared us down: what we held may have been given to others.
    /// We return with a higher incarnation, after a wait that grows if it happens often.
    SelfDeclaredDown {
        /// The incarnation that was declared down.
        incarnation: Incarnation,
    },
    /// We count ourselves in again, after we were declared down and had not gone beyond that incarnation already.
    SelfReturned {
        /// The incarnation in which we return.
        incarnation: Incarnation,
    },
    /// Our own tick came late by more than two periods: we were stopped or starved.
    SelfStalled,
    /// The cluster has let us in.
    JoinCompleted {
        /// Members we know, ourselves included.
        member_count: usize,
    },
}
