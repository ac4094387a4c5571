//! When does an ended child come back?
//!
//! Restarting whatever ends would revive actors that finished their work; restarting only crashes
//! would let a service vanish because somebody sent it a polite stop. OTP answers with three words
//! per child, and this table is all there is to it. Invariant: the answer depends on the child's
//! word and on the class of its exit alone, never on who asks or when.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use mobula_actor_core::ExitReason;

/// How a child wants to be treated after it ended (OTP: restart type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always restarted, also after it ended normally.
    #[default]
    Permanent,
    /// Restarted only after an abnormal end.
    Transient,
    /// Never restarted; its spec is forgotten with it.
    Temporary,
}

impl Restart {
    /// All three, in the order of OTP's manual.
    pub const ALL: [Self; 3] = [Self::Permanent, Self::Transient, Self::Temporary];

    /// What becomes of a child of this type that ended by itself in this way.
    ///
    /// Source: OTP `supervisor.erl`, `do_restart/3`.
    #[must_use]
    pub fn after(self, exit: ExitClass) -> Fate {
        match (self, exit) {
            (Self::Permanent, _) | (Self::Transient, ExitClass::Abnormal) => Fate::Restart,
            (Self::Transient, ExitClass::Normal | ExitClass::Shutdown) => Fate::Rest,
            (Self::Temporary, _) => Fate::Forget,
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// The three kinds of exit that decisions distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitClass {
    /// The actor ended by itself, its work done.
    Normal,
    /// The actor was asked to end, or is a supervisor that gave up (OTP ends it with `shutdown`).
    Shutdown,
    /// Everything else: panic, kill, failed start, broken link.
    Abnormal,
}

impl ExitClass {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Shutdown, Self::Abnormal];

    /// The class of a reason.
    ///
    /// A supervisor that gave up counts as shut down: OTP ends it with `shutdown`, so a permanent one
    /// is restarted by its parent and a transient one is not.
    #[must_use]
    pub fn of(reason: &ExitReason) -> Self {
        match reason {
            ExitReason::Normal => Self::Normal,
            ExitReason::Shutdown | ExitReason::Escalated { .. } => Self::Shutdown,
            // The enum may grow: what is new is abnormal until OTP says otherwise.
            _ => Self::Abnormal,
        }
    }
}

impl fmt::Display for ExitClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::Abnormal => "abnormal",
        })
    }
}

/// What [`Restart::after`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Start it again from its spec, if the intensity allows.
    Restart,
    /// Leave it down; the spec stays and it can be restarted by name.
    Rest,
    /// Leave it down and forget its spec.
    Forget,
}
