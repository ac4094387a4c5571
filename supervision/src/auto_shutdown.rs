//! When is a supervisor's work done because its children's is?
//!
//! A job made of several actors should go away with its main actor; stopping the supervisor from
//! inside the child deadlocks (the child would wait for its own end). OTP 24 lets children be
//! *significant* instead. Invariant: only an end by itself, never one that the supervisor caused,
//! makes the supervisor end; a permanent child is never significant, for it never stays down.
//!
//! Pure: no clock, no I/O, no tasks.

/// Whether the supervisor ends itself when significant children have ended (OTP: `auto_shutdown`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// Never. Significant children are refused.
    #[default]
    Never,
    /// As soon as one significant child has ended by itself for good.
    AnySignificant,
    /// When the last significant child that was still up has ended by itself for good.
    AllSignificant,
}

impl AutoShutdown {
    /// Whether the end of a significant child ends the supervisor, given whether other significant
    /// children are still up or on their way up.
    #[must_use]
    pub fn is_due(self, others_up: bool) -> bool {
        match self {
            Self::Never => false,
            Self::AnySignificant => true,
            Self::AllSignificant => !others_up,
        }
    }
}
