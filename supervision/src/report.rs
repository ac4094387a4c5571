//! Crash reports: what happened to whom, and what is done about it.
//!
//! "actor panicked" in a log says neither which of ten shards it was, nor what it was doing, nor
//! whether anybody will bring it back. The supervisor knows all three, so it writes the report. The
//! last reports of a node are kept, for `why` questions and for tests, which should not read logs.
//! Invariant: one report per incident, kept and traced alike; only the newest [`KEPT_MAX`] are kept.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mobula_actor_core::{ActorId, ExitReason, FlightRecord, System};

use crate::decide::event::Incident;

/// How many reports a node keeps.
pub const KEPT_MAX: usize = 128;

/// What happened to a supervised child, and what its supervisor does about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrashReport {
    /// The supervisors above the child, the outermost first.
    pub supervisors: Vec<Arc<str>>,
    /// The child's name in its spec.
    pub child: Arc<str>,
    /// Its type.
    pub type_name: String,
    /// Its id, if it was ever made.
    pub actor: Option<ActorId>,
    /// Which life of it ended.
    pub generation: u64,
    /// Why it ended: with the panic's text and place, and the message it was handling.
    pub reason: ExitReason,
    /// What it had handled last, oldest first, if its flight recorder was on.
    pub flight: Vec<FlightRecord>,
    /// What is done about it.
    pub incident: Incident,
}

impl CrashReport {
    /// Restarts left before the supervisor gives up, or the child's budget is used up.
    #[must_use]
    pub fn restarts_left(&self) -> Option<u32> {
        match self.incident {
            Incident::Restarting { restarts_left, .. } => restarts_left,
            Incident::IntensityExceeded | Incident::BudgetUsedUp => Some(0),
            Incident::StaysDown
            | Incident::StartFailed
            | Incident::EndedBadly
            | Incident::DeadlineMissed => None,
        }
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for supervisor in &self.supervisors {
            write!(f, "{supervisor}/")?;
        }
        write!(f, "{}", self.child)?;
        if let Some(actor) = self.actor {
            write!(f, " ({} {actor}, generation {})", self.type_name, self.generation)?;
        }
        write!(f, " {}; ", self.reason)?;
        match self.incident {
            Incident::Restarting { delay, restarts_left, .. } => {
                write_restart(f, delay, restarts_left)?;
            }
            Incident::StaysDown => f.write_str("it is temporary and stays down")?,
            Incident::BudgetUsedUp => f.write_str("its restarts are used up, it stays down")?,
            Incident::IntensityExceeded => {
                f.write_str("one restart more than allowed, the supervisor gives up")?;
            }
            Incident::StartFailed => f.write_str("its first start, it is not tried again")?,
            Incident::EndedBadly => f.write_str("while it was being stopped")?,
            Incident::DeadlineMissed => f.write_str("not stopped within its deadline, killed")?,
        }
        if self.flight.is_empty() {
            return Ok(());
        }
        write!(f, "; handled last: {}", FlightRecord::list(&self.flight))
    }
}

fn write_restart(f: &mut fmt::Formatter<'_>, delay: Duration, left: Option<u32>) -> fmt::Result {
    match delay.is_zero() {
        true => f.write_str("restarting")?,
        false => write!(f, "restarting in {delay:?}")?,
    }
    match left {
        Some(1) => f.write_str(", 1 restart left"),
        Some(left) => write!(f, ", {left} restarts left"),
        None => Ok(()),
    }
}

/// The newest crash reports of one node; an extension of its [`System`].
#[derive(Debug, Default)]
pub struct CrashReports(Mutex<VecDeque<Arc<CrashReport>>>);

impl CrashReports {
    /// The node's reports; hung into the system when first asked for.
    #[must_use]
    pub fn of(system: &System) -> Arc<Self> {
        system.extension().unwrap_or_else(|| {
            system.set_extension(Arc::new(Self::default()));
            // Whoever came second uses what the last one hung in.
            system.extension().unwrap_or_default()
        })
    }

    /// All that are kept, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<CrashReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Traces a report as an error and keeps it.
    pub(crate) fn file(&self, report: CrashReport) {
        tracing::error!(
            target: "mobula::supervision",
            child = %report.child,
            actor = report.actor.map(ActorId::as_u64),
            generation = report.generation,
            restarts_left = report.restarts_left(),
            "{report}"
        );
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Arc::new(report));
    }
}
