//! Seeded bugs: each breaks one rule of the association, and a test must notice.
//!
//! Pure: no clock, no I/O, no tasks.

/// Which rule is broken on purpose. For the mutation gate only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// None: the protocol as it should be.
    #[default]
    None,
    /// A message behind a gap is delivered.
    DeliverAfterGap,
    /// A message that came before is delivered again.
    NoDuplicateDrop,
    /// After a new connection only what was never sent is sent.
    ForgetUnackedOnResume,
    /// The sender sends beyond its credit.
    CreditIgnored,
    /// After a loss the epoch stays, and numbers begin anew.
    KeepEpochOnLoss,
    /// A message of an ended epoch is taken as one of the present epoch.
    AcceptOldEpoch,
    /// What was lost is not reported.
    LoseSilently,
    /// What was meant for an earlier life of the peer is sent to the next.
    ResendToNextLife,
    /// A message is acknowledged although a gap is before it.
    AckAcrossGap,
    /// Nobody asks for what is missing on a living connection.
    NeverProbe,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DeliverAfterGap,
        Self::NoDuplicateDrop,
        Self::ForgetUnackedOnResume,
        Self::CreditIgnored,
        Self::KeepEpochOnLoss,
        Self::AcceptOldEpoch,
        Self::LoseSilently,
        Self::ResendToNextLife,
        Self::AckAcrossGap,
        Self::NeverProbe,
    ];
}
