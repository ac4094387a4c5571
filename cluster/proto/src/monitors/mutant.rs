//! Seeded bugs of monitors.
//!
//! Pure: no clock, no I/O, no tasks.

/// Which rule is broken on purpose. For the mutation gate only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// None.
    #[default]
    None,
    /// Every arriving notice notifies.
    NotifyAgain,
    /// Open watches are not said again.
    NeverRepeatWatches,
    /// Notices are not said again.
    NeverRepeatDown,
    /// A watch on nobody is not answered.
    IgnoreUnknownActor,
    /// When a node is down its monitors are dropped without a word.
    SilentNodeDown,
    /// The watched side forgets as soon as it has spoken.
    ForgetBeforeConfirmed,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NotifyAgain,
        Self::NeverRepeatWatches,
        Self::NeverRepeatDown,
        Self::IgnoreUnknownActor,
        Self::SilentNodeDown,
        Self::ForgetBeforeConfirmed,
    ];
}
