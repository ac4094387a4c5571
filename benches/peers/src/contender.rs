//! What a framework must be able to do to take part.
//!
//! If every contender wrote its own patterns, a faster row could mean a shorter loop. So a
//! contender offers primitives in its own idiom, and each pattern is written once over them;
//! generics keep the primitives as direct as a hand-written loop.
//!
//! Two actors exist. A *counter* adds `u64`s and can be asked for its total. A *member* also knows
//! the next member and a latch, which rings and crowds need.

use std::future::Future;
use std::sync::Arc;

use clap::ValueEnum;

use crate::error::BenchError;
use crate::latch::{Gate, Latch};

/// The bound of every mailbox that can be bounded, in messages.
pub(crate) const MAILBOX_BOUND: usize = 1024;

/// Worker threads, or arbiters, of the multi-threaded executor.
pub(crate) const WORKERS: usize = 2;

/// Where actors and their drivers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Executor {
    /// tokio's multi-threaded runtime with two workers; for actix, two arbiters.
    Multi,
    /// One thread for driver and actors.
    Arbiter,
}

impl Executor {
    /// The name in flags and reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Multi => "multi",
            Self::Arbiter => "arbiter",
        }
    }
}

/// A framework in its own idiom.
///
/// A value of the type is a handle to the executor that [`Contender::run`] started.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    /// A reference to a counting actor.
    type Counter: Clone + Send + Sync + 'static;
    /// A reference to a member actor.
    type Member: Clone + Send + Sync + 'static;

    /// Starts a fresh executor, drives `drive` as a task on one of its threads, and tears it down.
    fn run<T, F, D>(executor: Executor, drive: D) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
        D: FnOnce(Self) -> F + Send + 'static;

    /// Runs `work` as a task of the executor beside the driver.
    fn task<F>(&self, index: usize, work: F) -> impl Future<Output = Result<(), BenchError>> + Send
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static;

    /// Starts a counting actor.
    fn spawn_counter(&self) -> impl Future<Output = Result<Self::Counter, BenchError>> + Send;
    /// Adds `amount` without waiting for the handler; waits for room where mailboxes are bounded.
    fn tell(
        counter: &Self::Counter,
        amount: u64,
    ) -> impl Future<Output = Result<(), BenchError>> + Send;
    /// Adds `amount` and waits for the total.
    fn ask(
        counter: &Self::Counter,
        amount: u64,
    ) -> impl Future<Output = Result<u64, BenchError>> + Send;

    /// Starts a member, which arrives at `latch` once it runs and again when it is dropped.
    fn spawn_member(
        &self,
        index: usize,
        latch: Arc<Latch>,
    ) -> impl Future<Output = Result<Self::Member, BenchError>> + Send;
    /// Tells a member who comes after it.
    fn link(
        member: &Self::Member,
        next: Self::Member,
    ) -> impl Future<Output = Result<(), BenchError>> + Send;
    /// Tells a member to count a hop and pass the ball on; the last of `hops` arrives at its latch.
    fn pass(
        member: &Self::Member,
        hops: u64,
    ) -> impl Future<Output = Result<(), BenchError>> + Send;
    /// Tells a member to add `amount` and arrive at its latch.
    fn arrive(
        member: &Self::Member,
        amount: u64,
    ) -> impl Future<Output = Result<(), BenchError>> + Send;
    /// Asks a member what it counted.
    fn total(member: &Self::Member) -> impl Future<Output = Result<u64, BenchError>> + Send;
    /// Ends a member; it is gone when its state is dropped.
    fn stop(member: Self::Member) -> impl Future<Output = Result<(), BenchError>> + Send;
}

/// Starts `count` members and waits until the last of them runs.
pub(crate) async fn crowd<C: Contender>(
    lab: &C,
    count: usize,
    gate: &Gate,
) -> Result<Vec<C::Member>, BenchError> {
    let mut members = Vec::with_capacity(count);
    gate.expect_all();
    for index in 0..count {
        members.push(lab.spawn_member(index, gate.leaf(index)).await?);
    }
    gate.wait().await;
    Ok(members)
}
