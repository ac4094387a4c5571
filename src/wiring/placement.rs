//! Where things go: the cluster's view, what members say of themselves and how busy they are, as one answer.
//!
//! To look at every member's description for each of fifty thousand tasks a second would cost more than the tasks. So
//! the view is read once, as [`Seen`], until there is a newer one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mobula_actor_core::remote::{Place, SpawnKind};
use mobula_actor_core::{ActorDemand, ActorId, GroupId, NodeId, Placement, SpawnError};
use mobula_cluster::exchange::Placer;
use mobula_cluster::scheduling::{
    CPU, LabelRule, Load, MEMORY, ONE, PlacementError, Planner, Policy, Provision, Request,
    Resources, Site,
};
use mobula_cluster::view::View;
use mobula_cluster::{Cluster, MembershipEvent, NodeId as Name, Record, Status};
use mobula_tasks::{Demand, Quantity, ResourceAmount, Scheduler, demand_of};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::builds::{Builds, is_host};
use super::bundles::{PlacementGroups, Sought};
use super::cluster::Profile;

/// How often a node looks whether its load has changed: more often than it tells others.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// One MiB, as bytes are counted.
pub(crate) const MIB: u64 = 1 << 20;

/// The members as placement sees them.
#[derive(Debug)]
pub(crate) struct Seen {
    view: Arc<View>,
    /// How many tables of builds were known.
    news: u64,
    /// All that may be given something, this node included.
    pub(crate) sites: Vec<Site>,
    /// The same without this node.
    pub(crate) others: Vec<Site>,
    /// Lives, and what runs tasks there.
    pub(crate) hosts: HashMap<NodeId, Host>,
}

/// How tasks reach a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) life: u64,
    pub(crate) tasks: Option<ActorId>,
}

impl Seen {
    /// Whether a member has this function.
    pub(crate) fn provides(&self, node: NodeId, key: u64) -> bool {
        self.sites
            .iter()
            .filter(|site| site.node.0 == node.0)
            .any(|site| site.provides.binary_search(&key).is_ok())
    }
}

/// Chooses nodes, and remembers what it placed where, so that many spawns at once do not all go to one node.
pub(crate) struct Placing {
    cluster: Cluster,
    pub(crate) planner: Planner,
    /// What each member's program contains.
    builds: Arc<Builds>,
    seen: Mutex<Option<Arc<Seen>>>,
    groups: Arc<PlacementGroups>,
    /// Counts what may have made a place.
    news: watch::Sender<u64>,
}

impl Placing {
    pub(crate) fn new(cluster: Cluster, builds: Arc<Builds>, groups: Arc<PlacementGroups>) -> Self {
        let planner = Planner::new(cluster.clone());
        let news = watch::Sender::new(0);
        Self { cluster, planner, builds, seen: Mutex::default(), groups, news }
    }

    /// Whether a member runs a program that can do this: its table has the key, or it says so at all.
    pub(crate) fn can(&self, profile: &Profile, key: u64) -> bool {
        self.builds.provides(profile.build, key)
    }

    /// What members have instead of something.
    pub(crate) fn instead(&self, key: u64, records: &[&Record]) -> String {
        self.builds.seen(key, records)
    }

    /// What was seen, if of those members that the placement leaves to choose from none can do this at all; `None` if one can,
    /// or if there is nobody to choose from.
    pub(crate) fn unprovided(&self, placement: &Placement, key: u64) -> Option<String> {
        let view = self.cluster.view();
        let is_meant = |record: &&Record| match placement {
            Placement::OnNode { node, or_elsewhere: false } => id(record.node) == *node,
            Placement::Labelled { name, value, or_elsewhere: false } => {
                is_host(record) && record.details.labels.get(name) == Some(value)
            }
            _ => is_host(record),
        };
        let meant: Vec<&Record> = view.alive().filter(is_meant).collect();
        let is_able = |record: &&Record| self.can(&Profile::of(record), key);
        let is_unprovided = !meant.is_empty() && !meant.iter().any(is_able);
        is_unprovided.then(|| self.builds.seen(key, &meant))
    }

    /// The members as they are now.
    pub(crate) fn seen(&self) -> Arc<Seen> {
        let (view, news) = (self.cluster.view(), self.builds.news_count());
        let mut seen = self.seen.lock();
        match &*seen {
            Some(known) if Arc::ptr_eq(&known.view, &view) && known.news == news => {
                Arc::clone(known)
            }
            _ => Arc::clone(seen.insert(Arc::new(self.look(view, news)))),
        }
    }

    fn look(&self, view: Arc<View>, news: u64) -> Seen {
        let (mut sites, mut hosts) = (Vec::new(), HashMap::new());
        for record in view.live().filter(|record| record.status != Status::Leaving) {
            let profile = Profile::of(record);
            let host = Host { life: record.details.life.0, tasks: profile.tasks };
            hosts.insert(id(record.node), host);
            if super::profile::hosts(record) {
                self.planner.welcome(record.node);
                sites.push(self.site(record, &profile));
            }
        }
        let own = self.cluster.node();
        let others = sites.iter().filter(|site| site.node != own).cloned().collect();
        Seen { view, news, sites, others, hosts }
    }

    fn site(&self, record: &Record, profile: &Profile) -> Site {
        let cpus = Quantity::try_new(profile.cpus).unwrap_or_default().units();
        let others = profile.resources.iter().map(|(name, units)| (name.as_str(), *units));
        Site {
            node: record.node,
            is_suspect: record.status == Status::Suspect,
            total: roughly(std::iter::once((CPU, cpus)).chain(others), |bytes| bytes / MIB),
            roles: record.details.roles.iter().map(|role| role.as_str().into()).collect(),
            labels: record
                .details
                .labels
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            provides: self.builds.keys(profile.build),
        }
    }

    /// The member for something, of those that may take it; it counts as placed there.
    ///
    /// # Errors
    /// What was asked for and what was seen.
    pub(crate) fn node_for(
        &self,
        placement: &Placement,
        mut request: Request,
        may_take: impl Fn(NodeId) -> bool,
    ) -> Result<NodeId, PlacementError> {
        rule(placement, &mut request);
        let seen = self.seen();
        let may = |site: &&Site| may_take(id(site.node));
        if seen.sites.iter().all(|site| may(&site)) {
            return self.planner.place(&request, &seen.sites).map(id);
        }
        let sites: Vec<Site> = seen.sites.iter().filter(may).cloned().collect();
        self.planner.place(&request, &sites).map(id)
    }

    /// Tells whoever waits for a place when there may be one, as long as the node takes part.
    pub(crate) async fn keep_telling(self: Arc<Self>) {
        let (mut events, mut learnt) = (self.cluster.events(), self.builds.news());
        let me = Arc::downgrade(&self);
        drop(self);
        loop {
            let is_news = tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => may_make_a_place(&event),
                    Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => return,
                },
                table = learnt.changed() => match table {
                    Ok(()) => true,
                    Err(_closed) => return,
                },
            };
            let Some(placing) = me.upgrade() else { return };
            if is_news {
                placing.news.send_modify(|count| *count += 1);
            }
        }
    }

    /// Tells the others how busy this node is, as long as there is a scheduler.
    pub(crate) async fn keep_reporting(self: Arc<Self>, scheduler: Weak<Scheduler>) {
        let mut reported = None;
        let mut pace = Pace::default();
        let mut ticks = tokio::time::interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(scheduler) = scheduler.upgrade() else { return };
            let load = pace.load(&scheduler);
            if reported != Some(load) {
                reported = Some(load);
                self.planner.hear_own(load);
                self.cluster.load(load.into()).await;
            }
        }
    }
}

/// Whether there may be more than before, somewhere.
const fn may_make_a_place(event: &MembershipEvent) -> bool {
    matches!(
        event,
        MembershipEvent::Joined(_)
            | MembershipEvent::Healed(_)
            | MembershipEvent::Updated(_)
            | MembershipEvent::Recovered(_)
    )
}

/// How fast this node has been lately, for what its queue means in time.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(Instant, u64)>,
    /// Tasks a second, as a moving average.
    rate: f64,
}

impl Pace {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn load(&mut self, scheduler: &Scheduler) -> Load {
        let (now, finished) = (Instant::now(), scheduler.finished());
        if let Some((at, before)) = self.last.replace((now, finished)) {
            let span = now.duration_since(at).as_secs_f64().max(1e-3);
            self.rate = 0.5 * self.rate + 0.5 * ((finished - before) as f64 / span);
        }
        let queued = scheduler.queued();
        let seconds = if queued == 0 { 0.0 } else { queued as f64 / self.rate.max(1.0) };
        let (mut free_cpu, mut free_memory_mib) = (0, u32::MAX);
        for ResourceAmount { resource, free, .. } in scheduler.resources() {
            match resource.as_str() {
                CPU => free_cpu = u32::try_from(free.units()).unwrap_or(u32::MAX),
                MEMORY => {
                    free_memory_mib = u32::try_from(free.units() / ONE / MIB).unwrap_or(u32::MAX);
                }
                _ => {}
            }
        }
        Load {
            free_cpu,
            queue_length: u32::try_from(queued).unwrap_or(u32::MAX),
            queue_wait: Duration::from_millis((seconds.min(60.0) * 1e3) as u64),
            free_memory_mib,
        }
    }
}

/// What a task needs, for a choice: memory in MiB, rounded up.
pub(crate) fn needs(demand: &Demand, function: Option<(u64, &str)>) -> Request {
    let cpus = std::iter::once((CPU, demand.cpu_count().units()));
    let others = demand.parts().map(|(name, amount)| (&**name, amount.units()));
    Request {
        demand: roughly(cpus.chain(others), |bytes| bytes.div_ceil(MIB)),
        provision: function.map(|(hash, name)| Provision { hash, name: name.into() }),
        ..Request::default()
    }
}

/// Placement reckons memory in MiB, tasks in bytes.
pub(crate) fn roughly<'a>(
    parts: impl Iterator<Item = (&'a str, u64)>,
    mib: fn(u64) -> u64,
) -> Resources {
    Resources::of(parts.map(|(name, units)| {
        (name, if name == MEMORY { mib(units / ONE).saturating_mul(ONE) } else { units })
    }))
}

fn rule(placement: &Placement, request: &mut Request) {
    request.policy = match placement {
        Placement::Spread => Policy::Spread,
        Placement::Pack => Policy::Pack,
        Placement::OnNode { node, or_elsewhere } => {
            Policy::OnNode { node: Name(node.0), is_hard: !or_elsewhere }
        }
        Placement::Near(object) => {
            let bytes = object.bytes_by_node().into_iter();
            Policy::Near { bytes: bytes.map(|(node, bytes)| (Name(node.0), bytes)).collect() }
        }
        Placement::Labelled { name, value, or_elsewhere } => {
            let (name, value) = (name.as_str().into(), value.as_str().into());
            request.labels.push(LabelRule { name, value, is_hard: !or_elsewhere });
            Policy::LeastLoaded
        }
        _ => Policy::LeastLoaded,
    };
}

/// Whether no other node will do than what was asked for.
pub(crate) const fn is_strict(placement: &Placement) -> bool {
    match placement {
        Placement::OnNode { or_elsewhere, .. } | Placement::Labelled { or_elsewhere, .. } => {
            !*or_elsewhere
        }
        _ => false,
    }
}

impl fmt::Debug for Placing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placing").field("node", &self.cluster.node()).finish_non_exhaustive()
    }
}

impl Placer for Placing {
    /// An actor that says nothing holds no CPU while it lives, and wants one where it is placed: else a node without any
    /// would look idle for ever. Who names a node means it.
    fn place(
        &self,
        placement: &Placement,
        kind: &SpawnKind,
        demand: &ActorDemand,
    ) -> Result<Place, SpawnError> {
        let no_place = |why: String| SpawnError::NoPlace { actor: kind.name, why };
        let says_cpus = demand.amounts().any(|(name, _)| name.eq_ignore_ascii_case(CPU));
        let held = demand_of(demand).map_err(|error| SpawnError::InvalidDemand {
            actor: kind.name,
            why: error.to_string(),
        })?;
        let is_named = matches!(placement, Placement::OnNode { .. });
        let demand = match says_cpus || is_named {
            true => held.clone(),
            false => held.clone().with_cpus(Quantity::ONE),
        };
        if let Placement::InGroup { group, bundle } = placement {
            let within = (*group, *bundle);
            return match self.groups.seek(within, &held) {
                Sought::Asked => {
                    let (groups, actor) = (Arc::clone(&self.groups), kind.name);
                    Ok(Place::Later(Box::pin(async move {
                        match groups.seek_until_told(within, &held).await {
                            Sought::At(node) if !groups.is_here(node) => Ok(node),
                            found => Err(unplaced(actor, within.0, found)),
                        }
                    })))
                }
                Sought::At(node) => Ok(Place::There(node)),
                found => Err(unplaced(kind.name, *group, found)),
            };
        }
        let request = needs(&demand, Some((kind.key, kind.name)));
        let chosen = self.node_for(placement, request, |_| true);
        chosen.map(Place::There).map_err(|error| match self.unprovided(placement, kind.key) {
            Some(seen) => SpawnError::NoProvider { actor: kind.name, seen },
            None => no_place(format!("{placement:?} was asked for, and {error}")),
        })
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

/// Why an actor does not come into a group.
fn unplaced(actor: &'static str, group: GroupId, found: Sought) -> SpawnError {
    let why = match found {
        Sought::Gone(why) => return SpawnError::GroupGone { actor, why },
        Sought::Misfit(why) | Sought::Denied(why) => why,
        Sought::Forming | Sought::Asked => {
            format!("placement group {group} is not formed yet: wait until it is ready")
        }
        Sought::At(_) => format!("placement group {group} was formed this moment: spawn it again"),
    };
    SpawnError::NoPlace { actor, why }
}

pub(crate) const fn id(node: Name) -> NodeId {
    NodeId(node.0)
}
