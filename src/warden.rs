//! The warden: what other nodes may have this one do to itself, if they have the right to kill.
//!
//! Apart from the inspector, because to look is one right and to end is another: this one is guarded with the second.

use std::sync::Weak;

use mobula_actor_core::{ActorId, Context, Deferred, GroupId};

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

    /// Removes a placement group that this node had asked for; answers when it is gone. One that is not known is gone.
    pub fn remove_group(&self, ctx: &mut Context<Self>, group: GroupId) -> Deferred<()> {
        let (reply, deferred) = ctx.defer();
        match Node::of(&self.node) {
            Some(node) => {
                let groups = std::sync::Arc::clone(node.groups());
                // The nodes of its bundles are told, and others need not wait for that.
                drop(node.system().runtime().spawn(async move {
                    groups.remove_own(group).await;
                    reply.send(());
                }));
            }
            None => reply.send(()),
        }
        deferred
    }

    /// Lets the node leave when its work is done or has moved; says why not.
    pub fn leave(&self) -> Result<(), String> {
        Node::of(&self.node).map_or(Ok(()), |node| node.ask_to_leave())
    }
}
