//! The life of an actor: its phases, and what follows the end of a generation.
//!
//! Pure: no clock, no I/O, no tasks.

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its constructor or `started` runs.
    Starting,
    /// It handles messages.
    Running,
    /// It takes no new messages and handles what waits.
    Stopping,
    /// A generation has ended; the supervisor decides. Messages wait.
    Suspended,
    /// It has ended for good.
    Ended,
}

impl Phase {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Suspended => "restarting",
            Self::Ended => "ended",
        }
    }
}

/// What follows the end of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The mailbox and the references live on; the supervisor is asked.
    Suspend,
    /// The end.
    End,
}

/// Decides what follows. `told_to` end: somebody outside asked it to stop or killed it for good, or its
/// last reference went; then nobody is asked whether it should live again.
pub(crate) const fn fate(supervised: bool, restartable: bool, told_to: bool) -> Fate {
    if supervised && restartable && !told_to { Fate::Suspend } else { Fate::End }
}

#[cfg(test)]
mod tests {
    use super::{Fate, fate};

    #[test]
    fn only_a_supervised_restartable_actor_that_ended_by_itself_is_suspended() {
        for supervised in [false, true] {
            for restartable in [false, true] {
                for told_to in [false, true] {
                    let suspend = supervised && restartable && !told_to;
                    let expected = if suspend { Fate::Suspend } else { Fate::End };
                    assert_eq!(fate(supervised, restartable, told_to), expected);
                }
            }
        }
    }
}
