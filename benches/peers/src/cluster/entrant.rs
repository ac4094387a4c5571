//! The contenders of this suite by name, and what a reader must know about each.

use std::future::Future;
use std::process::Command;

use clap::ValueEnum;

use super::caller::Caller;
use super::entrants::erlang::Home;
use super::entrants::{kameo, lane, mobula, ractor, tcp};
use super::ground::on_workers;
use super::pattern::FarPattern;
use super::play::play;
use crate::error::BenchError;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Entrant {
    /// This project.
    Mobula,
    /// Its lanes and bulk connections, without actors, tasks and objects on top.
    Lane,
    /// Plain TCP.
    Tcp,
    /// kameo 0.22, feature `remote`.
    Kameo,
    /// `ractor_cluster` 0.16.
    Ractor,
    /// Distributed Erlang, where it is installed.
    Erlang,
}

impl Entrant {
    /// The name in flags and reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mobula => "mobula",
            Self::Lane => "lane",
            Self::Tcp => "tcp",
            Self::Kameo => "kameo",
            Self::Ractor => "ractor",
            Self::Erlang => "erlang",
        }
    }

    /// Whether its figures compete: floors and parts of the whole do not.
    pub(crate) const fn competes(self) -> bool {
        !matches!(self, Self::Lane | Self::Tcp)
    }

    /// What a reader must know before comparing this column.
    pub(crate) const fn caveat(self) -> &'static str {
        match self {
            Self::Mobula => {
                "encrypted, both ends proved; an actor on the other node, called by its reference"
            }
            Self::Lane => {
                "the same encrypted connections without actors, tasks and objects: the floor that \
                 the goals speak of"
            }
            Self::Tcp => "not encrypted: the floor of the machine",
            Self::Kameo => {
                "encrypted; a stream for each message, so tells go in waves of 50 with an answer \
                 between them, 1/40 of the work"
            }
            Self::Ractor => "not encrypted; unbounded queues; 1/4 of the work",
            Self::Erlang => "not encrypted; 1/4 of the work",
        }
    }

    /// Whether it can play `pattern`.
    pub(crate) const fn plays(self, pattern: FarPattern) -> bool {
        match pattern {
            FarPattern::RemoteAsk
            | FarPattern::RemoteAsk64
            | FarPattern::RemoteTell
            | FarPattern::RemoteBurst => true,
            // Frames of 16 MiB, requests of 1 MiB: large values are not for the other two.
            FarPattern::Object1Gib => !matches!(self, Self::Kameo | Self::Ractor),
            FarPattern::ControlRoundTrip
            | FarPattern::RemoteTasks
            | FarPattern::Start
            | FarPattern::Idle
            | FarPattern::Crash => matches!(self, Self::Mobula),
        }
    }

    /// How much of the pattern's work one run does, so that the slower ones end, too.
    pub(crate) fn load(self, pattern: FarPattern, quick: bool) -> u64 {
        let full = pattern.load();
        let share = match (pattern, self) {
            (FarPattern::RemoteAsk64 | FarPattern::RemoteTell, Self::Kameo) => 40,
            (FarPattern::RemoteAsk64 | FarPattern::RemoteTell, Self::Ractor | Self::Erlang) => 4,
            _ => 1,
        };
        full / share / if quick && pattern.can_be_cut() { 10 } else { 1 }
    }

    /// How the far side is started; it says its address in one line and ends with its standard input.
    pub(crate) fn far_command(self, erlang: Option<&Home>) -> Result<Command, BenchError> {
        if let (Self::Erlang, Some(home)) = (self, erlang) {
            return Ok(home.far_command());
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["far", self.name()]);
        Ok(command)
    }

    /// How the near side is started; it writes its figures, one a line.
    pub(crate) fn near_command(
        self,
        erlang: Option<&Home>,
        (pattern, load): (FarPattern, u64),
        address: &str,
    ) -> Result<Command, BenchError> {
        if let (Self::Erlang, Some(home)) = (self, erlang) {
            return Ok(home.near_command(pattern, load, address));
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["near", self.name(), pattern.name()]);
        command.arg(load.to_string()).arg(address);
        Ok(command)
    }

    /// The far side, in this process.
    pub(crate) fn far(self) -> Result<(), BenchError> {
        match self {
            Self::Mobula => on_workers(mobula::far()),
            Self::Lane => on_workers(lane::far()),
            Self::Tcp => on_workers(tcp::far()),
            Self::Kameo => on_workers(kameo::far()),
            Self::Ractor => on_workers(ractor::far()),
            Self::Erlang => Err(BenchError::NothingToRun("Erlang has a program of its own")),
        }
    }

    /// The near side, in this process.
    pub(crate) fn near(
        self,
        pattern: FarPattern,
        load: u64,
        address: String,
    ) -> Result<Vec<f64>, BenchError> {
        match self {
            Self::Mobula => on_workers(mobula::near(pattern, load, address)),
            Self::Lane => on_workers(near(lane::call(address), pattern, load)),
            Self::Tcp => on_workers(near(tcp::call(address), pattern, load)),
            Self::Kameo => on_workers(near(kameo::call(address), pattern, load)),
            Self::Ractor => on_workers(near(ractor::call(address), pattern, load)),
            Self::Erlang => Err(BenchError::NothingToRun("Erlang has a program of its own")),
        }
    }
}

async fn near<C: Caller>(
    calling: impl Future<Output = Result<C, BenchError>>,
    pattern: FarPattern,
    load: u64,
) -> Result<Vec<f64>, BenchError> {
    play(&calling.await?, pattern, load).await
}
