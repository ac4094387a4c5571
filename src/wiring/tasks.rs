//! Tasks across nodes: attempts of ours that run elsewhere, and room for them.
//!
//! A task that would be quicker elsewhere is not pushed to the node that looks idle, for everybody sees the same one.
//! A node is asked for room first ([`Spill`]), keeps it for a moment, and then gets whichever task waits here by then.
//! While that node answers quickly, more follow without a question.
//!
//! - `leases`: room that is asked for, filled, given back.
//! - [`service`]: what this node does for others.
//! - [`raids`]: what it does when it has nothing to do.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mobula_actor_core::remote::{Home, refer};
use mobula_actor_core::{ActorRef, AskError, BoxFuture, NodeId, Placement, System, Undelivered};
use mobula_cluster::scheduling::{
    Arguments, Choice, Load, PlacementError, Site, Spill, Submission, Time,
};
use mobula_cluster::{Cluster, MembershipEvent, NodeId as Name, Record};
use mobula_tasks::{
    Demand, Destination, Elsewhere, FarCall, FarError, FarValue, Lease, Scheduler, Waiting, Wanted,
};
use parking_lot::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::builds::is_host;
use super::bundles::{PlacementGroups, Sought};
use super::cluster::Profile;
use super::placement::{Placing, Seen, id, is_strict, needs};
use crate::warden::Warden;

mod leases;
pub(crate) mod raids;
pub(crate) mod service;

pub(crate) use service::TaskService;
use service::{DRAINS, NO_GROUP, Number, Outcome};

/// Attempts under one lease at most.
const WINDOW_MAX: usize = 256;
/// How often what nobody uses is given back.
const TIDY_EVERY: Duration = Duration::from_millis(50);
/// Questions for one demand that may be open at once.
const QUESTIONS_MAX: usize = 8;

/// This node's way to the task services of others.
pub(crate) struct TaskPort {
    me: Weak<Self>,
    system: System,
    cluster: Cluster,
    placing: Arc<Placing>,
    scheduler: Weak<Scheduler>,
    groups: Arc<PlacementGroups>,
    here: NodeId,
    count: AtomicU64,
    services: Mutex<HashMap<(NodeId, u64), ActorRef<TaskService>>>,
    spill: Mutex<Spill<Demand, u64>>,
    /// Lives of nodes that let this one submit nothing.
    denied: Mutex<HashSet<(NodeId, u64)>>,
}

impl TaskPort {
    pub(crate) fn new(
        system: System,
        cluster: Cluster,
        placing: Arc<Placing>,
        scheduler: &Arc<Scheduler>,
        groups: Arc<PlacementGroups>,
    ) -> Arc<Self> {
        let name = cluster.node();
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            here: id(name),
            system,
            cluster,
            placing,
            scheduler: Arc::downgrade(scheduler),
            groups,
            count: AtomicU64::new(1),
            services: Mutex::default(),
            spill: Mutex::new(Spill::with_window_max(name, WINDOW_MAX)),
            denied: Mutex::default(),
        })
    }

    pub(crate) fn service(&self, node: NodeId) -> Option<ActorRef<TaskService>> {
        let host = *self.placing.seen().hosts.get(&node)?;
        let key = (node, host.life);
        let mut services = self.services.lock();
        if let Some(service) = services.get(&key) {
            return Some(service.clone());
        }
        let home = Home { node, incarnation: host.life, actor: host.tasks? };
        let service = refer::<TaskService>(&self.system, home).ok()?;
        services.retain(|(known, _), _| *known != node);
        services.insert(key, service.clone());
        Some(service)
    }

    /// What ends things on a node, if that is there in this life of it.
    pub(crate) fn warden(&self, node: NodeId, life: u64) -> Option<ActorRef<Warden>> {
        let view = self.cluster.view();
        let record = view.get(Name(node.0)).filter(|record| record.details.life.0 == life)?;
        super::cluster::warden(&self.system, record)
    }

    /// Whether a node is there in this life of it, as far as is known.
    pub(crate) fn is_there(&self, node: NodeId, life: u64) -> bool {
        self.seen().hosts.get(&node).is_some_and(|host| host.life == life)
    }

    /// The members as they are now.
    pub(crate) fn seen(&self) -> Arc<Seen> {
        self.placing.seen()
    }

    /// Whether a node runs tasks for this one at all, as far as is known; this one does.
    fn takes_tasks(&self, seen: &Seen, node: NodeId) -> bool {
        let host = seen.hosts.get(&node);
        host.is_some_and(|host| {
            host.tasks.is_some() && !self.denied.lock().contains(&(node, host.life))
        })
    }

    /// A node lets this one submit nothing, in this life of it.
    fn deny(&self, node: NodeId) {
        if let Some(host) = self.seen().hosts.get(&node) {
            self.denied.lock().insert((node, host.life));
        }
    }

    /// How busy a node is by rumour.
    pub(crate) fn estimate(&self, node: Name) -> Option<Load> {
        self.placing.planner.estimates([node]).pop().and_then(|(_, load)| load)
    }

    fn now(&self) -> Time {
        self.placing.planner.now()
    }
}

/// What goes on in the background as long as the port and its scheduler live.
pub(crate) fn begin(
    port: &Arc<TaskPort>,
    scheduler: &Arc<Scheduler>,
    service: ActorRef<TaskService>,
) {
    let runtime = port.system.runtime().clone();
    let scheduler = Arc::downgrade(scheduler);
    runtime.spawn(raids::keep_raiding(Arc::downgrade(port), scheduler));
    runtime.spawn(keep_tidy(Arc::downgrade(port)));
    runtime.spawn(follow(port.cluster.events(), Arc::downgrade(port), service));
}

/// Gives back what was reserved and is not used.
async fn keep_tidy(port: Weak<TaskPort>) {
    let mut ticks = tokio::time::interval(TIDY_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(port) = port.upgrade() else { return };
        port.groups.rooms().expire();
        port.tick();
    }
}

/// Ends what was for nodes that are gone.
async fn follow(
    mut events: Receiver<MembershipEvent>,
    port: Weak<TaskPort>,
    service: ActorRef<TaskService>,
) {
    loop {
        let event = events.recv().await;
        let Some(port) = port.upgrade() else { return };
        match event {
            Ok(MembershipEvent::Down { node, .. } | MembershipEvent::Left(node)) => {
                port.node_gone(node);
                // A service that has ended has forgotten it, too.
                let _ = service.gone(node.0).tell().await;
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Ends an attempt's lease when it is over, and takes the attempt back there if nobody waits for it any more.
struct Given {
    port: Weak<TaskPort>,
    lease: Option<Lease>,
    begun: Instant,
    is_welcome: bool,
    service: Option<(ActorRef<TaskService>, Number)>,
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some((service, number)) = self.service.take() {
            // No room for the word: then it runs to its end for nothing.
            let _ = service.cancel(number).try_tell();
        }
        if let Some((lease, port)) = self.lease.zip(self.port.upgrade()) {
            port.ended(lease, self.begun.elapsed(), self.is_welcome);
        }
    }
}

impl Elsewhere for TaskPort {
    fn place(&self, placement: &Placement, wanted: &Wanted<'_>) -> Destination {
        if let Placement::InGroup { group, bundle } = placement {
            return match self.groups.seek((*group, *bundle), wanted.demand) {
                Sought::At(node) if node == self.here || node == NodeId::HERE => Destination::Here,
                Sought::At(node) => Destination::There { node, only: true },
                Sought::Asked | Sought::Forming => Destination::Later,
                Sought::Misfit(why) => Destination::Nowhere(why),
                Sought::Gone(why) => Destination::GroupGone(why),
                Sought::Denied(why) => Destination::Denied(why),
            };
        }
        let function = (wanted.function != 0).then_some((wanted.function, wanted.name));
        let is_strict = is_strict(placement);
        let seen = self.seen();
        let may_take = |node| self.takes_tasks(&seen, node);
        match self.placing.node_for(placement, needs(wanted.demand, function), may_take) {
            Ok(node) if node == self.here => Destination::Here,
            Ok(node) => Destination::There { node, only: is_strict },
            Err(PlacementError::Busy { feasible }) if is_strict && !feasible.is_empty() => {
                Destination::There { node: id(feasible[0]), only: true }
            }
            Err(error) => match self.placing.unprovided(placement, wanted.function) {
                Some(seen) if wanted.function != 0 => Destination::Unprovided(seen),
                Some(_) | None if is_strict => {
                    Destination::Nowhere(format!("{placement:?} was asked for, and {error}"))
                }
                // Until somebody has it, or has room.
                Some(_) | None => Destination::Later,
            },
        }
    }

    fn has_room(&self, node: NodeId, wanted: &Wanted<'_>) -> bool {
        let seen = self.seen();
        let request = needs(wanted.demand, Some((wanted.function, wanted.name)));
        self.takes_tasks(&seen, node)
            && self.placing.planner.place_there(Name(node.0), &request, &seen.sites)
    }

    fn unprovided(&self, function: u64) -> Option<String> {
        let (view, seen) = (self.cluster.view(), self.seen());
        let takes = |record: &&Record| {
            record.node.0 != self.here.0
                && is_host(record)
                && self.takes_tasks(&seen, id(record.node))
        };
        let others: Vec<&Record> = view.alive().filter(takes).collect();
        let is_able = |record: &&Record| self.placing.can(&Profile::of(record), function);
        let is_unprovided = !others.is_empty() && !others.iter().any(is_able);
        is_unprovided.then(|| self.placing.instead(function, &others))
    }

    fn overflow(&self, waiting: &[Waiting]) -> bool {
        let seen = self.placing.seen();
        let takes = |site: &&Site| self.takes_tasks(&seen, id(site.node));
        let others: Vec<Site> = seen.others.iter().filter(takes).cloned().collect();
        let arguments = Arguments::default();
        let mut has_asked = false;
        for Waiting { demand, function, name, count } in waiting {
            self.fill(demand);
            let request = needs(demand, Some((*function, name)));
            let submission = Submission {
                here: Name(self.here.0),
                has_room_here: false,
                request: &request,
                arguments: &arguments,
            };
            let mut out = Vec::new();
            let mut spill = self.spill.lock();
            let open = spill.waiting_for(demand);
            has_asked |= open > 0;
            for _ in open..QUESTIONS_MAX.min(*count) {
                let Ok(Choice::Ask(nodes)) = self.placing.planner.choose(&submission, &others)
                else {
                    break;
                };
                has_asked = true;
                let ticket = self.count.fetch_add(1, Ordering::Relaxed);
                spill.submit(self.now(), ticket, demand.clone(), &nodes, &mut out);
            }
            drop(spill);
            self.perform(out);
        }
        has_asked
    }

    fn run(
        &self,
        node: NodeId,
        lease: Option<Lease>,
        call: FarCall,
    ) -> BoxFuture<'static, Result<FarValue, FarError>> {
        let number = (self.here.0, self.count.fetch_add(1, Ordering::Relaxed));
        let service = self.service(node);
        let (port, within) = (Weak::clone(&self.me), call.within);
        let begun = Instant::now();
        let given = Given { port, lease, begun, is_welcome: true, service: None };
        Box::pin(async move {
            // As a whole, so that it ends with the future, polled or not.
            let mut guard = given;
            let Some(service) = service else {
                return Err(FarError::Refused(format!("node {node} is not there")));
            };
            guard.service = Some((service.clone(), number));
            let answer = service.run(number, lease.map(|lease| lease.number), call).await;
            guard.service = None;
            match answer {
                Ok(Outcome { value, is_welcome }) => {
                    guard.is_welcome = is_welcome;
                    Ok(value)
                }
                Err(AskError::Refused(failure)) if failure.kind == "NoProvider" => {
                    Err(FarError::Unprovided(format!("node {node} says: {}", failure.text)))
                }
                Err(AskError::Refused(failure)) if failure.kind == NO_GROUP => {
                    let port = guard.port.upgrade().zip(within);
                    let was_hearsay =
                        port.is_some_and(|(port, within)| port.groups.refused(within.group, node));
                    let text = format!("node {node} says: {}", failure.text);
                    Err(FarError::GroupGone { text, was_hearsay })
                }
                Err(AskError::Refused(failure)) if failure.kind == DRAINS => {
                    guard.is_welcome = false;
                    Err(FarError::Refused(format!("node {node} drains, and takes no more")))
                }
                Err(AskError::NotDelivered { reason: Undelivered::Denied(why), .. }) => {
                    guard.is_welcome = false;
                    if let Some(port) = guard.port.upgrade() {
                        port.deny(node);
                    }
                    Err(FarError::Denied(why.to_string()))
                }
                Err(AskError::Refused(failure)) => Err(FarError::Failed(failure)),
                Err(error @ (AskError::NotDelivered { .. } | AskError::Deadlock(_))) => {
                    guard.is_welcome = false;
                    Err(FarError::Refused(error.to_string()))
                }
                Err(other) => {
                    guard.is_welcome = false;
                    Err(FarError::Lost(other.to_string()))
                }
            }
        })
    }
}
