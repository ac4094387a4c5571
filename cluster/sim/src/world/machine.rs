//! One machine: its clock, its randomness, and the process on it.
//!
//! Invariant: what the invariants may know ([`Record`]) is kept apart from what the process may know.

use std::collections::VecDeque;
use std::fmt;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Event;
use crate::clock::Clock;
use crate::protocol::Protocol;
use crate::queue::Tick;

/// What is true of a machine, for the invariants; the cores never see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record {
    /// When its present or last process started.
    pub booted_at: Tick,
    /// When that process ended, if it has.
    pub ended_at: Option<Tick>,
    /// Whether it ended or is ending in order.
    pub leaving: bool,
    /// Its last stall, from and until.
    pub stall: Option<(Tick, Tick)>,
}

/// One machine.
pub struct Machine<P: Protocol> {
    pub(super) process: Option<P>,
    pub(super) powered: bool,
    pub(super) life: u32,
    pub(super) clock: Clock,
    pub(super) rng: SmallRng,
    pub(super) wake: Option<Tick>,
    pub(super) stalled: bool,
    pub(super) backlog: VecDeque<Event<P::Message>>,
    pub(super) record: Record,
    /// When its interface has sent all it was given.
    pub(super) sends_until: Tick,
}

impl<P: Protocol> fmt::Debug for Machine<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Machine")
            .field("runs", &self.process.is_some())
            .field("life", &self.life)
            .field("stalled", &self.stalled)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Machine<P> {
    /// A machine that is off, with a clock and randomness of its own.
    pub(super) fn new(skew_ppm: i32, rng: &mut SmallRng) -> Self {
        let offset = rng.random_range(0..1_000_000_000);
        let rate_ppm = rng.random_range(-skew_ppm..=skew_ppm);
        Self {
            process: None,
            powered: false,
            life: 0,
            clock: Clock::new(0, offset, rate_ppm),
            rng: SmallRng::seed_from_u64(rng.random()),
            wake: None,
            stalled: false,
            backlog: VecDeque::new(),
            record: Record::default(),
            sends_until: 0,
        }
    }

    /// Its process, if one runs (it may be stalled).
    #[must_use]
    pub fn running(&self) -> Option<&P> {
        self.process.as_ref()
    }

    /// Whether its process is stopped at the moment.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// How many processes it had before this one.
    #[must_use]
    pub fn life(&self) -> u32 {
        self.life
    }

    /// What is true of it.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}
