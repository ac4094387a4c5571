//! Signals: what an actor must hear even when its mailbox is full.
//!
//! Messages are a user's, signals are the system's. They travel on a lane of their own, are handled
//! before the next message, and are never dropped; see Erlang's signals and pekko's `Signal`.

use crate::exit::ExitReason;
use crate::flight_recorder::FlightRecord;
use crate::handle::ActorHandle;
use crate::id::{ActorId, MonitorRef};
use crate::mailbox::lanes::{Brief, Signalled};

/// What the system tells an actor.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Take no new messages, handle what waits, then end.
    Stop(ExitReason),
    /// End after the running handler, with `stopping`; a supervisor may start the next generation.
    Shutdown(ExitReason),
    /// End now, without hooks.
    Kill(ExitReason),
    /// A linked actor ended.
    Exit { from: ActorId, reason: ExitReason },
    /// A monitored actor ended.
    Down { monitor: MonitorRef, reason: ExitReason },
    /// A supervised child ended.
    ChildExited(ChildExited),
    /// The last counted reference went.
    Unreferenced,
    /// To a stand-in: the actor ended where it lives.
    FarEnd { reason: ExitReason, for_good: bool },
}

/// The signals that most actors hear, and no other, in their life.
#[derive(Clone, Copy)]
pub(crate) enum Commonplace {
    /// Take no new messages, handle what waits, then end.
    Stop,
    /// End now.
    Kill,
    /// The last counted reference went.
    Unreferenced,
}

impl Brief for Signal {
    type Code = Commonplace;

    fn shorten(signalled: Signalled<Self>) -> Result<Commonplace, Signalled<Self>> {
        match (&signalled.signal, signalled.aborts) {
            (Self::Stop(ExitReason::Shutdown), false) => Ok(Commonplace::Stop),
            (Self::Kill(ExitReason::Killed), true) => Ok(Commonplace::Kill),
            (Self::Unreferenced, false) => Ok(Commonplace::Unreferenced),
            (_, _) => Err(signalled),
        }
    }

    fn lengthen(code: Commonplace) -> Signalled<Self> {
        match code {
            Commonplace::Stop => {
                Signalled { signal: Self::Stop(ExitReason::Shutdown), aborts: false }
            }
            Commonplace::Kill => Signalled { signal: Self::Kill(ExitReason::Killed), aborts: true },
            Commonplace::Unreferenced => Signalled { signal: Self::Unreferenced, aborts: false },
        }
    }
}

/// A supervised child has ended.
///
/// Unless it ended for good, it is *suspended*: its mailbox and references live, and its supervisor must
/// answer with [`ActorHandle::restart`] or [`ActorHandle::terminate`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildExited {
    /// The child.
    pub child: ActorHandle,
    /// The generation that ended.
    pub generation: u64,
    /// Why it ended.
    pub reason: ExitReason,
    /// What it handled last, if its flight recorder is on.
    pub flight: Vec<FlightRecord>,
    /// Whether that generation had started and served, however soon it ended.
    pub had_started: bool,
    /// Nothing is to be decided: it cannot be restarted, or was terminated.
    pub ended_for_good: bool,
    /// Somebody asked it to stop, killed it for good, or dropped its last reference.
    pub told_to_end: bool,
}
