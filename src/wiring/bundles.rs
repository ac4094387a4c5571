//! Placement groups that this node asked for: forms them, knows where their bundles are, gives them back.
//!
//! The protocol is the core's ([`Group`]): this asks the nodes, one after another, and tries again when the cluster
//! looks different, for a group that does not fit today waits.
//!
//! - `asking`: what a group asks of nodes.
//! - `seeking`: where something goes that is to run in a group, of this node or of another.
//! - `others`: groups that other nodes asked for, and what they ask this one of its own.
//! - `removing`: the end of a group, from anywhere.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use mobula_actor_core::{GroupId, NodeId, System};
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::group::Output;
use mobula_cluster::scheduling::hints::HINTS_MAX;
use mobula_cluster::scheduling::{GrantId, Group, GroupError, Hints, Strategy, dice};
use mobula_store::{Sealer, TaskError};
use mobula_tasks::{Demand, Scheduler};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::placement::{id, needs};
use super::rooms::Rooms;
use super::tasks::TaskPort;

mod asking;
mod others;
mod removing;
mod seeking;

pub(crate) use others::{Told, Trouble};
pub use removing::RemoveGroupError;
pub(crate) use seeking::Sought;

/// Placement groups of one node at a time.
const GROUPS_MAX: usize = 1 << 16;
/// How long until a group that did not fit is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Grants of groups have numbers beyond those of tasks; so many each.
const FIRST_NUMBER: u64 = 1 << 40;
const NUMBERS_EACH: u64 = 1 << 16;

/// The groups of one node.
pub(crate) struct PlacementGroups {
    me: Weak<Self>,
    system: System,
    scheduler: Weak<Scheduler>,
    rooms: Arc<Rooms>,
    /// The way to others, if there are any: this node's name and life among them, and the port.
    cluster: OnceLock<(Name, u64, Weak<TaskPort>)>,
    numbers: AtomicU64,
    known: Mutex<HashMap<GroupId, Arc<GroupState>>>,
    /// What is known of the groups of others.
    hints: Mutex<Hints<GroupId, Trouble>>,
    /// Wakes who waits for news of any group.
    news: Arc<Notify>,
    /// Questions of other nodes that wait until a group is formed.
    askers: AtomicUsize,
}

/// One group.
struct GroupState {
    id: GroupId,
    strategy: Strategy,
    bundles: Vec<Demand>,
    phase: Mutex<Phase>,
    removed: Notify,
    /// Whose turn it is among the bundles, for tasks that do not mind.
    turn: AtomicUsize,
}

enum Phase {
    Forming,
    /// Where each bundle is; `None` once its node is lost.
    Formed {
        core: Box<Group>,
        places: Vec<Option<NodeId>>,
    },
    Removed,
}

/// How an attempt to form a group ended.
enum Formed {
    Yes,
    Removed,
    Not(GroupError),
}

impl GroupState {
    fn is_removed(&self) -> bool {
        matches!(*self.phase.lock(), Phase::Removed)
    }

    /// A node has its bundles no more.
    fn lose(&self, node: NodeId) {
        if let Phase::Formed { places, .. } = &mut *self.phase.lock() {
            for place in places.iter_mut().filter(|place| **place == Some(node)) {
                tracing::warn!(group = %self.id, %node, "a bundle was lost with its node");
                *place = None;
            }
        }
    }

    /// Where the bundles are; empty until the group is formed.
    fn places(&self) -> Vec<Option<NodeId>> {
        match &*self.phase.lock() {
            Phase::Formed { places, .. } => places.clone(),
            Phase::Forming | Phase::Removed => Vec::new(),
        }
    }
}

impl PlacementGroups {
    pub(crate) fn new(system: &System, scheduler: &Arc<Scheduler>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            system: system.clone(),
            scheduler: Arc::downgrade(scheduler),
            rooms: Arc::new(Rooms::new(scheduler)),
            cluster: OnceLock::new(),
            numbers: AtomicU64::new(0),
            known: Mutex::default(),
            hints: Mutex::new(Hints::new(HINTS_MAX)),
            news: Arc::default(),
            askers: AtomicUsize::new(0),
        })
    }

    pub(crate) const fn rooms(&self) -> &Arc<Rooms> {
        &self.rooms
    }

    /// This node has others.
    pub(crate) fn join(&self, port: &Arc<TaskPort>, (name, life): (Name, u64)) {
        // A node takes part once.
        let _ = self.cluster.set((name, life, Arc::downgrade(port)));
    }

    fn here(&self) -> Name {
        self.cluster.get().map_or(Name(0), |(name, ..)| *name)
    }

    fn life(&self) -> u64 {
        self.cluster.get().map_or(0, |(_, life, _)| *life)
    }

    fn port(&self) -> Option<Arc<TaskPort>> {
        self.cluster.get()?.2.upgrade()
    }

    /// Whether this node asked for a group, in this life of it.
    fn owns(&self, group: GroupId) -> bool {
        (group.node, group.incarnation) == (id(self.here()), self.life())
    }

    /// A group of this node that was not removed.
    fn own(&self, group: GroupId) -> Option<Arc<GroupState>> {
        self.known.lock().get(&group).cloned()
    }

    /// Whether a group was removed, as far as is known here.
    pub(crate) fn is_removed(&self, group: GroupId) -> bool {
        if self.owns(group) {
            return self.own(group).is_none();
        }
        self.hints.lock().is_removed(&group)
    }

    /// Where the bundles of a group are, as far as is known here; empty until it is formed.
    pub(crate) fn places(&self, group: GroupId) -> Vec<Option<NodeId>> {
        if self.owns(group) {
            return self.own(group).map(|state| state.places()).unwrap_or_default();
        }
        let hints = self.hints.lock();
        let places = hints.plan(&group).map(|plan| plan.places.iter().map(|place| place.map(id)));
        places.map(Iterator::collect).unwrap_or_default()
    }

    /// A group to be formed; one too many fails. Its name.
    pub(crate) fn request(
        &self,
        (strategy, bundles): (Strategy, Vec<Demand>),
        sealer: Sealer<()>,
    ) -> GroupId {
        let id = self.new_id();
        let mut known = self.known.lock();
        if known.len() >= GROUPS_MAX {
            drop(known);
            let task = format!("placement group {id}").into();
            sealer.seal(Err(TaskError::QueueFull { task, limit: GROUPS_MAX }));
            return id;
        }
        let state = Arc::new(GroupState {
            id,
            strategy,
            bundles,
            phase: Mutex::new(Phase::Forming),
            removed: Notify::new(),
            turn: AtomicUsize::new(0),
        });
        known.insert(id, Arc::clone(&state));
        drop(known);
        let forming = form(Weak::clone(&self.me), state, sealer);
        drop(self.system.runtime().spawn(forming));
        id
    }

    /// A name that no group has. What is never asked for under it is as if it had been removed.
    pub(crate) fn new_id(&self) -> GroupId {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        GroupId { node: id(self.here()), incarnation: self.life(), number }
    }

    /// A node is gone, with its bundles.
    pub(crate) fn node_gone(&self, node: NodeId) {
        self.rooms.holder_down(Name(node.0));
        self.hints.lock().node_down(Name(node.0));
        let known: Vec<Arc<GroupState>> = self.known.lock().values().cloned().collect();
        for state in known {
            state.lose(node);
        }
    }

    /// Where a group is, or that it is not, is known now: whoever waits for that goes on.
    fn settled(&self, group: GroupId) {
        if let Some(scheduler) = self.scheduler.upgrade() {
            scheduler.place_group(group);
        }
        self.news.notify_waiters();
    }

    async fn attempt(&self, state: &GroupState) -> Formed {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let first = FIRST_NUMBER + number * NUMBERS_EACH;
        let bundles = state.bundles.iter().map(|bundle| needs(bundle, None).demand).collect();
        let mut core = Group::new(self.rooms.now(), self.here(), first, state.strategy, bundles);
        let mut out = Vec::new();
        while let Some(wake) = core.next_wake() {
            tokio::time::sleep(wake.since(self.rooms.now())).await;
            core.tick(self.rooms.now(), &self.look(), &mut dice(), &mut out);
            let mut todo = VecDeque::from(std::mem::take(&mut out));
            while let Some(output) = todo.pop_front() {
                if state.is_removed() {
                    let mut rest = Vec::from(todo);
                    core.release(&mut rest);
                    self.give_back(rest).await;
                    return Formed::Removed;
                }
                match output {
                    Output::Reserve { to, id, .. } => {
                        let has_room = self.reserve((to, id), &core, state).await;
                        self.answered(&mut core, id, has_room, &mut out);
                    }
                    Output::Bind { to, id } => {
                        let is_bound = self.bind((to, id), &core, state).await;
                        self.answered(&mut core, id, is_bound, &mut out);
                    }
                    Output::Release { .. } => self.give_back(vec![output]).await,
                    Output::Ready { bundles } => return self.formed(state, core, &bundles).await,
                    Output::Failed { error } => return Formed::Not(error),
                    Output::Broken { .. } => {}
                }
                todo.extend(out.drain(..));
            }
        }
        Formed::Removed
    }

    fn answered(&self, core: &mut Group, id: GrantId, is_agreed: bool, out: &mut Vec<Output>) {
        let now = self.rooms.now();
        if is_agreed {
            core.agreed(now, id, out);
        } else {
            core.refused(now, id, &mut dice(), out);
        }
    }

    async fn formed(
        &self,
        state: &GroupState,
        mut core: Group,
        bundles: &[(Name, GrantId)],
    ) -> Formed {
        let places = bundles.iter().map(|(node, _)| Some(id(*node))).collect();
        {
            let mut phase = state.phase.lock();
            if matches!(*phase, Phase::Forming) {
                *phase = Phase::Formed { core: Box::new(core), places };
                return Formed::Yes;
            }
        }
        // Removed in the last moment.
        let mut out = Vec::new();
        core.release(&mut out);
        self.give_back(out).await;
        Formed::Removed
    }
}

/// Tries until the group is formed or removed.
async fn form(groups: Weak<PlacementGroups>, state: Arc<GroupState>, sealer: Sealer<()>) {
    let mut has_warned = false;
    loop {
        let Some(groups) = groups.upgrade() else { return };
        match groups.attempt(&state).await {
            Formed::Yes => {
                sealer.seal(Ok(()));
                groups.settled(state.id);
                return;
            }
            Formed::Removed => {
                let task = format!("placement group {}", state.id).into();
                return sealer.seal(Err(TaskError::Cancelled { task }));
            }
            Formed::Not(error) => {
                if !std::mem::replace(&mut has_warned, true) {
                    let group = state.id;
                    tracing::warn!(%group, %error, "placement group {group} stays pending: {error}");
                }
            }
        }
        drop(groups);
        let _removed = tokio::time::timeout(RETRY_AFTER, state.removed.notified()).await;
    }
}

impl fmt::Debug for PlacementGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlacementGroups")
            .field("known", &self.known.lock().len())
            .finish_non_exhaustive()
    }
}
