//! Guests: existing actix actors as citizens of a node.
//!
//! An actix actor is a fine actor with no name, no watchers and a supervisor that keeps its damaged state. As a guest it
//! gets all three from here. A [`Guest`] is an actor of ours, pinned to an actix arbiter, that hosts the actix one: it polls
//! the guest's context as a task beside itself, forwards one message at a time, and awaits each reply before the next: so
//! order holds across the bridge, and a slow guest fills our bounded mailbox and not its own.
//!
//! When the guest panics or stops, the hosting actor ends with that reason, and whoever supervises it starts a *fresh* guest
//! from the factory. Addresses of the old guest that were kept elsewhere are then dead; references to the host are not.
//!
//! Asked to stop, the guest runs its `stopping` and `stopped`. Killed or after a panic it runs nothing any more, as no
//! actor of ours does: actix would handle what waits and run both hooks while it drops a guest, damaged or not.
//!
//! A guest's code belongs to the node: it may look names up, spawn, and submit tasks, as the host; and it asks as part of
//! the message it handles, so that a deadline holds and a cycle of asks is found. The one exception is what a handler
//! returns as a `ResponseFuture` (or a `Response` of a future): that is a task of actix's own. It runs on after a kill, and
//! outside the node unless it is wrapped in `Node::enter`; a `ResponseActFuture` runs inside. A panic in it ends the guest
//! all the same: actix drops the reply, and the host looks why. It knows the arbiter's last panic that nothing guarded, not
//! whose it was: a guest that drops a reply while a stray task beside it panics is ended for that one.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use actix::{
    ActorContext, ActorFutureExt, AsyncContext, Context as ActixContext, fut::wrap_future,
};
use futures_util::stream;
use tokio::sync::oneshot;

use crate::actor::{Actor, Calls, Hook, Local, LocalHandler, Step};
use crate::actor_ref::{ActorRef, Address};
use crate::call::Call;
use crate::context::Context;
use crate::current::{self, Current};
use crate::directory::Kind;
use crate::ending;
use crate::exit::ExitReason;
use crate::message::Message;
use crate::panic_capture::{guard, stray_count, stray_since};
use crate::reply::ReplySlot;
use crate::spawn::ActorOptions;

mod hosted;

use hosted::{Handled, Hosted, InHand, Life};

/// How often [`host`] has a guest restarted.
pub const RESTARTS_DEFAULT: u32 = 10;

/// An actix actor that can be a guest.
pub trait Hostable: actix::Actor<Context = ActixContext<Self>> {}
impl<G: actix::Actor<Context = ActixContext<G>>> Hostable for G {}

/// Hosts an actix actor under a name: found by it, watched, and restarted fresh from `make` up to
/// [`RESTARTS_DEFAULT`] times. For other choices spawn a [`Guest`] with options, or make it a child of a supervisor.
///
/// # Panics
/// Outside a node.
#[track_caller]
pub fn host<G: Hostable>(
    name: impl Into<String>,
    make: impl FnMut() -> G + Send + Clone + 'static,
) -> ActorRef<Guest<G>> {
    ActorOptions::here()
        .name(name)
        .max_restarts(RESTARTS_DEFAULT)
        .spawn_with(move || Guest::new(make.clone()))
}

/// Hosts one actix actor; see the [module](self). Send to it through the host's reference:
/// `host.send(message).await?`.
pub struct Guest<G: Hostable> {
    make: Option<Box<dyn FnOnce() -> G>>,
    hosted: Option<Hosted<G>>,
}

impl<G: Hostable> Guest<G> {
    /// A host for the guest that `make` makes, on the arbiter's thread, when the host starts.
    pub fn new(make: impl FnOnce() -> G + 'static) -> Self {
        Self { make: Some(Box::new(make)), hosted: None }
    }

    /// Starts the guest; its end comes as a [`GuestEnded`] message.
    fn start(&mut self, ctx: &mut Context<Self>) {
        let Some(make) = self.make.take() else { return };
        let mut context = ActixContext::new();
        let address = context.address();
        let (leave, leaving) = oneshot::channel();
        // Timers and streams of its own would keep it alive when its addresses have gone.
        context.spawn(wrap_future::<_, G>(leaving).map(|_, _, guest| guest.stop()));
        let mut life = Life(context.into_future(make()));
        let (sender, receiver) = oneshot::channel();
        let here = Current::citizen(ctx.system().clone(), ctx.id());
        let in_hand = InHand::default();
        let handled = in_hand.clone();
        let task = tokio::task::spawn_local(current::scope(here, async move {
            let end = poll_fn(|cx| {
                let Handled { name, context } = handled.now();
                current::with_mut(|here| here.message = context);
                match guard(|| Pin::new(&mut life.0).poll(cx)) {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(())) => Poll::Ready(ExitReason::Normal),
                    Err(report) => Poll::Ready(report.during(name)),
                }
            })
            .await;
            ending::drop_as(&end, life);
            // The host may have ended first.
            let _ = sender.send(end.clone());
            end
        }));
        ctx.attach(stream::once(async move {
            GuestEnded(receiver.await.unwrap_or(ExitReason::Killed))
        }));
        self.hosted = Some(Hosted { address, leave, task, in_hand });
    }
}

impl<G: Hostable> Drop for Guest<G> {
    fn drop(&mut self) {
        if let Some(hosted) = &self.hosted {
            hosted.task.abort();
        }
    }
}

impl<G: Hostable> Actor for Guest<G> {
    type Mode = Local;
    type Calls = GuestCalls<G>;
    const NAME: &'static str = "Guest";
    const KIND: Kind = Kind::Guest;

    fn type_name() -> Cow<'static, str> {
        let guest = type_name::<G>();
        format!("Guest<{}>", guest.rsplit("::").next().unwrap_or(guest)).into()
    }

    fn started<'a>(&'a mut self, ctx: &'a mut Context<Self>) -> Hook<'a, Self> {
        self.start(ctx);
        Hook::done()
    }

    /// Tells the guest to stop, and waits for it a while.
    fn stopping<'a>(
        &'a mut self,
        _ctx: &'a mut Context<Self>,
        _reason: ExitReason,
    ) -> Hook<'a, Self> {
        let Some(hosted) = self.hosted.take() else {
            return Hook::done();
        };
        Hook::later_local(async move {
            hosted.left().await;
            Ok(())
        })
    }
}

/// The guest has ended: so does its host, with the same reason.
struct GuestEnded(ExitReason);

impl Message for GuestEnded {
    type Reply = ();
    type Value = ();
    type Refusal = std::convert::Infallible;
    const NAME: &'static str = "GuestEnded";

    fn into_result((): ()) -> Result<(), std::convert::Infallible> {
        Ok(())
    }

    fn refusal_text(refusal: &std::convert::Infallible) -> String {
        match *refusal {}
    }
}

impl<G: Hostable> LocalHandler<GuestEnded> for Guest<G> {
    async fn handle(&mut self, GuestEnded(reason): GuestEnded, ctx: &mut Context<Self>) {
        ctx.exit_with(reason);
    }
}

/// An actix message on its way to a guest.
pub struct Forward<M>(M);

impl<M> Forward<M> {
    /// The message, when it was handed back.
    pub fn into_inner(self) -> M {
        self.0
    }
}

impl<M> Message for Forward<M>
where
    M: actix::Message + Send + 'static,
    M::Result: Send + 'static,
{
    type Reply = M::Result;
    type Value = M::Result;
    type Refusal = std::convert::Infallible;
    const NAME: &'static str = "Guest::send";

    fn into_result(reply: M::Result) -> Result<M::Result, std::convert::Infallible> {
        Ok(reply)
    }

    fn refusal_text(refusal: &std::convert::Infallible) -> String {
        match *refusal {}
    }
}

impl<M: Clone> Clone for Forward<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> fmt::Debug for Forward<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forward(..)")
    }
}

impl<G, M> LocalHandler<Forward<M>> for Guest<G>
where
    G: Hostable + actix::Handler<M>,
    M: actix::Message + Send + 'static,
    M::Result: Send + 'static,
{
    fn handle(
        &mut self,
        _message: Forward<M>,
        _ctx: &mut Context<Self>,
    ) -> impl Future<Output = M::Result> {
        // `receive` below does the work: only it can tell the asker that the guest died.
        std::future::pending()
    }

    fn receive<'a>(
        &'a mut self,
        Forward(message): Forward<M>,
        ctx: &'a mut Context<Self>,
        reply: ReplySlot<Forward<M>>,
    ) -> Step<'a, Self> {
        let Some(hosted) = &mut self.hosted else {
            return Step::done();
        };
        let in_hand = hosted.in_hand.take_up::<M>();
        let strays = stray_count();
        let answer = hosted.address.send(message);
        Step::later_local(async move {
            if let Ok(value) = answer.await {
                drop(in_hand);
                reply.send(value);
                return;
            }
            let reason = match self.hosted.take() {
                // The guest is dead or dying: its end says why.
                Some(hosted) if hosted.is_leaving() => hosted.left().await,
                Some(hosted) => match stray_since(strays) {
                    // The future that its handler returned, a task of its own, has panicked.
                    Some(report) => {
                        hosted.task.abort();
                        report.during(Some(type_name::<M>()))
                    }
                    // It will not answer, and lives on.
                    None => {
                        self.hosted = Some(hosted);
                        return;
                    }
                },
                None => ExitReason::Killed,
            };
            // The asker is answered with that end, when the mailbox has been renewed.
            ctx.extras().held_reply = Some(Box::new(reply) as Box<dyn Any + Send>);
            ctx.exit_with(reason);
        })
    }
}

/// The calls that a reference to a guest's host offers.
pub struct GuestCalls<G: Hostable>(Address<Guest<G>>);

impl<G: Hostable> GuestCalls<G> {
    /// Sends an actix message to the guest: await the call, `.tell()` it, give it a `.timeout(..)`.
    pub fn send<M>(&self, message: M) -> Call<'_, Guest<G>, Forward<M>>
    where
        G: actix::Handler<M>,
        M: actix::Message + Send + 'static,
        M::Result: Send + 'static,
    {
        Call::now(&self.0, Forward(message))
    }
}

impl<G: Hostable> Calls<Guest<G>> for GuestCalls<G> {
    fn new(address: Address<Guest<G>>) -> Self {
        Self(address)
    }

    fn address(&self) -> &Address<Guest<G>> {
        &self.0
    }
}

impl<G: Hostable> fmt::Debug for GuestCalls<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestCalls")
    }
}

impl<G: Hostable> fmt::Debug for Guest<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guest")
    }
}
