//! Restarts: what a supervisor can do with a child that has ended, and what becomes of its messages.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

extern crate mobula_actor_core as mobula;

#[path = "fixture/desk.rs"]
mod desk;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use desk::{Desk, Keeping, Place, Verdict, beside, here, ms, on_node, promise, quiet};
use mobula_actor_core::{
    ActorOptions, ActorRef, AsHandle, AskError, DeadLetterReason, ExitReason, Mailbox, Undelivered,
    UnknownOutcome,
};

fn child_of(keeping: &Keeping, place: &Place, mailbox: Mailbox) -> ActorRef<Desk> {
    let place = place.clone();
    ActorOptions::here()
        .mailbox(mailbox)
        .supervised_by(keeping.handle())
        .spawn_with(move || Desk::new(place.clone()))
}

fn child(keeping: &Keeping, place: &Place) -> ActorRef<Desk> {
    child_of(keeping, place, Mailbox::default())
}

#[tokio::test(start_paused = true)]
async fn a_restarted_child_keeps_its_reference_and_begins_anew() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let child = child(&keeping, &place);
        let error = child.boom(1).await.unwrap_err();
        assert!(matches!(
            error,
            AskError::OutcomeUnknown { why: UnknownOutcome::ActorEnded(ExitReason::Panic(_)), .. }
        ));
        assert_eq!(child.note(2).await.unwrap(), 2);
        let exits = keeping.exits();
        assert_eq!(exits.len(), 1);
        assert_eq!((exits[0].child.id(), exits[0].generation), (child.id(), 1));
        assert!(!exits[0].ended_for_good && !exits[0].told_to_end);
        assert_eq!(child.as_handle().generation(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_wait_while_the_supervisor_decides() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Wait), Place::new());
        let child = child(&keeping, &place);
        child.boom(1).tell().await.unwrap();
        quiet().await;
        let asked = beside({
            let child = child.clone();
            async move { child.note(2).await }
        });
        quiet().await;
        assert_eq!(place.take(), [1]);
        assert_eq!(here().directory().get(child.id()).unwrap().state(), "restarting");
        assert!(child.as_handle().restart());
        assert_eq!(asked.await.unwrap().unwrap(), 2);
        assert!(!child.as_handle().restart(), "it runs");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_terminated_child_answers_what_waits() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Wait), Place::new());
        let child = child(&keeping, &place);
        child.boom(1).tell().await.unwrap();
        quiet().await;
        let asked = beside({
            let child = child.clone();
            async move { child.note(2).await }
        });
        quiet().await;
        child.as_handle().terminate(ExitReason::Shutdown);
        let error = asked.await.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                AskError::NotDelivered { reason: Undelivered::ActorGone(ExitReason::Shutdown), .. }
            ),
            "{error}"
        );
        assert!(!child.is_alive());
        assert!(keeping.exits().last().is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_is_discarded_at_a_crash_and_says_so() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let tap = here().dead_letters().subscribe(NonZeroUsize::new(8).unwrap());
        let child = child(&keeping, &place);
        child.hold(0).tell().await.unwrap();
        quiet().await;
        child.boom(1).tell().await.unwrap();
        let asked = beside({
            let child = child.clone();
            async move { child.note(2).await }
        });
        quiet().await;
        child.note(3).tell().await.unwrap();
        place.open(1);
        match asked.await.unwrap() {
            Err(AskError::NotDelivered {
                message: Some(message),
                reason: Undelivered::Discarded(ExitReason::Panic(_)),
                ..
            }) => assert_eq!(message.into_inner().into_args(), (2,)),
            other => panic!("{other:?}"),
        }
        quiet().await;
        let reasons: Vec<_> = tap.drain().into_iter().map(|letter| letter.reason).collect();
        assert_eq!(reasons, [DeadLetterReason::Discarded]);
        assert_eq!(child.note(4).await.unwrap(), 4);
        assert_eq!(place.take(), [0, 1, 4]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_stood_in_line_at_a_crash_gets_in_afterwards() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let child = child_of(&keeping, &place, Mailbox::bounded(1));
        child.hold(0).tell().await.unwrap();
        quiet().await;
        child.boom(1).tell().await.unwrap();
        let told = [2, 3].map(|entry| {
            let child = child.clone();
            beside(async move { child.note(entry).tell().await })
        });
        quiet().await;
        place.open(1);
        for told in told {
            told.await.unwrap().unwrap();
        }
        quiet().await;
        // The first in line had moved up when the crashing message began.
        assert_eq!(place.take(), [0, 1, 3]);
    })
    .await;
}

/// Crashes at the entries it is told to, once each.
pub struct Fragile {
    place: Place,
    crashes: Arc<AtomicU32>,
}

#[mobula_actor_core::actor]
impl Fragile {
    pub fn new(place: Place, crashes: Arc<AtomicU32>) -> Self {
        Self { place, crashes }
    }
    pub fn step(&mut self, entry: u64) -> u64 {
        if entry % 10 == 5 && self.crashes.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            panic!("crash at {entry}");
        }
        self.place.note(entry);
        entry
    }
    pub async fn hold(&mut self) {
        self.place.pass().await;
    }
    pub fn refuse(&mut self) -> Result<u32, String> {
        let runs = self.crashes.fetch_add(1, Ordering::Relaxed) + 1;
        if runs < 6 { Err(format!("run {runs}")) } else { Ok(runs) }
    }
    pub async fn refuse_later(&mut self) -> Result<u32, String> {
        tokio::task::yield_now().await;
        self.refuse()
    }
    pub fn refuse_for_ever(&mut self) -> Result<(), String> {
        Err("never".to_owned())
    }
}

fn fragile(keeping: &Keeping, place: &Place) -> ActorRef<Fragile> {
    let (place, crashes) = (place.clone(), Arc::new(AtomicU32::new(0)));
    ActorOptions::here()
        .supervised_by(keeping.handle())
        .spawn_with(move || Fragile::new(place.clone(), Arc::clone(&crashes)))
}

#[tokio::test(start_paused = true)]
async fn f8_retried_calls_keep_their_order_over_crashes_and_none_fails() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let actor = fragile(&keeping, &place);
        actor.hold().tell().await.unwrap();
        quiet().await;
        let calls: Vec<_> = (0..100)
            .map(|entry| {
                let actor = actor.clone();
                beside(async move { actor.step(entry).max_retries(u32::MAX).await })
            })
            .collect();
        quiet().await;
        place.open(1);
        for (call, entry) in calls.into_iter().zip(0..) {
            assert_eq!(call.await.unwrap().unwrap(), entry);
        }
        assert_eq!(place.take(), (0..100).collect::<Vec<_>>());
        assert_eq!(keeping.exits().len(), 10);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn retried_calls_that_wait_for_arguments_keep_their_order_over_a_crash() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let actor = fragile(&keeping, &place);
        let (keep, argument) = promise();
        actor.step(argument).max_retries(3).tell().await.unwrap();
        actor.step(5).max_retries(3).tell().await.unwrap();
        actor.step(6).max_retries(3).tell().await.unwrap();
        quiet().await;
        actor.as_handle().exit(ExitReason::Killed);
        quiet().await;
        actor.step(7).max_retries(3).tell().await.unwrap();
        keep.send(Ok(4)).unwrap();
        quiet().await;
        assert_eq!(place.take(), [4, 5, 6, 7]);
        assert_eq!(keeping.exits().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn f9_a_call_that_refuses_five_times_with_five_retries_succeeds_on_run_six() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let actor = fragile(&keeping, &place);
        assert_eq!(actor.refuse().max_retries(5).retry_errors().await.unwrap(), 6);
        let actor = fragile(&keeping, &place);
        assert_eq!(actor.refuse_later().max_retries(5).retry_errors().await.unwrap(), 6);
        let actor = fragile(&keeping, &place);
        let refused = actor.refuse().max_retries(4).retry_errors().await.unwrap_err();
        assert_eq!(refused.refusal().map(String::as_str), Some("run 5"));
        assert!(actor.refuse().await.is_ok(), "without retry_errors a refusal is an answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_refuses_for_ever_starves_nobody_and_can_be_killed() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let actor = fragile(&keeping, &place);
        let call = beside({
            let actor = actor.clone();
            async move { actor.refuse_for_ever().max_retries(u32::MAX).retry_errors().await }
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        actor.kill().await.unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert!(!error.is_safe_to_retry(), "its handler ran: {error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn f10_a_retried_call_whose_actor_is_not_restarted_is_not_called_undelivered() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Terminate), Place::new());
        let actor = fragile(&keeping, &place);
        let error = actor.step(5).max_retries(9).await.unwrap_err();
        assert!(
            matches!(
                error,
                AskError::OutcomeUnknown {
                    why: UnknownOutcome::ActorEnded(ExitReason::Panic(_)),
                    ..
                }
            ),
            "the handler saw it: {error}"
        );
        assert!(error.to_string().contains("crash at 5"), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_give_its_slot_back_twice() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let (place_, crashes) = (place.clone(), Arc::new(AtomicU32::new(0)));
        let actor: ActorRef<Fragile> = ActorOptions::here()
            .mailbox(Mailbox::bounded(2))
            .supervised_by(keeping.handle())
            .spawn_with(move || Fragile::new(place_.clone(), Arc::clone(&crashes)));
        for _ in 0..5 {
            drop(actor.refuse_later().max_retries(9).retry_errors().await);
        }
        actor.hold().tell().await.unwrap();
        quiet().await;
        let sent = (0..10).filter(|_| actor.step(1).try_tell().is_ok()).count();
        assert_eq!(sent, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_stopped_by_itself_serves_again_when_restarted() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let child = child(&keeping, &place);
        child.end().await.unwrap();
        quiet().await;
        assert!(matches!(keeping.reasons()[..], [ExitReason::Normal]));
        assert_eq!(child.note(1).await.unwrap(), 1);
        child.leave().await.unwrap();
        assert_eq!(child.note(2).await.unwrap(), 2);
        assert_eq!(keeping.exits().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn f12_a_stop_or_kill_for_good_never_asks_for_a_restart() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let stopped = child(&keeping, &place);
        assert!(matches!(stopped.stop().await, Ok(ExitReason::Shutdown)));
        let killed = child(&keeping, &place);
        assert!(matches!(killed.kill().await, Ok(ExitReason::Killed)));
        quiet().await;
        assert!(keeping.exits().iter().all(|exited| exited.ended_for_good && exited.told_to_end));
        assert_eq!(keeping.exits().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a18_a_kill_that_allows_a_restart_counts_as_a_crash() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
        let child = child(&keeping, &place);
        child.note(1).await.unwrap();
        child.kill().restart();
        quiet().await;
        assert_eq!(child.note(2).await.unwrap(), 2);
        assert!(matches!(keeping.reasons()[..], [ExitReason::Killed]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_or_stop_between_two_generations_takes_effect() {
    on_node(async {
        for kill in [true, false] {
            let (keeping, place) = (Keeping::new(Verdict::Wait), Place::new());
            let child = child(&keeping, &place);
            child.boom(1).tell().await.unwrap();
            quiet().await;
            let reason = if kill { child.kill().await } else { child.stop().await };
            assert!(matches!(reason, Ok(ExitReason::Killed | ExitReason::Shutdown)));
            assert!(!child.as_handle().restart());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_child_ends_with_a_supervisor_that_cannot_decide_any_more() {
    on_node(async {
        let (keeping, place) = (Keeping::new(Verdict::Wait), Place::new());
        let child = child(&keeping, &place);
        keeping.keeper.kill().await.unwrap();
        child.boom(1).tell().await.unwrap();
        assert!(matches!(child.closed().await, ExitReason::Panic(_)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_end_its_crashed_supervisor_never_heard_of_does_not_hang() {
    on_node(async {
        let above = Keeping::new(Verdict::Wait);
        let middle: ActorRef<Desk> = {
            let place = Place::new();
            ActorOptions::here()
                .supervised_by(above.handle())
                .spawn_with(move || Desk::new(place.clone()))
        };
        let place = Place::new();
        let place_ = place.clone();
        let child: ActorRef<Desk> = ActorOptions::here()
            .supervised_by(middle.as_handle())
            .spawn_with(move || Desk::new(place_.clone()));
        child.note(0).await.unwrap();
        middle.boom(1).tell().await.unwrap();
        quiet().await;
        // Its supervisor is suspended: nobody will ever decide about this.
        child.boom(2).tell().await.unwrap();
        let ended = tokio::time::timeout(ms(1000), child.closed()).await;
        assert!(matches!(ended, Ok(ExitReason::Panic(_))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_constructor_that_fails_at_the_restart_is_reported_with_its_cause() {
    on_node(async {
        let keeping = Keeping::new(Verdict::Restart);
        let place = Place::new();
        let mut starts = 0;
        let child: ActorRef<Desk> =
            ActorOptions::here().supervised_by(keeping.handle()).spawn_with(move || {
                starts += 1;
                if starts % 2 == 0 {
                    Err(format!("start {starts} fails"))
                } else {
                    Ok(Desk::new(place.clone()))
                }
            });
        child.boom(1).tell().await.unwrap();
        quiet().await;
        assert_eq!(child.note(2).await.unwrap(), 2);
        let reasons = keeping.reasons();
        assert!(
            matches!(reasons[..], [ExitReason::Panic(_), ExitReason::StartFailed(_)]),
            "{reasons:?}"
        );
        assert!(reasons[1].to_string().contains("start 2 fails"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_and_restarts_from_all_sides_end_in_one_end() {
    on_node(async {
        for _ in 0..200 {
            let (keeping, place) = (Keeping::new(Verdict::Restart), Place::new());
            let child = child(&keeping, &place);
            let crashing = beside({
                let child = child.clone();
                async move {
                    for entry in 0..5 {
                        drop(child.boom(entry).await);
                    }
                }
            });
            let killing = beside({
                let child = child.clone();
                async move {
                    tokio::task::yield_now().await;
                    child.kill().await
                }
            });
            let ended = tokio::time::timeout(ms(20_000), killing).await;
            assert!(ended.expect("a kill is never lost").unwrap().is_ok());
            crashing.await.unwrap();
            assert!(!child.is_alive());
            assert!(child.note(1).await.is_err());
            assert_eq!(here().directory().get(child.id()).map(|_| ()), None);
        }
    })
    .await;
}
