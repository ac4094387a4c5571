//! What this node says: one line at a time, written before anything goes on.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;

use crate::event::{Event, Line, Place};
use crate::fleet;

/// Faults of the workload itself, by which it is shown that the checker finds such things on real processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mutant {
    /// Some messages are handled twice.
    Duplicate,
    /// Some messages are acknowledged and not handled.
    Forget,
    /// Some messages change places.
    Swap,
    /// Some monitors that fired are not heard.
    Deaf,
    /// Some values are read wrongly.
    Misread,
}

/// The node's voice, and what gives numbers to what it speaks of.
#[derive(Debug)]
pub(crate) struct Voice {
    place: Place,
    numbers: AtomicU64,
    mutant: Option<Mutant>,
    occasions: AtomicU64,
}

/// Actors and tasks of others may arrive before the node itself is handed out, and they speak, too.
static VOICE: OnceLock<Voice> = OnceLock::new();

/// A mutant strikes this often.
const OCCASION: u64 = 3;

impl Voice {
    /// The voice of this process's node.
    ///
    /// # Panics
    /// In a process that is none.
    #[expect(clippy::expect_used, reason = "a node's process is given its voice before its node")]
    pub(crate) fn here() -> &'static Self {
        VOICE.get().expect("this is a node's process")
    }

    /// Gives this process its voice.
    pub(crate) fn give(place: Place, mutant: Option<Mutant>) -> &'static Self {
        VOICE.get_or_init(|| Self {
            place,
            numbers: AtomicU64::new(1),
            mutant,
            occasions: AtomicU64::new(0),
        })
    }

    /// Says it, and returns when it cannot be unsaid.
    pub(crate) fn say(&self, event: Event) {
        let line = Line { at: fleet::now(), event };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            let mut out = std::io::stdout().lock();
            // If nobody listens the run is over, and this node with it.
            let _ = out.write_all(&text).and_then(|()| out.flush());
        }
    }

    /// A number that no other life of any node gives.
    pub(crate) fn number(&self) -> u64 {
        self.numbers(1)
    }

    /// The first of so many numbers in a row.
    pub(crate) fn numbers(&self, count: u64) -> u64 {
        let place = (u64::from(self.place.machine) << 48) | (u64::from(self.place.life) << 32);
        place | self.numbers.fetch_add(count, Ordering::Relaxed)
    }

    /// Whether this mutant strikes now.
    pub(crate) fn strikes(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
            && self.occasions.fetch_add(1, Ordering::Relaxed) % OCCASION == OCCASION - 1
    }
}
