//! mobula, as its users write it: typed calls, bounded mailboxes that wait, panic isolation and dead
//! letters on.
//!
//! On "multi" actors run where they do by default. On "arbiter" they are pinned: the node has one
//! arbiter, and a pinned actor starts the driver there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mobula::{ActorRef, Mailbox, Node, TellError};
use tokio::sync::oneshot;

use super::{on_tokio, tokio_task};
use crate::contender::{Contender, Executor, MAILBOX_BOUND};
use crate::error::BenchError;
use crate::latch::{Latch, Presence};

/// The node, and whether its actors are pinned.
#[derive(Clone, Debug)]
pub(crate) struct Mobula {
    node: Node,
    pinned: bool,
}

pub(crate) struct Counter {
    total: u64,
}

#[mobula::actor]
impl Counter {
    pub(crate) fn new() -> Self {
        Self { total: 0 }
    }

    pub(crate) fn add(&mut self, amount: u64) {
        self.total += amount;
    }

    pub(crate) fn add_and_get(&mut self, amount: u64) -> u64 {
        self.total += amount;
        self.total
    }
}

pub(crate) struct Member {
    total: u64,
    next: Option<ActorRef<Self>>,
    presence: Presence,
}

#[mobula::actor]
impl Member {
    pub(crate) fn new(latch: Arc<Latch>) -> Self {
        Self { total: 0, next: None, presence: Presence(latch) }
    }

    fn started(&mut self) {
        self.presence.0.arrive();
    }

    pub(crate) fn follow(&mut self, next: ActorRef<Self>) {
        self.next = Some(next);
    }

    /// Hands the ball on without waiting, as the others do: a ring never has more balls than its mailboxes hold.
    pub(crate) fn pass(&mut self, hops: u64) {
        self.total += 1;
        if hops == 1 {
            self.presence.0.arrive();
        } else if let Some(next) = &self.next {
            // A ring that is being torn down needs no ball.
            let _ = next.pass(hops - 1).try_tell();
        }
    }

    pub(crate) fn arrive(&mut self, amount: u64) {
        self.total += amount;
        self.presence.0.arrive();
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

/// The driver, on its way to the arbiter.
pub(crate) struct Driver(Pin<Box<dyn Future<Output = ()> + Send>>);

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// Starts the driver on the arbiter that it is pinned to, as a task beside the actors.
struct Starter;

#[mobula::actor]
impl Starter {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn start(&mut self, driver: Driver) {
        actix::spawn(driver.0);
    }
}

/// Drives a future beside a fresh node, and ends the node's actors before it returns.
pub(crate) fn on_node<T, F, D>(executor: Executor, drive: D) -> Result<T, BenchError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BenchError>> + Send + 'static,
    D: FnOnce(Node) -> F + Send + 'static,
{
    on_tokio(executor, async move {
        let started = Node::builder().arbiters(1).start().await;
        let node = started.map_err(|refused| BenchError::refused("start")(refused.to_string()))?;
        let outcome = drive(node.clone()).await;
        node.shutdown().await;
        outcome
    })
}

const MAILBOX: Mailbox = Mailbox::bounded(MAILBOX_BOUND as u32);

// As the others' `map_err` is: called, it would hand its answer over by way of memory.
#[inline(always)]
fn told<M: mobula::Message>(told: Result<(), TellError<M>>) -> Result<(), BenchError> {
    told.map_err(|refused| BenchError::refused("tell")(refused.to_string()))
}

impl Contender for Mobula {
    type Counter = ActorRef<Counter>;
    type Member = ActorRef<Member>;

    fn run<T, F, D>(executor: Executor, drive: D) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
        D: FnOnce(Self) -> F + Send + 'static,
    {
        let pinned = executor == Executor::Arbiter;
        on_node(executor, move |node| async move {
            let lab = Self { node: node.clone(), pinned };
            let work = node.enter(drive(lab));
            if !pinned {
                return work.await;
            }
            let (done, outcome) = oneshot::channel();
            let driver = Driver(Box::pin(async move {
                // The receiver waits below for as long as the driver runs.
                let _ = done.send(work.await);
            }));
            let starter = node.enter_sync(|| Starter::options().pinned().remote());
            told(starter.start(driver).tell().await)?;
            outcome.await.unwrap_or(Err(BenchError::DriverLost))
        })
    }

    async fn task<F>(&self, _index: usize, work: F) -> Result<(), BenchError>
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        let work = self.node.enter(work);
        if !self.pinned {
            return tokio_task(work).await;
        }
        // Where the driver and the actors run, as actix's tasks do; `tokio::spawn` would leave the arbiter's own queue.
        actix::spawn(work).await.unwrap_or(Err(BenchError::DriverLost))
    }

    async fn spawn_counter(&self) -> Result<Self::Counter, BenchError> {
        let options = Counter::options().mailbox(MAILBOX);
        let options = if self.pinned { options.pinned() } else { options };
        Ok(options.remote())
    }

    async fn tell(counter: &Self::Counter, amount: u64) -> Result<(), BenchError> {
        told(counter.add(amount).tell().await)
    }

    async fn ask(counter: &Self::Counter, amount: u64) -> Result<u64, BenchError> {
        let asked = counter.add_and_get(amount).await;
        asked.map_err(|refused| BenchError::refused("ask")(refused.to_string()))
    }

    async fn spawn_member(
        &self,
        _index: usize,
        latch: Arc<Latch>,
    ) -> Result<Self::Member, BenchError> {
        let options = Member::options().mailbox(MAILBOX);
        let options = if self.pinned { options.pinned() } else { options };
        Ok(options.remote(latch))
    }

    async fn link(member: &Self::Member, next: Self::Member) -> Result<(), BenchError> {
        told(member.follow(next).tell().await)
    }

    async fn pass(member: &Self::Member, hops: u64) -> Result<(), BenchError> {
        told(member.pass(hops).tell().await)
    }

    async fn arrive(member: &Self::Member, amount: u64) -> Result<(), BenchError> {
        told(member.arrive(amount).tell().await)
    }

    async fn total(member: &Self::Member) -> Result<u64, BenchError> {
        let asked = member.total().await;
        asked.map_err(|refused| BenchError::refused("total")(refused.to_string()))
    }

    async fn stop(member: Self::Member) -> Result<(), BenchError> {
        drop(member.stop());
        Ok(())
    }
}
