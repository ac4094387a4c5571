//! Seeded bugs of postings.
//!
//! Pure: no clock, no I/O, no tasks.

/// Which rule is broken on purpose. For the mutation gate only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// None.
    #[default]
    None,
    /// What arrives holds, be it older or not.
    TakeOldNews,
    /// A bucket that has become empty is not sent.
    ForgetRemovals,
    /// A differing hash is not answered.
    NeverCompare,
    /// The page of a node that is gone stays.
    KeepLost,
    /// Pages of nodes that do not take part are kept.
    TakeStrangers,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::TakeOldNews,
        Self::ForgetRemovals,
        Self::NeverCompare,
        Self::KeepLost,
        Self::TakeStrangers,
    ];
}
