//! actix 0.13: actors live on arbiters, one thread each.
//!
//! On "arbiter" the driver and all actors share the thread of one `System`. On "multi" a `System`
//! has two arbiters: the driver runs on the first, and actors are dealt out from the second on, as
//! programs do that use actix on several cores.

use std::future::Future;
use std::sync::Arc;

use actix::ActorContext as _;
use actix::{Actor, Addr, Arbiter, ArbiterHandle, Context, Handler, Message};
use tokio::sync::oneshot;

use super::on_arbiter;
use crate::contender::{Contender, Executor, MAILBOX_BOUND, WORKERS};
use crate::error::BenchError;
use crate::latch::{Latch, Presence};

/// The arbiters to deal actors to; none means the driver's own thread.
#[derive(Clone, Debug)]
pub(crate) struct Actix {
    arbiters: Arc<[ArbiterHandle]>,
}

pub(crate) struct Counter {
    total: u64,
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_BOUND);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Add(u64);

impl Handler<Add> for Counter {
    type Result = ();

    fn handle(&mut self, Add(amount): Add, _context: &mut Self::Context) {
        self.total += amount;
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct AddAndGet(u64);

impl Handler<AddAndGet> for Counter {
    type Result = u64;

    fn handle(&mut self, AddAndGet(amount): AddAndGet, _context: &mut Self::Context) -> u64 {
        self.total += amount;
        self.total
    }
}

pub(crate) struct Member {
    total: u64,
    next: Option<Addr<Self>>,
    presence: Presence,
}

impl Actor for Member {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_BOUND);
        self.presence.0.arrive();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Link(Addr<Member>);

impl Handler<Link> for Member {
    type Result = ();

    fn handle(&mut self, Link(next): Link, _context: &mut Self::Context) {
        self.next = Some(next);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Pass(u64);

impl Handler<Pass> for Member {
    type Result = ();

    fn handle(&mut self, Pass(hops): Pass, _context: &mut Self::Context) {
        self.total += 1;
        if hops == 1 {
            self.presence.0.arrive();
        } else if let Some(next) = &self.next {
            next.do_send(Pass(hops - 1));
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Arrive(u64);

impl Handler<Arrive> for Member {
    type Result = ();

    fn handle(&mut self, Arrive(amount): Arrive, _context: &mut Self::Context) {
        self.total += amount;
        self.presence.0.arrive();
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Total;

impl Handler<Total> for Member {
    type Result = u64;

    fn handle(&mut self, Total: Total, _context: &mut Self::Context) -> u64 {
        self.total
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Member {
    type Result = ();

    fn handle(&mut self, Stop: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

impl Actix {
    /// Runs `work` as a task of one of the arbiters.
    async fn outcome_on<T, F>(&self, index: usize, work: F) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let arbiter = match self.arbiters.len() {
            0 => Arbiter::current(),
            count => self.arbiters[index % count].clone(),
        };
        arbiter.spawn(async move {
            // The receiver waits below for as long as the work runs.
            let _ = done.send(work.await);
        });
        outcome.await.unwrap_or(Err(BenchError::DriverLost))
    }

    fn start<A>(&self, index: usize, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Send,
    {
        if self.arbiters.is_empty() {
            actor.start()
        } else {
            let arbiter = &self.arbiters[(index + 1) % self.arbiters.len()];
            A::start_in_arbiter(arbiter, move |_context| actor)
        }
    }
}

fn mailbox_refused(operation: &'static str) -> impl Fn(actix::MailboxError) -> BenchError {
    move |refused| BenchError::refused(operation)(refused.to_string())
}

/// Drives a future on the first of several arbiters, and ends them before it returns.
fn on_arbiters<T, F, D>(drive: D) -> Result<T, BenchError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BenchError>> + Send + 'static,
    D: FnOnce(Actix) -> F + Send + 'static,
{
    on_arbiter(move || async move {
        let arbiters: Vec<Arbiter> = (0..WORKERS).map(|_| Arbiter::new()).collect();
        let lab = Actix { arbiters: arbiters.iter().map(Arbiter::handle).collect() };
        let outcome = lab.outcome_on(0, drive(lab.clone())).await;
        for arbiter in arbiters {
            arbiter.stop();
            // Its panic would have been the driver's, which is reported.
            let _ = arbiter.join();
        }
        outcome
    })
}

impl Contender for Actix {
    type Counter = Addr<Counter>;
    type Member = Addr<Member>;

    fn run<T, F, D>(executor: Executor, drive: D) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
        D: FnOnce(Self) -> F + Send + 'static,
    {
        match executor {
            Executor::Multi => on_arbiters(drive),
            Executor::Arbiter => on_arbiter(move || drive(Self { arbiters: Arc::new([]) })),
        }
    }

    async fn task<F>(&self, index: usize, work: F) -> Result<(), BenchError>
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        self.outcome_on(index, work).await
    }

    async fn spawn_counter(&self) -> Result<Self::Counter, BenchError> {
        Ok(self.start(0, Counter { total: 0 }))
    }

    async fn tell(counter: &Self::Counter, amount: u64) -> Result<(), BenchError> {
        counter.do_send(Add(amount));
        Ok(())
    }

    async fn ask(counter: &Self::Counter, amount: u64) -> Result<u64, BenchError> {
        counter.send(AddAndGet(amount)).await.map_err(mailbox_refused("ask"))
    }

    async fn spawn_member(
        &self,
        index: usize,
        latch: Arc<Latch>,
    ) -> Result<Self::Member, BenchError> {
        let member = Member { total: 0, next: None, presence: Presence(latch) };
        Ok(self.start(index, member))
    }

    async fn link(member: &Self::Member, next: Self::Member) -> Result<(), BenchError> {
        member.do_send(Link(next));
        Ok(())
    }

    async fn pass(member: &Self::Member, hops: u64) -> Result<(), BenchError> {
        member.do_send(Pass(hops));
        Ok(())
    }

    async fn arrive(member: &Self::Member, amount: u64) -> Result<(), BenchError> {
        member.do_send(Arrive(amount));
        Ok(())
    }

    async fn total(member: &Self::Member) -> Result<u64, BenchError> {
        member.send(Total).await.map_err(mailbox_refused("total"))
    }

    async fn stop(member: Self::Member) -> Result<(), BenchError> {
        member.do_send(Stop);
        Ok(())
    }
}
