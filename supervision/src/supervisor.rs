//! The supervisor: the driver that does what the core decides.
//!
//! Deciding and doing are kept apart so that the decisions can be tested without actors. What is
//! left here is translation: signals and answers of the floor become events, actions become calls to
//! handles, timers and replies. Two situations differ. While the supervisor runs, ends of
//! children arrive as signals between its messages. Inside its `stopping` hook no signal is read
//! any more, so there the final ends of the children are awaited as futures; the core is the same.
//!
//! The law:
//! 1. Every event goes through `Supervisor::feed`; nothing changes the core's state elsewhere.
//! 2. A suspended child is answered: started again, or terminated by `Kids::release`.
//! 3. Whatever ends a supervisor, its children end too: in order through `stopping`, or, if it is
//!    killed, by the kill in `Drop`.

pub mod builder;
pub mod calls;
mod kids;
mod requests;
mod shut_down;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{future::BoxFuture, stream};
use mobula_actor_core::{
    Actor, ChildExited, Context, ErrorText, Exclusive, ExitReason, Hook, Kind,
};
use rand::{SeedableRng, rngs::SmallRng};
use tokio::time::Instant;

use self::{
    builder::SupervisorBuilder,
    calls::{SupervisorCalls, TimerFired, Up},
    kids::Kids,
    requests::Waiting,
};
use crate::{
    child_spec::{Home, Path},
    children::ChildKey,
    decide::{
        Core,
        event::{Action, Ending, Event, Incident, TimerToken},
    },
    error::SpecError,
    report::{CrashReport, CrashReports},
    restart::ExitClass,
    shutdown::StopOrder,
    strategy::Strategy,
};

/// An actor that starts other actors, starts them again when they fail, and stops them in order.
///
/// Described by [`SupervisorBuilder`]; asked through [`SupervisorCalls`]. What becomes of a child that
/// ended depends on its restart type and on how it ended, whoever ended it: a permanent child that
/// somebody stops or kills comes back, as in OTP; [`terminate_child`](SupervisorCalls::terminate_child)
/// is the way to be rid of it. References stay good over restarts, except when a child was stopped
/// or killed for good by others: then it comes back as a new actor.
///
/// Children end with their supervisor, grandchildren with them. When a supervisor is itself restarted
/// by its parent, its children are made anew: look them up again. Every fault is filed in the
/// node's [`CrashReports`], where `CrashReports::of(&system).list()` shows the newest.
///
/// # Examples
/// ```
/// # extern crate mobula_actor_core as mobula;
/// use std::time::Duration;
/// use mobula::{System, actor};
/// use mobula_supervision::{ChildSpec, Supervisor};
///
/// struct Ledger { balance: i64 }
///
/// #[actor]
/// impl Ledger {
///     pub fn new() -> Self { Self { balance: 0 } }
///     pub fn add(&mut self, amount: i64) -> i64 {
///         self.balance = self.balance.checked_add(amount).expect("no more than i64 holds");
///         self.balance
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let system = System::builder().build();
/// let supervisor = Supervisor::one_for_one()
///     .intensity(5, Duration::from_secs(10))
///     .child(ChildSpec::new("ledger", Ledger::new).shutdown(Duration::from_secs(5)))
///     .spawn_on(&system);
/// let ledger = supervisor.child::<Ledger>("ledger").await.unwrap();
/// assert_eq!(ledger.add(i64::MAX).await.unwrap(), i64::MAX);
/// assert!(ledger.add(1).await.is_err(), "it panics, and is made anew");
/// while ledger.add(1).await.is_err() {}
/// # }
/// ```
pub struct Supervisor {
    core: Core,
    rng: SmallRng,
    path: Path,
    kids: Kids,
    waiting: Waiting,
    /// Set in `started`, before anything else runs.
    home: Option<Home>,
    refused: Option<SpecError>,
}

/// What remains to be done of an action, by whichever loop runs.
enum FollowUp {
    Timer(TimerToken, Duration),
    AwaitUp(ChildKey, u64, BoxFuture<'static, Result<(), ExitReason>>),
    End(ExitReason),
}

impl Supervisor {
    /// Each child for itself.
    #[must_use]
    pub fn one_for_one() -> SupervisorBuilder {
        SupervisorBuilder::new(Strategy::OneForOne, StopOrder::Reverse)
    }

    /// When one fails, all are started anew.
    #[must_use]
    pub fn one_for_all() -> SupervisorBuilder {
        SupervisorBuilder::new(Strategy::OneForAll, StopOrder::Reverse)
    }

    /// When one fails, it and those started after it are started anew.
    #[must_use]
    pub fn rest_for_one() -> SupervisorBuilder {
        SupervisorBuilder::new(Strategy::RestForOne, StopOrder::Reverse)
    }

    fn new(builder: &SupervisorBuilder, path: Path) -> Self {
        let mut core = Core::new(builder.settings.clone());
        let mut kids = Kids::default();
        let mut refused = None;
        for blueprint in &builder.children {
            match core.declare(blueprint.rules().clone()) {
                Ok(key) => kids.insert(key, Arc::clone(blueprint)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let rng = match builder.seed {
            Some(seed) => SmallRng::seed_from_u64(seed),
            None => SmallRng::from_rng(&mut rand::rng()),
        };
        Self { core, rng, path, kids, waiting: Waiting::default(), home: None, refused }
    }

    /// Feeds the core, and does what it says.
    fn feed(&mut self, event: Event) -> Vec<FollowUp> {
        let now = Instant::now().into_std();
        let actions = self.core.handle(event, now, &mut self.rng);
        let follow_ups = actions.into_iter().filter_map(|action| self.perform(action)).collect();
        self.settle_finders();
        follow_ups
    }

    /// Feeds the core while the supervisor runs.
    fn run(&mut self, event: Event, ctx: &mut Context<Self>) {
        for follow_up in self.feed(event) {
            match follow_up {
                FollowUp::Timer(token, after) => {
                    ctx.after(after, TimerFired(token));
                }
                FollowUp::AwaitUp(child, generation, up) => {
                    let up = async move { Up { child, generation, result: up.await } };
                    ctx.attach(stream::once(up));
                }
                FollowUp::End(reason) => ctx.exit_with(reason),
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<FollowUp> {
        match action {
            Action::StartChild { child, generation } => return self.start(child, generation),
            Action::StopChild { child, deadline } => self.stop(child, deadline),
            Action::KillChild { child } => self.kill(child),
            Action::StartTimer { token, after } => return Some(FollowUp::Timer(token, after)),
            Action::Release { child } => self.kids.release(child),
            Action::Forget { child } => self.kids.forget(child),
            Action::Report { child, what } => self.report(child, what),
            Action::Answer { request, result } => self.answer(request, result),
            Action::Ready => self.waiting.all_up(),
            Action::GiveUp(_) => {}
            Action::Done(ending) => return Some(FollowUp::End(self.end_reason(ending))),
        }
        None
    }

    fn start(&mut self, child: ChildKey, generation: u64) -> Option<FollowUp> {
        let home = self.home.as_ref()?;
        let kid = self.kids.start(child, generation, home)?;
        let up = kid.blueprint.is_up(kid.cell.as_ref()?);
        Some(FollowUp::AwaitUp(child, generation, up))
    }

    /// At the supervisor's own end a child handles what waits and ends for good; before, it ends
    /// after its running handler and may be started again in the same cell.
    fn stop(&mut self, child: ChildKey, deadline: Option<Duration>) {
        self.kids.stopping(child, deadline);
        let Some(handle) = self.kids.handle(child) else {
            return;
        };
        match self.core.ending() {
            Some(_) => handle.request_stop(ExitReason::Shutdown),
            None => handle.shutdown(ExitReason::Shutdown),
        }
    }

    fn kill(&self, child: ChildKey) {
        let Some(handle) = self.kids.handle(child) else {
            return;
        };
        match self.core.ending() {
            Some(_) => handle.kill(),
            None => handle.exit(ExitReason::Killed),
        }
    }

    fn report(&mut self, key: ChildKey, incident: Incident) {
        let (Some(home), Some(kid)) = (&self.home, self.kids.get(key)) else {
            return;
        };
        let (reason, flight) = kid.last.clone().unwrap_or((ExitReason::Shutdown, Vec::new()));
        if incident == Incident::StartFailed {
            self.waiting.start_failure = Some(reason.clone());
        }
        CrashReports::of(&home.system).file(CrashReport {
            supervisors: self.path.to_vec(),
            child: Arc::clone(&kid.blueprint.rules().name),
            type_name: kid.blueprint.type_name().to_owned(),
            actor: kid.actor,
            generation: kid.generation,
            reason,
            flight,
            incident,
        });
    }

    fn end_reason(&self, ending: Ending) -> ExitReason {
        let last = |key| {
            let kid = self.kids.get(key);
            let name = kid.map(|kid| kid.blueprint.rules().name.to_string());
            let reason = kid.and_then(|kid| Some(kid.last.as_ref()?.0.clone()));
            (name.unwrap_or_default(), reason.unwrap_or(ExitReason::Shutdown))
        };
        match ending {
            Ending::Shutdown | Ending::AutoShutdown => ExitReason::Shutdown,
            Ending::GaveUp(key) => {
                let (child, reason) = last(key);
                ExitReason::Escalated { child, reason: Arc::new(reason) }
            }
            Ending::StartFailed(key) => {
                let (child, reason) = last(key);
                ExitReason::StartFailed(ErrorText::from_text(format!("child `{child}` {reason}")))
            }
        }
    }
}

impl Actor for Supervisor {
    type Mode = Exclusive;
    type Calls = SupervisorCalls;
    const NAME: &'static str = "Supervisor";
    const KIND: Kind = Kind::Supervisor;

    fn started<'a>(&'a mut self, ctx: &'a mut Context<Self>) -> Hook<'a, Self> {
        if let Some(error) = self.refused.take() {
            return Hook::from_result(Err(ErrorText::new(error)));
        }
        self.home = Some(Home {
            system: ctx.system().clone(),
            supervisor: ctx.handle(),
            path: Arc::clone(&self.path),
        });
        self.run(Event::Begin, ctx);
        Hook::done()
    }

    fn stopping<'a>(
        &'a mut self,
        _ctx: &'a mut Context<Self>,
        _reason: ExitReason,
    ) -> Hook<'a, Self> {
        Hook::later(async move {
            self.shut_down().await;
            Ok(())
        })
    }

    fn child_exited<'a>(
        &'a mut self,
        ctx: &'a mut Context<Self>,
        exited: ChildExited,
    ) -> Hook<'a, Self> {
        let exit = ExitClass::of(&exited.reason);
        // A supervisor is up only when all its own children are: that it served says nothing.
        let is_plain = exited.child.kind() != Kind::Supervisor;
        let had_started = exited.had_started && is_plain;
        if let Some(child) = self.kids.ended(exited)
            && let Some(row) = self.core.children().get(child)
        {
            let generation = row.generation;
            if had_started {
                // The news of its start may still be on the way: it must not be taken for a start that failed.
                self.run(Event::StartSucceeded { child, generation }, ctx);
            }
            self.run(Event::ChildExited { child, generation, exit }, ctx);
        }
        Hook::done()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.kids.kill_all();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("path", &self.path)
            .field("children", &self.core.children().counts())
            .finish_non_exhaustive()
    }
}
