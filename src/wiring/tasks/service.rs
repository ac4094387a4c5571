//! What a node does for the tasks of others: runs attempts, keeps room for them, gives waiting ones away.

use std::collections::{HashMap, HashSet};
use std::future::IntoFuture;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use mobula_actor_core::{
    ActorRef, Context, Current, Deferred, GroupId, Mailbox, NodeId, System, sync_scope,
};
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::GrantId;
use mobula_store::{Failure, GetError, ObjectId, ObjectRef, TaskError};
use mobula_tasks::{Demand, FarCall, FarValue, Quantity, Scheduler, Visit, Within, visitors};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::TaskPort;
use crate::wiring::bundles::Told;
use crate::wiring::rooms::{Amounts, Rooms};

/// Attempts of other nodes that may wait to be begun.
const MAILBOX: u32 = 16 * 1024;

/// Which attempt: the node's number and its count.
pub(crate) type Number = (u64, u64);

/// What came of an attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) value: FarValue,
    /// Whether this node would take another: it has no work of its own waiting.
    pub(crate) is_welcome: bool,
}

/// Works for other nodes.
pub(crate) struct TaskService {
    visitors: HashMap<u64, Visit>,
    running: Arc<Mutex<HashMap<Number, ObjectRef<FarValue>>>>,
    rooms: Arc<Rooms>,
    port: Arc<OnceLock<Weak<TaskPort>>>,
    is_draining: bool,
    /// Results of attempts that go back because this node drains.
    sent_back: Arc<Mutex<HashSet<ObjectId>>>,
}

#[crate::actor]
impl TaskService {
    pub(crate) fn new(rooms: Arc<Rooms>, port: Arc<OnceLock<Weak<TaskPort>>>) -> Self {
        Self {
            visitors: visitors(),
            running: Arc::default(),
            rooms,
            port,
            is_draining: false,
            sent_back: Arc::default(),
        }
    }

    /// Runs an attempt, on this node's resources, under a lease if there is one; answers when it is over.
    pub fn run(
        &mut self,
        ctx: &mut Context<Self>,
        number: Number,
        lease: Option<u64>,
        call: FarCall,
    ) -> Deferred<Result<Outcome, Failure>> {
        let (reply, deferred) = ctx.defer();
        let mut call = call;
        if self.is_draining && !call.is_bound {
            reply.send(Err(drains(&call)));
            return deferred;
        }
        if let Some(within) = call.within.filter(|within| !has_room_for(ctx.system(), *within)) {
            reply.send(Err(no_group(&call, within)));
            return deferred;
        }
        // Too late for its room, it stands in line with the others.
        call.is_expected = lease.is_some_and(|lease| self.rooms.claim(grant(number.0, lease)));
        let begun = match self.visitors.get(&call.function) {
            Some(visit) => visit(&call),
            None => Err(TaskError::NoProvider {
                task: call.name.clone().into(),
                seen: format!("this node has no function of the key {:016x}", call.function).into(),
            }),
        };
        match begun {
            Err(error) => reply.send(Err(Failure::from(&error))),
            Ok(object) => {
                self.running.lock().insert(number, object.clone());
                let running = Arc::clone(&self.running);
                let system = ctx.system().clone();
                let made = object.clone();
                let sent_back = Arc::clone(&self.sent_back);
                // On the thread that made it: another one would have to be woken for each.
                object.on_ready(move || {
                    sync_scope(Current::root(system.clone()), || {
                        running.lock().remove(&number);
                        let is_welcome = is_welcome(&system);
                        let value = if sent_back.lock().remove(&made.id()) {
                            Err(drains(&call))
                        } else {
                            value_of(&made, call)
                        };
                        reply.send(value.map(|value| Outcome { value, is_welcome }));
                    });
                });
            }
        }
        deferred
    }

    /// Nobody waits for an attempt any more.
    pub fn cancel(&self, number: Number) {
        let object = self.running.lock().remove(&number);
        if let Some(object) = object {
            object.cancel();
        }
    }

    /// A node is gone: nobody waits for its attempts.
    pub fn gone(&self, node: u64) {
        let gone: Vec<_> = self.running.lock().extract_if(|(home, _), _| *home == node).collect();
        for (_, object) in gone {
            object.cancel();
        }
    }

    /// Takes no more, and sends back what has not begun; gives how many are left.
    pub fn drain(&mut self) -> usize {
        self.is_draining = true;
        let system = mobula_actor_core::current::expect_system();
        if let Some(scheduler) = system.extension::<Scheduler>() {
            let withdrawn: HashSet<ObjectId> = scheduler.withdraw_visitors().into_iter().collect();
            self.sent_back.lock().extend(&withdrawn);
            // Apart, since the end of each takes it off the list.
            let back: Vec<_> = self.running.lock().values().cloned().collect();
            for object in back.iter().filter(|object| withdrawn.contains(&object.id())) {
                object.cancel();
            }
        }
        self.running.lock().len()
    }

    /// Keeps room for a while, under the asker's number; false if there is none now.
    pub fn reserve(&self, holder: u64, number: u64, room: Amounts, ttl: Duration) -> bool {
        !self.is_draining && self.rooms.reserve(grant(holder, number), &room, ttl)
    }

    /// Makes what was reserved the room of a placement group; false if it has expired.
    pub fn bind(
        &self,
        holder: u64,
        number: u64,
        group: GroupId,
        bundles: Vec<(u32, Amounts)>,
    ) -> bool {
        self.rooms.bind(grant(holder, number), group, &bundles)
    }

    /// What was reserved or bound is needed no longer.
    pub fn release(&self, holder: u64, number: u64) {
        self.rooms.release(grant(holder, number));
    }

    /// What this node knows of a placement group that it asked for; one that is being formed is waited for a while.
    pub fn find_group(&self, ctx: &mut Context<Self>, group: GroupId) -> Deferred<Told> {
        let (reply, deferred) = ctx.defer();
        match self.port.get().and_then(Weak::upgrade) {
            Some(port) => {
                let groups = Arc::clone(&port.groups);
                drop(ctx.system().runtime().spawn(async move {
                    reply.send(groups.tell_when_settled(group).await);
                }));
            }
            // This node stops, and its groups go with it.
            None => reply.send(Told::Removed),
        }
        deferred
    }

    /// A node has nothing to do, and this much free: gives it up to `most` of the tasks that wait here; says how many.
    pub fn steal(&self, thief: NodeId, free: Amounts, most: usize) -> usize {
        let port = self.port.get().and_then(Weak::upgrade);
        port.map_or(0, |port| port.give_away(thief, &free, most))
    }
}

/// What an attempt is told that has not begun on a node that drains.
pub(crate) const DRAINS: &str = "Drains";

/// What an attempt is told that was sent into a placement group that has no room here.
pub(crate) const NO_GROUP: &str = "NoGroup";

fn no_group(call: &FarCall, within: Within) -> Failure {
    Failure {
        kind: NO_GROUP.to_owned(),
        task: call.name.clone(),
        text: format!("{within} has no room here: it was removed, or lost with its node"),
        attempt: call.attempt,
    }
}

fn has_room_for(system: &System, within: Within) -> bool {
    let nothing = Demand::cpus(Quantity::ZERO).within(Some(within));
    system.extension::<Scheduler>().is_some_and(|scheduler| scheduler.is_feasible(&nothing))
}

fn drains(call: &FarCall) -> Failure {
    Failure {
        kind: DRAINS.to_owned(),
        task: call.name.clone(),
        text: "the node takes no more".to_owned(),
        attempt: call.attempt,
    }
}

/// What is sent back for a result that is there.
fn value_of(made: &ObjectRef<FarValue>, call: FarCall) -> Result<FarValue, Failure> {
    let lost = |text: String| Failure {
        kind: "Lost".to_owned(),
        task: call.name,
        text,
        attempt: call.attempt,
    };
    match made.get().into_future().now_or_never() {
        Some(Ok(value)) => Ok((*value).clone()),
        Some(Err(GetError::Task(error))) => Err(Failure::from(&error)),
        Some(Err(error)) => Err(lost(error.to_string())),
        None => Err(lost("it was said to be there, and is not".to_owned())),
    }
}

const fn grant(holder: u64, number: u64) -> GrantId {
    GrantId { holder: Name(holder), number }
}

fn is_welcome(system: &System) -> bool {
    system.extension::<Scheduler>().is_some_and(|scheduler| !scheduler.has_own_waiting())
}

impl TaskService {
    /// The service, and where it is told of the port to others once there is one.
    pub(crate) fn spawn(rooms: &Arc<Rooms>) -> (ActorRef<Self>, Arc<OnceLock<Weak<TaskPort>>>) {
        let port = Arc::<OnceLock<Weak<TaskPort>>>::default();
        let options = Self::options().mailbox(Mailbox::bounded(MAILBOX)).detached();
        (options.remote(Arc::clone(rooms), Arc::clone(&port)), port)
    }
}
