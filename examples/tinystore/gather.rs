//! The deck's wait loop, once for everybody: submit many, take each result as it becomes ready.
//!
//! The slowest part delays only itself. A part whose task was killed, or went with its node, is
//! submitted again: that is safe because asking changes nothing, and invisible in the answer because
//! a part is taken once or not at all.

use std::collections::HashMap;

use mobula::{TaskError, prelude::*};

/// How often a part is submitted again before giving up on it.
const ATTEMPTS_MAX: u32 = 1000;

/// Submits every job, and hands each result to `take` as soon as it is there.
pub(crate) async fn gather<J, T: Send + Sync + 'static>(
    jobs: impl IntoIterator<Item = J>,
    submit: impl AsyncFn(&J) -> anyhow::Result<ObjectRef<T>>,
    mut take: impl FnMut(&J, &T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut pending = Vec::new();
    let mut submitted = HashMap::new();
    for job in jobs {
        let part = submit(&job).await?;
        submitted.insert(part.id(), (job, 1));
        pending.push(part);
    }
    while !pending.is_empty() {
        let (ready, rest) = mobula::wait(pending).num_returns(1).await?;
        pending = rest;
        for part in ready {
            let Some((job, attempt)) = submitted.remove(&part.id()) else {
                continue;
            };
            match part.get().await {
                Ok(value) => take(&job, &value)?,
                Err(error) if is_gone(&error) && attempt < ATTEMPTS_MAX => {
                    let again = submit(&job).await?;
                    submitted.insert(again.id(), (job, attempt + 1));
                    pending.push(again);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Whether the part is gone by no fault of its own: killed, or on a node that died.
fn is_gone(error: &GetError) -> bool {
    match error {
        GetError::Task(error) => was_killed(error),
        GetError::OwnerDied { .. } | GetError::Lost { .. } => true,
        _ => false,
    }
}

/// Whether the task failed because someone killed it or what it waited for, not by its own doing.
fn was_killed(error: &TaskError) -> bool {
    match error {
        TaskError::Cancelled { .. }
        | TaskError::Lost { .. }
        | TaskError::ArgumentLost { .. }
        | TaskError::ActorDied { .. } => true,
        TaskError::DependencyFailed { cause, .. } => was_killed(cause),
        _ => false,
    }
}
