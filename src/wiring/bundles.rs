//! Placement groups that this node asked for: forms them, knows where their bundles are, gives them back.
//!
//! The protocol is the core's ([`Group`]): this asks the nodes, one after another, and tries again when the cluster
//! looks different, for a group that does not fit today waits.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use mobula_actor_core::{GroupId, NodeId, System};
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::group::Output;
use mobula_cluster::scheduling::{GrantId, Group, GroupError, Strategy, dice};
use mobula_store::{ObjectRef, Sealer, TaskError};
use mobula_tasks::{Demand, Scheduler};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::placement::{id, needs};
use super::rooms::{Amounts, Rooms};
use super::tasks::TaskPort;

mod asking;

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
    /// The way to others, if there are any.
    cluster: OnceLock<(Name, Weak<TaskPort>)>,
    numbers: AtomicU64,
    known: Mutex<HashMap<GroupId, Arc<GroupState>>>,
}

/// One group.
pub(crate) struct GroupState {
    pub(crate) id: GroupId,
    pub(crate) strategy: Strategy,
    pub(crate) bundles: Vec<Demand>,
    pub(crate) ready: ObjectRef<()>,
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
    pub(crate) fn is_removed(&self) -> bool {
        matches!(*self.phase.lock(), Phase::Removed)
    }

    /// Where the bundles are; empty until the group is formed.
    pub(crate) fn places(&self) -> Vec<Option<NodeId>> {
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
        })
    }

    pub(crate) const fn rooms(&self) -> &Arc<Rooms> {
        &self.rooms
    }

    /// This node has others.
    pub(crate) fn join(&self, port: &Arc<TaskPort>, name: Name) {
        // A node takes part once.
        let _ = self.cluster.set((name, Arc::downgrade(port)));
    }

    fn here(&self) -> Name {
        self.cluster.get().map_or(Name(0), |(name, _)| *name)
    }

    /// A group to be formed; one too many fails.
    pub(crate) fn request(
        &self,
        (strategy, bundles): (Strategy, Vec<Demand>),
        (ready, sealer): (ObjectRef<()>, Sealer<()>),
    ) -> Arc<GroupState> {
        let state = self.state((strategy, bundles), ready, Phase::Forming);
        let label = format!("placement group {}", state.id);
        let mut known = self.known.lock();
        if known.len() >= GROUPS_MAX {
            drop(known);
            *state.phase.lock() = Phase::Removed;
            sealer.seal(Err(TaskError::QueueFull { task: label.into(), limit: GROUPS_MAX }));
            return state;
        }
        known.insert(state.id, Arc::clone(&state));
        drop(known);
        let forming = form(Weak::clone(&self.me), Arc::clone(&state), sealer);
        drop(self.system.runtime().spawn(forming));
        state
    }

    /// A group that makes no sense: it is as if it had been removed.
    pub(crate) fn refused(
        &self,
        asked: (Strategy, Vec<Demand>),
        ready: ObjectRef<()>,
    ) -> Arc<GroupState> {
        self.state(asked, ready, Phase::Removed)
    }

    fn state(
        &self,
        (strategy, bundles): (Strategy, Vec<Demand>),
        ready: ObjectRef<()>,
        phase: Phase,
    ) -> Arc<GroupState> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Arc::new(GroupState {
            id: GroupId { node: id(self.here()), number },
            strategy,
            bundles,
            ready,
            phase: Mutex::new(phase),
            removed: Notify::new(),
            turn: AtomicUsize::new(0),
        })
    }

    /// The node of a bundle that is to take `demand`, or of any that can; `None` while the group is not formed.
    ///
    /// # Errors
    /// Why there will never be one, as words.
    pub(crate) fn node_for(
        &self,
        group: GroupId,
        bundle: Option<u32>,
        demand: &Demand,
    ) -> Result<Option<NodeId>, String> {
        let state = self.known.lock().get(&group).cloned();
        let state = state.ok_or_else(|| {
            format!("placement group {group} was removed, or belongs to another node")
        })?;
        let needed = Amounts::from(demand).resources();
        let fits = |index: &usize| {
            let bundle = state.bundles.get(*index);
            bundle.is_some_and(|bundle| Amounts::from(bundle).resources().covers(&needed))
        };
        let count = state.bundles.len();
        let first = match bundle {
            Some(index) => index as usize,
            None => state.turn.fetch_add(1, Ordering::Relaxed) % count.max(1),
        };
        let asked = if bundle.is_some() { 1 } else { count };
        let fitting: Vec<usize> =
            (0..asked).map(|step| if step == 0 { first } else { (first + step) % count }).collect();
        let fitting: Vec<usize> = fitting.into_iter().filter(fits).collect();
        if fitting.is_empty() {
            return Err(match bundle {
                Some(index) if index as usize >= count => {
                    format!(
                        "placement group {group} has {count} bundles, counted from 0, not {index}"
                    )
                }
                _ => format!("needs {demand}, which no such bundle of placement group {group} has"),
            });
        }
        match &*state.phase.lock() {
            Phase::Forming => Ok(None),
            Phase::Removed => Err(format!("placement group {group} was removed")),
            Phase::Formed { places, .. } => {
                let mut there = fitting.into_iter().filter_map(|index| places.get(index).copied());
                there.find_map(|place| place).map(Some).ok_or_else(|| {
                    format!("the node of that bundle of placement group {group} is lost")
                })
            }
        }
    }

    /// Ends a group: what runs in it ends, and its room is its nodes' again. Twice does no harm.
    pub(crate) async fn remove(&self, state: &GroupState) {
        self.known.lock().remove(&state.id);
        let phase = std::mem::replace(&mut *state.phase.lock(), Phase::Removed);
        state.removed.notify_one();
        if let Some(scheduler) = self.scheduler.upgrade() {
            scheduler.cancel_group(state.id);
        }
        if let Phase::Formed { mut core, .. } = phase {
            let mut out = Vec::new();
            core.release(&mut out);
            self.give_back(out).await;
        }
    }

    /// A node is gone, with its bundles.
    pub(crate) fn node_gone(&self, node: NodeId) {
        self.rooms.holder_down(Name(node.0));
        let known: Vec<Arc<GroupState>> = self.known.lock().values().cloned().collect();
        for state in known {
            if let Phase::Formed { places, .. } = &mut *state.phase.lock() {
                for place in places.iter_mut().filter(|place| **place == Some(node)) {
                    tracing::warn!(group = %state.id, %node, "a bundle was lost with its node");
                    *place = None;
                }
            }
        }
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
                if let Some(scheduler) = groups.scheduler.upgrade() {
                    scheduler.place_group(state.id);
                }
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
