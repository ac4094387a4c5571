//! What a group asks of nodes: how they look, and room, bound or given back. This node is asked without a message.

use std::collections::BTreeMap;

use mobula_actor_core::ActorRef;
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::group::{ANSWER_WITHIN, Output, TTL};
use mobula_cluster::scheduling::{CPU, GrantId, Group, Load, Resources, Room, Site};
use mobula_tasks::{Quantity, ResourceAmount};

use super::{GroupState, PlacementGroups};
use crate::wiring::placement::{MIB, id, roughly};
use crate::wiring::rooms::Amounts;
use crate::wiring::tasks::TaskService;

impl PlacementGroups {
    /// The nodes as they look now.
    pub(super) fn look(&self) -> Vec<Room> {
        let Some((own, _, port)) = self.cluster.get() else {
            return vec![self.own_room(Name(0))];
        };
        let Some(port) = port.upgrade() else { return Vec::new() };
        let seen = port.seen();
        let mut rooms: Vec<Room> = Vec::new();
        for site in seen.sites.iter().filter(|site| !site.is_suspect) {
            if site.node == *own {
                rooms.push(self.own_room(*own));
            } else {
                let load = port.estimate(site.node);
                rooms.push(Room {
                    node: site.node,
                    free: free_of(site, load),
                    total: site.total.clone(),
                });
            }
        }
        rooms
    }

    fn own_room(&self, node: Name) -> Room {
        let amounts = self.scheduler.upgrade().map(|books| books.resources()).unwrap_or_default();
        let of = |quantity: fn(&ResourceAmount) -> Quantity| {
            let parts = amounts.iter().map(|one| (one.resource.as_str(), quantity(one).units()));
            roughly(parts, |bytes| bytes / MIB)
        };
        Room { node, free: of(|amount| amount.free), total: of(|amount| amount.total) }
    }

    pub(super) async fn reserve(
        &self,
        (to, grant): (Name, GrantId),
        core: &Group,
        state: &GroupState,
    ) -> bool {
        let mut sum = BTreeMap::<String, u64>::new();
        for (_, Amounts(parts)) in bundles_at(to, core, state) {
            for (name, units) in parts {
                *sum.entry(name).or_default() += units;
            }
        }
        let room = Amounts(sum.into_iter().collect());
        if to == self.here() {
            return self.rooms.reserve(grant, &room, TTL);
        }
        let Some(service) = self.service(to) else { return false };
        let asked = service.reserve(grant.holder.0, grant.number, room, TTL);
        asked.timeout(ANSWER_WITHIN).await.unwrap_or(false)
    }

    pub(super) async fn bind(
        &self,
        (to, grant): (Name, GrantId),
        core: &Group,
        state: &GroupState,
    ) -> bool {
        let bundles = bundles_at(to, core, state);
        if to == self.here() {
            return self.rooms.bind(grant, state.id, &bundles);
        }
        let Some(service) = self.service(to) else { return false };
        let asked = service.bind(grant.holder.0, grant.number, state.id, bundles);
        asked.timeout(ANSWER_WITHIN).await.unwrap_or(false)
    }

    pub(super) async fn give_back(&self, out: Vec<Output>) {
        for output in out {
            let Output::Release { to, id: grant } = output else { continue };
            if to == self.here() {
                self.rooms.release(grant);
            } else if let Some(service) = self.service(to) {
                // A node that does not answer has forgotten it, or will when it hears that we are gone.
                let asked = service.release(grant.holder.0, grant.number);
                let _ = asked.timeout(ANSWER_WITHIN).await;
            }
        }
    }

    fn service(&self, node: Name) -> Option<ActorRef<TaskService>> {
        self.port()?.service(id(node))
    }
}

/// The bundles that go to a node, by their indices.
fn bundles_at(node: Name, core: &Group, state: &GroupState) -> Vec<(u32, Amounts)> {
    let places = core.bundles_at(node).into_iter();
    let bundles = places.filter_map(|index| {
        Some((u32::try_from(index).ok()?, Amounts::from(state.bundles.get(index)?)))
    });
    bundles.collect()
}

/// What is free there by rumour; of resources that no rumour tells of, all.
fn free_of(site: &Site, load: Option<Load>) -> Resources {
    let Some(load) = load else { return site.total.clone() };
    let parts = site.total.parts().map(|(name, units)| {
        (name, if name == CPU { units.min(load.free_cpu.into()) } else { units })
    });
    Resources::of(parts)
}
