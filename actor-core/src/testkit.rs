//! For tests: probes that note what they are sent, virtual time, and assertions on ends, restarts and dead letters.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::actor::{Actor, Exclusive, Handler, NoCalls};
use crate::actor_ref::ActorRef;
use crate::context::Context;
use crate::dead_letters::{DeadLetter, DeadLetterTap};
use crate::exit::ExitReason;
use crate::handle::{ActorHandle, AsHandle};
use crate::message::Message;
use crate::spawn::spawn;
use crate::system::System;

/// How many messages a probe keeps for its test; more are a runaway sender, and fail the test.
const PROBE_CAPACITY: usize = 1 << 16;

/// Runs `future` on one thread under virtual time, inside an actix system, so that pinned actors of a
/// [`System`] built with [`arbiter_here`](crate::SystemBuilder::arbiter_here) share its clock.
///
/// # Panics
/// When no runtime can be made, and when `future` does.
#[expect(clippy::expect_used, reason = "a test that cannot start must fail")]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runner = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime for the test")
    });
    runner.block_on(future)
}

/// Moves virtual time on; what becomes due runs.
pub async fn advance(by: Duration) {
    tokio::time::sleep(by).await;
}

/// Waits, an hour of virtual time at most, for the actor's end, and says why it ended.
///
/// # Panics
/// If the actor does not end.
pub async fn ends(actor: &impl AsHandle) -> ExitReason {
    let handle = actor.as_handle();
    match tokio::time::timeout(Duration::from_secs(3600), handle.closed()).await {
        Ok(reason) => reason,
        Err(_) => panic!("{handle:?} did not end within an hour of virtual time"),
    }
}

/// An actor that hands what it is sent to its test.
pub struct ProbeActor<M: Message> {
    received: mpsc::Sender<M>,
}

impl<M: Message> Actor for ProbeActor<M> {
    type Mode = Exclusive;
    type Calls = NoCalls<Self>;
    const NAME: &'static str = "Probe";
}

impl<M: Message<Reply = ()>> Handler<M> for ProbeActor<M> {
    async fn handle(&mut self, message: M, _ctx: &mut Context<Self>) {
        let kept = self.received.try_send(message);
        assert!(
            !matches!(kept, Err(mpsc::error::TrySendError::Full(_))),
            "a probe was sent more than {PROBE_CAPACITY} messages that nobody looked at"
        );
    }
}

impl<M: Message> fmt::Debug for ProbeActor<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeActor")
    }
}

/// A test's end of a [`ProbeActor`].
pub struct Probe<M: Message<Reply = ()>> {
    actor: ActorRef<ProbeActor<M>>,
    received: tokio::sync::Mutex<mpsc::Receiver<M>>,
    message: PhantomData<M>,
}

impl<M: Message<Reply = ()>> Probe<M> {
    /// Spawns a probe on the current node.
    ///
    /// # Panics
    /// Outside a node.
    #[must_use]
    pub fn spawn() -> Self {
        let (sender, receiver) = mpsc::channel(PROBE_CAPACITY);
        let actor = spawn(move || ProbeActor { received: sender });
        Self { actor, received: tokio::sync::Mutex::new(receiver), message: PhantomData }
    }

    /// The probe's actor: give it, or a recipient of it, to whatever is tested.
    #[must_use]
    pub const fn actor(&self) -> &ActorRef<ProbeActor<M>> {
        &self.actor
    }

    /// The next message.
    ///
    /// # Panics
    /// If none comes within an hour of virtual time.
    pub async fn next(&self) -> M {
        let mut received = self.received.lock().await;
        match tokio::time::timeout(Duration::from_secs(3600), received.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => panic!("the probe for `{}` has ended", M::NAME),
            Err(_) => panic!("no `{}` came within an hour of virtual time", M::NAME),
        }
    }

    /// The messages that are there now.
    pub async fn drain(&self) -> Vec<M> {
        let mut received = self.received.lock().await;
        std::iter::from_fn(|| received.try_recv().ok()).collect()
    }

    /// Lets `time` pass and fails if a message comes in it.
    ///
    /// # Panics
    /// If a message comes.
    pub async fn expect_silence(&self, time: Duration) {
        let mut received = self.received.lock().await;
        let message = tokio::time::timeout(time, received.recv()).await;
        assert!(message.is_err(), "a `{}` came within {time:?}", M::NAME);
    }
}

impl<M: Message<Reply = ()>> fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe<{}>", M::NAME)
    }
}

/// Notes each end of an actor's lives from its making on, and so each restart.
pub struct RestartProbe {
    handle: ActorHandle,
    /// Why each life ended, and whether it was the last one.
    ends: mpsc::UnboundedReceiver<(ExitReason, bool)>,
}

impl RestartProbe {
    /// Begins to note.
    #[must_use]
    pub fn new(actor: &impl AsHandle) -> Self {
        let handle = actor.as_handle();
        let (sender, ends) = mpsc::unbounded_channel();
        // Whoever dropped the probe needs no news.
        handle
            .on_end(Box::new(move |reason, is_last| drop(sender.send((reason.clone(), is_last)))));
        Self { handle, ends }
    }

    /// Waits, an hour of virtual time at most, until the actor has been restarted once more and is up, and says why it
    /// had to be.
    ///
    /// # Panics
    /// If it is not restarted: it goes on, or it has ended for good.
    pub async fn next(&mut self) -> ExitReason {
        let handle = &self.handle;
        let restarted = async {
            let reason = match self.ends.recv().await {
                Some((reason, false)) => reason,
                Some((reason, true)) => panic!("{handle:?} is not restarted: {reason}"),
                None => panic!("{handle:?} has ended for good"),
            };
            match handle.ready().await {
                Ok(()) => reason,
                Err(end) => panic!("{handle:?} ended ({reason}) and could not be restarted: {end}"),
            }
        };
        match tokio::time::timeout(Duration::from_secs(3600), restarted).await {
            Ok(reason) => reason,
            Err(_) => panic!("{handle:?} was not restarted within an hour of virtual time"),
        }
    }

    /// Fails if there was any restart or end that was not [waited for](Self::next).
    ///
    /// # Panics
    /// If there was.
    pub fn expect_none(&mut self) {
        if let Ok((reason, _)) = self.ends.try_recv() {
            panic!("{:?} ended: {reason}", self.handle);
        }
    }
}

impl fmt::Debug for RestartProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestartProbe({:?})", self.handle)
    }
}

/// Notes the dead letters of a node from its making on.
pub struct DeadLetterProbe {
    tap: DeadLetterTap,
    seen: VecDeque<DeadLetter>,
}

impl DeadLetterProbe {
    /// Begins to note, up to the newest 65 536.
    #[must_use]
    pub fn new(system: &System) -> Self {
        let capacity = NonZeroUsize::MIN.saturating_add(PROBE_CAPACITY - 1);
        Self { tap: system.dead_letters().subscribe(capacity), seen: VecDeque::new() }
    }

    /// Takes the oldest dead letter that `is_it` picks.
    ///
    /// # Panics
    /// If there is none: with all that there are.
    pub fn expect(&mut self, is_it: impl Fn(&DeadLetter) -> bool) -> DeadLetter {
        self.seen.extend(self.tap.drain());
        let found = self.seen.iter().position(is_it).and_then(|index| self.seen.remove(index));
        match found {
            Some(letter) => letter,
            None => panic!("no such dead letter among {:?}", self.seen),
        }
    }

    /// Fails if there is any dead letter that was not [expected](Self::expect).
    ///
    /// # Panics
    /// If there is.
    pub fn expect_none(&mut self) {
        self.seen.extend(self.tap.drain());
        assert!(self.seen.is_empty(), "unexpected dead letters: {:?}", self.seen);
    }
}

impl fmt::Debug for DeadLetterProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterProbe").field("seen", &self.seen).finish_non_exhaustive()
    }
}
