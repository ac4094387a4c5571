//! Tasks across nodes: attempts of others that run here, and ours that run elsewhere.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mobula_actor_core::remote::{Home, refer};
use mobula_actor_core::{
    ActorRef, AskError, BoxFuture, Context, Current, Deferred, Mailbox, NodeId, Placement, System,
    Undelivered, scope,
};
use mobula_cluster::{Cluster, Record};
use mobula_store::{Failure, GetError, ObjectId, ObjectRef, TaskError};
use mobula_tasks::{
    Destination, Elsewhere, FarCall, FarError, FarValue, Scheduler, Visit, visitors,
};
use parking_lot::Mutex;

use super::cluster::{Profile, hosts};
use super::placement::Placing;

/// Attempts of other nodes that may wait to be begun.
const MAILBOX: u32 = 16 * 1024;

/// Attempts that a node is given at once for each of its CPUs, so that none idles while an answer is on its way.
const WINDOW_PER_CPU: f64 = 8.0;

/// Which attempt: the node's number and its count.
type Number = (u64, u64);

/// Runs attempts for other nodes.
pub(crate) struct TaskService {
    visitors: HashMap<u64, Visit>,
    running: HashMap<Number, ObjectRef<FarValue>>,
    is_draining: bool,
    /// Results of attempts that go back because this node drains.
    sent_back: Arc<Mutex<HashSet<ObjectId>>>,
}

#[crate::actor]
impl TaskService {
    pub(crate) fn new() -> Self {
        Self {
            visitors: visitors(),
            running: HashMap::new(),
            is_draining: false,
            sent_back: Arc::default(),
        }
    }

    /// Runs an attempt, on this node's resources; answers when it is over.
    pub fn run(
        &mut self,
        ctx: &mut Context<Self>,
        number: Number,
        call: FarCall,
    ) -> Deferred<Result<FarValue, Failure>> {
        let (reply, deferred) = ctx.defer();
        if self.is_draining && !call.is_bound {
            reply.send(Err(drains(&call)));
            return deferred;
        }
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
                self.running.insert(number, object.clone());
                let me = ctx.actor_ref();
                let system = me_system();
                let sent_back = Arc::clone(&self.sent_back);
                let runtime = system.runtime().clone();
                drop(runtime.spawn(scope(Current::root(system), async move {
                    let outcome = match object.get().await {
                        Ok(value) => Ok((*value).clone()),
                        Err(_) if sent_back.lock().remove(&object.id()) => Err(drains(&call)),
                        Err(GetError::Task(error)) => Err(Failure::from(&error)),
                        Err(error) => Err(Failure {
                            kind: "Lost".to_owned(),
                            task: call.name,
                            text: error.to_string(),
                            attempt: call.attempt,
                        }),
                    };
                    reply.send(outcome);
                    // A stopped node forgets everything anyway.
                    let _ = me.over(number).tell().await;
                })));
            }
        }
        deferred
    }

    /// Nobody waits for an attempt any more.
    pub fn cancel(&mut self, number: Number) {
        if let Some(object) = self.running.remove(&number) {
            object.cancel();
        }
    }

    /// Takes no more, and sends back what has not begun; gives how many are left.
    pub fn drain(&mut self) -> usize {
        self.is_draining = true;
        if let Some(scheduler) = me_system().extension::<Scheduler>() {
            let withdrawn: HashSet<ObjectId> = scheduler.withdraw_visitors().into_iter().collect();
            self.sent_back.lock().extend(&withdrawn);
            for object in self.running.values().filter(|object| withdrawn.contains(&object.id())) {
                object.cancel();
            }
        }
        self.running.len()
    }

    /// An attempt is over.
    pub fn over(&mut self, number: Number) {
        self.running.remove(&number);
    }
}

/// What an attempt is told that has not begun on a node that drains.
const DRAINS: &str = "Drains";

fn drains(call: &FarCall) -> Failure {
    Failure {
        kind: DRAINS.to_owned(),
        task: call.name.clone(),
        text: "the node takes no more".to_owned(),
        attempt: call.attempt,
    }
}

fn me_system() -> System {
    mobula_actor_core::current::expect_system()
}

impl TaskService {
    pub(crate) fn spawn() -> ActorRef<Self> {
        Self::options().mailbox(Mailbox::bounded(MAILBOX)).detached().remote()
    }
}

/// This node's way to the task services of others.
pub(crate) struct TaskPort {
    system: System,
    cluster: Cluster,
    placing: Arc<Placing>,
    here: NodeId,
    count: AtomicU64,
    services: Mutex<HashMap<(NodeId, u64), ActorRef<TaskService>>>,
    given: Arc<Mutex<HashMap<NodeId, u32>>>,
    /// Lives of nodes that let this one submit nothing.
    denied: Arc<Mutex<HashSet<(NodeId, u64)>>>,
}

impl TaskPort {
    pub(crate) fn new(system: System, cluster: Cluster, placing: Arc<Placing>) -> Arc<Self> {
        Arc::new(Self {
            here: NodeId(cluster.node().0),
            system,
            cluster,
            placing,
            count: AtomicU64::new(1),
            services: Mutex::default(),
            given: Arc::default(),
            denied: Arc::default(),
        })
    }

    fn service(&self, node: NodeId) -> Option<(ActorRef<TaskService>, u64)> {
        let view = self.cluster.view();
        let record = view.alive().find(|record| record.node.0 == node.0)?;
        let key = (node, record.details.life.0);
        let mut services = self.services.lock();
        if let Some(service) = services.get(&key) {
            return Some((service.clone(), key.1));
        }
        let actor = Profile::of(record).tasks?;
        let home = Home { node, incarnation: record.details.life.0, actor };
        let service = refer::<TaskService>(&self.system, home).ok()?;
        services.retain(|(known, _), _| *known != node);
        services.insert(key, service.clone());
        Some((service, key.1))
    }

    /// Whether a member runs tasks for this node at all.
    fn takes_tasks(&self, record: &Record, profile: &Profile) -> bool {
        let life = (NodeId(record.node.0), record.details.life.0);
        record.node.0 != self.here.0
            && profile.tasks.is_some()
            && hosts(record)
            && !self.denied.lock().contains(&life)
    }

    /// Whether a member takes attempts of this function.
    fn takes(&self, record: &Record, profile: &Profile, function: u64) -> bool {
        self.takes_tasks(record, profile) && self.placing.can(profile, function)
    }
}

/// Counts an attempt that was given, and takes it back there if nobody waits for it any more.
struct Given {
    given: Arc<Mutex<HashMap<NodeId, u32>>>,
    node: NodeId,
    service: Option<(ActorRef<TaskService>, Number)>,
}

impl Drop for Given {
    fn drop(&mut self) {
        less(&self.given, self.node);
        if let Some((service, number)) = self.service.take() {
            // No room for the word: then it runs to its end for nothing.
            let _ = service.cancel(number).try_tell();
        }
    }
}

fn less(given: &Mutex<HashMap<NodeId, u32>>, node: NodeId) {
    if let Some(count) = given.lock().get_mut(&node) {
        *count = count.saturating_sub(1);
    }
}

impl Elsewhere for TaskPort {
    fn place(&self, placement: &Placement, function: u64) -> Destination {
        // What cannot travel stays here.
        let able = |record: &Record, profile: &Profile| {
            record.node.0 == self.here.0
                || (function != 0 && self.takes(record, profile, function))
                || (function == 0 && profile.tasks.is_some())
        };
        match self.placing.node_for(placement, able) {
            Ok(node) if node == self.here => Destination::Here,
            Ok(node) => {
                *self.given.lock().entry(node).or_default() += 1;
                let only = match placement {
                    Placement::OnNode { or_elsewhere, .. }
                    | Placement::Labelled { or_elsewhere, .. } => !or_elsewhere,
                    _ => false,
                };
                Destination::There { node, only }
            }
            Err(why) => match self.placing.unprovided(placement, function) {
                Some(seen) if function != 0 => Destination::Unprovided(seen),
                Some(_) | None => Destination::Nowhere(why),
            },
        }
    }

    fn unprovided(&self, function: u64) -> Option<String> {
        let view = self.cluster.view();
        let others: Vec<&Record> =
            view.alive().filter(|record| self.takes_tasks(record, &Profile::of(record))).collect();
        let is_able = |record: &&Record| self.placing.can(&Profile::of(record), function);
        let is_unprovided = !others.is_empty() && !others.iter().any(is_able);
        is_unprovided.then(|| self.placing.seen(function, &others))
    }

    fn spare(&self, function: u64) -> Option<NodeId> {
        let view = self.cluster.view();
        let mut given = self.given.lock();
        let mut best: Option<(f64, NodeId)> = None;
        for record in view.alive() {
            let profile = Profile::of(record);
            if !self.takes(record, &profile, function) || profile.cpus <= 0.0 {
                continue;
            }
            let node = NodeId(record.node.0);
            let load = f64::from(given.get(&node).copied().unwrap_or(0)) / profile.cpus;
            if load < WINDOW_PER_CPU && best.is_none_or(|(least, _)| load < least) {
                best = Some((load, node));
            }
        }
        let (_, node) = best?;
        *given.entry(node).or_default() += 1;
        Some(node)
    }

    fn give_back(&self, node: NodeId) {
        less(&self.given, node);
    }

    fn run(&self, node: NodeId, call: FarCall) -> BoxFuture<'static, Result<FarValue, FarError>> {
        let number = (self.here.0, self.count.fetch_add(1, Ordering::Relaxed));
        let service = self.service(node);
        let given = Arc::clone(&self.given);
        let denied = Arc::clone(&self.denied);
        Box::pin(async move {
            let mut guard = Given { given, node, service: None };
            let Some((service, life)) = service else {
                return Err(FarError::Refused(format!("node {node} is not there")));
            };
            guard.service = Some((service.clone(), number));
            let answer = service.run(number, call).await;
            guard.service = None;
            answer.map_err(|error| match error {
                AskError::Refused(failure) if failure.kind == "NoProvider" => {
                    FarError::Unprovided(format!("node {node} says: {}", failure.text))
                }
                AskError::NotDelivered { reason: Undelivered::Denied(why), .. } => {
                    denied.lock().insert((node, life));
                    FarError::Denied(why.to_string())
                }
                AskError::Refused(failure) if failure.kind == DRAINS => {
                    FarError::Refused(format!("node {node} drains, and takes no more"))
                }
                AskError::Refused(failure) => FarError::Failed(failure),
                AskError::NotDelivered { .. } | AskError::Deadlock(_) => {
                    FarError::Refused(error.to_string())
                }
                other => FarError::Lost(other.to_string()),
            })
        })
    }
}
