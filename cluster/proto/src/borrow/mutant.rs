//! Seeded bugs of borrowing.
//!
//! Pure: no clock, no I/O, no tasks.

/// Which rule is broken on purpose. For the mutation gate only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// None.
    #[default]
    None,
    /// A reference travels without a pin.
    SendUnpinned,
    /// The receiver lets the sender unpin before the owner has acknowledged its hold.
    ReceivedBeforeHeld,
    /// A late release ends a newer hold.
    IgnoreSequence,
    /// Nothing is said again when an epoch has ended.
    NeverRepeat,
    /// When an epoch has ended, what was in flight is believed lost.
    UnpinOnLoss,
    /// A node that is down goes on holding.
    KeepDownHolder,
    /// A hold that was given back before its acknowledgement is never ended.
    NoReleaseWhileUnconfirmed,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SendUnpinned,
        Self::ReceivedBeforeHeld,
        Self::IgnoreSequence,
        Self::NeverRepeat,
        Self::UnpinOnLoss,
        Self::KeepDownHolder,
        Self::NoReleaseWhileUnconfirmed,
    ];
}
