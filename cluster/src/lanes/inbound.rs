//! The port to the layer above: what it is told of messages that arrive, and of those that are lost.

use mobula_proto::association::{Lost, Receipt};
use mobula_proto::id::{Incarnation, NodeId};

use crate::admission::certificate::{Capabilities, Role};
use crate::admission::rules::Standing;
use crate::transport::Link;

/// What the layer above does with what arrives. Called on the lane's task: be quick, and never block.
pub trait Inbound: Send + Sync + 'static {
    /// A message of `from` on `lane`. Returns the receipt if the message was taken (or dropped on purpose); otherwise
    /// give it to [`Lanes::taken`](super::Lanes::taken) when it is, for the peer may send only so much more.
    fn message(&self, from: Origin, lane: u8, payload: &[u8], receipt: Receipt) -> Option<Receipt>;

    /// All messages of one read, in order; `taken` gets the receipts of those that were taken. By default each goes to
    /// [`Inbound::message`].
    fn messages(
        &self,
        from: Origin,
        lane: u8,
        messages: &mut dyn Iterator<Item = (&[u8], Receipt)>,
        taken: &mut dyn FnMut(Receipt),
    ) {
        for (payload, receipt) in messages {
            if let Some(receipt) = self.message(from, lane, payload, receipt) {
                taken(receipt);
            }
        }
    }

    /// Messages that we sent to `peer` and that were not acknowledged.
    fn lost(&self, peer: NodeId, lost: Lost);

    /// Messages that `peer` sent before now may be missing: re-send open watches.
    fn peer_lost(&self, _peer: NodeId) {}

    /// `peer` is in a new life: everything it held for us is gone.
    fn peer_restarted(&self, _peer: NodeId, _ended: Incarnation, _begun: Incarnation) {}

    /// A full lane takes messages again.
    fn writable(&self, _peer: NodeId, _lane: u8) {}
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The node.
    pub node: NodeId,
    /// In which life.
    pub life: Incarnation,
    /// How it takes part.
    pub role: Role,
    /// What it may ask for; to be checked where the message is carried out.
    pub capabilities: Capabilities,
}

impl Origin {
    /// The node at the other end of a connection.
    #[must_use]
    pub fn of(link: &Link) -> Self {
        let Standing { role, capabilities, .. } = link.peer.standing;
        Self { node: link.node(), life: link.life(), role, capabilities }
    }
}
