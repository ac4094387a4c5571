//! Arguments that come later: who waits for them, and who does not.
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

use desk::{Desk, Place, as_another, beside, on_node, promise, quiet};
use mobula_actor_core::{AskError, ExitReason, Mailbox, Undelivered};

#[tokio::test(start_paused = true)]
async fn a_call_runs_when_its_argument_has_come() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let (keep, argument) = promise();
        let call = beside({
            let desk = desk.clone();
            async move { desk.note(argument).await }
        });
        quiet().await;
        assert_eq!(place.entries(), []);
        keep.send(Ok(7)).unwrap();
        assert_eq!(call.await.unwrap().unwrap(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a2_calls_of_one_caller_run_in_order_even_if_arguments_come_in_another() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let (first, argument_1) = promise();
        let (third, argument_3) = promise();
        desk.note(argument_1).tell().await.unwrap();
        desk.note(2).tell().await.unwrap();
        desk.note(argument_3).tell().await.unwrap();
        desk.note(4).tell().await.unwrap();
        third.send(Ok(3)).unwrap();
        quiet().await;
        assert_eq!(place.entries(), []);
        first.send(Ok(1)).unwrap();
        quiet().await;
        assert_eq!(place.take(), [1, 2, 3, 4]);
        desk.note(5).await.unwrap();
        assert_eq!(place.take(), [5]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a4_a_caller_stuck_on_an_argument_does_not_hold_up_another() {
    on_node(async {
        for capacity in [1, 4, 1024] {
            let place = Place::new();
            let desk = Desk::options().mailbox(Mailbox::bounded(capacity)).remote(place.clone());
            let (keep, argument) = promise();
            desk.note(argument).tell().await.unwrap();
            quiet().await;
            as_another(async {
                assert_eq!(desk.note(2).await.unwrap(), 2);
                assert_eq!(desk.note(3).await.unwrap(), 3);
            })
            .await;
            keep.send(Ok(1)).unwrap();
            quiet().await;
            assert_eq!(place.take(), [2, 3, 1]);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_arguments_is_bounded_too() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::options().mailbox(Mailbox::bounded(4)).remote(place.clone());
        let (keep, argument) = promise();
        desk.note(argument).try_tell().unwrap();
        let mut sent = 1_u64;
        for _ in 0..1000 {
            sent += u64::from(desk.note(sent + 1).try_tell().is_ok());
            quiet().await;
        }
        assert!((4..=16).contains(&sent), "{sent} messages went in");
        keep.send(Ok(1)).unwrap();
        quiet().await;
        assert_eq!(place.take(), (1..=sent).collect::<Vec<_>>());
        for entry in 0..100 {
            desk.note(entry).tell().await.unwrap();
        }
        quiet().await;
        assert_eq!(place.take().len(), 100, "all room was given back");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_argument_failed_does_not_run_and_names_the_cause() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let (keep, argument) = promise();
        let call = beside({
            let desk = desk.clone();
            async move {
                let failed = desk.note(argument).await;
                (failed, desk.note(2).await)
            }
        });
        quiet().await;
        keep.send(Err("the oven broke".to_owned())).unwrap();
        let (failed, next) = call.await.unwrap();
        let failed = failed.unwrap_err();
        assert!(matches!(
            &failed,
            AskError::NotDelivered { reason: Undelivered::DependencyFailed(_), .. }
        ));
        assert!(failed.to_string().contains("the oven broke"), "{failed}");
        assert_eq!(next.unwrap(), 2);
        assert_eq!(place.take(), [2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_parked_calls_and_a_kill_hands_them_back() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let (keep, argument) = promise();
        desk.note(argument).tell().await.unwrap();
        desk.note(2).tell().await.unwrap();
        quiet().await;
        let stopping = desk.stop();
        quiet().await;
        assert!(desk.is_alive());
        keep.send(Ok(1)).unwrap();
        stopping.await.unwrap();
        assert_eq!(place.take(), [1, 2]);

        let desk = Desk::remote(place.clone());
        let (_keep, argument) = promise::<u64>();
        let call = beside({
            let desk = desk.clone();
            async move { desk.note(argument).await }
        });
        quiet().await;
        desk.kill().await.unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                AskError::NotDelivered { reason: Undelivered::ActorGone(ExitReason::Killed), .. }
            ),
            "{error}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_callers_with_many_arguments_keep_their_orders() {
    on_node(async {
        let seed = 20_u64;
        println!("seed {seed}");
        let place = Place::new();
        let desk = Desk::options().mailbox(Mailbox::bounded(8)).remote(place.clone());
        let callers: Vec<_> = (0..6_u64)
            .map(|caller| {
                let desk = desk.clone();
                beside(async move {
                    let mut random = seed + caller;
                    for count in 0..60 {
                        let entry = caller * 1000 + count;
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        if random >> 63 == 0 {
                            desk.note(entry).tell().await.unwrap();
                        } else {
                            let (keep, argument) = promise();
                            let delay = desk::ms(random >> 59);
                            beside(async move {
                                tokio::time::sleep(delay).await;
                                let _ = keep.send(Ok(entry));
                            });
                            desk.note(argument).tell().await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        tokio::time::sleep(desk::ms(5_000)).await;
        let entries = place.take();
        assert_eq!(entries.len(), 360);
        for caller in 0..6 {
            let own: Vec<u64> =
                entries.iter().copied().filter(|entry| entry / 1000 == caller).collect();
            assert!(own.is_sorted(), "caller {caller}: {own:?}");
        }
    })
    .await;
}
