//! Objects across nodes: what one store says to another, as messages between two actors.
//!
//! The stores' protocol stands on any channel, also one that loses and reorders, and repeats itself; so what finds no
//! room here is dropped.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use mobula_actor_core::remote::{Home, refer};
use mobula_actor_core::{ActorRef, Mailbox, System};
use mobula_cluster::Cluster;
use mobula_cluster::admission::certificate::Capabilities;
use mobula_cluster::exchange::rights::Rights;
use mobula_store::message::{Answer, Failure, Message};
use mobula_store::{Incarnation, NodeId, Rebuild, Remote, Store, StoreId, Time};
use mobula_tasks::Scheduler;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::bulk::{self, Announced, Parts};
use super::cluster::Profile;

/// How often stores repeat what was not answered.
const TICK: Duration = Duration::from_millis(100);

/// Messages that may come together for one store.
const OUTBOX_MAX: usize = 64 * 1024;

/// They go as one up to about so many bytes.
const TOGETHER_BYTES: usize = 64 * 1024;

/// Messages of other stores that may wait.
const MAILBOX: u32 = 64 * 1024;

/// Hears other stores on behalf of this node's.
pub(crate) struct StoreService {
    store: Store,
    cluster: Arc<OnceLock<Cluster>>,
}

#[crate::actor]
impl StoreService {
    pub(crate) fn new(store: Store, cluster: Arc<OnceLock<Cluster>>) -> Self {
        Self { store, cluster }
    }

    /// A store says something, or several things at once.
    pub fn hear(&self, from: StoreId, messages: Vec<Message>) {
        for message in messages {
            self.store.receive(from, message);
        }
    }

    /// A store has a part of an object ready.
    pub fn fetch(&self, from: StoreId, announced: Announced) {
        if let Some(cluster) = self.cluster.get() {
            tokio::spawn(bulk::fetch(cluster.clone(), self.store.clone(), from, announced));
        }
    }
}

impl StoreService {
    /// The service, and where it is told of the cluster once there is one.
    pub(crate) fn spawn(store: &Store) -> (ActorRef<Self>, Arc<OnceLock<Cluster>>) {
        let cluster = Arc::<OnceLock<Cluster>>::default();
        let options = Self::options().mailbox(Mailbox::bounded(MAILBOX).reject()).detached();
        (options.remote(store.clone(), Arc::clone(&cluster)), cluster)
    }
}

/// This node's way to other stores.
pub(crate) struct StorePort {
    this: Weak<Self>,
    me: StoreId,
    /// Whether others will hear this node's store.
    may_submit: bool,
    system: System,
    cluster: Cluster,
    origin: Instant,
    parts: Arc<Parts>,
    services: Mutex<HashMap<StoreId, ActorRef<StoreService>>>,
    /// What is about to be said to each store: as much as comes up before the word is taken to it.
    outboxes: Mutex<HashMap<StoreId, Vec<Message>>>,
}

impl StorePort {
    pub(crate) fn new(
        (me, rights): (StoreId, Rights),
        system: System,
        cluster: Cluster,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        let may_submit = rights.send(Some(Capabilities::SUBMIT)).is_ok();
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            me,
            may_submit,
            system,
            cluster,
            origin: Instant::now(),
            parts,
            services: Mutex::default(),
            outboxes: Mutex::default(),
        })
    }

    /// The word of a store that will not hear this one, so that nobody waits for it; whether there was no need to ask.
    fn answer_for(&self, store: StoreId, message: &Message) -> bool {
        let object = match message {
            Message::Want { object, .. } => *object,
            // It would be refused, and be repeated for ever.
            Message::Borrow { .. } | Message::Release { .. } => return true,
            // Answers are refused, too, and that is what the other end must know.
            _ => return false,
        };
        let failure = Failure {
            kind: "Denied".to_owned(),
            task: format!("read object {object}"),
            text: "this node has not the right to submit, and so not to read objects of others; \
                   ask for a certificate that gives it"
                .to_owned(),
            attempt: 0,
        };
        let system = self.system.clone();
        // Not from within: the store that asks holds its lock.
        self.system.runtime().spawn(async move {
            if let Some(own) = system.extension::<Store>() {
                own.receive(store, Message::Answer { object, answer: Answer::Failed(failure) });
            }
        });
        true
    }

    /// Enters a message, and calls for the outbox to be emptied if nobody was called yet. A thousand gets are a thousand
    /// messages, and a message of its own for each would cost more than what it says.
    fn enter(&self, to: StoreId, message: Message) {
        let is_first = {
            let mut outboxes = self.outboxes.lock();
            let outbox = outboxes.entry(to).or_default();
            if outbox.len() >= OUTBOX_MAX {
                tracing::debug!(%to, "a store's message found no room; it will be repeated");
                return;
            }
            outbox.push(message);
            outbox.len() == 1
        };
        if is_first {
            let port = Weak::clone(&self.this);
            drop(self.system.runtime().spawn(async move {
                if let Some(port) = port.upgrade() {
                    port.empty(to);
                }
            }));
        }
    }

    /// Sends what has come together.
    fn empty(&self, to: StoreId) {
        let messages = self.outboxes.lock().remove(&to).unwrap_or_default();
        let mut together = Vec::new();
        let mut bytes = 0;
        for message in messages {
            if bytes > TOGETHER_BYTES {
                let some = std::mem::take(&mut together);
                self.tell(to, |service| service.hear(self.me, some).try_tell().is_ok());
                bytes = 0;
            }
            bytes += weight(&message);
            together.push(message);
        }
        self.tell(to, |service| service.hear(self.me, together).try_tell().is_ok());
    }

    fn tell(&self, to: StoreId, tell: impl FnOnce(&ActorRef<StoreService>) -> bool) {
        let Some(service) = self.service(to) else { return };
        let here = mobula_actor_core::Current::root(self.system.clone());
        if !mobula_actor_core::sync_scope(here, || tell(&service)) {
            tracing::debug!(%to, "a store's message found no room; it will be repeated");
        }
    }

    fn service(&self, to: StoreId) -> Option<ActorRef<StoreService>> {
        let mut services = self.services.lock();
        if let Some(service) = services.get(&to) {
            return Some(service.clone());
        }
        let view = self.cluster.view();
        let record = view.records().find(|record| record.node.0 == to.node.0)?;
        if record.details.life.0 != to.incarnation.0 || !record.status.is_live() {
            return None;
        }
        let actor = Profile::of(record).store?;
        let node = mobula_actor_core::NodeId(to.node.0);
        let home = Home { node, incarnation: to.incarnation.0, actor };
        let service = refer::<StoreService>(&self.system, home).ok()?;
        services.insert(to, service.clone());
        Some(service)
    }

    /// The store is gone: the next of its node is another one.
    pub(crate) fn forget(&self, store: StoreId) {
        let gone = self.services.lock().remove(&store);
        drop(gone);
    }
}

/// About how many bytes a message takes.
const fn weight(message: &Message) -> usize {
    match message {
        Message::Answer { answer: Answer::Inline { bytes, .. }, .. } => 64 + bytes.len(),
        _ => 64,
    }
}

impl fmt::Debug for StorePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePort({})", self.me)
    }
}

impl Remote for StorePort {
    fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn send(&self, to: StoreId, message: Message) {
        if !self.may_submit && self.answer_for(to, &message) {
            return;
        }
        match self.parts.announce(to, message) {
            Ok(announced) => {
                self.tell(to, |service| service.fetch(self.me, announced).try_tell().is_ok());
            }
            // Nothing small waits behind a part.
            Err(part) if part.is_bulk() => {
                self.tell(to, |service| service.hear(self.me, vec![part]).try_tell().is_ok());
            }
            Err(message) => self.enter(to, message),
        }
    }

    fn members(&self) -> Vec<StoreId> {
        let own = self.cluster.node();
        let view = self.cluster.view();
        let others = view.alive().filter(|record| record.node != own);
        others
            .map(|record| StoreId::new(NodeId(record.node.0), Incarnation(record.details.life.0)))
            .collect()
    }

    fn rebuild(&self, tasks: Vec<Rebuild>) {
        // A node that is being stopped loses nothing more.
        if let Some(scheduler) = self.system.extension::<Scheduler>() {
            scheduler.rebuild(tasks);
        }
    }
}

/// Lets the store repeat itself as long as there is one.
pub(crate) async fn keep_ticking(store: Weak<Store>) {
    loop {
        tokio::time::sleep(TICK).await;
        match store.upgrade() {
            Some(store) => drop(store.tick()),
            None => return,
        }
    }
}

/// Tells the store of nodes that are gone, and of those that were not.
pub(crate) async fn follow(cluster: Cluster, store: Weak<Store>, port: Arc<StorePort>) {
    let mut known: HashMap<u64, u64> = HashMap::new();
    let mut events = cluster.events();
    loop {
        let Some(store) = store.upgrade() else { return };
        for record in cluster.view().records() {
            let (node, life) = (record.node.0, record.details.life.0);
            let before = known.get(&node).copied();
            let ended = match before {
                Some(before) if before != life || !record.status.is_live() => Some(before),
                Some(_) | None => None,
            };
            if let Some(ended) = ended {
                let gone = StoreId::new(NodeId(node), Incarnation(ended));
                store.node_down(gone);
                port.forget(gone);
                known.remove(&node);
            }
            if record.status.is_live() && known.insert(node, life).is_none() {
                // New, or declared down and alive: then it is the same store.
                store.node_back(StoreId::new(NodeId(node), Incarnation(life)));
            }
        }
        drop(store);
        match events.recv().await {
            Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}
