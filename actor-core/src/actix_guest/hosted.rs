//! The guest of a host: its address, its life as a task, and the message it has in hand.

use std::any::type_name;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ContextFut;
use actix::{ActorContext, Context as ActixContext};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};

use super::Hostable;
use crate::current::{self, MessageContext};
use crate::exit::ExitReason;

/// How long a guest whose host stops may take to run its own `stopping` and `stopped`.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) struct Hosted<G: Hostable> {
    pub(super) address: actix::Addr<G>,
    /// Tells the guest to stop; so does dropping it.
    pub(super) leave: oneshot::Sender<()>,
    /// Gives the reason of the guest's end.
    pub(super) task: JoinHandle<ExitReason>,
    pub(super) in_hand: InHand,
}

impl<G: Hostable> Hosted<G> {
    pub(super) fn is_leaving(&self) -> bool {
        self.task.is_finished() || !self.address.connected()
    }

    /// Tells the guest to stop, waits for it a while, and says why it ended.
    pub(super) async fn left(self) -> ExitReason {
        let Self { leave, task, .. } = self;
        // It may have ended already.
        let _ = leave.send(());
        let evict = Evict(task.abort_handle());
        // Over time or not, the guest is gone after this.
        let reason = match tokio::time::timeout(FAREWELL, task).await {
            Ok(Ok(reason)) => reason,
            Ok(Err(_)) | Err(_) => ExitReason::Killed,
        };
        drop(evict);
        reason
    }
}

/// The message that the guest handles: one at a time.
#[derive(Clone, Default)]
pub(super) struct InHand(Rc<RefCell<Handled>>);

#[derive(Clone, Default)]
pub(super) struct Handled {
    pub(super) name: Option<&'static str>,
    pub(super) context: Option<Arc<MessageContext>>,
}

impl InHand {
    /// What it is now.
    pub(super) fn now(&self) -> Handled {
        self.0.borrow().clone()
    }

    /// Until the answer, or whoever waits for it, is dropped.
    pub(super) fn take_up<M>(&self) -> LaidDown {
        let context = current::try_with(|here| here.message.clone()).flatten();
        *self.0.borrow_mut() = Handled { name: Some(type_name::<M>()), context };
        LaidDown(self.clone())
    }
}

/// Takes the message out of the guest's hand when it is dropped.
pub(super) struct LaidDown(InHand);

impl Drop for LaidDown {
    fn drop(&mut self) {
        self.0.0.take();
    }
}

/// A guest with its context.
pub(super) struct Life<G: Hostable>(pub(super) ContextFut<G, ActixContext<G>>);

impl<G: Hostable> Drop for Life<G> {
    /// Whoever is dropped before the end runs nothing any more.
    fn drop(&mut self) {
        self.0.ctx().terminate();
    }
}

/// Drops a guest that has not left by itself.
struct Evict(AbortHandle);

impl Drop for Evict {
    fn drop(&mut self) {
        self.0.abort();
    }
}
