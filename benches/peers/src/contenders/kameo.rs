//! kameo 0.22: a bounded mailbox per actor, one `Message` implementation per message type.

use std::future::Future;
use std::sync::Arc;

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::error::Infallible;
use kameo::mailbox;
use kameo::message::{Context, Message};

use super::{on_tokio, tokio_task};
use crate::contender::{Contender, Executor, MAILBOX_BOUND};
use crate::error::BenchError;
use crate::latch::{Latch, Presence};

/// The executor is tokio's own; nothing to hold.
#[derive(Clone, Debug)]
pub(crate) struct Kameo;

#[derive(Actor)]
pub(crate) struct Counter {
    total: u64,
}

struct Add(u64);

impl Message<Add> for Counter {
    type Reply = ();

    async fn handle(&mut self, Add(amount): Add, _context: &mut Context<Self, ()>) {
        self.total += amount;
    }
}

struct AddAndGet(u64);

impl Message<AddAndGet> for Counter {
    type Reply = u64;

    async fn handle(
        &mut self,
        AddAndGet(amount): AddAndGet,
        _context: &mut Context<Self, u64>,
    ) -> u64 {
        self.total += amount;
        self.total
    }
}

pub(crate) struct Member {
    total: u64,
    next: Option<ActorRef<Self>>,
    presence: Presence,
}

impl Actor for Member {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(member: Self, _myself: ActorRef<Self>) -> Result<Self, Infallible> {
        member.presence.0.arrive();
        Ok(member)
    }
}

struct Link(ActorRef<Member>);

impl Message<Link> for Member {
    type Reply = ();

    async fn handle(&mut self, Link(next): Link, _context: &mut Context<Self, ()>) {
        self.next = Some(next);
    }
}

struct Pass(u64);

impl Message<Pass> for Member {
    type Reply = ();

    async fn handle(&mut self, Pass(hops): Pass, _context: &mut Context<Self, ()>) {
        self.total += 1;
        if hops == 1 {
            self.presence.0.arrive();
        } else if let Some(next) = &self.next {
            let _ = next.tell(Pass(hops - 1)).send().await;
        }
    }
}

struct Arrive(u64);

impl Message<Arrive> for Member {
    type Reply = ();

    async fn handle(&mut self, Arrive(amount): Arrive, _context: &mut Context<Self, ()>) {
        self.total += amount;
        self.presence.0.arrive();
    }
}

struct Total;

impl Message<Total> for Member {
    type Reply = u64;

    async fn handle(&mut self, Total: Total, _context: &mut Context<Self, u64>) -> u64 {
        self.total
    }
}

fn tell_refused(text: impl std::fmt::Display) -> BenchError {
    BenchError::refused("tell")(text.to_string())
}

impl Contender for Kameo {
    type Counter = ActorRef<Counter>;
    type Member = ActorRef<Member>;

    fn run<T, F, D>(executor: Executor, drive: D) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
        D: FnOnce(Self) -> F + Send + 'static,
    {
        on_tokio(executor, drive(Self))
    }

    async fn task<F>(&self, _index: usize, work: F) -> Result<(), BenchError>
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        tokio_task(work).await
    }

    async fn spawn_counter(&self) -> Result<Self::Counter, BenchError> {
        Ok(Counter::spawn_with_mailbox(Counter { total: 0 }, mailbox::bounded(MAILBOX_BOUND)))
    }

    async fn tell(counter: &Self::Counter, amount: u64) -> Result<(), BenchError> {
        counter.tell(Add(amount)).send().await.map_err(tell_refused)
    }

    async fn ask(counter: &Self::Counter, amount: u64) -> Result<u64, BenchError> {
        let asked = counter.ask(AddAndGet(amount)).send().await;
        asked.map_err(|refused| BenchError::refused("ask")(refused.to_string()))
    }

    async fn spawn_member(
        &self,
        _index: usize,
        latch: Arc<Latch>,
    ) -> Result<Self::Member, BenchError> {
        let member = Member { total: 0, next: None, presence: Presence(latch) };
        Ok(Member::spawn_with_mailbox(member, mailbox::bounded(MAILBOX_BOUND)))
    }

    async fn link(member: &Self::Member, next: Self::Member) -> Result<(), BenchError> {
        member.tell(Link(next)).send().await.map_err(tell_refused)
    }

    async fn pass(member: &Self::Member, hops: u64) -> Result<(), BenchError> {
        member.tell(Pass(hops)).send().await.map_err(tell_refused)
    }

    async fn arrive(member: &Self::Member, amount: u64) -> Result<(), BenchError> {
        member.tell(Arrive(amount)).send().await.map_err(tell_refused)
    }

    async fn total(member: &Self::Member) -> Result<u64, BenchError> {
        let asked = member.ask(Total).send().await;
        asked.map_err(|refused| BenchError::refused("total")(refused.to_string()))
    }

    async fn stop(member: Self::Member) -> Result<(), BenchError> {
        member.stop_gracefully().await.map_err(tell_refused)
    }
}
