//! Where a task stands, what it holds, and what it lacks: three small enums.
//!
//! Flags for queued, running, cancelled and done would allow sixteen states of which six exist.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use mobula_store::ObjectId;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Inputs are missing.
    Waiting,
    /// Ready, and resources are missing.
    Queued,
    /// Its body runs.
    Running,
    /// Its body runs, but its result is settled: it was cancelled, or its time was up.
    Abandoned,
    /// An attempt failed; the next one starts in a while.
    BackingOff,
    /// Over.
    Done,
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::Waiting, Self::Queued, Self::Running, Self::Abandoned, Self::BackingOff, Self::Done];

    pub(super) fn from_word(word: u8) -> Self {
        Self::ALL.get(usize::from(word)).copied().unwrap_or(Self::Done)
    }

    /// The word for listings.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Abandoned => "cancelling",
            Self::BackingOff => "retrying",
            Self::Done => "done",
        }
    }
}

/// What a running task holds in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Seat {
    /// All it asked for.
    Holding,
    /// It is blocked: all but its CPUs.
    GivenBack,
    /// It could go on, and waits for its CPUs.
    Returning,
}

impl Seat {
    pub(super) const fn from_word(word: u8) -> Self {
        match word {
            0 => Self::Holding,
            1 => Self::GivenBack,
            _ => Self::Returning,
        }
    }
}

/// What an object is called among a task's missing inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKey {
    /// An object of the store.
    Object(ObjectId),
    /// Something that can only be polled.
    Port,
}

impl fmt::Display for InputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => fmt::Display::fmt(id, f),
            Self::Port => f.write_str("an argument that is on its way"),
        }
    }
}
