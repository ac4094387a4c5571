//! What one seed has promised and accepted.
//!
//! Invariants: nothing is accepted below a promise; a promise never goes down; a promise tells what was accepted.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{Ballot, Founding};

/// The memory of one seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acceptor {
    promised: Option<Ballot>,
    accepted: Option<(Ballot, Founding)>,
}

/// Yes, or no because of a later promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// Yes.
    Yes(T),
    /// No: this was promised.
    No(Ballot),
}

impl Acceptor {
    /// A seed that has asked a majority of the others in a ballot of its own: none of them takes part in an earlier
    /// one any more, and this is the latest that any of them has accepted.
    #[must_use]
    pub const fn recovered(ballot: Ballot, accepted: Option<(Ballot, Founding)>) -> Self {
        Self { promised: Some(ballot), accepted }
    }

    /// Promises to take part in nothing before this ballot: what was accepted so far.
    pub fn prepare(&mut self, ballot: Ballot) -> Answer<Option<(Ballot, Founding)>> {
        match self.promised {
            Some(promised) if promised > ballot => Answer::No(promised),
            Some(_) | None => {
                self.promised = Some(ballot);
                Answer::Yes(self.accepted.clone())
            }
        }
    }

    pub(super) fn accept(
        &mut self,
        ballot: Ballot,
        founding: Founding,
        breaks_promise: bool,
    ) -> Answer<()> {
        match self.promised {
            Some(promised) if promised > ballot && !breaks_promise => Answer::No(promised),
            Some(_) | None => {
                self.promised = self.promised.max(Some(ballot));
                self.accepted = Some((ballot, founding));
                Answer::Yes(())
            }
        }
    }
}
