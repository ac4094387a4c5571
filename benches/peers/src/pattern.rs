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
    /// 10 000 trivial tasks are submitted and their results gathered, batch after batch.
    #[value(name = "tasks_batch_10000")]
    TasksBatch10000,
    /// One trivial task is submitted and its result awaited, again and again.
    #[value(name = "task_get_latency")]
    TaskGetLatency,
    /// 1000 tasks, each taking the result of the one before.
    #[value(name = "task_chain_1000")]
    TaskChain1000,
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
    Unit { name, more_is_better: true }
}

const fn cost(name: &'static str) -> Unit {
    Unit { name, more_is_better: false }
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
            Self::TasksBatch10000 => "tasks_batch_10000",
            Self::TaskGetLatency => "task_get_latency",
            Self::TaskChain1000 => "task_chain_1000",
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
            Self::TasksBatch10000 => const { &[rate("tasks/s")] },
            Self::TaskGetLatency => const { &[cost("µs p50")] },
            Self::TaskChain1000 => const { &[cost("ms")] },
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
            Self::TasksBatch10000 | Self::TaskChain1000 => 10,
            Self::TaskGetLatency => 5_000,
        };
        if quick { full / 10 } else { full }
    }

    /// Whether it is about tasks, which only mobula has, on threads of their own beside the executor.
    pub(crate) const fn is_of_tasks(self) -> bool {
        matches!(self, Self::TasksBatch10000 | Self::TaskGetLatency | Self::TaskChain1000)
    }

    /// What Ray 2.60.0 was measured at on a machine of this kind, as this project's documents record
    /// it, in the pattern's unit. Not measured by this program.
    pub(crate) const fn ray_recorded(self) -> Option<f64> {
        match self {
            Self::TasksBatch10000 => Some(1_814.0),
            Self::TaskGetLatency => Some(1_670.0),
            Self::TaskChain1000 => Some(2_200.0),
            Self::Tell1To1
            | Self::Tell4To1
            | Self::AskSequential
            | Self::Ask64InFlight
            | Self::PingPong
            | Self::Ring1000
            | Self::FanOut10000
            | Self::SpawnStop100000
            | Self::BytesPerActor => None,
        }
    }
}
