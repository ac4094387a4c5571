//! An actor without its type: what supervisors, links, monitors and listings hold.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::cell::Located;
use crate::denied::Denied;
use crate::directory::{Citizen, Kind};
use crate::exit::ExitReason;
use crate::id::{ActorId, MonitorRef};
use crate::remote::{Control, Home};
use crate::signal::Signal;
use crate::wire::baggage::Hold;

/// What a cell offers to those who do not know its type.
pub(crate) trait AnyCell: Citizen {
    fn signal(&self, signal: Signal);
    fn restart(&self) -> bool;
    fn terminate(&self, reason: ExitReason);
    fn add_monitor(&self, watcher: Watcher);
    fn remove_monitor(&self, monitor: MonitorRef);
    /// False if the actor has ended for good.
    fn add_link(&self, peer: ActorHandle) -> bool;
    fn remove_link(&self, peer: ActorId);
    fn on_started(&self, waiter: oneshot::Sender<Result<(), ExitReason>>);
    fn is_alive(&self) -> bool;
    fn max_restarts(&self) -> Option<u32>;
    fn end_for_good(&self);
    fn end_denied(&self, denied: Denied);
    fn hold(self: Arc<Self>) -> Hold;
    fn home(&self) -> Option<Home>;
    fn located(&self) -> Option<watch::Receiver<Located>>;
    fn locate(&self, elsewhere: Option<Home>);
    fn type_key(&self) -> u64;
    fn is_stand_in(&self) -> bool;
    fn is_settled_here(&self) -> bool;
    fn has_lapsed(&self) -> bool;
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// Hears of the ends of an actor's generations; the flag says whether it was the last.
pub type EndListener = Box<dyn Fn(&ExitReason, bool) + Send>;

/// Who is told of an actor's end.
pub(crate) enum Watcher {
    /// Another node, at the end of each generation. Shared, since it stays.
    Far(Arc<parking_lot::Mutex<EndListener>>),
    /// An actor, by `down`, at the end of the generation that was watched.
    Actor { monitor: MonitorRef, watcher: ActorHandle },
    /// A future, at the actor's final end.
    Waiter(oneshot::Sender<ExitReason>),
    /// Whoever asked for the end: told of it, or that the actor's node does not let this one end it.
    Asker(oneshot::Sender<Result<ExitReason, Denied>>),
}

impl Watcher {
    /// Whether nobody wants to know any more.
    pub(crate) fn is_given_up(&self) -> bool {
        match self {
            Self::Actor { .. } | Self::Far(_) => false,
            Self::Waiter(sender) => sender.is_closed(),
            Self::Asker(sender) => sender.is_closed(),
        }
    }
}

/// An actor without its type. Does not count as a reference: it keeps no actor alive.
#[derive(Clone)]
pub struct ActorHandle(pub(crate) Arc<dyn AnyCell>);

impl ActorHandle {
    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.0.id()
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// The name it is registered under.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.0.name()
    }

    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> String {
        self.0.type_name().into_owned()
    }

    /// The number that means its type on every node.
    #[must_use]
    pub fn type_key(&self) -> u64 {
        self.0.type_key()
    }

    /// How often it was started.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Whether it has not ended for good.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Asks it to take nothing new, handle what waits and end with `reason`, for good.
    pub fn request_stop(&self, reason: ExitReason) {
        self.0.end_for_good();
        self.0.signal(Signal::Stop(reason));
    }

    /// Ends it at once and for good, without hooks.
    pub fn kill(&self) {
        self.0.end_for_good();
        self.0.signal(Signal::Kill(ExitReason::Killed));
    }

    /// Ends this generation after its running handler, with `stopping`; what waits is handed back. A supervisor may start
    /// the next generation.
    pub fn shutdown(&self, reason: ExitReason) {
        self.0.signal(Signal::Shutdown(reason));
    }

    /// Ends this generation at once for `reason`; a supervisor may start the next.
    pub fn exit(&self, reason: ExitReason) {
        self.0.signal(Signal::Kill(reason));
    }

    /// How often the actor asked to be restarted at most (`max_restarts`), for a supervisor that holds no
    /// child spec of it.
    #[must_use]
    pub fn max_restarts(&self) -> Option<u32> {
        self.0.max_restarts()
    }

    /// For its supervisor: starts the suspended actor's next generation from its factory.
    /// Returns `false` if it is not suspended or cannot be started again.
    #[must_use]
    pub fn restart(&self) -> bool {
        self.0.restart()
    }

    /// For its supervisor: ends the suspended actor for good.
    pub fn terminate(&self, reason: ExitReason) {
        self.0.terminate(reason);
    }

    /// A counted reference without its type.
    #[must_use]
    pub fn hold(&self) -> Hold {
        Arc::clone(&self.0).hold()
    }

    /// Where the actor lives as far as is known, if this is a stand-in for one on another node.
    ///
    /// A reference that was passed on before its actor had been spawned leads by way of the node that spawns it, and that
    /// one is named until it has said better. [`located`](Self::located) waits for it.
    #[must_use]
    pub fn home(&self) -> Option<Home> {
        self.0.home()
    }

    /// Where the actor lives, once it does; `None` if that is here.
    ///
    /// # Errors
    /// Why nobody will say: the actor has ended, or the node that knows is lost.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn located(&self) -> Result<Option<Home>, ExitReason> {
        self.ready().await?;
        let Some(mut place) = self.0.located() else { return Ok(None) };
        let known = place.wait_for(|place| *place != Located::Unknown);
        let place = tokio::select! {
            biased;
            place = known => place.map_or(Located::Unknown, |place| *place),
            reason = self.closed() => return Err(reason),
        };
        match place {
            Located::At(home) => Ok(Some(home)),
            Located::Lost(node) => Err(ExitReason::NodeDown(node)),
            Located::Unknown => Err(ExitReason::NoActor),
        }
    }

    /// Whether the actor lives on another node, or will.
    #[must_use]
    pub fn is_stand_in(&self) -> bool {
        self.0.is_stand_in()
    }

    /// Whether the actor lives on this node for good. One that waits for resources may still be started on another.
    #[must_use]
    pub fn is_settled_here(&self) -> bool {
        self.0.is_settled_here()
    }

    /// Whether the actor has ended before it had the resources that it waited for: no constructor of it ran.
    #[must_use]
    pub fn has_lapsed(&self) -> bool {
        self.0.has_lapsed()
    }

    /// Does to it what another node asks for.
    pub fn obey(&self, control: Control) {
        match control {
            Control::Stop(reason) => self.request_stop(reason),
            Control::Kill(reason) => {
                self.0.end_for_good();
                self.0.signal(Signal::Kill(reason));
            }
            Control::Shutdown(reason) => self.shutdown(reason),
            Control::Exit(reason) => self.exit(reason),
            Control::Linked { from, reason } => self.0.signal(Signal::Exit { from, reason }),
        }
    }

    /// Tells those who asked for the end of the actor behind this stand-in that its node does not let this one end it.
    pub fn end_denied(&self, denied: Denied) {
        self.0.end_denied(denied);
    }

    /// Calls `listener` at the end of each generation. One that comes after the last end is called at once.
    pub fn on_end(&self, listener: EndListener) {
        self.0.add_monitor(Watcher::Far(Arc::new(parking_lot::Mutex::new(listener))));
    }

    /// Waits until the current generation has started.
    ///
    /// # Errors
    /// Why it never will.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ready(&self) -> Result<(), ExitReason> {
        let (sender, receiver) = oneshot::channel();
        self.0.on_started(sender);
        receiver.await.unwrap_or(Err(ExitReason::NoActor))
    }

    /// What is told of the end that somebody is about to ask for. Before it is asked for: a refusal may come soon.
    pub(crate) fn expect_end(&self) -> oneshot::Receiver<Result<ExitReason, Denied>> {
        let (sender, receiver) = oneshot::channel();
        self.0.add_monitor(Watcher::Asker(sender));
        receiver
    }

    /// Waits for the actor's end, restarts not counted, and says why it ended.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> ExitReason {
        let (sender, receiver) = oneshot::channel();
        self.0.add_monitor(Watcher::Waiter(sender));
        receiver.await.unwrap_or(ExitReason::NoActor)
    }
}

impl fmt::Debug for ActorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorHandle({} {})", self.id(), self.0.type_name())
    }
}

impl PartialEq for ActorHandle {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for ActorHandle {}

/// Whatever names an actor: a reference, a weak one, a handle.
pub trait AsHandle {
    /// The actor without its type.
    fn as_handle(&self) -> ActorHandle;
}

impl AsHandle for ActorHandle {
    fn as_handle(&self) -> ActorHandle {
        self.clone()
    }
}
