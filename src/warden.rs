//! The warden: what other nodes may have this one do to itself, if they have the right to kill.
//!
//! Apart from the inspector, because to look is one right and to end is another: this one is guarded with the second.

use std::sync::Weak;

use mobula_actor_core::ActorId;

use crate::node::{Node, Rooms};

/// Acts for one node.
pub(crate) struct Warden {
    node: Weak<Rooms>,
}

#[crate::actor]
impl Warden {
    pub(crate) fn new(node: Weak<Rooms>) -> Self {
        Self { node }
    }

    /// Ends a citizen at once; false if there is none of this id.
    pub fn end(&self, id: ActorId) -> bool {
        let citizen = Node::of(&self.node).and_then(|node| node.system().directory().get(id));
        citizen.inspect(|citizen| citizen.kill()).is_some()
    }

    /// Lets the node leave when its work is done or has moved; says why not.
    pub fn leave(&self) -> Result<(), String> {
        Node::of(&self.node).map_or(Ok(()), |node| node.ask_to_leave())
    }
}
