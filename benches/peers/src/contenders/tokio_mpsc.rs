//! No framework: a task that owns its state and reads a bounded channel.
//!
//! This is what a careful engineer writes without actors, and the floor of what a channel costs.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{on_tokio, tokio_task};
use crate::contender::{Contender, Executor, MAILBOX_BOUND};
use crate::error::BenchError;
use crate::latch::{Latch, Presence};

/// The executor is tokio's own; nothing to hold.
#[derive(Clone, Debug)]
pub(crate) struct TokioMpsc;

pub(crate) enum CounterMessage {
    Add(u64),
    AddAndGet(u64, oneshot::Sender<u64>),
}

pub(crate) enum MemberMessage {
    Link(mpsc::Sender<Self>),
    Pass(u64),
    Arrive(u64),
    Total(oneshot::Sender<u64>),
}

async fn counter(mut mailbox: mpsc::Receiver<CounterMessage>) {
    let mut total = 0_u64;
    while let Some(message) = mailbox.recv().await {
        match message {
            CounterMessage::Add(amount) => total += amount,
            CounterMessage::AddAndGet(amount, reply) => {
                total += amount;
                // An asker that went away needs no answer.
                let _ = reply.send(total);
            }
        }
    }
}

async fn member(mut mailbox: mpsc::Receiver<MemberMessage>, latch: Arc<Latch>) {
    let presence = Presence(latch);
    presence.0.arrive();
    let mut total = 0_u64;
    let mut next = None;
    while let Some(message) = mailbox.recv().await {
        match message {
            MemberMessage::Link(link) => next = Some(link),
            MemberMessage::Pass(hops) => {
                total += 1;
                if hops == 1 {
                    presence.0.arrive();
                } else if let Some(next) = &next {
                    let _ = next.send(MemberMessage::Pass(hops - 1)).await;
                }
            }
            MemberMessage::Arrive(amount) => {
                total += amount;
                presence.0.arrive();
            }
            MemberMessage::Total(reply) => {
                let _ = reply.send(total);
            }
        }
    }
}

async fn send<M: Send>(to: &mpsc::Sender<M>, message: M) -> Result<(), BenchError> {
    to.send(message)
        .await
        .map_err(|closed| BenchError::Refused { operation: "send", text: closed.to_string() })
}

impl Contender for TokioMpsc {
    type Counter = mpsc::Sender<CounterMessage>;
    type Member = mpsc::Sender<MemberMessage>;

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
        let (sender, mailbox) = mpsc::channel(MAILBOX_BOUND);
        tokio::spawn(counter(mailbox));
        Ok(sender)
    }

    async fn tell(counter: &Self::Counter, amount: u64) -> Result<(), BenchError> {
        send(counter, CounterMessage::Add(amount)).await
    }

    async fn ask(counter: &Self::Counter, amount: u64) -> Result<u64, BenchError> {
        let (reply, answer) = oneshot::channel();
        send(counter, CounterMessage::AddAndGet(amount, reply)).await?;
        answer.await.map_err(|gone| BenchError::refused("ask")(gone.to_string()))
    }

    async fn spawn_member(
        &self,
        _index: usize,
        latch: Arc<Latch>,
    ) -> Result<Self::Member, BenchError> {
        let (sender, mailbox) = mpsc::channel(MAILBOX_BOUND);
        tokio::spawn(member(mailbox, latch));
        Ok(sender)
    }

    async fn link(member: &Self::Member, next: Self::Member) -> Result<(), BenchError> {
        send(member, MemberMessage::Link(next)).await
    }

    async fn pass(member: &Self::Member, hops: u64) -> Result<(), BenchError> {
        send(member, MemberMessage::Pass(hops)).await
    }

    async fn arrive(member: &Self::Member, amount: u64) -> Result<(), BenchError> {
        send(member, MemberMessage::Arrive(amount)).await
    }

    async fn total(member: &Self::Member) -> Result<u64, BenchError> {
        let (reply, answer) = oneshot::channel();
        send(member, MemberMessage::Total(reply)).await?;
        answer.await.map_err(|gone| BenchError::refused("total")(gone.to_string()))
    }

    /// The last sender gone ends the task.
    async fn stop(member: Self::Member) -> Result<(), BenchError> {
        drop(member);
        Ok(())
    }
}
