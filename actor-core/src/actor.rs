//! What an actor is: state that handles one message at a time, and how its handlers may run.
//!
//! The `#[actor]` macro implements [`Actor`]; nothing here needs to be written by hand. Three *modes* differ in
//! what a handler may borrow and where it may run, and the type system keeps them apart:
//!
//! | mode | handler | runs on | state |
//! |---|---|---|---|
//! | [`Exclusive`] | `&mut self` | any worker, or an arbiter | `Send` |
//! | [`Local`] | `&mut self` | one arbiter | anything, `!Send` too |
//! | [`Shared`] | `&self`, up to n at once | any worker; sync ones on blocking threads | `Send + Sync` |

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::actor_ref::Address;
use crate::cell::Cell;
use crate::context::Context;
use crate::directory::Kind;
use crate::exit::{ErrorText, ExitReason};
use crate::factory::Factory;
use crate::id::MonitorRef;
use crate::message::Message;
use crate::reply::ReplySlot;
use crate::run_loop::{self, Tenant};
use crate::signal::ChildExited;

mod step;

pub(crate) use step::HookStep;
pub use step::{Hook, Step};

/// A boxed future that any thread may run.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A boxed future of one thread.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// State with a mailbox.
///
/// Written by `#[mobula::actor]`. Hooks run between messages, never beside one.
pub trait Actor: Sized + 'static {
    /// How its handlers run.
    type Mode: Mode<Self>;
    /// The typed calls that its references offer.
    type Calls: Calls<Self>;
    /// Its type's name, in errors and listings.
    const NAME: &'static str;
    /// The number that means this type on every node. From the name; the macro adds the module's path.
    const KEY: u64 = crate::wire::key(Self::NAME);
    /// What it is listed as.
    const KIND: Kind = Kind::Actor;
    /// How many messages it handles at once, in [`Shared`] mode.
    const MAX_CONCURRENCY: usize = 1;

    /// How it is listed, where the constant [`NAME`](Self::NAME) does not say enough.
    #[must_use]
    fn type_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    /// Runs before the first message of each generation; an error ends the actor as `StartFailed`.
    fn started<'a>(&'a mut self, _ctx: &'a mut Context<Self>) -> Hook<'a, Self> {
        Hook::done()
    }

    /// Runs after the last message, unless the actor panicked or was killed.
    fn stopping<'a>(
        &'a mut self,
        _ctx: &'a mut Context<Self>,
        _reason: ExitReason,
    ) -> Hook<'a, Self> {
        Hook::done()
    }

    /// Runs exactly once for each monitor, when the watched actor has ended.
    fn down<'a>(
        &'a mut self,
        _ctx: &'a mut Context<Self>,
        _monitor: MonitorRef,
        _reason: ExitReason,
    ) -> Hook<'a, Self> {
        Hook::done()
    }

    /// For supervisors: a supervised child has ended and waits for the verdict.
    /// An actor that supervises nobody lets it go.
    fn child_exited<'a>(
        &'a mut self,
        _ctx: &'a mut Context<Self>,
        exited: ChildExited,
    ) -> Hook<'a, Self> {
        exited.child.terminate(exited.reason);
        Hook::done()
    }
}

/// The struct of typed calls that the macro writes for an actor.
pub trait Calls<A: Actor>: Send + Sync + 'static {
    /// Calls to this address.
    fn new(address: Address<A>) -> Self;
    /// The address called.
    fn address(&self) -> &Address<A>;
}

/// No typed calls: for actors that handle message structs only.
pub struct NoCalls<A: Actor>(Address<A>);

impl<A: Actor> Calls<A> for NoCalls<A> {
    fn new(address: Address<A>) -> Self {
        Self(address)
    }

    fn address(&self) -> &Address<A> {
        &self.0
    }
}

impl<A: Actor> fmt::Debug for NoCalls<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoCalls")
    }
}

/// How an actor's handlers run: [`Exclusive`], [`Local`] or [`Shared`]. Not to be implemented elsewhere.
pub trait Mode<A: Actor>: Sized + 'static {
    /// What the run loop holds.
    type State: 'static;
    /// A handler's future.
    type Handling<'a>: Future<Output = ()> + Unpin + 'a;
    /// A hook's future.
    type Hooking<'a>: Future<Output = Result<(), ErrorText>> + Unpin + 'a;
    /// A constructor's future.
    type Starting: Future<Output = Result<A, ErrorText>> + Unpin + 'static;
    /// Whether messages may be handled beside each other.
    const SHARED: bool = false;

    #[doc(hidden)]
    fn hold(actor: A) -> Self::State;
    /// The actor, if no handler borrows it.
    #[doc(hidden)]
    fn actor(state: &mut Self::State) -> Option<&mut A>;
    #[doc(hidden)]
    fn launch(cell: Arc<Cell<A>>, factory: Factory<A>);
}

/// One handler at a time, on any thread.
#[derive(Clone, Copy, Debug)]
pub enum Exclusive {}

impl<A: Actor<Mode = Self> + Send> Mode<A> for Exclusive {
    type State = A;
    type Handling<'a> = BoxFuture<'a, ()>;
    type Hooking<'a> = BoxFuture<'a, Result<(), ErrorText>>;
    type Starting = BoxFuture<'static, Result<A, ErrorText>>;

    fn hold(actor: A) -> A {
        actor
    }

    fn actor(state: &mut A) -> Option<&mut A> {
        Some(state)
    }

    fn launch(cell: Arc<Cell<A>>, factory: Factory<A>) {
        let (system, tenant) = (cell.system().clone(), Tenant::of(&cell));
        match cell.pin() {
            None => drop(system.runtime().spawn(run_loop::run(tenant, cell, factory))),
            Some(pin) => {
                let pin = pin.clone();
                system.arbiters().spawn(&pin, move || run_loop::run(tenant, cell, factory));
            }
        }
    }
}

/// One handler at a time, all on one arbiter, so that the state need not be `Send`.
#[derive(Clone, Copy, Debug)]
pub enum Local {}

impl<A: Actor<Mode = Self>> Mode<A> for Local {
    type State = A;
    type Handling<'a> = LocalBoxFuture<'a, ()>;
    type Hooking<'a> = LocalBoxFuture<'a, Result<(), ErrorText>>;
    type Starting = LocalBoxFuture<'static, Result<A, ErrorText>>;

    fn hold(actor: A) -> A {
        actor
    }

    fn actor(state: &mut A) -> Option<&mut A> {
        Some(state)
    }

    fn launch(cell: Arc<Cell<A>>, factory: Factory<A>) {
        let (system, tenant) = (cell.system().clone(), Tenant::of(&cell));
        let pin = cell.pin().cloned().unwrap_or(crate::arbiters::Pin::Near);
        system.arbiters().spawn(&pin, move || run_loop::run(tenant, cell, factory));
    }
}

/// Up to [`Actor::MAX_CONCURRENCY`] handlers at once, on `&self`.
#[derive(Clone, Copy, Debug)]
pub enum Shared {}

impl<A: Actor<Mode = Self> + Send + Sync> Mode<A> for Shared {
    type State = Arc<A>;
    type Handling<'a> = BoxFuture<'a, ()>;
    type Hooking<'a> = BoxFuture<'a, Result<(), ErrorText>>;
    type Starting = BoxFuture<'static, Result<A, ErrorText>>;
    const SHARED: bool = true;

    fn hold(actor: A) -> Arc<A> {
        Arc::new(actor)
    }

    fn actor(state: &mut Arc<A>) -> Option<&mut A> {
        Arc::get_mut(state)
    }

    fn launch(cell: Arc<Cell<A>>, factory: Factory<A>) {
        let (system, tenant) = (cell.system().clone(), Tenant::of(&cell));
        drop(system.runtime().spawn(run_loop::run(tenant, cell, factory)));
    }
}

/// What the run loop of `A` holds.
pub(crate) type StateOf<A> = <<A as Actor>::Mode as Mode<A>>::State;

/// How an [`Exclusive`] actor handles `M`. One message at a time, in order of arrival per sender.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{M}`",
    note = "write `impl Handler<{M}> for {Self}`, or a method in its `#[mobula::actor] impl`"
)]
pub trait Handler<M: Message>: Actor<Mode = Exclusive> + Send {
    /// Handles one message; may borrow `self` and `ctx` across awaits.
    fn handle(
        &mut self,
        message: M,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = M::Reply> + Send;

    #[doc(hidden)]
    fn receive<'a>(
        &'a mut self,
        message: M,
        ctx: &'a mut Context<Self>,
        reply: ReplySlot<M>,
    ) -> Step<'a, Self> {
        Step::later(async move { reply.send(self.handle(message, ctx).await) })
    }

    /// Whether [`receive_now`](Self::receive_now) is to be called: the handler never waits.
    #[doc(hidden)]
    const PROMPT: bool = false;

    #[doc(hidden)]
    fn receive_now(&mut self, _message: M, _ctx: &mut Context<Self>, _reply: ReplySlot<M>) {}
}

/// How a [`Local`] actor handles `M`: like [`Handler`], without `Send`.
pub trait LocalHandler<M: Message>: Actor<Mode = Local> {
    /// Handles one message.
    fn handle(&mut self, message: M, ctx: &mut Context<Self>) -> impl Future<Output = M::Reply>;

    #[doc(hidden)]
    fn receive<'a>(
        &'a mut self,
        message: M,
        ctx: &'a mut Context<Self>,
        reply: ReplySlot<M>,
    ) -> Step<'a, Self> {
        Step::later_local(async move { reply.send(self.handle(message, ctx).await) })
    }

    /// Whether [`receive_now`](Self::receive_now) is to be called: the handler never waits.
    #[doc(hidden)]
    const PROMPT: bool = false;

    #[doc(hidden)]
    fn receive_now(&mut self, _message: M, _ctx: &mut Context<Self>, _reply: ReplySlot<M>) {}
}

/// How a [`Shared`] actor handles `M`: beside other messages, on `&self`.
pub trait SharedHandler<M: Message>: Actor<Mode = Shared> + Send + Sync {
    /// Whether [`handle_blocking`](Self::handle_blocking) is to be run on a blocking thread
    /// instead of [`handle`](Self::handle) on the executor.
    const BLOCKING: bool = false;

    /// Handles one message.
    fn handle(&self, message: M) -> impl Future<Output = M::Reply> + Send;

    /// Handles one message without awaiting; see [`BLOCKING`](Self::BLOCKING). `None` if there is no such form.
    #[doc(hidden)]
    fn handle_blocking(&self, _message: M) -> Option<M::Reply> {
        None
    }
}

/// Whatever handles `M`, in whichever mode. Implemented for everything that has the mode's handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{M}`",
    note = "write `impl Handler<{M}> for {Self}`, or a method in its `#[mobula::actor] impl`"
)]
pub trait Receive<M: Message, How = <Self as Actor>::Mode>: Actor {
    #[doc(hidden)]
    fn dispatch<'a>(
        state: &'a mut StateOf<Self>,
        message: M,
        ctx: &'a mut Context<Self>,
        reply: ReplySlot<M>,
    ) -> Step<'a, Self>;

    /// Whether the handler never waits: then `dispatch_now` does.
    #[doc(hidden)]
    const PROMPT: bool = false;

    #[doc(hidden)]
    fn dispatch_now(
        _state: &mut StateOf<Self>,
        _message: M,
        _ctx: &mut Context<Self>,
        _reply: ReplySlot<M>,
    ) {
    }
}

impl<M: Message, A: Handler<M>> Receive<M, Exclusive> for A {
    fn dispatch<'a>(
        state: &'a mut A,
        message: M,
        ctx: &'a mut Context<A>,
        reply: ReplySlot<M>,
    ) -> Step<'a, A> {
        state.receive(message, ctx, reply)
    }

    const PROMPT: bool = <A as Handler<M>>::PROMPT;

    fn dispatch_now(state: &mut A, message: M, ctx: &mut Context<A>, reply: ReplySlot<M>) {
        state.receive_now(message, ctx, reply);
    }
}

impl<M: Message, A: LocalHandler<M>> Receive<M, Local> for A {
    fn dispatch<'a>(
        state: &'a mut A,
        message: M,
        ctx: &'a mut Context<A>,
        reply: ReplySlot<M>,
    ) -> Step<'a, A> {
        state.receive(message, ctx, reply)
    }

    const PROMPT: bool = <A as LocalHandler<M>>::PROMPT;

    fn dispatch_now(state: &mut A, message: M, ctx: &mut Context<A>, reply: ReplySlot<M>) {
        state.receive_now(message, ctx, reply);
    }
}

impl<M: Message, A: SharedHandler<M>> Receive<M, Shared> for A {
    fn dispatch<'a>(
        state: &'a mut Arc<A>,
        message: M,
        ctx: &'a mut Context<A>,
        reply: ReplySlot<M>,
    ) -> Step<'a, A> {
        let actor = Arc::clone(state);
        if A::BLOCKING {
            let current = ctx.current_for_blocking();
            let run = move || {
                let value = crate::current::sync_scope(current, || actor.handle_blocking(message));
                // Gone before the reply: whoever sees the reply may have the actor to himself.
                drop(actor);
                if let Some(value) = value {
                    reply.send(value);
                }
            };
            ctx.run_blocking(M::NAME, run);
        } else {
            ctx.run_beside(M::NAME, async move {
                let value = actor.handle(message).await;
                drop(actor);
                reply.send(value);
            });
        }
        Step::done()
    }
}
