//! The patterns by name: what their figures mean and how much work they are.
//!
//! Pure: no clock, no I/O, no tasks.

use clap::ValueEnum;

/// A way of talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pattern {
    /// One sender tells one counter, in waves of 10 000.
    #[value(name = "tell_1_1")]
    Tell1To1,
    /// Four senders tell one counter, in waves of 2500 each.
    #[value(name = "tell_4_1")]
    Tell4To1,
    /// One driver asks and waits, again and again.
    #[value(name = "ask_sequential")]
    AskSequential,
    /// 64 tasks ask one counter, each waiting for its own answer.
    #[value(name = "ask_64_in_flight")]
    Ask64InFlight,
    /// Two actors pass a ball back and forth.
    #[value(name = "ping_pong")]
    PingPong,
    /// A ball goes round a ring of 1000 actors.
    #[value(name = "ring_1000")]
    Ring1000,
    /// One driver tells 10 000 actors and waits for the last, round after round.
    #[value(name = "fan_out_10000")]
    FanOut10000,
    /// 100 000 actors are started, then stopped.
    #[value(name = "spawn_stop_100000")]
    SpawnStop100000,
    /// Resident memory of an idle actor, before and after its first message.
    #[value(name = "bytes_per_actor")]
    BytesPerActor,
}

/// A unit of measure, and which way is better.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// The text in reports.
    pub(crate) name: &'static str,
    /// A rate rather than a cost.
    pub(crate) more_is_better: bool,
}

const fn rate(name: &'static str) -> Unit {
    Unit {
        name,
        more_is_better: true,
    }
}

const fn cost(name: &'static str) -> Unit {
    Unit {
        name,
        more_is_better: false,
    }
}

impl Pattern {
    /// The name in flags and reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tell1To1 => "tell_1_1",
            Self::Tell4To1 => "tell_4_1",
            Self::AskSequential => "ask_sequential",
            Self::Ask64InFlight => "ask_64_in_flight",
            Self::PingPong => "ping_pong",
            Self::Ring1000 => "ring_1000",
            Self::FanOut10000 => "fan_out_10000",
            Self::SpawnStop100000 => "spawn_stop_100000",
            Self::BytesPerActor => "bytes_per_actor",
        }
    }

    /// What the figures of one run mean, in their order.
    pub(crate) const fn units(self) -> &'static [Unit] {
        match self {
            Self::Tell1To1 | Self::Tell4To1 | Self::FanOut10000 => const { &[rate("msgs/s")] },
            Self::AskSequential => const { &[cost("ns/ask")] },
            Self::Ask64InFlight => const { &[rate("asks/s")] },
            Self::PingPong => const { &[rate("round trips/s")] },
            Self::Ring1000 => const { &[rate("hops/s")] },
            Self::SpawnStop100000 => const { &[cost("ns/spawn"), cost("ns/stop")] },
            Self::BytesPerActor => const { &[cost("bytes idle"), cost("bytes after 1 msg")] },
        }
    }

    /// How much work one run does: messages, laps, rounds or actors, as the pattern counts.
    pub(crate) const fn load(self, quick: bool) -> u64 {
        let full = match self {
            Self::Tell1To1 | Self::Tell4To1 => 1_000_000,
            Self::AskSequential => 30_000,
            Self::Ask64InFlight => 256_000,
            Self::PingPong => 40_000,
            Self::Ring1000 => 100,
            Self::FanOut10000 => 30,
            Self::SpawnStop100000 | Self::BytesPerActor => 100_000,
        };
        if quick { full / 10 } else { full }
    }
}
