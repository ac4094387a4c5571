//! What a handler can do: the actor's own side of its life.
//!
//! Most actors never set a timer, spawn a child or attach a stream, so all of that lies behind one pointer that
//! is made when first needed (`Extras`); an idle actor carries the pointer only.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt};

use crate::actor::{Actor, Receive};
use crate::actor_ref::{ActorRef, Address, WeakRef};
use crate::cell::Cell;
use crate::current::{self, Current};
use crate::ending;
use crate::envelope::{Meta, Nature, Nobody, Payload, seal};
use crate::exit::{ErrorText, ExitReason};
use crate::extras::Extras;
use crate::factory::{Factory, IntoStart};
use crate::handle::{ActorHandle, AsHandle, Watcher};
use crate::id::{ActorId, CallerId, MonitorRef};
use crate::message::Message;
use crate::reply::{Deferred, Reply, ReplySlot};
use crate::spawn::ActorOptions;
use crate::system::System;
use crate::timers::TimerKey;

mod message;

/// How a handler asked for the actor's end.
pub(crate) enum Ending {
    /// After what waits has been handled.
    Drain(ExitReason),
    /// Now.
    Now(ExitReason),
}

/// The running actor's own side: its reference, timers, children, monitors, streams, and its end.
///
/// A handler gets it as `ctx: &mut Context<Self>`.
///
/// # Examples
/// A timer that repeats, and a monitor:
/// ```
/// # extern crate mobula_actor_core as mobula;
/// # use std::time::Duration;
/// # use mobula_actor_core::{ActorRef, Context, Current, ExitReason, Handler, Message, MonitorRef, System, scope};
/// #[derive(Clone, Message)]
/// struct Tick;
///
/// pub struct Watchman { rounds: u32, gone: bool }
/// #[mobula::actor]
/// impl Watchman {
///     pub fn new() -> Self { Self { rounds: 0, gone: false } }
///     fn started(&mut self, ctx: &mut Context<Self>) { ctx.every_keyed("round", Duration::from_secs(60), Tick); }
///     pub fn guard(&mut self, ctx: &mut Context<Self>, other: ActorRef<Watchman>) { ctx.watch(&other); }
///     pub fn rest(&mut self, ctx: &mut Context<Self>) -> (u32, bool) { ctx.cancel_timer("round"); (self.rounds, self.gone) }
///     fn down(&mut self, _monitor: MonitorRef, reason: ExitReason) { self.gone = matches!(reason, ExitReason::Killed); }
/// }
/// impl Handler<Tick> for Watchman {
///     async fn handle(&mut self, _: Tick, _: &mut Context<Self>) { self.rounds += 1; }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() { scope(Current::root(System::builder().build()), async {
/// let (watchman, other) = (Watchman::remote(), Watchman::remote());
/// watchman.guard(other.clone()).await.unwrap();
/// other.kill().await.unwrap();
/// tokio::time::sleep(Duration::from_secs(150)).await;
/// assert_eq!(watchman.rest().await.unwrap(), (2, true));
/// # }).await }
/// ```
pub struct Context<A: Actor> {
    pub(crate) cell: Arc<Cell<A>>,
    pub(crate) extras: Option<Box<Extras<A>>>,
    pub(crate) sender: CallerId,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>) -> Self {
        Self { cell, extras: None, sender: CallerId::NOBODY }
    }

    pub(crate) fn extras(&mut self) -> &mut Extras<A> {
        self.extras.get_or_insert_default()
    }

    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.cell.actor_id()
    }

    /// The node.
    #[must_use]
    pub fn system(&self) -> &System {
        self.cell.system()
    }

    /// A counted reference to this actor. Kept in its own state it keeps the actor alive: keep a
    /// [`weak`](Self::weak) one there.
    #[must_use]
    pub fn actor_ref(&self) -> ActorRef<A> {
        ActorRef::from_address(Address::new(Arc::clone(&self.cell)))
    }

    /// A reference that does not keep this actor alive.
    #[must_use]
    pub fn weak(&self) -> WeakRef<A> {
        WeakRef::new(Arc::clone(&self.cell))
    }

    /// This actor without its type.
    #[must_use]
    pub fn handle(&self) -> ActorHandle {
        self.cell.handle()
    }

    // The end.

    /// Takes nothing new, handles what waits, then ends as [`ExitReason::Normal`].
    pub fn stop(&mut self) {
        self.extras().ending.get_or_insert(Ending::Drain(ExitReason::Normal));
    }

    /// Ends as soon as this handler returns: what waits is answered `NotDelivered`. Runs `stopping`; a
    /// supervised permanent child is restarted, as in OTP.
    pub fn exit(&mut self) {
        self.extras().ending = Some(Ending::Now(ExitReason::Normal));
    }

    /// Gives up with an error as soon as this handler returns: an abnormal end.
    pub fn fail(&mut self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) {
        self.extras().ending = Some(Ending::Now(ExitReason::Failed(ErrorText::new(error))));
    }

    /// Ends for any reason as soon as this handler returns.
    pub fn exit_with(&mut self, reason: ExitReason) {
        self.extras().ending = Some(Ending::Now(reason));
    }

    /// Like [`exit`](Self::exit), and for good: no supervisor restarts it (`ray.exit_actor`).
    pub fn exit_for_good(&mut self) {
        self.cell.tell_to_end();
        self.exit();
    }

    // Timers.

    /// Sends this actor `message` once, after `delay`. Timers end with their generation.
    pub fn after<M: Message>(&mut self, delay: Duration, message: M) -> TimerKey
    where
        A: Receive<M>,
    {
        let key = self.extras().timers.fresh_key();
        self.after_keyed(key.clone(), delay, message);
        key
    }

    /// Like [`after`](Self::after), replacing the timer of the same key.
    pub fn after_keyed<M: Message>(&mut self, key: impl Into<TimerKey>, delay: Duration, message: M)
    where
        A: Receive<M>,
    {
        let envelope = seal(Payload::Now(message), None, Nobody, self.own_meta());
        self.extras().set_timer(key.into(), delay, envelope);
    }

    /// Sends this actor a clone of `message` after each `period`; ticks missed under load are not made up for.
    pub fn every<M: Message + Clone>(&mut self, period: Duration, message: M) -> TimerKey
    where
        A: Receive<M>,
    {
        let key = self.extras().timers.fresh_key();
        self.every_keyed(key.clone(), period, message);
        key
    }

    /// Like [`every`](Self::every), replacing the timer of the same key.
    pub fn every_keyed<M: Message + Clone>(
        &mut self,
        key: impl Into<TimerKey>,
        period: Duration,
        message: M,
    ) where
        A: Receive<M>,
    {
        let meta = self.own_meta();
        let make = move || seal(Payload::Now(message.clone()), None, Nobody, meta.clone());
        self.extras().set_ticker(key.into(), period, Box::new(make));
    }

    /// Cancels a timer: it does not fire any more, even if it was due. False if it was not set or has fired.
    pub fn cancel_timer(&mut self, key: impl Into<TimerKey>) -> bool {
        let key = key.into();
        self.extras.as_mut().is_some_and(|extras| extras.cancel_timer(&key))
    }

    fn own_meta(&self) -> Meta {
        Meta { caller: self.id().into(), context: None, nature: Nature::Plain }
    }

    // Streams.

    /// Handles each item of `stream` as a message, in order, in turn with the mailbox. The stream is polled
    /// only when the actor has time for an item: that is its back-pressure.
    pub fn attach<S>(&mut self, stream: S)
    where
        S: Stream + Send + 'static,
        S::Item: Message,
        A: Receive<S::Item>,
    {
        let meta = self.own_meta();
        let envelopes =
            stream.map(move |item| seal(Payload::Now(item), None, Nobody, meta.clone()));
        self.extras().streams.push(envelopes.boxed());
    }

    /// Like [`attach`](Self::attach), and handles `end` when the stream has ended.
    pub fn attach_with_end<S, E: Message>(&mut self, stream: S, end: E)
    where
        S: Stream + Send + 'static,
        S::Item: Message,
        A: Receive<S::Item> + Receive<E>,
    {
        let meta = self.own_meta();
        let last = {
            let meta = meta.clone();
            futures_util::stream::once(async move { seal(Payload::Now(end), None, Nobody, meta) })
        };
        let envelopes =
            stream.map(move |item| seal(Payload::Now(item), None, Nobody, meta.clone()));
        self.extras().streams.push(envelopes.chain(last).boxed());
    }

    // Replies owed.

    /// Takes over the reply to the message that is being handled, to be sent later from wherever it is kept.
    ///
    /// # Panics
    /// If the running handler is not a method that returns [`Deferred<R>`], or defers twice.
    #[must_use]
    pub fn defer<R: 'static>(&mut self) -> (Reply<R>, Deferred<R>) {
        let held = self.extras.as_mut().and_then(|extras| extras.held_reply.take());
        match held.and_then(|held| held.downcast::<Reply<R>>().ok()) {
            Some(reply) => (*reply, Deferred::new()),
            None => panic!(
                "ctx.defer::<{}>() needs a method that returns Deferred of that type, and only once",
                std::any::type_name::<R>()
            ),
        }
    }

    #[doc(hidden)]
    pub fn hold_reply<M: Message>(&mut self, reply: ReplySlot<M>) {
        self.extras().held_reply = Some(Box::new(reply.into_reply()) as Box<dyn Any + Send>);
    }

    #[doc(hidden)]
    pub fn release_held_reply(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.held_reply = None;
        }
    }

    // Others.

    /// Spawns a child: it is stopped when this actor ends, and killed when it crashes or is killed.
    pub fn spawn<B: Actor, S: IntoStart<B, How>, How>(
        &mut self,
        make: impl FnOnce() -> S + Send + 'static,
    ) -> ActorRef<B> {
        let options = ActorOptions::new(self.system().clone());
        let child = options.spawn_factory(Factory::once(make));
        self.adopt(&child);
        child
    }

    /// Makes `child` this actor's child: it is stopped when this actor ends, and killed when it crashes or is
    /// killed.
    pub fn adopt(&mut self, child: &impl AsHandle) {
        let child = child.as_handle();
        let extras = self.extras();
        extras.children.retain(ActorHandle::is_alive);
        extras.children.push(child);
    }

    /// The living children, in the order of their start.
    #[must_use]
    pub fn children(&self) -> Vec<ActorHandle> {
        let children = self.extras.iter().flat_map(|extras| &extras.children);
        children.filter(|child| child.is_alive()).cloned().collect()
    }

    /// Watches another actor: `down` runs exactly once with the returned reference, when its running generation has
    /// ended; at once, with [`ExitReason::NoActor`], if it is already gone. (Erlang's `monitor/2`.)
    pub fn watch(&mut self, other: &impl AsHandle) -> MonitorRef {
        let other = other.as_handle();
        let monitor = MonitorRef(self.system().next_id().as_u64());
        self.extras().watching.insert(monitor, other.clone());
        other.0.add_monitor(Watcher::Actor { monitor, watcher: self.handle() });
        monitor
    }

    /// Takes a watch back: its `down` does not run any more. False if it has.
    pub fn unwatch(&mut self, monitor: MonitorRef) -> bool {
        let watched = self.extras.as_mut().and_then(|extras| extras.watching.remove(&monitor));
        watched.inspect(|other| other.0.remove_monitor(monitor)).is_some()
    }

    /// Links this actor and `other`: when one ends abnormally, so does the other, unless it
    /// [traps exits](Self::trap_exits). A link to an actor that is gone ends this one. (Erlang's `link/1`.)
    pub fn link(&mut self, other: &impl AsHandle) {
        let other = other.as_handle();
        if other.id() == self.id() {
            return;
        }
        self.handle().0.add_link(other.clone());
        // An end after this tells us by itself; one before it leaves that to us. Never both.
        if !other.0.add_link(self.handle()) {
            self.handle().0.remove_link(other.id());
            let (from, reason) = (other.id(), ExitReason::NoActor);
            self.handle().0.signal(crate::signal::Signal::Exit { from, reason });
        }
    }

    /// Dissolves a link from both sides.
    pub fn unlink(&mut self, other: &impl AsHandle) {
        let other = other.as_handle();
        self.handle().0.remove_link(other.id());
        other.0.remove_link(self.id());
    }

    /// Whether the end of a linked actor runs `down` (with [`MonitorRef::LINK`]) instead of ending this one.
    pub fn trap_exits(&mut self, trap: bool) {
        self.cell.set_trap_exits(trap);
        self.extras().traps_exits = trap;
    }

    // Beside each other, in `Shared` mode.

    pub(crate) fn run_beside(
        &mut self,
        message: &'static str,
        handler: impl Future<Output = ()> + Send + 'static,
    ) {
        let scoped = current::scope(self.current_for_blocking(), handler);
        let contained = async move {
            let mut scoped = std::pin::pin!(scoped);
            std::future::poll_fn(|cx| {
                match ending::contain(message, || scoped.as_mut().poll(cx)) {
                    Ok(polled) => polled,
                    // The run loop's guard takes it from here.
                    Err(report) => std::panic::resume_unwind(Box::new(report)),
                }
            })
            .await;
        };
        self.extras().beside.push(Box::pin(contained));
    }

    pub(crate) fn run_blocking(
        &mut self,
        message: &'static str,
        handler: impl FnOnce() + Send + 'static,
    ) {
        let runtime = self.system().runtime();
        let handler = runtime.spawn_blocking(move || ending::contain(message, handler));
        self.extras().beside.push(Box::pin(async move {
            match handler.await {
                Ok(Ok(())) => {}
                Ok(Err(report)) => std::panic::resume_unwind(Box::new(report)),
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }));
    }

    pub(crate) fn current_for_blocking(&self) -> Current {
        let mut current = Current::citizen(self.system().clone(), self.id());
        current.message = current::try_with(|here| here.message.clone()).flatten();
        current
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("actor", &self.id()).finish_non_exhaustive()
    }
}
