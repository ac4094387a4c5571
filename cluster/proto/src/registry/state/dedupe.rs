//! Answers that were given, for requests that come again.
//!
//! A client that hears nothing asks again, perhaps of another leader; then the same request stands twice in the log.
//! To keep the last answer alone would refuse what a client sent before it and is still on the way.
//!
//! Invariants: of one client the newest answers are remembered, up to a limit; of all clients together too, and the
//! oldest in the log are forgotten first; what may have been forgotten is never taken for new while anything of its
//! client is remembered. A client is one life of a node: a later life forgets the earlier.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::id::{Incarnation, NodeId};
use crate::registry::id::{Index, RequestId};
use crate::registry::reply::Reply;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Dedupe {
    clients: BTreeMap<NodeId, Client>,
    /// Whose answer stands for which entry: the oldest first.
    order: BTreeMap<Index, (NodeId, u64)>,
}

/// What is remembered of one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Client {
    life: Incarnation,
    /// Up to here requests are forgotten.
    forgotten: u64,
    replies: BTreeMap<u64, (Index, Reply)>,
}

/// Whether a request was seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Never,
    Before(Reply),
    Forgotten,
}

impl Dedupe {
    pub(super) fn look(&self, request: RequestId) -> Seen {
        let Some(client) = self.clients.get(&request.client.node) else { return Seen::Never };
        if request.client.life > client.life {
            return Seen::Never;
        }
        if request.client.life < client.life {
            return Seen::Forgotten;
        }
        match client.replies.get(&request.sequence) {
            Some((_, reply)) => Seen::Before(reply.clone()),
            None if request.sequence <= client.forgotten => Seen::Forgotten,
            None => Seen::Never,
        }
    }

    pub(super) fn note(&mut self, index: Index, request: RequestId, reply: Reply, limits: &Limits) {
        let RequestId { client: host, sequence } = request;
        if self.clients.get(&host.node).is_some_and(|client| client.life < host.life) {
            self.drop_client(host.node);
        }
        let client = self.clients.entry(host.node).or_insert_with(|| Client {
            life: host.life,
            forgotten: 0,
            replies: BTreeMap::new(),
        });
        if let Some((before, _)) = client.replies.insert(sequence, (index, reply)) {
            self.order.remove(&before);
        }
        self.order.insert(index, (host.node, sequence));
        while client.replies.len() > limits.replies_per_client_max {
            let Some((sequence, (index, _))) = client.replies.pop_first() else { break };
            client.forgotten = client.forgotten.max(sequence);
            self.order.remove(&index);
        }
        while self.order.len() > limits.replies_max {
            let Some((_, (node, sequence))) = self.order.pop_first() else { break };
            self.forget(node, sequence);
        }
    }

    fn forget(&mut self, node: NodeId, sequence: u64) {
        let Some(client) = self.clients.get_mut(&node) else { return };
        client.replies.remove(&sequence);
        client.forgotten = client.forgotten.max(sequence);
        if client.replies.is_empty() {
            self.clients.remove(&node);
        }
    }

    fn drop_client(&mut self, node: NodeId) {
        let replies = self.clients.remove(&node).map(|client| client.replies);
        for (index, _) in replies.into_iter().flat_map(BTreeMap::into_values) {
            self.order.remove(&index);
        }
    }

    pub(super) fn to_clients(&self) -> Vec<(NodeId, Client)> {
        self.clients.iter().map(|(&node, client)| (node, client.clone())).collect()
    }

    /// Back from a snapshot; `None` if two answers claim one entry, or a client comes twice.
    pub(super) fn of_clients(clients: Vec<(NodeId, Client)>) -> Option<Self> {
        let mut dedupe = Self::default();
        for (node, client) in clients {
            for (&sequence, &(index, _)) in &client.replies {
                if dedupe.order.insert(index, (node, sequence)).is_some() {
                    return None;
                }
            }
            if dedupe.clients.insert(node, client).is_some() {
                return None;
            }
        }
        Some(dedupe)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::id::{Generation, Host};

    fn request(node: u64, life: u64, sequence: u64) -> RequestId {
        RequestId { client: Host { node: NodeId(node), life: Incarnation(life) }, sequence }
    }

    fn reply(generation: u64) -> Reply {
        Reply::Killed { generation: Generation(generation) }
    }

    #[test]
    fn the_newest_answers_are_known_and_older_ones_not_taken_for_new() {
        let limits = Limits { replies_per_client_max: 2, replies_max: 3, ..Limits::default() };
        let mut dedupe = Dedupe::default();
        // Out of order: the second request reached the log first.
        for (index, sequence) in [(1, 2), (2, 1), (3, 3)] {
            assert_eq!(dedupe.look(request(1, 1, sequence)), Seen::Never);
            dedupe.note(Index(index), request(1, 1, sequence), reply(sequence), &limits);
        }
        let of = |dedupe: &Dedupe, sequence| dedupe.look(request(1, 1, sequence));
        assert_eq!(of(&dedupe, 1), Seen::Forgotten);
        assert_eq!(of(&dedupe, 2), Seen::Before(reply(2)));
        assert_eq!(of(&dedupe, 3), Seen::Before(reply(3)));
        // Others push the oldest out.
        dedupe.note(Index(4), request(2, 1, 1), reply(1), &limits);
        dedupe.note(Index(5), request(3, 1, 1), reply(1), &limits);
        assert_eq!(of(&dedupe, 2), Seen::Forgotten);
        assert_eq!(of(&dedupe, 3), Seen::Before(reply(3)));
        assert_eq!(dedupe.len(), 3);
        // A later life begins anew, an earlier one is not answered.
        dedupe.note(Index(6), request(1, 2, 1), reply(9), &limits);
        assert_eq!(of(&dedupe, 3), Seen::Forgotten);
        assert_eq!(dedupe.look(request(1, 2, 2)), Seen::Never);
        assert_eq!(Dedupe::of_clients(dedupe.to_clients()), Some(dedupe));
    }
}
