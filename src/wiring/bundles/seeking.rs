//! Where something goes that is to run in a placement group.
//!
//! Who asked for the group knows; any other node goes by what it has heard, and asks when it has heard nothing, or when a
//! node refuses that was said to have a bundle.

use std::sync::atomic::Ordering;

use mobula_actor_core::{GroupId, NodeId};
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::hints::{Look, Plan};
use mobula_cluster::scheduling::{Misfit, Resources, choose};
use mobula_tasks::{Demand, Within};

use super::{GroupState, Phase, PlacementGroups, Trouble};
use crate::wiring::placement::id;
use crate::wiring::rooms::Amounts;

/// Which group, and which bundle of it; any otherwise.
type Wanted = (GroupId, Option<u32>);

/// Where something goes that is to run in a group.
#[derive(Debug)]
pub(crate) enum Sought {
    /// To this node.
    At(NodeId),
    /// Nowhere yet: its owner is being asked.
    Asked,
    /// Nowhere yet: the group is being formed.
    Forming,
    /// Nowhere: no such bundle, or none that is large enough.
    Misfit(String),
    /// Nowhere: the group, or the bundle, is not there.
    Gone(String),
    /// Nowhere: its owner may not be asked.
    Denied(String),
}

impl PlacementGroups {
    /// The node of the bundle that is to take `demand`, as far as is known.
    pub(crate) fn seek(&self, wanted: Wanted, demand: &Demand) -> Sought {
        let (group, bundle) = wanted;
        if self.owns(group) {
            return match self.own(group) {
                Some(state) => self.seek_own(&state, bundle, demand),
                None => Sought::Gone(removed(group)),
            };
        }
        let found = self.seek_by_hints(wanted, demand);
        let Sought::At(node) = found else { return found };
        if !self.is_here(node) || self.has_room_here(wanted, demand) {
            return found;
        }
        // What this node knows of itself is better than any hint.
        if self.refused(group, node) {
            return self.seek_by_hints(wanted, demand);
        }
        Sought::Gone(format!("placement group {group} has no such room on this node any more"))
    }

    /// The same, but waits until the owner has been asked.
    pub(crate) async fn seek_until_told(&self, wanted: Wanted, demand: &Demand) -> Sought {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            match self.seek(wanted, demand) {
                Sought::Asked => news.await,
                found => return found,
            }
        }
    }

    pub(crate) fn is_here(&self, node: NodeId) -> bool {
        node == NodeId::HERE || node == id(self.here())
    }

    /// A node has no room of a group that it was said to have; whether something may be known better now.
    pub(crate) fn refused(&self, group: GroupId, node: NodeId) -> bool {
        if self.owns(group) {
            // It took this node for lost, and gave the room back.
            if let Some(state) = self.own(group) {
                state.lose(node);
            }
            return false;
        }
        self.hints.lock().refused(&group)
    }

    fn seek_own(&self, state: &GroupState, bundle: Option<u32>, demand: &Demand) -> Sought {
        let bundles: Vec<Resources> =
            state.bundles.iter().map(|bundle| Amounts::from(bundle).resources()).collect();
        let turn = state.turn.fetch_add(1, Ordering::Relaxed);
        let needed = Amounts::from(demand).resources();
        let fitting = match choose::fitting(&bundles, bundle, &needed, turn) {
            Ok(fitting) => fitting,
            Err(misfit) => return unfit(state.id, misfit, (bundle, demand)),
        };
        match &*state.phase.lock() {
            Phase::Forming => Sought::Forming,
            Phase::Removed => Sought::Gone(removed(state.id)),
            Phase::Formed { places, .. } => {
                let places: Vec<Option<Name>> =
                    places.iter().map(|place| place.map(|node| Name(node.0))).collect();
                at(state.id, &fitting, &places)
            }
        }
    }

    fn seek_by_hints(&self, wanted: Wanted, demand: &Demand) -> Sought {
        let (group, bundle) = wanted;
        let inquiry = self.inquire(group, |plan, turn| {
            let needed = Amounts::from(demand).resources();
            match choose::fitting(&plan.bundles, bundle, &needed, turn) {
                Ok(fitting) => at(group, &fitting, &plan.places),
                Err(misfit) => unfit(group, misfit, (bundle, demand)),
            }
        });
        match inquiry {
            Ok(found) => found,
            // A bundle that is here needs no question.
            Err(Unformed::Asked) if self.has_room_here(wanted, demand) => {
                Sought::At(id(self.here()))
            }
            Err(Unformed::Asked) => Sought::Asked,
            Err(Unformed::Forming) => Sought::Forming,
            Err(Unformed::Removed) => Sought::Gone(removed(group)),
            Err(Unformed::Trouble(Trouble::Gone(text))) => Sought::Gone(text),
            Err(Unformed::Trouble(Trouble::Denied(text))) => Sought::Denied(text),
        }
    }

    fn has_room_here(&self, (group, bundle): Wanted, demand: &Demand) -> bool {
        let demand = demand.clone().within(Some(Within { group, bundle }));
        self.scheduler.upgrade().is_some_and(|scheduler| scheduler.is_feasible(&demand))
    }

    /// What is known of a group of another node that is formed; asks its owner if nothing is.
    pub(super) fn inquire<R>(
        &self,
        group: GroupId,
        formed: impl FnOnce(&Plan, usize) -> R,
    ) -> Result<R, Unformed> {
        let now = self.rooms.now();
        let mut hints = self.hints.lock();
        if hints.is_removed(&group) {
            return Err(Unformed::Removed);
        }
        if !self.port().is_some_and(|port| port.is_there(group.node, group.incarnation)) {
            return Err(Unformed::Trouble(Trouble::Gone(format!(
                "placement group {group} belongs to node {}, which is lost or cannot be reached",
                group.node
            ))));
        }
        let look = hints.look(now, group, Name(group.node.0));
        let is_asked = match look {
            Look::Formed(plan, turn) => return Ok(formed(plan, turn)),
            Look::Ask => true,
            Look::Asked => false,
            Look::Forming => return Err(Unformed::Forming),
            Look::Removed => return Err(Unformed::Removed),
            Look::Failed(why) => return Err(Unformed::Trouble(why.clone())),
            Look::Full => {
                return Err(Unformed::Trouble(Trouble::Gone(format!(
                    "where placement group {group} is cannot be asked now: too many others are"
                ))));
            }
        };
        drop(hints);
        if is_asked {
            self.begin_to_ask(group);
        }
        Err(Unformed::Asked)
    }
}

/// Why nothing goes into a group of another node now.
#[derive(Debug)]
pub(super) enum Unformed {
    Asked,
    Forming,
    Removed,
    Trouble(Trouble),
}

fn at(group: GroupId, fitting: &[usize], places: &[Option<Name>]) -> Sought {
    match choose::place(fitting, places) {
        Some(node) => Sought::At(id(node)),
        None => Sought::Gone(format!("the node of that bundle of placement group {group} is lost")),
    }
}

fn removed(group: GroupId) -> String {
    format!("placement group {group} was removed")
}

fn unfit(group: GroupId, misfit: Misfit, (bundle, demand): (Option<u32>, &Demand)) -> Sought {
    Sought::Misfit(match (misfit, bundle) {
        (Misfit::NoSuchBundle { count }, Some(index)) => {
            format!("placement group {group} has {count} bundles, counted from 0, not {index}")
        }
        _ => format!("needs {demand}, which no such bundle of placement group {group} has"),
    })
}
