//! The patterns between processes: what their figures mean, how much work they are, what this project aims at.
//!
//! Pure: no clock, no I/O, no tasks.

use clap::ValueEnum;

/// Bytes of one message: a number and a text.
pub(crate) const MESSAGE_BYTES: usize = 100;

/// What is said in a message beside its number.
pub(crate) const TEXT: &str =
    "One process asks another, and all that it wants to know is how much there has been so far...";

const _: () = assert!(TEXT.len() + size_of::<u64>() == MESSAGE_BYTES);

/// What is measured between two processes, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum FarPattern {
    /// One driver asks and waits, again and again.
    RemoteAsk,
    /// 64 questions are always under way.
    RemoteAsk64,
    /// One driver tells, and a tally now and then proves that all was counted.
    RemoteTell,
    /// 100 000 tells at once, and then the question whether all came, in order.
    RemoteBurst,
    /// One gibibyte goes to the other process.
    #[value(name = "object_1_gib")]
    Object1Gib,
    /// A word there and back on the control connection, alone and beside the transfer of an object.
    ControlRoundTrip,
    /// 10 000 trivial tasks run on the other node, batch after batch.
    RemoteTasks,
    /// A node is started, joins another one, and runs its first task.
    Start,
    /// A node with ten peers has nothing to do.
    Idle,
    /// One node of twelve is killed, then one of eleven is stopped: until all others know.
    Crash,
}

/// What is aimed at in a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
    /// Not more than this times what the lane alone takes.
    TimesLane(f64),
    /// Not less than this part of what the lane alone does.
    ShareOfLane(f64),
}

/// A unit of measure, which way is better, and the goals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FarUnit {
    /// The text in reports.
    pub(crate) name: &'static str,
    /// A rate rather than a cost.
    pub(crate) more_is_better: bool,
    /// What mobula aims at.
    pub(crate) goals: &'static [Goal],
}

const fn rate(name: &'static str, goals: &'static [Goal]) -> FarUnit {
    FarUnit { name, more_is_better: true, goals }
}

const fn cost(name: &'static str, goals: &'static [Goal]) -> FarUnit {
    FarUnit { name, more_is_better: false, goals }
}

impl FarPattern {
    /// The name in flags and reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RemoteAsk => "remote_ask",
            Self::RemoteAsk64 => "remote_ask64",
            Self::RemoteTell => "remote_tell",
            Self::RemoteBurst => "remote_burst",
            Self::Object1Gib => "object_1_gib",
            Self::ControlRoundTrip => "control_round_trip",
            Self::RemoteTasks => "remote_tasks",
            Self::Start => "start",
            Self::Idle => "idle",
            Self::Crash => "crash",
        }
    }

    /// What the figures of one run mean, in their order.
    pub(crate) const fn units(self) -> &'static [FarUnit] {
        use Goal::{AtLeast, AtMost, ShareOfLane, TimesLane};
        match self {
            Self::RemoteAsk => const { &[cost("µs p50", &[TimesLane(1.5)]), cost("µs p99", &[])] },
            Self::RemoteAsk64 => const { &[rate("asks/s", &[AtLeast(250e3)])] },
            Self::RemoteTell => const { &[rate("msgs/s", &[AtLeast(2e6)])] },
            Self::RemoteBurst => {
                const { &[rate("msgs/s", &[]), rate("% in order", &[AtLeast(100.0)])] }
            }
            Self::Object1Gib => const { &[rate("GB/s", &[AtLeast(0.9), ShareOfLane(0.9)])] },
            Self::ControlRoundTrip => {
                const {
                    &[
                        cost("µs p50 alone", &[]),
                        cost("µs p50 with bulk", &[]),
                        cost("times", &[AtMost(2.0)]),
                    ]
                }
            }
            Self::RemoteTasks => const { &[rate("tasks/s", &[AtLeast(50e3)])] },
            Self::Start => {
                const {
                    &[
                        cost("ms ready", &[AtMost(150.0)]),
                        cost("ms joined", &[AtMost(500.0)]),
                        cost("ms first task", &[AtMost(20.0)]),
                    ]
                }
            }
            Self::Idle => {
                const { &[cost("MB", &[AtMost(30.0)]), cost("% of a core", &[AtMost(1.0)])] }
            }
            Self::Crash => {
                const { &[cost("ms killed", &[AtMost(150.0)]), cost("ms stopped", &[AtMost(3500.0)])] }
            }
        }
    }

    /// How much work one run does: messages, bytes or batches, as the pattern counts.
    pub(crate) const fn load(self) -> u64 {
        match self {
            Self::RemoteAsk => 10_000,
            Self::RemoteAsk64 => 320_000,
            Self::RemoteTell => 2_000_000,
            Self::RemoteBurst => 100_000,
            Self::Object1Gib => 1 << 30,
            Self::ControlRoundTrip => 2_000,
            Self::RemoteTasks => 10,
            Self::Start | Self::Idle | Self::Crash => 1,
        }
    }

    /// Whether a tenth of it says something, too.
    pub(crate) const fn can_be_cut(self) -> bool {
        !matches!(self, Self::RemoteBurst | Self::Object1Gib)
    }

    /// Whether more than two nodes play it, which mobula alone does.
    pub(crate) const fn is_of_a_fleet(self) -> bool {
        matches!(self, Self::Start | Self::Idle | Self::Crash)
    }
}
