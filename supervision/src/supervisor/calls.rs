//! What a supervisor can be asked.
//!
//! The calls are OTP's `start_child`, `terminate_child`, `restart_child`, `delete_child`,
//! `which_children` and `count_children`, and one that OTP leaves to registered names: `child`, which
//! gives the reference. Each is a [`Call`]: `.await` it, or set a `.timeout(..)` first. A refusal is a
//! [`ChildError`] that names the child.

use std::{convert::Infallible, error::Error, fmt, marker::PhantomData, sync::Arc};

use mobula_actor_core::{Actor, ActorId, ActorRef, Address, Call, Calls, ExitReason, Message};

use super::Supervisor;
use crate::{
    child_rules::ChildKind,
    child_spec::ChildSpec,
    children::{ChildCounts, ChildKey},
    decide::event::TimerToken,
    error::ChildError,
    restart::Restart,
};

/// The calls that a reference to a supervisor offers.
pub struct SupervisorCalls {
    address: Address<Supervisor>,
}

impl SupervisorCalls {
    /// The reference to the child of this name. Waits while the child has not been started for the
    /// first time. The reference stays good over the child's restarts.
    pub fn child<A: Actor>(&self, name: impl Into<Arc<str>>) -> Call<'_, Supervisor, FindChild<A>> {
        Call::now(&self.address, FindChild { name: name.into(), actor: PhantomData })
    }

    /// Adds a child, the last in order, and starts it; answers when it is up. A child that does not
    /// start is not kept.
    pub fn start_child<A: Actor>(&self, spec: ChildSpec<A>) -> Call<'_, Supervisor, StartChild<A>> {
        Call::now(&self.address, StartChild { spec })
    }

    /// Stops a child and leaves it down; its spec stays, unless it is temporary.
    pub fn terminate_child(
        &self,
        name: impl Into<Arc<str>>,
    ) -> Call<'_, Supervisor, TerminateChild> {
        Call::now(&self.address, TerminateChild { name: name.into() })
    }

    /// Starts a child that is down, in a new actor: look its reference up again.
    pub fn restart_child(&self, name: impl Into<Arc<str>>) -> Call<'_, Supervisor, RestartChild> {
        Call::now(&self.address, RestartChild { name: name.into() })
    }

    /// Forgets the spec of a child that is down.
    pub fn delete_child(&self, name: impl Into<Arc<str>>) -> Call<'_, Supervisor, DeleteChild> {
        Call::now(&self.address, DeleteChild { name: name.into() })
    }

    /// All children, in start order.
    pub fn which_children(&self) -> Call<'_, Supervisor, WhichChildren> {
        Call::now(&self.address, WhichChildren)
    }

    /// How many children there are.
    pub fn count_children(&self) -> Call<'_, Supervisor, CountChildren> {
        Call::now(&self.address, CountChildren)
    }

    /// Waits until all children of the builder are up. If one of them does not start, the
    /// supervisor ends, and so does this call.
    pub fn up(&self) -> Call<'_, Supervisor, WaitUp> {
        Call::now(&self.address, WaitUp)
    }
}

impl Calls<Supervisor> for SupervisorCalls {
    fn new(address: Address<Supervisor>) -> Self {
        Self { address }
    }

    fn address(&self) -> &Address<Supervisor> {
        &self.address
    }
}

impl fmt::Debug for SupervisorCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SupervisorCalls")
    }
}

/// One row of [`SupervisorCalls::which_children`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildListing {
    /// Its name among its siblings.
    pub name: Arc<str>,
    /// Its type.
    pub type_name: &'static str,
    /// Its actor; `None` while it is down for good.
    pub actor: Option<ActorId>,
    /// "running", "restarting", "starting", "stopping" or "down".
    pub state: &'static str,
    /// How often it was started.
    pub generation: u64,
    /// Whether it comes back.
    pub restart: Restart,
    /// Worker or supervisor.
    pub kind: ChildKind,
}

/// See [`SupervisorCalls::child`].
pub struct FindChild<A: Actor> {
    pub(super) name: Arc<str>,
    actor: PhantomData<fn() -> A>,
}

/// See [`SupervisorCalls::start_child`].
#[derive(Debug)]
pub struct StartChild<A: Actor> {
    pub(super) spec: ChildSpec<A>,
}

/// See [`SupervisorCalls::terminate_child`].
#[derive(Clone, Debug)]
pub struct TerminateChild {
    pub(super) name: Arc<str>,
}

/// See [`SupervisorCalls::restart_child`].
#[derive(Clone, Debug)]
pub struct RestartChild {
    pub(super) name: Arc<str>,
}

/// See [`SupervisorCalls::delete_child`].
#[derive(Clone, Debug)]
pub struct DeleteChild {
    pub(super) name: Arc<str>,
}

/// See [`SupervisorCalls::which_children`].
#[derive(Clone, Copy, Debug)]
pub struct WhichChildren;

/// See [`SupervisorCalls::count_children`].
#[derive(Clone, Copy, Debug)]
pub struct CountChildren;

/// See [`SupervisorCalls::up`].
#[derive(Clone, Copy, Debug)]
pub struct WaitUp;

/// A timer of the core has run down.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerFired(pub(super) TimerToken);

/// An ordered start has succeeded, or cannot.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) child: ChildKey,
    pub(super) generation: u64,
    pub(super) result: Result<(), ExitReason>,
}

impl<A: Actor> fmt::Debug for FindChild<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FindChild<{}>({})", A::NAME, self.name)
    }
}

/// A message whose handler answers `Result<T, ChildError>`.
macro_rules! refusable {
    ($($message:ty => $value:ty, $name:literal $(, $actor:ident)?;)*) => {$(
        impl $(<$actor: Actor>)? Message for $message {
            type Reply = Result<$value, ChildError>;
            type Value = $value;
            type Refusal = ChildError;
            const NAME: &'static str = $name;

            fn into_result(reply: Self::Reply) -> Self::Reply {
                reply
            }

            fn refusal_text(refusal: &ChildError) -> String {
                refusal.to_string()
            }

            fn refusal_source(refusal: &ChildError) -> Option<&(dyn Error + 'static)> {
                Some(refusal)
            }
        }
    )*};
}

refusable! {
    FindChild<A> => ActorRef<A>, "Supervisor::child", A;
    StartChild<A> => ActorRef<A>, "Supervisor::start_child", A;
    TerminateChild => (), "Supervisor::terminate_child";
    RestartChild => (), "Supervisor::restart_child";
    DeleteChild => (), "Supervisor::delete_child";
}

/// A message whose handler always answers.
macro_rules! answered {
    ($($message:ty => $value:ty, $name:literal;)*) => {$(
        impl Message for $message {
            type Reply = $value;
            type Value = $value;
            type Refusal = Infallible;
            const NAME: &'static str = $name;

            fn into_result(reply: $value) -> Result<$value, Infallible> {
                Ok(reply)
            }

            fn refusal_text(refusal: &Infallible) -> String {
                match *refusal {}
            }
        }
    )*};
}

answered! {
    WhichChildren => Vec<ChildListing>, "Supervisor::which_children";
    CountChildren => ChildCounts, "Supervisor::count_children";
    WaitUp => (), "Supervisor::up";
    TimerFired => (), "Supervisor::timer_fired";
    Up => (), "Supervisor::child_up";
}
