//! Who waits for an answer of the supervisor, and how they get it.
//!
//! A request about a child is answered when the child has started or stopped, which may take
//! seconds; the supervisor goes on meanwhile. So replies are kept here and sent when the core says
//! so. Invariant: every reply that is kept is sent, or dropped with the supervisor, in which case
//! the floor tells its asker why.

use std::{collections::BTreeMap, future::pending, sync::Arc};

use mobula_actor_core::{
    Actor, ActorRef, Context, ExitReason, Handler, Message, Reply, ReplySlot, Step,
};

use super::{
    Supervisor,
    calls::{
        ChildListing, CountChildren, DeleteChild, FindChild, RestartChild, StartChild,
        TerminateChild, TimerFired, Up, WaitUp, WhichChildren,
    },
};
use crate::{
    children::{ChildCounts, ChildKey, ChildState},
    decide::event::{Event, Request, RequestId},
    error::{ChildError, Refusal},
};

/// Replies owed.
#[derive(Default)]
pub(super) struct Waiting {
    requests: BTreeMap<RequestId, Owed>,
    finders: Vec<Finder>,
    until_up: Vec<Reply<()>>,
    next_request: u64,
    is_up: bool,
    /// Why the last start failed that was not tried again.
    pub(super) start_failure: Option<ExitReason>,
}

struct Owed {
    child: ChildKey,
    name: Arc<str>,
    send: SendReply,
}

/// Sends the reply to a request, given its outcome.
type SendReply = Box<dyn FnOnce(&Supervisor, Result<ChildKey, ChildError>) + Send>;
/// Gives a reference if it can by now; answers whether it is done.
type Finder = Box<dyn FnMut(&Supervisor) -> bool + Send>;

impl Waiting {
    pub(super) fn all_up(&mut self) {
        self.is_up = true;
        for reply in self.until_up.drain(..) {
            reply.send(());
        }
    }
}

impl Supervisor {
    /// Puts a request to the core; `send` gets the outcome when there is one.
    fn request(
        &mut self,
        (child, name): (ChildKey, Arc<str>),
        what: Request,
        ctx: &mut Context<Self>,
        send: SendReply,
    ) {
        self.waiting.next_request += 1;
        let request = RequestId(self.waiting.next_request);
        self.waiting.requests.insert(request, Owed { child, name, send });
        self.run(Event::Requested { request, what }, ctx);
    }

    pub(super) fn answer(&mut self, request: RequestId, result: Result<ChildKey, Refusal>) {
        let Some(owed) = self.waiting.requests.remove(&request) else {
            return;
        };
        let result = result.map_err(|refusal| {
            let failed = refusal == Refusal::StartFailed;
            let reason = if failed { self.waiting.start_failure.take() } else { None };
            ChildError { child: owed.name.to_string(), refusal, reason }
        });
        (owed.send)(self, result);
        // A child that was not taken in is in nobody's table.
        if self.core.children().get(owed.child).is_none() {
            self.kids.forget(owed.child);
        }
    }

    /// Gives references to those who wait for children that were to be started first.
    pub(super) fn settle_finders(&mut self) {
        let mut finders = std::mem::take(&mut self.waiting.finders);
        finders.retain_mut(|find| !find(self));
        self.waiting.finders = finders;
    }

    /// The reference to a child; `None` if it has to be waited for.
    fn find<A: Actor>(&self, name: &str) -> Option<Result<ActorRef<A>, ChildError>> {
        let refuse = |refusal| Some(Err(ChildError::new(name, refusal)));
        let Some(key) = self.core.children().by_name(name) else {
            return refuse(Refusal::NotFound);
        };
        let state = self.core.children().get(key).map(|child| child.state);
        match (self.kids.handle(key), state) {
            (Some(_), _) => match self.kids.reference(key) {
                Some(reference) => Some(Ok(reference)),
                None => refuse(Refusal::OtherType),
            },
            (None, None | Some(ChildState::Down)) => refuse(Refusal::Down),
            (None, Some(_)) if self.core.ending().is_some() => refuse(Refusal::ShuttingDown),
            (None, Some(_)) => None,
        }
    }

    /// A request about a child that is named; answered with nothing but success or refusal.
    fn simple<M>(
        &mut self,
        name: Arc<str>,
        what: fn(ChildKey) -> Request,
        ctx: &mut Context<Self>,
        reply: ReplySlot<M>,
    ) where
        M: Message<Reply = Result<(), ChildError>>,
    {
        match self.core.children().by_name(&name) {
            None => reply.send(Err(ChildError::new(&name, Refusal::NotFound))),
            Some(key) => {
                let send: SendReply = Box::new(|_, result| reply.send(result.map(|_| ())));
                self.request((key, name), what(key), ctx, send);
            }
        }
    }

    fn listing(&self) -> Vec<ChildListing> {
        let rows = self.core.children().iter();
        rows.map(|(key, child)| {
            let kid = self.kids.get(key);
            ChildListing {
                name: Arc::clone(&child.rules.name),
                type_name: kid.map_or("", |kid| kid.blueprint.type_name()),
                actor: self.kids.handle(key).map(|handle| handle.id()),
                state: child.state.as_str(),
                generation: child.generation,
                restart: child.rules.restart,
                kind: child.rules.kind,
            }
        })
        .collect()
    }
}

impl<A: Actor> Handler<FindChild<A>> for Supervisor {
    async fn handle(
        &mut self,
        message: FindChild<A>,
        _ctx: &mut Context<Self>,
    ) -> Result<ActorRef<A>, ChildError> {
        match self.find(&message.name) {
            Some(found) => found,
            // `receive` keeps the reply instead.
            None => pending().await,
        }
    }

    fn receive<'a>(
        &'a mut self,
        message: FindChild<A>,
        _ctx: &'a mut Context<Self>,
        reply: ReplySlot<FindChild<A>>,
    ) -> Step<'a, Self> {
        let mut reply = Some(reply);
        self.waiting.finders.push(Box::new(move |supervisor| {
            let Some(found) = supervisor.find(&message.name) else {
                return false;
            };
            if let Some(reply) = reply.take() {
                reply.send(found);
            }
            true
        }));
        self.settle_finders();
        Step::done()
    }
}

impl<A: Actor> Handler<StartChild<A>> for Supervisor {
    async fn handle(
        &mut self,
        _message: StartChild<A>,
        _ctx: &mut Context<Self>,
    ) -> Result<ActorRef<A>, ChildError> {
        // `receive` keeps the reply.
        pending().await
    }

    fn receive<'a>(
        &'a mut self,
        StartChild { spec }: StartChild<A>,
        ctx: &'a mut Context<Self>,
        reply: ReplySlot<StartChild<A>>,
    ) -> Step<'a, Self> {
        let rules = spec.rules().clone();
        let name = Arc::clone(&rules.name);
        if let Err(error) = rules.validate(self.core.settings().auto_shutdown) {
            reply.send(Err(ChildError::new(&name, Refusal::BadSpec(error))));
            return Step::done();
        }
        let child = self.core.next_key();
        self.kids.insert(child, Arc::new(spec));
        let send: SendReply = Box::new(move |supervisor, result| {
            reply.send(result.and_then(|key| {
                let reference = supervisor.kids.reference(key);
                reference.ok_or_else(|| ChildError::new("", Refusal::Terminated))
            }));
        });
        self.request((child, name), Request::Add { child, rules }, ctx, send);
        Step::done()
    }
}

/// Requests that are answered later, about a child that is named.
macro_rules! simple_requests {
    ($($message:ty => $request:expr;)*) => {$(
        impl Handler<$message> for Supervisor {
            async fn handle(
                &mut self,
                _message: $message,
                _ctx: &mut Context<Self>,
            ) -> Result<(), ChildError> {
                // `receive` keeps the reply.
                pending().await
            }

            fn receive<'a>(
                &'a mut self,
                message: $message,
                ctx: &'a mut Context<Self>,
                reply: ReplySlot<$message>,
            ) -> Step<'a, Self> {
                self.simple(message.name, $request, ctx, reply);
                Step::done()
            }
        }
    )*};
}

simple_requests! {
    TerminateChild => Request::Terminate;
    RestartChild => Request::Restart;
    DeleteChild => Request::Delete;
}

impl Handler<WhichChildren> for Supervisor {
    async fn handle(&mut self, _: WhichChildren, _ctx: &mut Context<Self>) -> Vec<ChildListing> {
        self.listing()
    }
}

impl Handler<CountChildren> for Supervisor {
    async fn handle(&mut self, _: CountChildren, _ctx: &mut Context<Self>) -> ChildCounts {
        self.core.children().counts()
    }
}

impl Handler<WaitUp> for Supervisor {
    async fn handle(&mut self, _: WaitUp, _ctx: &mut Context<Self>) {
        if !self.waiting.is_up {
            // `receive` keeps the reply.
            pending::<()>().await;
        }
    }

    fn receive<'a>(
        &'a mut self,
        _: WaitUp,
        _ctx: &'a mut Context<Self>,
        reply: ReplySlot<WaitUp>,
    ) -> Step<'a, Self> {
        self.waiting.until_up.push(reply.into_reply());
        if self.waiting.is_up {
            self.waiting.all_up();
        }
        Step::done()
    }
}

impl Handler<TimerFired> for Supervisor {
    async fn handle(&mut self, TimerFired(token): TimerFired, ctx: &mut Context<Self>) {
        self.run(Event::TimerFired(token), ctx);
    }
}

impl Handler<Up> for Supervisor {
    async fn handle(&mut self, up: Up, ctx: &mut Context<Self>) {
        let Up { child, generation, result } = up;
        match result {
            Ok(()) => self.run(Event::StartSucceeded { child, generation }, ctx),
            // While its cell lives, `child_exited` tells the end, and tells it better.
            Err(_) if self.kids.handle(child).is_some_and(|handle| handle.is_alive()) => {}
            Err(reason) => {
                let row = self.core.children().get(child);
                if row.is_some_and(|row| row.generation == generation) {
                    self.kids.closed(child, reason);
                    self.run(Event::StartFailed { child, generation }, ctx);
                }
            }
        }
    }
}
