//! Who shares the fate of a failed child?
//!
//! Restarting only the one that failed is right for independent children and wrong for those that
//! share state: a reader that cached what a fresh writer no longer knows. OTP's three strategies
//! name the scope. Invariant: the scope is always a suffix of the start order, so that stopping it
//! backwards and starting it forwards keeps every child younger than what it depends on.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

/// Which children are restarted when one has failed (OTP: restart strategy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// The failed one alone.
    #[default]
    OneForOne,
    /// All of them.
    OneForAll,
    /// The failed one and those started after it.
    RestForOne,
}

impl Strategy {
    /// All three, in the order of OTP's manual.
    pub const ALL: [Self; 3] = [Self::OneForOne, Self::OneForAll, Self::RestForOne];

    /// Whether a child with start position `other` is restarted because `failed` failed.
    #[must_use]
    pub fn affects<K: Ord>(self, failed: &K, other: &K) -> bool {
        match self {
            Self::OneForOne => other == failed,
            Self::OneForAll => true,
            Self::RestForOne => other >= failed,
        }
    }

    /// Whether children are restarted in groups, so that only one restart can go on at a time.
    #[must_use]
    pub fn is_group(self) -> bool {
        match self {
            Self::OneForOne => false,
            Self::OneForAll | Self::RestForOne => true,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_a_suffix_of_the_start_order() {
        let scope = |s: Strategy| (0..4).filter(|o| s.affects(&1, o)).collect::<Vec<_>>();
        assert_eq!(scope(Strategy::OneForOne), [1]);
        assert_eq!(scope(Strategy::OneForAll), [0, 1, 2, 3]);
        assert_eq!(scope(Strategy::RestForOne), [1, 2, 3]);
    }
}
