//! The frameworks by name, and what a reader must know about each.

use clap::ValueEnum;

use crate::contender::{Contender, Executor};
use crate::contenders::{
    actix::Actix,
    kameo::Kameo,
    mobula::{Mobula, on_node},
    ractor::Ractor,
    tokio_mpsc::TokioMpsc,
};
use crate::error::BenchError;
use crate::pattern::Pattern;
use crate::play::play;
use crate::tasks;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Framework {
    /// This project.
    Mobula,
    /// actix 0.13.
    Actix,
    /// ractor 0.16.
    Ractor,
    /// kameo 0.22.
    Kameo,
    /// No framework: a tokio task that reads a bounded tokio channel.
    TokioMpsc,
}

impl Framework {
    /// Every framework, in the order of the report.
    pub(crate) const ALL: &'static [Self] =
        &[Self::Mobula, Self::Actix, Self::Ractor, Self::Kameo, Self::TokioMpsc];

    /// The name in flags and reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mobula => "mobula",
            Self::Actix => "actix",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::TokioMpsc => "tokio_mpsc",
        }
    }

    /// What a reader must know before comparing this column.
    pub(crate) const fn caveat(self) -> &'static str {
        match self {
            Self::Mobula => {
                "bounded mailboxes, panic isolation, dead letters and the directory on; on arbiter \
                 actors are pinned to the driver's own"
            }
            Self::Actix => {
                "tells by do_send, which ignores the mailbox bound (actix has no tell that waits); \
                 on multi: a System with 2 arbiters, the driver on the first, actors spread \
                 round-robin from the second on, so talking pairs are split across threads"
            }
            Self::Ractor => "mailboxes are unbounded; arbiter means a current-thread tokio runtime",
            Self::Kameo => "bounded mailboxes; arbiter means a current-thread tokio runtime",
            Self::TokioMpsc => {
                "no actors: a task and a bounded channel, without panic isolation, names or exits"
            }
        }
    }

    /// Whether it can play `pattern` on `executor`. Tasks have threads of their own: one row will do.
    pub(crate) fn plays(self, pattern: Pattern, executor: Executor) -> bool {
        !pattern.is_of_tasks() || (self == Self::Mobula && executor == Executor::Multi)
    }

    /// Runs a pattern once, in this process.
    pub(crate) fn run(
        self,
        pattern: Pattern,
        executor: Executor,
        load: u64,
    ) -> Result<Vec<f64>, BenchError> {
        match self {
            Self::Mobula if pattern.is_of_tasks() => on_node(executor, move |node| async move {
                node.enter(tasks::play(pattern, load)).await
            }),
            Self::Mobula => run::<Mobula>(pattern, executor, load),
            Self::Actix => run::<Actix>(pattern, executor, load),
            Self::Ractor => run::<Ractor>(pattern, executor, load),
            Self::Kameo => run::<Kameo>(pattern, executor, load),
            Self::TokioMpsc => run::<TokioMpsc>(pattern, executor, load),
        }
    }
}

fn run<C: Contender>(
    pattern: Pattern,
    executor: Executor,
    load: u64,
) -> Result<Vec<f64>, BenchError> {
    C::run(executor, move |lab: C| play(lab, pattern, load))
}
