//! Recipients: references that know one message instead of an actor's type.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use crate::actor::{Actor, BoxFuture, Receive};
use crate::actor_ref::ActorRef;
use crate::error::{AskError, TellError, Undelivered};
use crate::handle::ActorHandle;
use crate::handle::AsHandle;
use crate::id::ActorId;
use crate::message::Message;

trait Accept<M: Message>: Send + Sync {
    fn tell(&self, message: M) -> BoxFuture<'_, Result<(), TellError<M>>>;
    fn try_tell(&self, message: M) -> Result<(), TellError<M>>;
    fn ask(&self, message: M) -> BoxFuture<'_, Result<M::Value, AskError<M>>>;
    fn handle(&self) -> ActorHandle;
}

impl<A: Receive<M> + Actor, M: Message> Accept<M> for ActorRef<A> {
    fn tell(&self, message: M) -> BoxFuture<'_, Result<(), TellError<M>>> {
        Box::pin(Self::tell(self, message).into_future())
    }

    fn try_tell(&self, message: M) -> Result<(), TellError<M>> {
        Self::try_tell(self, message)
    }

    fn ask(&self, message: M) -> BoxFuture<'_, Result<M::Value, AskError<M>>> {
        Box::pin(Self::ask(self, message).into_future())
    }

    fn handle(&self) -> ActorHandle {
        self.as_handle()
    }
}

/// A counted reference to whatever handles `M`. Same order, bounds and errors as [`ActorRef`]; costs an
/// allocation for each message that waits.
pub struct Recipient<M: Message>(Arc<dyn Accept<M>>);

impl<M: Message> Recipient<M> {
    pub(crate) fn new<A: Receive<M>>(actor: ActorRef<A>) -> Self {
        Self(Arc::new(actor))
    }

    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.0.handle().id()
    }

    /// Sends `message` one way; waits for room, by the mailbox's rule.
    ///
    /// # Errors
    /// [`TellError`] hands the message back.
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, the message is withdrawn.
    pub async fn tell(&self, message: M) -> Result<(), TellError<M>> {
        let Err(error) = self.0.try_tell(message) else { return Ok(()) };
        match error.into_parts() {
            (Some(message), _, Undelivered::MailboxFull) => self.0.tell(message.into_inner()).await,
            (message, to, reason) => Err(TellError::new(message, to, reason)),
        }
    }

    /// Sends `message` one way if there is room now.
    ///
    /// # Errors
    /// [`TellError`] hands the message back.
    pub fn try_tell(&self, message: M) -> Result<(), TellError<M>> {
        self.0.try_tell(message)
    }

    /// Sends `message` and waits for the reply.
    ///
    /// # Errors
    /// See [`AskError`].
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, the message is withdrawn; later, only the reply is lost.
    pub async fn ask(&self, message: M) -> Result<M::Value, AskError<M>> {
        self.0.ask(message).await
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Message> AsHandle for Recipient<M> {
    fn as_handle(&self) -> ActorHandle {
        self.0.handle()
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient<{}>({})", M::NAME, self.id())
    }
}
