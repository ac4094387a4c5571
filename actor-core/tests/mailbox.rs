//! The law of the mailbox: bounds, waiting lines, overflow rules, signals, closing, fairness.
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
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use desk::{Desk, Place, as_another, beside, here, ms, on_node, quiet};
use mobula_actor_core::{
    ActorRef, AsHandle, AskError, DeadLetterReason, DeadLetterTap, ExitReason, Mailbox, Undelivered,
};

fn tap() -> DeadLetterTap {
    here().dead_letters().subscribe(NonZeroUsize::new(64).unwrap())
}

fn reasons(tap: &DeadLetterTap) -> Vec<DeadLetterReason> {
    tap.drain().into_iter().map(|letter| letter.reason).collect()
}

/// A desk that is held up in its first message.
async fn held_up(mailbox: Mailbox) -> (ActorRef<Desk>, Place) {
    let place = Place::new();
    let desk = Desk::options().mailbox(mailbox).remote(place.clone());
    desk.hold(0).tell().await.unwrap();
    quiet().await;
    assert_eq!(place.take(), [0]);
    (desk, place)
}

/// How many messages the mailbox takes while its actor is held up.
fn room(desk: &ActorRef<Desk>) -> u64 {
    (1..).take_while(|entry| desk.note(*entry).try_tell().is_ok()).count() as u64
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_n_means_n_waiting_messages_and_not_one_more() {
    on_node(async {
        for capacity in [1, 2, 3, 4, 7, 8, 64, 65, 300] {
            let (desk, place) = held_up(Mailbox::bounded(capacity)).await;
            assert_eq!(room(&desk), u64::from(capacity));
            place.open(1);
            quiet().await;
            assert_eq!(place.take(), (1..=u64::from(capacity)).collect::<Vec<_>>());
            desk.hold(0).tell().await.unwrap();
            quiet().await;
            assert_eq!(room(&desk), u64::from(capacity), "the second time");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_hands_a_try_tell_back_with_the_message_inside() {
    on_node(async {
        let (desk, _place) = held_up(Mailbox::bounded(1)).await;
        desk.note(1).try_tell().unwrap();
        let error = desk.note(2).try_tell().unwrap_err();
        assert!(matches!(error.reason(), Undelivered::MailboxFull));
        assert_eq!(error.into_message().unwrap().into_args(), (2,));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn senders_wait_for_room_first_come_first_served() {
    on_node(async {
        for capacity in [1, 2, 8] {
            let (desk, place) = held_up(Mailbox::bounded(capacity)).await;
            for entry in 1..=40 {
                let desk = desk.clone();
                if entry % 2 == 0 {
                    beside(async move { desk.note(entry).tell().await.unwrap() });
                } else {
                    beside(async move { assert_eq!(desk.note(entry).await.unwrap(), entry) });
                }
                // One after the other, so that the order of arrival is known.
                quiet().await;
            }
            place.open(1);
            quiet().await;
            assert_eq!(place.take(), (1..=40).collect::<Vec<_>>());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_a_sender_who_waits() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::bounded(1)).await;
        desk.hold(1).tell().await.unwrap();
        let waiting = beside({
            let desk = desk.clone();
            async move { desk.note(2).tell().await }
        });
        quiet().await;
        place.open(1);
        // The line moved up before anybody else could ask for the room.
        quiet().await;
        assert!(desk.note(3).try_tell().is_err());
        place.open(1);
        quiet().await;
        waiting.await.unwrap().unwrap();
        assert_eq!(place.take(), [1, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tell_or_ask_dropped_while_it_waits_was_never_sent() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::bounded(1)).await;
        desk.note(1).try_tell().unwrap();
        assert!(tokio::time::timeout(ms(5), desk.note(2).tell()).await.is_err());
        assert!(tokio::time::timeout(ms(5), desk.note(3)).await.is_err());
        let late = beside({
            let desk = desk.clone();
            async move { desk.note(4).tell().await }
        });
        quiet().await;
        place.open(1);
        late.await.unwrap().unwrap();
        quiet().await;
        assert_eq!(place.take(), [1, 4]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_ask_whose_deadline_passes_in_line_comes_back_undelivered() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::bounded(1)).await;
        desk.note(1).try_tell().unwrap();
        match desk.note(2).timeout(ms(10)).await {
            Err(AskError::NotDelivered { message, reason: Undelivered::Expired, .. }) => {
                assert_eq!(message.unwrap().into_inner().into_args(), (2,));
            }
            other => panic!("{other:?}"),
        }
        place.open(1);
        quiet().await;
        assert_eq!(place.take(), [1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_rejecting_rule_hands_tells_and_asks_back() {
    on_node(async {
        let (desk, _place) = held_up(Mailbox::bounded(1).reject()).await;
        desk.note(1).tell().await.unwrap();
        let told = desk.note(2).tell().await.unwrap_err();
        assert!(matches!(told.reason(), Undelivered::MailboxFull));
        assert_eq!(told.into_message().unwrap().into_args(), (2,));
        let asked = desk.note(3).await.unwrap_err();
        assert!(asked.is_safe_to_retry());
        assert!(asked.to_string().contains("mailbox is full"), "{asked}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_keeps_the_newest_and_tells_who_was_displaced() {
    on_node(async {
        let tap = tap();
        let (desk, place) = held_up(Mailbox::bounded(2).drop_oldest()).await;
        let asked = beside({
            let desk = desk.clone();
            async move { desk.note(1).await }
        });
        quiet().await;
        for entry in 2..=4 {
            desk.note(entry).tell().await.unwrap();
        }
        let asked = asked.await.unwrap().unwrap_err();
        assert!(
            matches!(
                asked,
                AskError::NotDelivered { reason: Undelivered::MailboxFull, message: Some(_), .. }
            ),
            "{asked}"
        );
        assert_eq!(reasons(&tap), [DeadLetterReason::Displaced]);
        place.open(1);
        quiet().await;
        assert_eq!(place.take(), [3, 4]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn latest_keeps_the_newest_without_a_word() {
    on_node(async {
        let tap = tap();
        let (desk, place) = held_up(Mailbox::latest(1)).await;
        for entry in 1..=100 {
            desk.note(entry).try_tell().unwrap();
        }
        place.open(1);
        quiet().await;
        assert_eq!(place.take(), [100]);
        assert_eq!(reasons(&tap), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_does_not_delay_a_kill() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::bounded(1)).await;
        desk.note(1).try_tell().unwrap();
        assert!(matches!(desk.kill().await, Ok(ExitReason::Killed)));
        assert_eq!(place.take(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_does_not_delay_a_stop() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::bounded(2)).await;
        desk.note(1).try_tell().unwrap();
        desk.note(2).try_tell().unwrap();
        let waiting = beside({
            let desk = desk.clone();
            async move { desk.note(3).tell().await }
        });
        quiet().await;
        let stopped = desk.stop();
        place.open(1);
        assert!(matches!(stopped.await, Ok(ExitReason::Shutdown)));
        assert_eq!(place.take(), [1, 2], "what was in is handled, what stood in line is not");
        let error = waiting.await.unwrap().unwrap_err();
        assert!(
            matches!(error.reason(), Undelivered::ActorGone(ExitReason::Shutdown)),
            "{error:?}"
        );
        assert_eq!(error.into_message().unwrap().into_args(), (3,), "a tell in line comes back");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_drains_says_why_it_takes_nothing_new() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::default()).await;
        desk.hold(1).tell().await.unwrap();
        let stopping = desk.stop();
        place.open(1);
        quiet().await;
        assert_eq!(place.take(), [1]);
        let error = desk.note(2).await.unwrap_err();
        assert!(
            matches!(
                error,
                AskError::NotDelivered { reason: Undelivered::ActorGone(ExitReason::Shutdown), .. }
            ),
            "{error}"
        );
        place.open(1);
        assert!(matches!(stopping.await, Ok(ExitReason::Shutdown)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn closing_hands_queued_asks_back_and_makes_queued_tells_dead_letters() {
    on_node(async {
        let tap = tap();
        let (desk, place) = held_up(Mailbox::bounded(8)).await;
        let asks: Vec<_> = (1..=3)
            .map(|entry| {
                let desk = desk.clone();
                beside(async move { desk.note(entry).await })
            })
            .collect();
        quiet().await;
        desk.note(4).tell().await.unwrap();
        desk.note(5).tell().await.unwrap();
        desk.kill().await.unwrap();
        for (ask, entry) in asks.into_iter().zip(1..) {
            match ask.await.unwrap() {
                Err(AskError::NotDelivered {
                    message: Some(message),
                    reason: Undelivered::ActorGone(ExitReason::Killed),
                    ..
                }) => assert_eq!(message.into_inner().into_args(), (entry,)),
                other => panic!("{other:?}"),
            }
        }
        let letters = tap.drain();
        assert_eq!(letters.len(), 2);
        for letter in letters {
            assert_eq!(letter.to, desk.id());
            assert_eq!(letter.message, "Desk::note");
            assert_eq!(letter.reason, DeadLetterReason::ActorGone);
        }
        assert_eq!(place.take(), []);
        let late = desk.note(6).tell().await.unwrap_err();
        assert!(matches!(late.reason(), Undelivered::ActorGone(ExitReason::Killed)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_in_a_queued_message_hides_no_end() {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("spite");
        }
    }
    struct Bin;
    #[mobula_actor_core::actor]
    impl Bin {
        pub fn new() -> Self {
            Self
        }
        pub async fn wait(&mut self) {
            std::future::pending::<()>().await;
        }
        pub fn take(&mut self, spite: Spiteful) {
            let _kept = std::mem::ManuallyDrop::new(spite);
        }
    }
    on_node(async {
        let bin = Bin::remote();
        bin.wait().tell().await.unwrap();
        bin.take(Spiteful).tell().await.unwrap();
        let closed = bin.closed();
        assert!(matches!(bin.kill().await, Ok(ExitReason::Killed)));
        assert!(matches!(closed.await, ExitReason::Killed));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flooded_actor_does_not_starve_a_quiet_one() {
    on_node(async {
        let (flooded, quiet_one) = (Place::new(), Place::new());
        let busy = Desk::options().mailbox(Mailbox::bounded(1 << 16)).remote(flooded.clone());
        let idle = Desk::remote(quiet_one.clone());
        busy.as_handle().ready().await.unwrap();
        idle.as_handle().ready().await.unwrap();
        for entry in 0..10_000 {
            busy.note(entry).try_tell().unwrap();
        }
        // A task of its own: the one that blocks the thread is polled more rarely by tokio itself.
        let asked = beside(async move {
            idle.note(1).await.unwrap();
            flooded.entries().len()
        });
        let handled = asked.await.unwrap();
        assert!(
            handled <= 3 * 256, // three turns of the flood: before the asker runs, the quiet actor, and the asker again
            "{handled} messages of the flood came before the quiet actor's one"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a3_order_holds_per_sender_for_many_senders_at_any_bound() {
    on_node(async {
        for (capacity, seed) in [(1, 11_u64), (3, 12), (16, 13), (1024, 14)] {
            println!("capacity {capacity}, seed {seed}");
            let place = Place::new();
            let desk = Desk::options().mailbox(Mailbox::bounded(capacity)).remote(place.clone());
            let senders: Vec<_> = (0..5_u64)
                .map(|sender| {
                    let desk = desk.clone();
                    beside(async move {
                        let mut random = seed + sender;
                        for count in 0..100 {
                            let entry = sender * 1000 + count;
                            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                            match random >> 62 {
                                0 => assert_eq!(desk.note(entry).await.unwrap(), entry),
                                1 => {
                                    while desk.note(entry).try_tell().is_err() {
                                        tokio::task::yield_now().await;
                                    }
                                }
                                _ => desk.note(entry).tell().await.unwrap(),
                            }
                        }
                    })
                })
                .collect();
            for sender in senders {
                sender.await.unwrap();
            }
            quiet().await;
            let entries = place.take();
            assert_eq!(entries.len(), 500);
            for sender in 0..5 {
                let own: Vec<u64> =
                    entries.iter().copied().filter(|entry| entry / 1000 == sender).collect();
                assert!(own.is_sorted(), "sender {sender}: {own:?}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_lost_or_doubled_between_threads() {
    on_node(async {
        static SUM: AtomicU64 = AtomicU64::new(0);
        struct Sum;
        #[mobula_actor_core::actor]
        impl Sum {
            pub fn new() -> Self {
                Self
            }
            pub fn add(&mut self, by: u64) {
                SUM.fetch_add(by, Ordering::Relaxed);
            }
        }
        let sum = Sum::options().mailbox(Mailbox::bounded(4)).remote();
        let senders: Vec<_> = (0..8_u64)
            .map(|sender| {
                let sum = sum.clone();
                beside(async move {
                    for count in 0..2_000_u64 {
                        if count % 16 == sender {
                            sum.add(1).await.unwrap();
                        } else {
                            sum.add(1).tell().await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        sum.stop().await.unwrap();
        assert_eq!(SUM.load(Ordering::Relaxed), 16_000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recipient_waits_for_room_as_its_actor_does() {
    on_node(async {
        let (desk, place) = held_up(Mailbox::bounded(1)).await;
        let recipient = desk.recipient::<desk::DeskNote>();
        recipient.try_tell(desk::DeskNote::new((1,))).unwrap();
        assert!(recipient.try_tell(desk::DeskNote::new((2,))).is_err());
        let mut waiting = Box::pin(recipient.tell(desk::DeskNote::new((3,))));
        assert!(matches!(futures_util::poll!(&mut waiting), Poll::Pending));
        place.open(1);
        waiting.await.unwrap();
        as_another(async { desk.note(4).await }).await.unwrap();
        assert_eq!(place.take(), [1, 3, 4]);
        let shared = Arc::new(recipient);
        assert_eq!(shared.ask(desk::DeskNote::new((5,))).await.unwrap(), 5);
    })
    .await;
}
