//! A shard: an actor that keeps one part of every table and answers for it.
//!
//! It holds references to immutable batches, no rows. A question becomes a task over those
//! batches, and the answer to the asker is the task's reference: the shard is free for the next
//! message at once, however long the work takes.
//! Nobody starts it again when it is gone: its steward, which a supervisor keeps, places another
//! (`steward.rs`), and that one reads the same log from the registry.

use mobula::prelude::*;

use super::{
    as_of::{EventsByKey, History},
    batch::Batch,
    fold::{Fold, Partial},
    query::{Answer, Apply, Select},
    registry::Registry,
};

/// The state of a shard actor.
pub(crate) struct Shard {
    index: usize,
    registry: ActorRef<Registry>,
    batches: Vec<ObjectRef<Batch>>,
}

// A call that meets a restart is made again: nothing here does harm when done twice.
#[mobula::actor(max_task_retries = 1000)]
impl Shard {
    /// Shard number `index`, with everything it took in earlier lives.
    pub(crate) async fn new(index: usize, registry: ActorRef<Registry>) -> anyhow::Result<Self> {
        let batches = registry.log_of(index).await?;
        Ok(Self { index, registry, batches })
    }

    /// Takes a batch for good: once this is answered, no kill can lose it.
    pub(crate) async fn append(&mut self, batch: ObjectRef<Batch>) -> anyhow::Result<()> {
        self.registry.record(self.index, batch.clone()).await?;
        if self.batches.iter().all(|known| known.id() != batch.id()) {
            self.batches.push(batch);
        }
        Ok(())
    }

    /// Starts aggregating.
    pub(crate) fn apply(&self, question: Apply) -> ObjectRef<Partial> {
        fold::remote(self.batches.clone(), question)
    }

    /// Starts selecting rows.
    pub(crate) fn select(&self, question: Select) -> ObjectRef<Answer> {
        select::remote(self.batches.clone(), question)
    }

    /// Starts collecting what points at times in `from..to` may look back on.
    pub(crate) fn past(&self, question: History, from: i64, to: i64) -> ObjectRef<EventsByKey> {
        past::remote(self.batches.clone(), question, from, to)
    }
}

#[mobula::task]
fn fold(batches: Vec<ObjectRef<Batch>>, question: Apply) -> anyhow::Result<Partial> {
    let mut fold = Fold::new(&question)?;
    for batch in mobula::get(&batches).blocking()? {
        fold.add_batch(&batch);
    }
    Ok(fold.into_partial()?)
}

#[mobula::task]
fn select(batches: Vec<ObjectRef<Batch>>, question: Select) -> anyhow::Result<Answer> {
    let batches = mobula::get(&batches).blocking()?;
    Ok(question.read(batches.iter().map(Arc::as_ref)))
}

#[mobula::task]
fn past(
    batches: Vec<ObjectRef<Batch>>,
    question: History,
    from: i64,
    to: i64,
) -> anyhow::Result<EventsByKey> {
    let mut events = EventsByKey::new();
    for batch in mobula::get(&batches).blocking()? {
        question.collect(&batch, from, to, &mut events);
    }
    Ok(events)
}
