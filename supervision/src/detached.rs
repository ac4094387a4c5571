//! The root supervisor: who restarts actors that nobody supervises by a spec.
//!
//! A detached actor outlives its creator, and one with `max_restarts` wants to be made again though no
//! supervisor was written for it. An ordinary supervisor would give up when strangers' actors crash
//! too often together, and take all of them down. The root has no intensity of its own: each actor
//! brings its budget, and an actor that has used it up ends alone. It knows an actor from its
//! first crash on, so that millions of well-behaved ones cost it nothing.

use std::{collections::BTreeMap, fmt, time::Duration};

use mobula_actor_core::{
    Actor, ActorHandle, ActorId, ActorOptions, ActorRef, AsHandle, ChildExited, Context, Exclusive,
    ExitReason, Factory, Handler, Hook, Kind, Message, NoCalls, System,
};
use rand::{SeedableRng, rngs::SmallRng};
use tokio::time::Instant;

use crate::{
    backoff::Backoff,
    decide::event::Incident,
    report::{CrashReport, CrashReports},
    restart::{ExitClass, Fate, Restart},
};

/// The default back-off of the root: a first restart almost at once, then ever slower up to 10 s.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(10));

/// Supervises detached actors and those with `max_restarts`.
///
/// Such an actor is restarted after an abnormal end, at most `max_restarts` times in its life, with
/// back-off. One that ended normally, was stopped, or was killed for good is let go.
pub struct RootSupervisor {
    backoff: Backoff,
    rng: SmallRng,
    crashed: BTreeMap<ActorId, Record>,
}

/// An actor that has crashed at least once.
struct Record {
    restarts: u32,
    attempt: u32,
    up_since: Instant,
    /// While it waits out its back-off.
    suspended: Option<ActorHandle>,
}

impl RootSupervisor {
    /// Starts the node's root supervisor and hangs it into the system. For the composition root,
    /// once per node.
    #[must_use = "the last reference to the root ends it"]
    pub fn spawn(system: &System) -> ActorRef<Self> {
        Self::spawn_with(system, Backoff::new(BACKOFF.0, BACKOFF.1), None)
    }

    /// Like [`spawn`](Self::spawn), with a back-off of one's own and, for tests, a seed.
    #[must_use = "the last reference to the root ends it"]
    pub fn spawn_with(system: &System, backoff: Backoff, seed: Option<u64>) -> ActorRef<Self> {
        // Hung in before anything can crash, so that all reports find the same place.
        drop(CrashReports::of(system));
        let make = move || {
            let rng = match seed {
                Some(seed) => SmallRng::seed_from_u64(seed),
                None => SmallRng::from_rng(&mut rand::rng()),
            };
            Self { backoff, rng, crashed: BTreeMap::new() }
        };
        let root = ActorOptions::new(system.clone()).spawn_factory(Factory::once(make));
        system.set_root(root.as_handle());
        root
    }

    fn decide(&mut self, exited: &ChildExited) -> Incident {
        let id = exited.child.id();
        let budget = exited.child.max_restarts().unwrap_or(0);
        let now = Instant::now();
        let record = self.crashed.entry(id).or_insert_with(|| Record {
            restarts: 0,
            attempt: 0,
            up_since: now,
            suspended: None,
        });
        if record.restarts >= budget {
            return if budget == 0 { Incident::StaysDown } else { Incident::BudgetUsedUp };
        }
        record.attempt = self.backoff.attempt_after(record.attempt, now - record.up_since);
        let delay = self.backoff.delay(record.attempt, &mut self.rng);
        record.attempt += 1;
        record.restarts += 1;
        record.up_since = now + delay;
        record.suspended = Some(exited.child.clone());
        Incident::Restarting {
            delay,
            restarts_left: Some(budget - record.restarts),
            start_failed: matches!(exited.reason, ExitReason::StartFailed(_)),
        }
    }

    fn restart(&mut self, id: ActorId) {
        let suspended = self.crashed.get_mut(&id).and_then(|record| record.suspended.take());
        if let Some(child) = suspended
            && !child.restart()
        {
            self.crashed.remove(&id);
        }
    }
}

fn report(system: &System, exited: ChildExited, incident: Incident) {
    let child = exited.child;
    CrashReports::of(system).file(CrashReport {
        supervisors: vec!["root".into()],
        child: child.name().unwrap_or_else(|| child.id().to_string()).into(),
        type_name: child.type_name(),
        actor: Some(child.id()),
        generation: exited.generation,
        reason: exited.reason,
        flight: exited.flight,
        incident,
    });
}

impl Actor for RootSupervisor {
    type Mode = Exclusive;
    type Calls = NoCalls<Self>;
    const NAME: &'static str = "RootSupervisor";
    const KIND: Kind = Kind::Supervisor;

    fn child_exited<'a>(
        &'a mut self,
        ctx: &'a mut Context<Self>,
        exited: ChildExited,
    ) -> Hook<'a, Self> {
        let id = exited.child.id();
        if exited.ended_for_good {
            self.crashed.remove(&id);
            return Hook::done();
        }
        let fate = Restart::Transient.after(ExitClass::of(&exited.reason));
        if exited.told_to_end || fate != Fate::Restart {
            exited.child.terminate(exited.reason);
            return Hook::done();
        }
        let incident = self.decide(&exited);
        let child = exited.child.clone();
        let reason = exited.reason.clone();
        report(ctx.system(), exited, incident);
        if let Incident::Restarting { delay, .. } = incident {
            if delay.is_zero() {
                self.restart(id);
            } else {
                ctx.after(delay, BackoffOver(id));
            }
        } else {
            child.terminate(reason);
        }
        Hook::done()
    }
}

/// A suspended actor has waited long enough.
#[derive(Clone, Copy, Debug)]
struct BackoffOver(ActorId);

impl Message for BackoffOver {
    type Reply = ();
    type Value = ();
    type Refusal = std::convert::Infallible;
    const NAME: &'static str = "RootSupervisor::backoff_over";

    fn into_result((): ()) -> Result<(), Self::Refusal> {
        Ok(())
    }

    fn refusal_text(refusal: &Self::Refusal) -> String {
        match *refusal {}
    }
}

impl Handler<BackoffOver> for RootSupervisor {
    async fn handle(&mut self, BackoffOver(id): BackoffOver, _ctx: &mut Context<Self>) {
        self.restart(id);
    }
}

impl Drop for RootSupervisor {
    /// Nobody will ask any more whether those that wait may live again.
    fn drop(&mut self) {
        for record in std::mem::take(&mut self.crashed).into_values() {
            if let Some(child) = record.suspended {
                child.terminate(ExitReason::Shutdown);
            }
        }
    }
}

impl fmt::Debug for RootSupervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootSupervisor")
            .field("crashed", &self.crashed.len())
            .finish_non_exhaustive()
    }
}
