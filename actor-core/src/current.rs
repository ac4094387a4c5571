//! Where am I: the node, the caller and the call that the running code belongs to.
//!
//! A global "current node" would be simplest, and would forbid two nodes in one process. So the answer
//! hangs on the running task: each poll of an actor, task or driver puts its [`Current`] into a
//! thread-local slot and takes it out again. Nothing is copied: one pointer is swapped in and out.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::cancel::CallToken;
use crate::id::{ActorId, CallerId, NodeId};
use crate::system::System;

thread_local! {
    /// Nothing to drop when the thread ends: whoever put something in takes it out again. So it is reached without a look
    /// whether it is still there.
    static CURRENT: RefCell<ManuallyDrop<Option<Box<Current>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

/// What the running code belongs to.
#[derive(Clone)]
#[non_exhaustive]
pub struct Current {
    /// The node.
    pub system: System,
    /// Who sends, if this code sends.
    pub caller: CallerId,
    /// What came with the message that is being handled.
    pub message: Option<Arc<MessageContext>>,
    /// The room above's record of the running task.
    pub task: Option<Arc<dyn Any + Send + Sync>>,
}

/// What travels along with a message, beside the message: made only when there is something to carry.
#[derive(Debug, Default)]
pub struct MessageContext {
    /// The asks that led here, newest first.
    pub chain: Option<Arc<CallChain>>,
    /// When the asker stops waiting.
    pub deadline: Option<Instant>,
    /// The sender's tracing span.
    pub span: Option<tracing::span::Id>,
    /// The right to take the call back.
    pub cancel: Option<CallToken>,
}

/// One ask on the way to the running handler: who asked, and who had asked that one.
#[derive(Debug)]
pub struct CallChain {
    /// The node of the actor that asked and waits; [`NodeId::HERE`] for this one.
    pub node: NodeId,
    /// Its id there.
    pub actor: ActorId,
    /// The ask that the waiting actor itself is answering.
    pub parent: Option<Arc<Self>>,
}

impl CallChain {
    /// Whether this actor of that node waits somewhere along this chain.
    #[must_use]
    pub fn contains(&self, node: NodeId, actor: ActorId) -> bool {
        let mut link = Some(self);
        while let Some(ask) = link {
            if (ask.node, ask.actor) == (node, actor) {
                return true;
            }
            link = ask.parent.as_deref();
        }
        false
    }
}

impl Current {
    /// A driver: a program's own code, as a caller of its own.
    #[must_use]
    pub fn root(system: System) -> Self {
        let caller = CallerId::driver(system.next_id());
        Self { system, caller, message: None, task: None }
    }

    /// An actor or task with this id.
    #[must_use]
    pub fn citizen(system: System, id: ActorId) -> Self {
        Self { system, caller: id.into(), message: None, task: None }
    }

    /// The same, with the room above's record of the running task.
    #[must_use]
    pub fn with_task(mut self, task: Arc<dyn Any + Send + Sync>) -> Self {
        self.task = Some(task);
        self
    }

    /// The actor or task whose code runs; `None` for a driver.
    #[must_use]
    pub const fn actor(&self) -> Option<ActorId> {
        self.caller.citizen()
    }

    /// The deadline of the call being handled, if it has one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.message.as_ref().and_then(|message| message.deadline)
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("caller", &self.caller)
            .field("actor", &self.actor())
            .finish()
    }
}

/// Looks at where the running code is; `None` outside a node.
pub fn try_with<R>(look: impl FnOnce(&Current) -> R) -> Option<R> {
    CURRENT.with(|slot| slot.borrow().as_deref().map(look))
}

/// Who sends, if the running code sends.
#[inline]
pub(crate) fn caller() -> CallerId {
    CURRENT.with(|slot| slot.borrow().as_ref().map_or(CallerId::NOBODY, |here| here.caller))
}

pub(crate) fn with_mut<R>(change: impl FnOnce(&mut Current) -> R) -> Option<R> {
    CURRENT.with(|slot| slot.borrow_mut().as_deref_mut().map(change))
}

/// The node that the running code belongs to; `None` outside one.
#[must_use]
pub fn current_system() -> Option<System> {
    try_with(|current| current.system.clone())
}

/// The node that the running code belongs to.
///
/// # Panics
/// Outside a node: with the text of what to do.
#[must_use]
#[track_caller]
pub fn expect_system() -> System {
    match current_system() {
        Some(system) => system,
        None => panic!(
            "no node here: call this inside `#[mobula::main]`, an actor or a task, \
             or wrap the future in `node.enter(..)`"
        ),
    }
}

/// Runs `future` as belonging to `current`.
pub fn scope<F: Future>(current: Current, future: F) -> Scoped<F> {
    Scoped { current: Some(Box::new(current)), future }
}

/// Runs `work` on this thread as belonging to `current`.
pub fn sync_scope<R>(current: Current, work: impl FnOnce() -> R) -> R {
    let mut slot = Some(Box::new(current));
    let _restore = Swapped::new(&mut slot);
    work()
}

pin_project_lite::pin_project! {
    /// A future that belongs to a node; see [`scope`].
    pub struct Scoped<F> {
        current: Option<Box<Current>>,
        #[pin]
        future: F,
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("current", &self.current).finish_non_exhaustive()
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _restore = Swapped::new(this.current);
        this.future.poll(cx)
    }
}

/// Swaps a value into the slot, and back when dropped, a panic included.
struct Swapped<'a>(&'a mut Option<Box<Current>>);

impl<'a> Swapped<'a> {
    fn new(mine: &'a mut Option<Box<Current>>) -> Self {
        CURRENT.with(|slot| std::mem::swap(&mut **slot.borrow_mut(), mine));
        Self(mine)
    }
}

impl Drop for Swapped<'_> {
    fn drop(&mut self) {
        CURRENT.with(|slot| std::mem::swap(&mut **slot.borrow_mut(), self.0));
    }
}
