//! ractor 0.16: unbounded mailboxes, state apart from the handler, one enum of messages per actor.
//!
//! Built with its feature `cluster`, which the suite of the cluster needs: messages say then that they are some.

use std::future::Future;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};

use super::{on_tokio, tokio_task};
use crate::contender::{Contender, Executor};
use crate::error::BenchError;
use crate::latch::{Latch, Presence};

/// The executor is tokio's own; nothing to hold.
#[derive(Clone, Debug)]
pub(crate) struct Ractor;

pub(crate) struct Counter;

pub(crate) enum CounterMessage {
    Add(u64),
    AddAndGet(u64, RpcReplyPort<u64>),
}

impl ractor::Message for CounterMessage {}

impl Actor for Counter {
    type Msg = CounterMessage;
    type State = u64;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: CounterMessage,
        total: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CounterMessage::Add(amount) => *total += amount,
            CounterMessage::AddAndGet(amount, reply) => {
                *total += amount;
                // An asker that went away needs no answer.
                let _ = reply.send(*total);
            }
        }
        Ok(())
    }
}

pub(crate) struct Member;

pub(crate) enum MemberMessage {
    Link(ActorRef<Self>),
    Pass(u64),
    Arrive(u64),
    Total(RpcReplyPort<u64>),
}

impl ractor::Message for MemberMessage {}

pub(crate) struct MemberState {
    total: u64,
    next: Option<ActorRef<MemberMessage>>,
    presence: Presence,
}

impl Actor for Member {
    type Msg = MemberMessage;
    type State = MemberState;
    type Arguments = Arc<Latch>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        latch: Arc<Latch>,
    ) -> Result<MemberState, ActorProcessingErr> {
        Ok(MemberState { total: 0, next: None, presence: Presence(latch) })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut MemberState,
    ) -> Result<(), ActorProcessingErr> {
        state.presence.0.arrive();
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: MemberMessage,
        state: &mut MemberState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MemberMessage::Link(next) => state.next = Some(next),
            MemberMessage::Pass(hops) => {
                state.total += 1;
                if hops == 1 {
                    state.presence.0.arrive();
                } else if let Some(next) = &state.next {
                    let _ = next.cast(MemberMessage::Pass(hops - 1));
                }
            }
            MemberMessage::Arrive(amount) => {
                state.total += amount;
                state.presence.0.arrive();
            }
            MemberMessage::Total(reply) => {
                let _ = reply.send(state.total);
            }
        }
        Ok(())
    }
}

fn cast<M: ractor::Message>(to: &ActorRef<M>, message: M) -> Result<(), BenchError> {
    to.cast(message).map_err(|refused| BenchError::refused("cast")(refused.to_string()))
}

async fn call<M: ractor::Message>(
    to: &ActorRef<M>,
    message: impl FnOnce(RpcReplyPort<u64>) -> M,
) -> Result<u64, BenchError> {
    match to.call(message, None).await {
        Ok(CallResult::Success(total)) => Ok(total),
        Ok(_) => Err(BenchError::refused("call")("no reply".to_owned())),
        Err(refused) => Err(BenchError::refused("call")(refused.to_string())),
    }
}

impl Contender for Ractor {
    type Counter = ActorRef<CounterMessage>;
    type Member = ActorRef<MemberMessage>;

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
        let spawned = Actor::spawn(None, Counter, ()).await;
        let (counter, _ended) =
            spawned.map_err(|refused| BenchError::refused("spawn")(refused.to_string()))?;
        Ok(counter)
    }

    async fn tell(counter: &Self::Counter, amount: u64) -> Result<(), BenchError> {
        cast(counter, CounterMessage::Add(amount))
    }

    async fn ask(counter: &Self::Counter, amount: u64) -> Result<u64, BenchError> {
        call(counter, |reply| CounterMessage::AddAndGet(amount, reply)).await
    }

    async fn spawn_member(
        &self,
        _index: usize,
        latch: Arc<Latch>,
    ) -> Result<Self::Member, BenchError> {
        let spawned = Actor::spawn(None, Member, latch).await;
        let (member, _ended) =
            spawned.map_err(|refused| BenchError::refused("spawn")(refused.to_string()))?;
        Ok(member)
    }

    async fn link(member: &Self::Member, next: Self::Member) -> Result<(), BenchError> {
        cast(member, MemberMessage::Link(next))
    }

    async fn pass(member: &Self::Member, hops: u64) -> Result<(), BenchError> {
        cast(member, MemberMessage::Pass(hops))
    }

    async fn arrive(member: &Self::Member, amount: u64) -> Result<(), BenchError> {
        cast(member, MemberMessage::Arrive(amount))
    }

    async fn total(member: &Self::Member) -> Result<u64, BenchError> {
        call(member, MemberMessage::Total).await
    }

    async fn stop(member: Self::Member) -> Result<(), BenchError> {
        member.stop(None);
        Ok(())
    }
}
