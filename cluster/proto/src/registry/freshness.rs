//! The receivers' check: nothing is taken from a holder after something was taken from a later one.
//!
//! A lease keeps an old holder from starting anything; it cannot call back what is on its way, nor what a handler does
//! that slept through the end of the lease. The receiver can: it has seen the later generation.
//! To remember every name for ever is too much, and to forget is dangerous: the forgotten one is just the old one.
//! So the lowest generations are forgotten first, and below the highest that was forgotten the answer for an unknown
//! name is that this table does not know. Then the registry's state is asked, which is here on the node; but not before
//! it has applied as much as was forgotten, for a message may have told of a grant before the log did.
//!
//! Invariant: [`Verdict::Fresh`] is never said of a generation below one that this table was shown for the name.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};

use super::id::{Generation, Index};
use super::mutant::Mutant;
use super::name::Name;

/// What to do with a message from or to a generation of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Take it: no later generation is known.
    Fresh,
    /// Do not take it; tell the sender who has the name now.
    Stale {
        /// The latest that is known.
        known: Generation,
    },
    /// It may be old. Look the name up in a state that has applied `ask_from`, and take the message only if its
    /// generation is the one found there.
    Unknown {
        /// A state that has applied this entry knows whatever was forgotten here: generations are places in the log.
        ask_from: Index,
    },
}

/// The highest generation that was seen of each name, within a limit.
///
/// # Examples
/// ```
/// use mobula_proto::registry::freshness::{Freshness, Verdict};
/// use mobula_proto::registry::{Generation, Name};
/// let name = Name::try_new("default", "clicks")?;
/// let mut seen = Freshness::new(1_000);
/// assert_eq!(seen.check(&name, Generation(7)), Verdict::Fresh);
/// assert_eq!(seen.check(&name, Generation(5)), Verdict::Stale { known: Generation(7) });
/// # Ok::<(), mobula_proto::error::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Freshness {
    seen: BTreeMap<Name, Generation>,
    order: BTreeSet<(Generation, Name)>,
    /// The highest generation that was forgotten.
    forgotten: Generation,
    names_max: usize,
    mutant: Mutant,
}

impl Freshness {
    /// Has seen nothing; keeps so many names at most.
    #[must_use]
    pub const fn new(names_max: usize) -> Self {
        Self {
            seen: BTreeMap::new(),
            order: BTreeSet::new(),
            forgotten: Generation(0),
            names_max,
            mutant: Mutant::None,
        }
    }

    /// With a bug on purpose: for the mutation gate.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = mutant;
        self
    }

    /// A message from or to this generation of a name is here. A later one than was known is learnt by it.
    pub fn check(&mut self, name: &Name, generation: Generation) -> Verdict {
        match self.seen.get(name) {
            _ if self.mutant == Mutant::NoCheck => Verdict::Fresh,
            Some(&known) if generation < known => Verdict::Stale { known },
            None if generation <= self.forgotten && self.mutant != Mutant::TrustForgotten => {
                Verdict::Unknown { ask_from: Index(self.forgotten.0) }
            }
            Some(_) | None => {
                self.learn(name, generation);
                Verdict::Fresh
            }
        }
    }

    /// There is such a generation, by the registry or by a message.
    pub fn learn(&mut self, name: &Name, generation: Generation) {
        let known = self.seen.get(name).copied();
        if known.is_some_and(|known| known >= generation) {
            return;
        }
        if let Some(known) = known {
            self.order.remove(&(known, name.clone()));
        }
        self.seen.insert(name.clone(), generation);
        self.order.insert((generation, name.clone()));
        while self.order.len() > self.names_max {
            let Some((generation, oldest)) = self.order.pop_first() else { break };
            self.seen.remove(&oldest);
            self.forgotten = self.forgotten.max(generation);
        }
    }

    /// How many names it remembers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether it remembers none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name::try_new("default", name).unwrap()
    }

    #[test]
    fn a_later_generation_makes_earlier_ones_stale() {
        let mut seen = Freshness::new(8);
        assert_eq!(seen.check(&name("a"), Generation(4)), Verdict::Fresh);
        assert_eq!(seen.check(&name("a"), Generation(4)), Verdict::Fresh);
        seen.learn(&name("a"), Generation(9));
        assert_eq!(seen.check(&name("a"), Generation(4)), Verdict::Stale { known: Generation(9) });
        assert_eq!(seen.check(&name("b"), Generation(4)), Verdict::Fresh);
    }

    #[test]
    fn what_is_forgotten_is_not_taken_for_fresh() {
        let mut seen = Freshness::new(2);
        for (of, generation) in [("a", 5), ("b", 6), ("c", 7)] {
            seen.learn(&name(of), Generation(generation));
        }
        assert_eq!(seen.len(), 2);
        let unknown = Verdict::Unknown { ask_from: Index(5) };
        assert_eq!(seen.check(&name("a"), Generation(4)), unknown);
        assert_eq!(seen.check(&name("new"), Generation(5)), unknown);
        // Above all that was forgotten nothing later can have been.
        assert_eq!(seen.check(&name("a"), Generation(8)), Verdict::Fresh);
        assert_eq!(seen.check(&name("a"), Generation(5)), Verdict::Stale { known: Generation(8) });
    }
}
