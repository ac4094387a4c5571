//! Nodes, and the actors and tasks that the rows are played with.

use std::ops::{Deref, DerefMut};
use std::sync::mpsc;
use std::time::Duration;

use mobula::prelude::*;
use mobula::{
    AskError, Context, Deferred, ExitReason, Handler, Mailbox, Message, MonitorRef, NodeId,
    Placement, Reply,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard};

use crate::fixture;
pub(crate) use crate::fixture::LIMIT;
pub(crate) use crate::until::until;

/// The sizes of cluster that rows are held on.
pub const SIZES: [usize; 2] = [2, 5];

const CPUS: f64 = 2.0;

/// One cluster at a time: twenty nodes that share two cores starve each other until some seem dead.
static TURN: Mutex<()> = Mutex::const_new(());

/// A cluster, while it has its turn.
pub struct Stage {
    nodes: Vec<Node>,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Stage {
    type Target = Vec<Node>;

    fn deref(&self) -> &Vec<Node> {
        &self.nodes
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut Vec<Node> {
        &mut self.nodes
    }
}

pub async fn nodes(count: usize) -> Stage {
    let turn = TURN.lock().await;
    let nodes = fixture::nodes(count, |_| Node::builder().num_cpus(CPUS)).await;
    Stage { nodes, _turn: turn }
}

pub async fn stop(stage: Stage) {
    fixture::stop(&stage).await;
}

/// A node on a runtime of its own, which can end without a word.
pub struct Doomed {
    pub node: Node,
    runtime: Option<Runtime>,
}

impl Doomed {
    pub async fn join(addresses: Vec<String>) -> Self {
        let (tell, hear) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let builder = Node::builder().num_cpus(CPUS);
            tell.send(fixture::node(builder, &addresses).await).unwrap();
            std::future::pending::<()>().await;
        });
        let node = tokio::task::spawn_blocking(move || hear.recv().unwrap()).await.unwrap();
        Self { node, runtime: Some(runtime) }
    }

    /// As if its process had been killed.
    pub fn die(mut self) -> NodeId {
        let id = self.node.id().unwrap();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        id
    }
}

pub const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

pub fn id(node: &Node) -> NodeId {
    node.id().unwrap()
}

/// How many actors of a type a node has.
pub fn count(node: &Node, type_name: &str) -> usize {
    node.actors().iter().filter(|row| row.type_name == type_name).count()
}

/// Notes who said what, in order.
pub struct Log {
    entries: Vec<(u64, u64)>,
}

#[mobula::actor]
impl Log {
    pub fn new() -> Self {
        Self { entries: Vec::new() }
    }
    pub fn note(&mut self, caller: u64, step: u64) {
        self.entries.push((caller, step));
    }
    pub fn entries(&self) -> Vec<(u64, u64)> {
        self.entries.clone()
    }
}

impl Log {
    pub fn narrow(node: NodeId) -> ActorRef<Self> {
        Self::options().mailbox(Mailbox::bounded(8)).on(on(node)).remote()
    }
}

/// Opens when it is told.
pub struct Gate {
    is_open: bool,
    waiting: Vec<Reply<()>>,
}

#[mobula::actor]
impl Gate {
    pub fn new() -> Self {
        Self { is_open: false, waiting: Vec::new() }
    }
    pub fn pass(&mut self, ctx: &mut Context<Self>) -> Deferred<()> {
        let (reply, deferred) = ctx.defer();
        if self.is_open {
            reply.send(());
        } else {
            self.waiting.push(reply);
        }
        deferred
    }
    pub fn open(&mut self) {
        self.is_open = true;
        self.waiting.drain(..).for_each(|reply| reply.send(()));
    }
}

#[mobula::task(num_cpus = 0)]
pub async fn behind(gate: ActorRef<Gate>, value: u64) -> u64 {
    gate.pass().await.unwrap();
    value
}

#[mobula::task(num_cpus = 0)]
pub async fn forever() -> u64 {
    std::future::pending().await
}

/// Starts when its argument is ready.
pub struct Late(u64);

#[mobula::actor]
impl Late {
    pub async fn new(value: ObjectRef<u64>) -> Result<Self, GetError> {
        Ok(Self(*value.get().await?))
    }
    pub fn value(&self) -> u64 {
        self.0
    }
}

/// What happens to its state, it can be asked.
pub struct Counter {
    count: u64,
    others: Vec<ActorRef<Counter>>,
    items: Vec<u64>,
    ticks: u64,
}

#[derive(Clone, Message, Serialize, Deserialize)]
pub struct Tick;

#[derive(Clone, Message, Serialize, Deserialize)]
pub struct Item(u64);

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self { count: start, others: Vec::new(), items: Vec::new(), ticks: 0 }
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }
    pub async fn hang(&mut self) {
        std::future::pending::<()>().await;
    }
    pub fn fall(&mut self) {
        panic!("fell on purpose");
    }
    pub fn place(&self) -> Option<NodeId> {
        Node::current().and_then(|node| node.id())
    }
    pub fn keep(&mut self, other: ActorRef<Counter>) {
        self.others.push(other);
    }
    pub fn kept(&self) -> Vec<ActorRef<Counter>> {
        self.others.clone()
    }
    pub fn forget(&mut self) {
        self.others.clear();
    }
    pub async fn add_to(&mut self, other: ActorRef<Counter>, by: u64) -> u64 {
        other.add(by).await.unwrap()
    }
    pub async fn repeat(&mut self, log: ActorRef<Log>, caller: u64, steps: u64) {
        for step in 0..steps {
            log.note(caller, step).tell().await.unwrap();
        }
    }
    /// Asks `next` to go on with the rest, and the last to ask the first.
    pub async fn circle(&mut self, rest: Vec<ActorRef<Counter>>) -> Result<u64, String> {
        let mut rest = rest;
        if rest.is_empty() {
            return Ok(0);
        }
        let next = rest.remove(0);
        next.circle(rest).await.map_err(|error| match error {
            AskError::Refused(text) => text,
            AskError::Deadlock(path) => format!("Deadlock({path})"),
            other => other.to_string(),
        })
    }
    /// A child on another node that has started: before that, others reach it by way of this one.
    pub async fn spawn_there(&mut self, node: NodeId) -> ActorRef<Counter> {
        let child = Counter::options().on(on(node)).remote(7);
        child.ready().await.unwrap();
        child
    }
    /// A child on another node whose argument is never ready.
    pub fn spawn_late(&mut self, node: NodeId) -> ActorRef<Late> {
        Late::options().on(on(node)).remote(forever::remote())
    }
    pub fn tick_soon(&mut self, ctx: &mut Context<Self>) {
        ctx.every_keyed("tick", Duration::from_millis(1), Tick);
    }
    pub fn ticks(&self) -> u64 {
        self.ticks
    }
    pub fn drink(&mut self, ctx: &mut Context<Self>, count: u64) {
        ctx.attach(futures_util::stream::iter((0..count).map(Item)));
    }
    pub fn items(&self) -> Vec<u64> {
        self.items.clone()
    }
}

#[mobula::handler]
impl Handler<Tick> for Counter {
    async fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        self.ticks += 1;
        if self.ticks == 3 {
            ctx.cancel_timer("tick");
        }
    }
}

#[mobula::handler]
impl Handler<Item> for Counter {
    async fn handle(&mut self, item: Item, _: &mut Context<Self>) {
        self.items.push(item.0);
    }
}

/// Watches and links, and counts what it hears.
pub struct Watcher {
    downs: Vec<String>,
}

#[mobula::actor]
impl Watcher {
    pub fn new() -> Self {
        Self { downs: Vec::new() }
    }
    pub fn watch(&mut self, ctx: &mut Context<Self>, other: ActorRef<Counter>) {
        ctx.watch(&other);
    }
    pub fn link(&mut self, ctx: &mut Context<Self>, other: ActorRef<Counter>) {
        ctx.link(&other);
    }
    pub fn downs(&self) -> Vec<String> {
        self.downs.clone()
    }
    fn down(&mut self, _monitor: MonitorRef, reason: ExitReason) {
        self.downs.push(reason.to_string());
    }
}

impl Watcher {
    /// Waits until a watcher has heard of so many ends.
    pub async fn heard(watcher: &ActorRef<Self>, count: usize) -> Vec<String> {
        let hearing = async {
            loop {
                let downs = watcher.downs().await.unwrap();
                if downs.len() >= count {
                    return downs;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, hearing).await.expect("it hears in time")
    }
}
