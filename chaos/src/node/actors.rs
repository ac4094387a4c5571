//! The actors of the workload: one that is sent to, one that reads and makes values, one that watches.
//!
//! Each says what it did before it answers, so that an answer that arrives anywhere has its effect in the record.

#![expect(clippy::use_self, reason = "the names in calls are those that callers see")]

use std::collections::HashMap;

use mobula::prelude::*;
use tokio::sync::oneshot;

use super::voice::{Mutant, Voice};
use crate::event::{Event, Outcome};

/// Is sent to.
pub(super) struct Ledger {
    /// Messages handled, by stream.
    counts: HashMap<u64, u64>,
    /// One that was held back by a mutant.
    held: Option<(u64, u64)>,
}

#[mobula::actor]
impl Ledger {
    pub fn new() -> Self {
        Self { counts: HashMap::new(), held: None }
    }

    /// Handles a message; the answer is how many of its stream that makes.
    pub fn post(&mut self, stream: u64, seq: u64) -> u64 {
        let voice = Voice::here();
        if voice.strikes(Mutant::Forget) {
            return self.counts.get(&stream).copied().unwrap_or(0) + 1;
        }
        if voice.strikes(Mutant::Swap) && self.held.is_none() {
            self.held = Some((stream, seq));
            return self.counts.get(&stream).copied().unwrap_or(0) + 1;
        }
        let count = self.handle(stream, seq);
        if voice.strikes(Mutant::Duplicate) {
            self.handle(stream, seq);
        }
        if let Some((stream, seq)) = self.held.take() {
            self.handle(stream, seq);
        }
        count
    }

    /// Asks another to handle a message, and says how that went.
    pub async fn pass_on(&mut self, to: ActorRef<Ledger>, stream: u64, seq: u64) -> Outcome {
        outcome(to.post(stream, seq).await)
    }

    /// How many messages of a stream were handled.
    pub fn count(&self, stream: u64) -> u64 {
        self.counts.get(&stream).copied().unwrap_or(0)
    }
}

impl Ledger {
    fn handle(&mut self, stream: u64, seq: u64) -> u64 {
        Voice::here().say(Event::Effect { stream, seq });
        let count = self.counts.entry(stream).or_default();
        *count += 1;
        *count
    }
}

/// What an ask's end says of its message.
pub(super) fn outcome<M: Message>(asked: Result<u64, AskError<M>>) -> Outcome {
    match asked {
        Ok(count) => Outcome::Acked { count },
        Err(error @ AskError::NotDelivered { .. }) => {
            Outcome::NotDelivered { why: error.to_string() }
        }
        Err(error @ AskError::OutcomeUnknown { .. }) => Outcome::Unknown { why: error.to_string() },
        Err(error) => Outcome::Refused { why: error.to_string() },
    }
}

/// Reads and makes values.
pub(super) struct Depot;

#[mobula::actor]
impl Depot {
    pub fn new() -> Self {
        Self
    }

    /// Reads a value that lies elsewhere.
    pub async fn digest(&mut self, object: ObjectRef<Vec<u8>>) -> Result<u64, String> {
        match object.get().await {
            Ok(bytes) => Ok(digest(&bytes)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Makes a value that will be read elsewhere.
    pub async fn make(&mut self, seed: u64, size: usize) -> Result<ObjectRef<Vec<u8>>, String> {
        mobula::put(bytes(seed, size)).await.map_err(|error| error.to_string())
    }
}

/// A value that is known from its seed.
pub(super) fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// What is said of a value that was read.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// Watches the receivers of this node's streams.
pub(super) struct Sentinel {
    watched: HashMap<MonitorRef, u64>,
    waiting: HashMap<u64, oneshot::Sender<()>>,
}

#[mobula::actor]
impl Sentinel {
    pub fn new() -> Self {
        Self { watched: HashMap::new(), waiting: HashMap::new() }
    }

    /// Sets a monitor. `told` hears when it fires.
    pub fn watch_over(
        &mut self,
        ctx: &mut Context<Self>,
        ledger: ActorRef<Ledger>,
        watch: u64,
        told: oneshot::Sender<()>,
    ) {
        self.waiting.insert(watch, told);
        self.watched.insert(ctx.watch(&ledger), watch);
    }

    fn down(&mut self, monitor: MonitorRef, reason: ExitReason) {
        // One that fires again is still known, and is said again.
        let Some(watch) = self.watched.get(&monitor) else { return };
        let voice = Voice::here();
        if !voice.strikes(Mutant::Deaf) {
            voice.say(Event::Fired { watch: *watch, why: reason.to_string() });
        }
        if let Some(told) = self.waiting.remove(watch) {
            // It may have stopped waiting.
            let _ = told.send(());
        }
    }
}
