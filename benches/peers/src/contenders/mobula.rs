//! mobula, as its users write it: typed calls, bounded mailboxes that wait, panic isolation and dead
//! letters on.
//!
//! On "arbiter" actors are pinned to the arbiter that also runs the driver, on "multi" they run where
//! they do by default.

use std::future::Future;
use std::sync::Arc;

use mobula::{ActorRef, Current, Mailbox, System, TellError, scope};

use super::{on_arbiter, on_tokio, tokio_task};
use crate::contender::{Contender, Executor, MAILBOX_BOUND};
use crate::error::BenchError;
use crate::latch::{Latch, Presence};

/// The node, and whether its actors are pinned.
#[derive(Clone, Debug)]
pub(crate) struct Mobula {
    system: System,
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
    next: Option<ActorRef<Member>>,
    presence: Presence,
}

#[mobula::actor]
impl Member {
    pub(crate) fn new(latch: Arc<Latch>) -> Self {
        Self {
            total: 0,
            next: None,
            presence: Presence(latch),
        }
    }

    fn started(&mut self) {
        self.presence.0.arrive();
    }

    pub(crate) fn follow(&mut self, next: ActorRef<Member>) {
        self.next = Some(next);
    }

    pub(crate) async fn pass(&mut self, hops: u64) {
        self.total += 1;
        if hops == 1 {
            self.presence.0.arrive();
        } else if let Some(next) = &self.next {
            // A ring that is being torn down needs no ball.
            let _ = next.pass(hops - 1).tell().await;
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

const MAILBOX: Mailbox = Mailbox::bounded(MAILBOX_BOUND as u32);

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
        match executor {
            Executor::Multi => on_tokio(executor, async move {
                let system = System::builder().build();
                let lab = Self {
                    system: system.clone(),
                    pinned: false,
                };
                scope(Current::root(system), drive(lab)).await
            }),
            Executor::Arbiter => on_arbiter(move || {
                let system = System::builder().arbiter_here().build();
                let lab = Self {
                    system: system.clone(),
                    pinned: true,
                };
                scope(Current::root(system), drive(lab))
            }),
        }
    }

    async fn task<F>(&self, _index: usize, work: F) -> Result<(), BenchError>
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        tokio_task(scope(Current::root(self.system.clone()), work)).await
    }

    async fn spawn_counter(&self) -> Result<Self::Counter, BenchError> {
        let options = Counter::options().mailbox(MAILBOX);
        let options = if self.pinned {
            options.pinned()
        } else {
            options
        };
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
        let options = if self.pinned {
            options.pinned()
        } else {
            options
        };
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
