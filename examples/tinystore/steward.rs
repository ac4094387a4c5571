//! A steward: sees to it that its shard lives, somewhere in the cluster.
//!
//! A supervisor starts its child again where it was, which is right until the whole node is gone.
//! So the supervised actor is this one, beside the driver, and what it keeps is a shard that is
//! placed on whatever node has least: when the shard does not answer because it, or its node, is
//! no more, the steward places another, which reads the log, and asks again.
//! Asking twice does no harm, so whoever asks a steward never notices.

use mobula::prelude::*;

use super::{
    as_of::{EventsByKey, History},
    batch::Batch,
    fold::Partial,
    query::{Answer, Apply, Select},
    registry::Registry,
    shard::Shard,
};

/// How often a shard is placed anew for one question before the question is given up.
const PLACES_MAX: u32 = 100;

/// The state of a steward.
pub(crate) struct Steward {
    index: usize,
    registry: ActorRef<Registry>,
    shard: ActorRef<Shard>,
}

// A call that meets a restart is made again: nothing here does harm when done twice.
#[mobula::actor(max_task_retries = 1000)]
impl Steward {
    /// Places shard number `index`. When the steward ends, its shard has no reference left and ends too.
    pub(crate) fn new(index: usize, registry: ActorRef<Registry>) -> Self {
        let shard = place(index, &registry);
        Self { index, registry, shard }
    }

    /// Lets the shard take a batch for good.
    pub(crate) async fn append(&mut self, batch: ObjectRef<Batch>) -> anyhow::Result<()> {
        self.insist(|shard| {
            let batch = batch.clone();
            async move { shard.append(batch).await }
        })
        .await
    }

    /// Starts aggregating.
    pub(crate) async fn apply(&mut self, question: Apply) -> anyhow::Result<ObjectRef<Partial>> {
        self.insist(|shard| {
            let question = question.clone();
            async move { shard.apply(question).await }
        })
        .await
    }

    /// Starts selecting rows.
    pub(crate) async fn select(&mut self, question: Select) -> anyhow::Result<ObjectRef<Answer>> {
        self.insist(|shard| {
            let question = question.clone();
            async move { shard.select(question).await }
        })
        .await
    }

    /// Starts collecting what points at times in `from..to` may look back on.
    pub(crate) async fn past(
        &mut self,
        question: History,
        from: i64,
        to: i64,
    ) -> anyhow::Result<ObjectRef<EventsByKey>> {
        self.insist(|shard| {
            let question = question.clone();
            async move { shard.past(question, from, to).await }
        })
        .await
    }
}

/// On the node that was given least: a single node has one answer.
fn place(index: usize, registry: &ActorRef<Registry>) -> ActorRef<Shard> {
    Shard::options().on(Placement::Spread).remote(index, registry.clone())
}

impl Steward {
    /// Asks until a shard answers.
    async fn insist<T, M, F>(&mut self, ask: impl Fn(ActorRef<Shard>) -> F) -> anyhow::Result<T>
    where
        M: Message,
        F: Future<Output = Result<T, AskError<M>>>,
        AskError<M>: std::error::Error + Send + Sync + 'static,
    {
        let mut places = 1;
        loop {
            match ask(self.shard.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(AskError::NotDelivered { .. } | AskError::OutcomeUnknown { .. })
                    if places < PLACES_MAX =>
                {
                    places += 1;
                    self.shard = place(self.index, &self.registry);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
