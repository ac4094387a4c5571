//! Calls: what `counter.next()` gives, before it is decided how it is sent.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use crate::actor::{Actor, Receive};
use crate::actor_ref::Address;
use crate::arg::Args;
use crate::ask::{Ask, AskFuture, ask_into};
use crate::cancel::CallToken;
use crate::envelope::{Gate, Payload, Retry};
use crate::error::{AskError, TellError};
use crate::message::{Message, Method, MethodTag};
use crate::reply::Answer;
use crate::tell::{Tell, try_tell};

/// A typed call: `.await` asks, `.tell()` sends one way, `.timeout(..)` sets a deadline.
#[must_use = "a call does nothing until it is awaited or told"]
pub struct Call<'a, A: Actor, M: Message> {
    address: &'a Address<A>,
    payload: Payload<M>,
    timeout: Option<Duration>,
    retries: u32,
    retry_refusals: bool,
    copy: Option<fn(&M) -> M>,
}

impl<'a, A: Receive<M>, M: Message> Call<'a, A, M> {
    /// A call whose message is there.
    #[inline]
    pub const fn now(address: &'a Address<A>, message: M) -> Self {
        Self::with(address, Payload::Now(message))
    }

    /// A call whose arguments are on their way.
    pub const fn gated(address: &'a Address<A>, gate: Gate<M>) -> Self {
        Self::with(address, Payload::Gated(gate))
    }

    #[inline]
    const fn with(address: &'a Address<A>, payload: Payload<M>) -> Self {
        Self { address, payload, timeout: None, retries: 0, retry_refusals: false, copy: None }
    }

    /// Waits for the reply no longer than this; the deadline travels along.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs the call again, up to `count` times, when the actor crashes in it and is restarted. While it waits it stays
    /// over restarts, in order. At least once: what the crashed run did is not undone.
    pub const fn max_retries(mut self, count: u32) -> Self
    where
        M: Clone,
    {
        self.retries = count;
        self.copy = Some(M::clone);
        self
    }

    /// With [`max_retries`](Self::max_retries): runs the call again also when the handler refuses.
    pub const fn retry_errors(mut self) -> Self {
        self.retry_refusals = true;
        self
    }

    #[inline]
    const fn retry(&self) -> Option<Retry<M>> {
        match self.copy {
            Some(copy) if self.retries > 0 => {
                Some(Retry { left: self.retries, refusals: self.retry_refusals, copy })
            }
            Some(_) | None => None,
        }
    }

    /// Sends one way; waits for room, by the mailbox's rule.
    #[inline]
    pub fn tell(self) -> Tell<'a, A, M> {
        let retry = self.retry();
        Tell::new(self.address, self.payload, retry)
    }

    /// Sends one way if there is room now.
    ///
    /// # Errors
    /// [`TellError`] hands the call back: the mailbox is full, or the actor has ended.
    #[inline]
    pub fn try_tell(self) -> Result<(), TellError<M>> {
        let retry = self.retry();
        try_tell(self.address, self.payload, retry)
    }

    /// Asks, as `.await` does.
    #[inline]
    pub fn ask(self) -> Ask<'a, A, M> {
        let retry = self.retry();
        let timeout = self.timeout;
        Ask::new(self.address, self.payload, retry).set_timeout(timeout)
    }

    /// Sends at once and hands the answer, whatever it is, to `sink`. For the rooms above, whose objects wait.
    #[doc(hidden)]
    pub fn ask_into(self, token: CallToken, sink: impl FnOnce(Answer<M>) + Send + 'static) {
        ask_into(self.ask(), token, sink);
    }

    /// The actor called.
    pub const fn address(&self) -> &'a Address<A> {
        self.address
    }
}

impl<'a, A, T> Call<'a, A, Method<T>>
where
    T: MethodTag,
    A: Receive<Method<T>>,
{
    /// A typed call whose arguments may be there or on their way.
    #[doc(hidden)]
    #[inline]
    pub fn method<R: Args<Values = T::Args>>(address: &'a Address<A>, args: R) -> Self {
        match args.try_take() {
            Ok(values) => Self::now(address, Method::new(values)),
            Err(args) => {
                let mut args = Some(args);
                Self::gated(
                    address,
                    Gate::new(move |cx| {
                        let Some(waiting) = &mut args else {
                            return std::task::Poll::Pending;
                        };
                        std::task::ready!(waiting.poll_ready(cx))?;
                        match args.take().map(Args::try_take) {
                            Some(Ok(values)) => std::task::Poll::Ready(Ok(Method::new(values))),
                            Some(Err(_)) | None => std::task::Poll::Pending,
                        }
                    }),
                )
            }
        }
    }
}

impl<'a, A: Receive<M>, M: Message> IntoFuture for Call<'a, A, M> {
    type Output = Result<M::Value, AskError<M>>;
    type IntoFuture = AskFuture<'a, A, M>;

    #[inline]
    fn into_future(self) -> AskFuture<'a, A, M> {
        self.ask().into_future()
    }
}

impl<A: Actor, M: Message> fmt::Debug for Call<'_, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} to {})", M::NAME, self.address.target())
    }
}
