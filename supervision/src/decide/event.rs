//! What can happen to a supervisor, and what it can do about it.
//!
//! A supervisor that starts and stops children inside its decision can be tested only with actors,
//! and its order of effects is wherever the awaits fell. Here both sides are closed enums: a test
//! feeds events and compares lists of actions. Invariant: every event about a child carries the
//! generation it speaks of, and every timer says whose it is, so that a late one is recognised
//! and ignored; nothing is ever cancelled.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use crate::{
    child_rules::ChildRules,
    children::{ChildKey, WorkId},
    error::Refusal,
    restart::ExitClass,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervisor was started: start all children in order.
    Begin,
    /// An ordered start succeeded.
    StartSucceeded {
        /// Whose.
        child: ChildKey,
        /// Of which life.
        generation: u64,
    },
    /// An ordered start failed; no actor is left of it.
    StartFailed {
        /// Whose.
        child: ChildKey,
        /// Of which life.
        generation: u64,
    },
    /// A child ended, by itself or because it was stopped.
    ChildExited {
        /// Which.
        child: ChildKey,
        /// Of which life.
        generation: u64,
        /// How.
        exit: ExitClass,
    },
    /// A timer that an action asked for has run down.
    TimerFired(TimerToken),
    /// The supervisor itself was asked to end.
    Shutdown,
    /// Somebody asked for something; it is answered exactly once.
    Requested {
        /// Returned with the answer.
        request: RequestId,
        /// What is asked for.
        what: Request,
    },
}

/// A request about one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Add a child at the end of the order and start it. The key comes from `Core::next_key`.
    Add {
        /// Its key.
        child: ChildKey,
        /// Its rules.
        rules: ChildRules,
    },
    /// Stop a child and leave it down.
    Terminate(ChildKey),
    /// Start a child that is down.
    Restart(ChildKey),
    /// Forget the spec of a child that is down.
    Delete(ChildKey),
}

/// Names a request, so that its answer finds the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Says whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerToken {
    /// The back-off before a restart.
    Backoff(WorkId),
    /// The deadline of a child that was asked to stop.
    Deadline {
        /// Which child.
        child: ChildKey,
        /// Of which life.
        generation: u64,
    },
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this child, as this generation of it. Answer with `StartSucceeded` or `StartFailed`.
    StartChild {
        /// Which.
        child: ChildKey,
        /// Of which life.
        generation: u64,
    },
    /// Ask the child to stop. It answers with `ChildExited` (or `StartFailed`, if it was starting).
    StopChild {
        /// Which.
        child: ChildKey,
        /// What happens if it does not: after so long it is killed; `None`: never.
        deadline: Option<Duration>,
    },
    /// Kill the child. It answers with `ChildExited`.
    KillChild {
        /// Which.
        child: ChildKey,
    },
    /// Feed `TimerFired(token)` after this time.
    StartTimer {
        /// What to feed.
        token: TimerToken,
        /// When.
        after: Duration,
    },
    /// The child is down and nobody is about to start it: close what is left of its actor.
    Release {
        /// Which.
        child: ChildKey,
    },
    /// The child's spec is gone too.
    Forget {
        /// Which.
        child: ChildKey,
    },
    /// Tell people. Comes with the event that caused it, or with the stop it disturbed.
    Report {
        /// About whom.
        child: ChildKey,
        /// What there is to tell.
        what: Incident,
    },
    /// Answer a request.
    Answer {
        /// Which.
        request: RequestId,
        /// The child it was about, or why not.
        result: Result<ChildKey, Refusal>,
    },
    /// All children of the initial order are up.
    Ready,
    /// The supervisor has decided to end; its children are being stopped.
    GiveUp(Ending),
    /// All children are down: end now.
    Done(Ending),
}

/// What happened to a child that people should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// It ended and is restarted.
    Restarting {
        /// After this back-off.
        delay: Duration,
        /// Restarts left in the window or in the child's budget; `None`: no limit.
        restarts_left: Option<u32>,
        /// The end was a failed start.
        start_failed: bool,
    },
    /// It ended abnormally and its rules say that it stays down.
    StaysDown,
    /// It has used up its own budget of restarts and stays down.
    BudgetUsedUp,
    /// One restart more than the intensity allows: the supervisor gives up.
    IntensityExceeded,
    /// Its first start failed.
    StartFailed,
    /// It ended abnormally while it was being stopped.
    EndedBadly,
    /// It did not stop within its deadline and was killed.
    DeadlineMissed,
}

/// Why the supervisor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to.
    Shutdown,
    /// Its significant children are done.
    AutoShutdown,
    /// More restarts than the intensity allows; this child's was one too many.
    GaveUp(ChildKey),
    /// This child failed when all were first started.
    StartFailed(ChildKey),
}
