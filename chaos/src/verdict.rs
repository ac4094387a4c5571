//! What the checker says: what was broken, each with the numbers to find it by, and how much was tried.
//!
//! A verdict without counts passes a run in which nothing happened.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::ops::AddAssign;

use crate::event::{End, Outcome, Place, Wait};

/// What a run showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<Violation>,
    pub(crate) counts: Counts,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("node {place} ended, or would not end, without having been killed: {how}")]
    Fell { place: Place, how: String },
    #[error("message {seq} of stream {stream} was acknowledged and never handled")]
    Lost { stream: u64, seq: u64 },
    #[error("tell {seq} of stream {stream} was lost although the stream's monitor was silent")]
    Gap { stream: u64, seq: u64 },
    #[error("message {seq} of stream {stream} was handled twice")]
    Duplicated { stream: u64, seq: u64 },
    #[error("message {seq} of stream {stream} was handled after {after}")]
    OutOfOrder { stream: u64, seq: u64, after: u64 },
    #[error("message {seq} of stream {stream} was handled and never sent")]
    Invented { stream: u64, seq: u64 },
    #[error("stream {stream} was handled at {} and at {}", places.0, places.1)]
    TwoPlaces { stream: u64, places: (Place, Place) },
    #[error("the reply to {seq} of stream {stream} says that it is number {told}; it is {handled}")]
    Misnumbered { stream: u64, seq: u64, told: u64, handled: u64 },
    #[error(
        "the receiver of stream {stream} says that it handled {told} messages; it was {handled}"
    )]
    Miscounted { stream: u64, told: u64, handled: u64 },
    #[error(
        "message {seq} of stream {stream} was handled, and its sender told that it was not delivered: {why}"
    )]
    Delivered { stream: u64, seq: u64, why: String },
    #[error("message {seq} of stream {stream} was refused: {why}")]
    Refused { stream: u64, seq: u64, why: String },
    #[error("{sender} never learned what became of message {seq} of stream {stream}")]
    NoOutcome { stream: u64, seq: u64, sender: Place },
    #[error(
        "operation {operation} took effect {effects} times, and its outcome was unknown {unknown} times"
    )]
    Repeated { operation: u64, effects: u64, unknown: u64 },
    #[error("monitor {watch} of {watcher} fired {times} times")]
    Fired { watch: u64, watcher: Place, times: u64 },
    #[error("wait {wait} of {place} never ended: {what:?}")]
    NeverEnded { wait: u64, place: Place, what: Wait },
    #[error("wait {wait} of {place} ended with a wrong value: {what:?}")]
    WrongValue { wait: u64, place: Place, what: Wait },
    #[error(
        "task {task} ran {runs} times, at most {runs_max} were allowed (and one is needed for a value)"
    )]
    Runs { task: u64, runs: u64, runs_max: u64 },
    #[error("in the end {place} misses {missing} living nodes and sees {ghosts} that are dead")]
    Diverged { place: Place, missing: usize, ghosts: usize },
    #[error(
        "in the end {place} still has {objects} objects, {tasks} tasks and {actors} actors of the work"
    )]
    LeftOver { place: Place, objects: usize, tasks: usize, actors: usize },
}

/// How much was tried, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u64,
    pub(crate) taken: u64,
    pub(crate) not_delivered: u64,
    pub(crate) unknown: u64,
    pub(crate) effects: u64,
    pub(crate) streams_opened: u64,
    pub(crate) streams_closed: u64,
    pub(crate) monitors_fired: u64,
    pub(crate) tasks: Ends,
    pub(crate) objects: Ends,
}

/// Waits that ended with a value, and with an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) values: u64,
    pub(crate) errors: u64,
}

impl Counts {
    pub(crate) const fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Acked { .. } => self.acknowledged += 1,
            Outcome::Taken => self.taken += 1,
            Outcome::NotDelivered { .. } => self.not_delivered += 1,
            Outcome::Unknown { .. } => self.unknown += 1,
            Outcome::Refused { .. } => {}
        }
    }

    pub(crate) const fn count_end(&mut self, what: &Wait, end: &End) {
        let ends = match what {
            Wait::Tasks { .. } => &mut self.tasks,
            Wait::ReadThere { .. } | Wait::ReadHere { .. } => &mut self.objects,
            Wait::Ending | Wait::Question => return,
        };
        match end {
            End::Value { .. } => ends.values += 1,
            End::Error { .. } => ends.errors += 1,
        }
    }
}

impl AddAssign for Ends {
    fn add_assign(&mut self, other: Self) {
        self.values += other.values;
        self.errors += other.errors;
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.taken += other.taken;
        self.not_delivered += other.not_delivered;
        self.unknown += other.unknown;
        self.effects += other.effects;
        self.streams_opened += other.streams_opened;
        self.streams_closed += other.streams_closed;
        self.monitors_fired += other.monitors_fired;
        self.tasks += other.tasks;
        self.objects += other.objects;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} asks acknowledged, {} tells taken, {} messages not delivered, {} with unknown outcome, \
             {} handled; {} streams, {} to their end; {} monitors fired; tasks: {} values, {} errors; \
             objects read elsewhere: {} values, {} errors",
            self.acknowledged,
            self.taken,
            self.not_delivered,
            self.unknown,
            self.effects,
            self.streams_opened,
            self.streams_closed,
            self.monitors_fired,
            self.tasks.values,
            self.tasks.errors,
            self.objects.values,
            self.objects.errors,
        )
    }
}
