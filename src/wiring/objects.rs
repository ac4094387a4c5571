//! A call's result as an object: where actors meet the store.
//!
//! `counter.next()` asks; `counter.next().remote()` sends at once and gives a reference to the result, to be fed to tasks,
//! waited on among others, or cancelled. The actor knows nothing of objects: the answer goes into a closure that seals one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mobula_actor_core::{
    Answer, Call, CallToken, Message, Missing, Receive, Undelivered, UnknownOutcome,
};
use mobula_store::{Canceller, Object, ObjectRef, Sealer, Store, TaskError, TaskLabel};

/// Calls whose result becomes an object.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// pub struct Dice { rolls: u64 }
///
/// #[mobula::actor]
/// impl Dice {
///     pub fn new() -> Self { Self { rolls: 0 } }
///     pub fn roll(&mut self) -> u64 { self.rolls += 1; self.rolls }
/// }
///
/// #[mobula::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let dice = Dice::remote();
///     let rolls: Vec<ObjectRef<u64>> = (0..3).map(|_| dice.roll().remote()).collect();
///     let rolls: Vec<u64> = mobula::get(&rolls).await?.iter().map(|roll| **roll).collect();
///     assert_eq!(rolls, [1, 2, 3]); // in the order of the calls
///     Ok(())
/// }
/// ```
pub trait RemoteCall<T> {
    /// Sends the call now and returns a reference to its result.
    ///
    /// Calls of one caller run in order, also those whose arguments come later. A full mailbox does not block: the call stands in
    /// line, of which there may be a million; one more fails. The object fails with the handler's own error, or with what became
    /// of the actor. Cancelling the reference takes the call back: queued it never starts, at an await it ends there, and
    /// the actor lives on.
    ///
    /// # Panics
    /// When the actor's node has no object store (a bare `System`).
    fn remote(self) -> ObjectRef<T>;
}

impl<A, M> RemoteCall<M::Value> for Call<'_, A, M>
where
    A: Receive<M>,
    M: Message,
    M::Value: Object,
    M::Refusal: IntoFailure,
{
    #[track_caller]
    fn remote(self) -> ObjectRef<M::Value> {
        let address = self.address();
        let Some(store) = address.system().extension::<Store>() else {
            panic!("no object store here: start a `mobula::Node` instead of a bare `System`");
        };
        let label = TaskLabel::from(format!("{} on {}", M::NAME, address.id()));
        let (object, sealer) = store.create_pending::<M::Value>();
        let pending = Arc::new(Pending {
            sealer: Mutex::new(Some(sealer)),
            token: CallToken::new(),
            label: label.clone(),
        });
        pending.set_canceller();
        let token = pending.token.clone();
        self.ask_into(token, move |answer| pending.settle(result_of::<M>(answer, &label)));
        object
    }
}

/// What a handler may refuse with, as a failure that an object can hold.
pub trait IntoFailure {
    /// The refusal as the failure of `call`.
    fn into_failure(self, call: TaskLabel) -> TaskError;
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoFailure for E {
    fn into_failure(self, call: TaskLabel) -> TaskError {
        TaskError::user_error(call, self)
    }
}

fn result_of<M: Message<Refusal: IntoFailure>>(
    answer: Answer<M>,
    label: &TaskLabel,
) -> Result<M::Value, TaskError> {
    let task = label.clone();
    match answer {
        Answer::Replied(Ok(value)) => Ok(value),
        Answer::Replied(Err(refusal)) => Err(refusal.into_failure(task)),
        Answer::Missing(why) => Err(match *why {
            Missing::RefusedElsewhere(text) => TaskError::user_error(task, text),
            Missing::NotDelivered(_, Undelivered::DependencyFailed(failed)) => {
                TaskError::from_dependency(task, &failed)
            }
            Missing::NotDelivered(_, Undelivered::Cancelled) => TaskError::Cancelled { task },
            Missing::NotDelivered(
                _,
                Undelivered::ActorGone(reason) | Undelivered::Discarded(reason),
            )
            | Missing::Unknown(UnknownOutcome::ActorEnded(reason)) => {
                TaskError::ActorDied { task, reason }
            }
            Missing::NotDelivered(_, reason) => lost(task, &reason),
            Missing::Unknown(why) => lost(task, &why),
        }),
    }
}

fn lost(task: TaskLabel, why: &dyn std::fmt::Display) -> TaskError {
    TaskError::Lost { task, node: None, attempt: 1, text: why.to_string().into() }
}

/// A call on its way: whoever is first, the answer or a cancel, writes the object.
struct Pending<T: Object> {
    sealer: Mutex<Option<Sealer<T>>>,
    token: CallToken,
    label: TaskLabel,
}

impl<T: Object> Pending<T> {
    fn set_canceller(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        let sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sealer) = &*sealer {
            sealer.set_canceller(weak);
        }
    }

    fn settle(&self, result: Result<T, TaskError>) {
        if let Some(sealer) = self.take() {
            sealer.seal(result);
        }
    }

    fn take(&self) -> Option<Sealer<T>> {
        self.sealer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: Object> Canceller for Pending<T> {
    fn cancel(&self, _recursive: bool) -> bool {
        let Some(sealer) = self.take() else { return false };
        self.token.cancel();
        sealer.fail(TaskError::Cancelled { task: self.label.clone() });
        true
    }
}
