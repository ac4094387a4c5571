//! References: how an actor is reached.
//!
//! A reference is counted: an actor that is not detached ends when its last one has gone and what waits has
//! been handled. It derefs to the struct of typed calls that the macro writes, so `counter.next()`
//! needs no trait in scope. It points to the actor's cell and stays good over restarts.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::actor::{Actor, Calls, Receive};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::closing::{Closing, Kill};
use crate::current;
use crate::envelope::Payload;
use crate::error::{LookupError, Target, TellError};
use crate::exit::ExitReason;
use crate::handle::ActorHandle;
use crate::handle::AsHandle;
use crate::id::{ActorId, NodeId};
use crate::message::Message;
use crate::names::FullName;
use crate::recipient::Recipient;
use crate::remote::{Home, stand_in};
use crate::system::System;
use crate::tell::{Tell, try_tell};
use crate::wire::baggage;

/// A counted hold on an actor's cell: what a reference is made of.
pub struct Address<A: Actor> {
    cell: Arc<Cell<A>>,
}

impl<A: Actor> Address<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>) -> Self {
        cell.add_reference();
        Self { cell }
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<A>> {
        &self.cell
    }

    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.cell.actor_id()
    }

    /// The actor, for an error's text.
    #[must_use]
    pub fn target(&self) -> Target {
        self.cell.target()
    }

    /// The node it lives on.
    #[must_use]
    pub fn system(&self) -> &System {
        self.cell.system()
    }
}

impl<A: Actor> Clone for Address<A> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.cell))
    }
}

impl<A: Actor> Drop for Address<A> {
    fn drop(&mut self) {
        self.cell.drop_reference();
    }
}

impl<A: Actor> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.cell.target())
    }
}

/// A reference to an actor: clone it, send it, keep it.
///
/// Messages of one caller arrive in the order in which they were sent. The reference stays good when the actor is
/// restarted. An actor that is not detached ends when its last reference has gone.
///
/// # Examples
/// ```
/// # extern crate mobula_actor_core as mobula;
/// # use mobula_actor_core::{Current, ExitReason, System, scope};
/// pub struct Counter(u64);
///
/// #[mobula::actor]
/// impl Counter {
///     pub fn new(start: u64) -> Self { Self(start) }
///     pub fn add(&mut self, by: u64) -> u64 { self.0 += by; self.0 }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { scope(Current::root(System::builder().build()), async {
/// let counter = Counter::remote(1);
/// counter.add(2).tell().await.unwrap();             // one way
/// assert_eq!(counter.add(3).await.unwrap(), 6);     // with a reply
/// assert!(matches!(counter.stop().await, Ok(ExitReason::Shutdown)));
/// assert!(counter.add(4).await.unwrap_err().is_safe_to_retry());
/// # }).await }
/// ```
pub struct ActorRef<A: Actor> {
    calls: A::Calls,
}

impl<A: Actor> ActorRef<A> {
    pub(crate) fn from_address(address: Address<A>) -> Self {
        Self { calls: A::Calls::new(address) }
    }

    pub(crate) fn address(&self) -> &Address<A> {
        self.calls.address()
    }

    /// The actor's id; it keeps it over restarts.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.address().id()
    }

    /// The name it is registered under.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.as_handle().name()
    }

    /// Whether it has not ended for good.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.as_handle().is_alive()
    }

    /// Sends `message` and waits for the reply: `.await` the returned [`Ask`], or set a `.timeout(..)` first.
    pub fn ask<M: Message>(&self, message: M) -> Ask<'_, A, M>
    where
        A: Receive<M>,
    {
        Ask::new(self.address(), Payload::Now(message), None)
    }

    /// Sends `message` one way; waits for room, by the mailbox's rule.
    pub fn tell<M: Message>(&self, message: M) -> Tell<'_, A, M>
    where
        A: Receive<M>,
    {
        Tell::new(self.address(), Payload::Now(message), None)
    }

    /// Sends `message` one way if there is room now.
    ///
    /// # Errors
    /// [`TellError`] with the message: the mailbox is full, or the actor has ended. A retry is safe.
    pub fn try_tell<M: Message>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Receive<M>,
    {
        try_tell(self.address(), Payload::Now(message), None)
    }

    /// A reference that knows one message instead of the actor's type.
    #[must_use]
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Receive<M>,
    {
        Recipient::new(self.clone())
    }

    /// A reference that does not keep the actor alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakRef<A> {
        WeakRef::new(Arc::clone(self.address().cell()))
    }

    /// Asks the actor to take nothing new, handle what waits, and end, for good. Await it to wait for the end and
    /// learn the reason; dropped, the request stands.
    pub fn stop(&self) -> Closing {
        Closing::new(self.as_handle(), ExitReason::Shutdown)
    }

    /// Ends the actor at once and for good: no hook runs, what runs is dropped at its await, what waits is answered
    /// `NotDelivered`. `.restart()` lets its supervisor start it again instead. Await it to wait for the end.
    pub fn kill(&self) -> Kill {
        Kill { handle: Some(self.as_handle()) }
    }

    /// Waits until the constructor and `started` have run.
    ///
    /// # Errors
    /// Why the actor will never serve.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub fn ready(&self) -> impl Future<Output = Result<(), ExitReason>> + Send + 'static {
        let handle = self.as_handle();
        async move { handle.ready().await }
    }

    /// Waits for the actor's end, restarts not counted, and says why it ended. Does not keep it alive.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub fn closed(&self) -> impl Future<Output = ExitReason> + Send + 'static {
        let handle = self.as_handle();
        async move { handle.closed().await }
    }

    pub(crate) fn from_handle(handle: &ActorHandle) -> Option<Self> {
        let cell = Arc::clone(&handle.0).as_any().downcast::<Cell<A>>().ok()?;
        Some(Self::from_address(Address::new(cell)))
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self::from_address(self.address().clone())
    }
}

impl<A: Actor> Deref for ActorRef<A> {
    type Target = A::Calls;

    fn deref(&self) -> &A::Calls {
        &self.calls
    }
}

impl<A: Actor> AsHandle for ActorRef<A> {
    fn as_handle(&self) -> ActorHandle {
        self.address().cell().handle()
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({})", self.address().target())
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.address().cell(), other.address().cell())
    }
}

impl<A: Actor> Eq for ActorRef<A> {}

/// What a reference is on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename = "$mobula::ActorRef")]
struct WireRef {
    /// Its type.
    key: u64,
    home: Home,
}

/// Travels as the actor's home, or as the way to it while that is not known. What writes it into a message keeps the
/// actor alive on the way.
impl<A: Actor> Serialize for ActorRef<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cell = self.address().cell();
        let home = cell.home().unwrap_or_else(|| {
            let (node, incarnation) =
                cell.system().remote().map_or((NodeId::HERE, 0), |remote| remote.here());
            Home { node, incarnation, actor: self.id() }
        });
        baggage::pack(|| cell.handle().hold());
        WireRef { key: A::KEY, home }.serialize(serializer)
    }
}

/// Becomes a reference on the current node: to the actor itself if it lives here, else to its stand-in.
impl<'de, A: Actor> Deserialize<'de> for ActorRef<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireRef { key, home } = WireRef::deserialize(deserializer)?;
        let system = current::current_system()
            .ok_or_else(|| D::Error::custom("a reference to an actor is read outside any node"))?;
        let remote = system.remote();
        let here = remote.as_ref().map_or((NodeId::HERE, 0), |remote| remote.here());
        if (home.node, home.incarnation) == here {
            let handle = system.directory().actor(home.actor).ok_or_else(|| {
                D::Error::custom(format!("no living actor {} on this node", home.actor))
            })?;
            return Self::from_handle(&handle).ok_or_else(|| {
                let found = handle.type_name();
                D::Error::custom(format!(
                    "actor {} is a `{found}`, not a `{}`",
                    home.actor,
                    A::NAME
                ))
            });
        }
        if key != A::KEY {
            let text = format!("actor {home} is no `{}`, or one of another build", A::NAME);
            return Err(D::Error::custom(text));
        }
        let Some(remote) = remote else {
            let text = format!("actor {home} lives on another node, and this one is alone");
            return Err(D::Error::custom(text));
        };
        stand_in::refer(&system, &remote, home)
            .ok_or_else(|| D::Error::custom(format!("actor {home} is no `{}`", A::NAME)))
    }
}

/// A reference that does not keep its actor alive.
pub struct WeakRef<A: Actor> {
    cell: Arc<Cell<A>>,
}

impl<A: Actor> WeakRef<A> {
    pub(crate) const fn new(cell: Arc<Cell<A>>) -> Self {
        Self { cell }
    }

    /// A counted reference, if the actor has not ended for good.
    #[must_use]
    pub fn upgrade(&self) -> Option<ActorRef<A>> {
        let handle = self.cell.handle();
        handle.is_alive().then(|| ActorRef::from_address(Address::new(Arc::clone(&self.cell))))
    }
}

impl<A: Actor> Clone for WeakRef<A> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell) }
    }
}

impl<A: Actor> AsHandle for WeakRef<A> {
    fn as_handle(&self) -> ActorHandle {
        self.cell.handle()
    }
}

impl<A: Actor> fmt::Debug for WeakRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakRef({})", self.cell.target())
    }
}

/// The living actor of this name in the default namespace of `system`.
///
/// # Errors
/// [`LookupError`]: no such name, a blank one, or an actor of another type.
pub fn lookup<A: Actor>(system: &System, name: &FullName) -> Result<ActorRef<A>, LookupError> {
    if name.is_blank() {
        return Err(LookupError::BlankName);
    }
    let handle =
        system.names().get(name).ok_or_else(|| LookupError::NoSuchName(name.to_string()))?;
    ActorRef::from_handle(&handle).ok_or_else(|| LookupError::WrongType {
        name: name.to_string(),
        found: handle.type_name(),
        expected: A::NAME,
    })
}
