//! What an actor may know of the message that it handles, and of itself as a holder of its name.

use super::Context;
use crate::actor::Actor;
use crate::current;
use crate::id::{CallerId, FencingToken};

impl<A: Actor> Context<A> {
    /// Who sent the message that is being handled; `None` in a hook or for a caller outside any node.
    #[must_use]
    pub fn sender(&self) -> Option<CallerId> {
        (self.sender != CallerId::NOBODY).then_some(self.sender)
    }

    /// The sender's tracing span, if it was in one: what this message's own span follows from.
    #[must_use]
    pub fn trace(&self) -> Option<tracing::span::Id> {
        current::try_with(|here| here.message.as_ref().and_then(|message| message.span.clone()))?
    }

    /// What tells this life of the actor from those before it, and this holder of its name from earlier ones: whoever comes
    /// later has the greater token. Send it along with what you write to an external store, which keeps the greatest it has
    /// seen and refuses smaller ones; then nothing that a predecessor had under way undoes your work.
    ///
    /// Source: Gray and Cheriton's leases (1989), with a number for each. It holds on one node, as names do today: tokens of
    /// different nodes say nothing of each other.
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        FencingToken::new(self.cell.actor_id(), self.cell.handle().generation())
    }
}
