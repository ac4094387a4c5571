//! Actors of two and three nodes that talk through an exchange, over couriers in memory.
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

#[path = "exchange/school.rs"]
mod school;

use std::sync::Arc;
use std::time::Duration;

use mobula_actor_core::{
    ActorRef, AskError, Context, ExitReason, Handler, Mailbox, Message, MonitorRef, Placement,
    Undelivered, UnknownOutcome,
};
use parking_lot::Mutex;
use school::{School, carry};
use serde::{Deserialize, Serialize};

pub struct Counter {
    count: u64,
    seen: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error, PartialEq)]
#[error("too much: {0}")]
pub struct TooMuch(u64);

#[derive(Debug, thiserror::Error)]
#[error("a private matter")]
pub struct Private;

pub struct Opaque;

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self { count: start, seen: Vec::new() }
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }
    pub fn note(&mut self, number: u64) {
        self.seen.push(number);
    }
    pub fn seen(&self) -> Vec<u64> {
        self.seen.clone()
    }
    pub fn limited(&mut self, by: u64) -> Result<u64, TooMuch> {
        if by > 10 { Err(TooMuch(by)) } else { Ok(self.add(by)) }
    }
    pub fn private(&mut self) -> Result<u64, Private> {
        Err(Private)
    }
    pub fn opaque(&mut self, _what: Arc<Mutex<Opaque>>) {}
    pub async fn hang(&mut self) {
        std::future::pending::<()>().await;
    }
    pub async fn ask_back(&mut self, other: ActorRef<Counter>) -> Result<u64, String> {
        other.add(1).await.map_err(|error| error.to_string())
    }
    pub async fn through(
        &mut self,
        other: ActorRef<Counter>,
        me: ActorRef<Counter>,
    ) -> Result<u64, String> {
        other.ask_back(me).await.map_err(|error| error.to_string())
    }
    pub fn fall(&mut self) {
        panic!("fell");
    }
    pub fn own(&mut self, ctx: &mut Context<Self>) -> ActorRef<Counter> {
        ctx.spawn(|| Counter::new(100))
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(reply = u64)]
struct Double(u64);

#[mobula::handler]
impl Handler<Double> for Counter {
    async fn handle(&mut self, message: Double, _: &mut Context<Self>) -> u64 {
        message.0 * 2
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(reply = u64)]
struct Unentered(u64);

impl Handler<Unentered> for Counter {
    async fn handle(&mut self, message: Unentered, _: &mut Context<Self>) -> u64 {
        message.0
    }
}

type Downs = Arc<Mutex<Vec<String>>>;

pub struct Watcher {
    downs: Downs,
}

#[mobula::actor]
impl Watcher {
    pub fn new(downs: Downs) -> Self {
        Self { downs }
    }
    pub fn watch(&mut self, ctx: &mut Context<Self>, other: ActorRef<Counter>) {
        ctx.watch(&other);
    }
    pub fn link(&mut self, ctx: &mut Context<Self>, other: ActorRef<Counter>) {
        ctx.link(&other);
    }
    pub fn idle(&self) {}
    fn down(&mut self, _ctx: &mut Context<Self>, _monitor: MonitorRef, reason: ExitReason) {
        self.downs.lock().push(reason.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_travelled_is_asked_and_told_like_a_local_one() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school
        .on(1, async {
            assert_eq!(far.add(2).await.unwrap(), 3);
            for number in 0..3000 {
                far.note(number).tell().await.unwrap();
            }
            assert_eq!(far.seen().await.unwrap(), (0..3000).collect::<Vec<_>>());
            assert_eq!(far.ask(Double(4)).await.unwrap(), 8);
            let recipient = far.recipient::<Double>();
            assert_eq!(recipient.ask(Double(5)).await.unwrap(), 10);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_travels_as_itself_or_as_its_text() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school
        .on(1, async {
            assert_eq!(far.limited(3).await.unwrap(), 4);
            let error = far.limited(11).await.unwrap_err();
            assert_eq!(error.refusal(), Some(&TooMuch(11)));
            let error = far.private().await.unwrap_err();
            assert!(
                matches!(&error, AskError::RefusedElsewhere(text) if text == "a private matter"),
                "{error}"
            );
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_travel_comes_back_and_says_why() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school
        .on(1, async {
            let error = far.opaque(Arc::new(Mutex::new(Opaque))).await.unwrap_err();
            assert!(error.is_safe_to_retry());
            assert!(error.to_string().contains("need `Serialize`"), "{error}");
            match far.ask(Unentered(3)).await.unwrap_err() {
                AskError::NotDelivered {
                    message: Some(message),
                    reason: Undelivered::Unknown(what),
                    ..
                } => {
                    assert_eq!(message.into_inner().0, 3);
                    assert!(what.contains("#[mobula::handler]"), "{what}");
                }
                other => panic!("{other}"),
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_travels_and_an_end_is_told_with_its_reason() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school
        .on(1, async {
            let error = far.hang().timeout(Duration::from_secs(3)).await.unwrap_err();
            assert!(
                matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::Deadline(_), .. }),
                "{error}"
            );
        })
        .await;
    let faller = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &faller);
    school
        .on(1, async {
            let error = far.fall().await.unwrap_err();
            assert!(error.to_string().contains("fell"), "{error}");
            assert!(matches!(far.closed().await, ExitReason::Panic(_)));
            let error = far.add(1).await.unwrap_err();
            assert!(error.is_safe_to_retry(), "{error}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_lives_as_long_as_any_node_refers_to_it() {
    let school = School::of(3);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let end = counter.closed();
    let far = school.carry(0, 1, &counter);
    drop(counter);
    school.settle().await;
    let further = school.carry(1, 2, &far);
    drop(far);
    school.settle().await;
    school.on(2, async { assert_eq!(further.add(1).await.unwrap(), 2) }).await;
    drop(further);
    assert!(matches!(end.await, ExitReason::Normal));
}

#[tokio::test(start_paused = true)]
async fn references_in_messages_and_replies_keep_their_actors_on_the_way() {
    let school = School::of(3);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    // A child of the actor on node 0, whose only reference is the one in the reply.
    let child = school.on(1, async { far.own().await.unwrap() }).await;
    school.on(1, async { assert_eq!(child.add(1).await.unwrap(), 101) }).await;
    // To a third node, inside a message; the sender's own goes at once.
    let helper = school.on(2, async { Counter::remote(0) }).await;
    let helper = school.carry(2, 1, &helper);
    let asked = school.on(1, async { helper.ask_back(child).await.unwrap() }).await;
    assert_eq!(asked, 102);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_slows_its_senders_and_nobody_else() {
    let school = School::of(2);
    let (slow, quick) = school
        .on(0, async {
            let slow = Counter::options().mailbox(Mailbox::bounded(4)).remote(0);
            slow.hang().tell().await.unwrap();
            (slow, Counter::remote(0))
        })
        .await;
    let (far_slow, far_quick) = (school.carry(0, 1, &slow), school.carry(0, 1, &quick));
    school
        .on(1, async {
            let mut sent = 0_u64;
            while far_slow.note(sent).try_tell().is_ok() {
                sent += 1;
                school.settle().await;
                assert!(sent < 10_000, "nothing held the sender back");
            }
            assert_eq!(far_quick.add(1).await.unwrap(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_asks_over_nodes_is_found() {
    let school = School::of(2);
    let here = school.on(0, async { Counter::remote(1) }).await;
    let there = school.on(1, async { Counter::remote(1) }).await;
    let there_from_0 = school.carry(1, 0, &there);
    let me = here.clone();
    let error =
        school.on(0, async { here.through(there_from_0, me).await.unwrap_err().to_string() }).await;
    assert!(error.contains("would wait for itself"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn monitors_and_links_work_across_nodes_and_fire_once() {
    let school = School::of(2);
    let downs = Downs::default();
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    let (watcher, linked) = school
        .on(1, async {
            let watcher = Watcher::remote(Arc::clone(&downs));
            watcher.watch(far.clone()).await.unwrap();
            let linked = Watcher::remote(Arc::clone(&downs));
            linked.link(far.clone()).await.unwrap();
            (watcher, linked)
        })
        .await;
    counter.kill().await.unwrap();
    assert!(matches!(linked.closed().await, ExitReason::Linked { .. }));
    school.settle().await;
    school.on(1, async { watcher.idle().await.unwrap() }).await;
    assert_eq!(*downs.lock(), ["was killed"]);

    // And from the other side: the end of one who is linked ends the actor elsewhere.
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    let linked = school
        .on(1, async {
            let linked = Watcher::remote(downs);
            linked.link(far).await.unwrap();
            linked
        })
        .await;
    linked.kill().await.unwrap();
    assert!(matches!(counter.closed().await, ExitReason::Linked { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_ends_what_is_in_flight_and_its_references_work_when_it_is_back() {
    let school = School::of(2);
    let downs = Downs::default();
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    let watcher = school
        .on(1, async {
            let watcher = Watcher::remote(Arc::clone(&downs));
            watcher.watch(far.clone()).await.unwrap();
            watcher
        })
        .await;
    let hanging = school.on(0, async { Counter::remote(1) }).await;
    let hanging = school.carry(0, 1, &hanging);
    let school_ref = &school;
    let lost = school.on(1, async {
        let (error, ()) = tokio::join!(hanging.hang(), async {
            school_ref.settle().await;
            school_ref.part(0, 1);
        });
        error.unwrap_err()
    });
    let error = lost.await;
    assert!(
        matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::NodeLost(_), .. }),
        "{error}"
    );
    school
        .on(1, async {
            watcher.idle().await.unwrap();
            assert_eq!(downs.lock().len(), 1, "{downs:?}");
            assert!(downs.lock()[0].contains("lost with node"), "{downs:?}");
            match far.add(1).await.unwrap_err() {
                AskError::NotDelivered { reason: Undelivered::Unreachable(_), .. } => {}
                other => panic!("{other}"),
            }
        })
        .await;
    school.join(0, 1);
    school
        .on(1, async {
            assert_eq!(far.add(1).await.unwrap(), 2);
            watcher.idle().await.unwrap();
        })
        .await;
    assert_eq!(downs.lock().len(), 1, "a monitor fires once");
}

#[tokio::test(start_paused = true)]
async fn what_only_one_node_took_for_lost_is_agreed_upon_again() {
    let school = School::of(2);
    let (counter, other) = school.on(0, async { (Counter::remote(1), Counter::remote(1)) }).await;
    let (far, far_other) = (school.carry(0, 1, &counter), school.carry(0, 1, &other));
    school.settle().await;
    // Whoever refers to them took their home for lost: it holds them once more, and not twice.
    let end = counter.closed();
    drop(counter);
    school.blink(1, 0);
    school.settle().await;
    school.on(1, async { assert_eq!(far.add(1).await.unwrap(), 2) }).await;
    drop(far);
    assert!(matches!(end.await, ExitReason::Normal));
    // Their home let go of its holds, and is told of them anew.
    school.blink(0, 1);
    school.settle().await;
    let end = other.closed();
    drop(other);
    school.settle().await;
    school.on(1, async { assert_eq!(far_other.add(1).await.unwrap(), 2) }).await;
    drop(far_other);
    assert!(matches!(end.await, ExitReason::Normal));
}

/// A reference that only watches is not made a full one when nodes find each other again.
#[tokio::test(start_paused = true)]
async fn who_only_watches_holds_nothing_after_contact_came_back_either() {
    for lost_by in [0, 1] {
        let school = School::of(2);
        let downs = Downs::default();
        let counter = school.on(0, async { Counter::remote(1) }).await;
        let far = school.carry(0, 1, &counter);
        let watcher = school
            .on(1, async {
                let watcher = Watcher::remote(Arc::clone(&downs));
                watcher.watch(far.clone()).await.unwrap();
                drop(far);
                watcher
            })
            .await;
        school.settle().await;
        school.blink(lost_by, 1 - lost_by);
        school.settle().await;
        let end = counter.closed();
        drop(counter);
        let end = tokio::time::timeout(Duration::from_secs(60), end).await;
        assert!(matches!(end, Ok(ExitReason::Normal)), "lost by {lost_by}: {end:?}");
        school.settle().await;
        assert_eq!(downs.lock().len(), 1, "lost by {lost_by}: {:?}", downs.lock());
        drop(watcher);
    }
}

/// It may be gone, and nobody would ever say that what it asked for last may go.
#[tokio::test(start_paused = true)]
async fn what_a_lost_node_asks_for_is_given_when_it_is_found_and_not_before() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    school.lose(0, 1);
    let home = Placement::OnNode { node: school.node(0), or_elsewhere: false };
    let spawned = school.on(1, async { Counter::options().on(home).remote(1) }).await;
    let refused = school.on(1, async { spawned.add(1).await.unwrap_err() }).await;
    assert!(matches!(refused, AskError::NotDelivered { .. }), "{refused:?}");
    school.settle().await;
    assert_eq!(school.citizens(0), 1, "the counter alone");
    // What was sent is kept on its way until its receiver holds it, which takes contact.
    let far = school.carry(0, 1, &counter);
    let end = counter.closed();
    drop(counter);
    school.settle().await;
    school.find(0, 1);
    school.settle().await;
    school.on(1, async { assert_eq!(far.add(1).await.unwrap(), 2) }).await;
    drop(far);
    assert!(matches!(end.await, ExitReason::Normal));
}

#[tokio::test(start_paused = true)]
async fn who_was_paused_goes_on_after_contact_came_back() {
    for lost_by in [0, 1] {
        let school = School::of(2);
        let (slow, other) = school
            .on(0, async {
                let other = Counter::remote(0);
                other.hang().tell().await.unwrap();
                let slow = Counter::options().mailbox(Mailbox::bounded(1)).remote(0);
                // Until the other one ends.
                slow.ask_back(other.clone()).tell().await.unwrap();
                (slow, other)
            })
            .await;
        let far = school.carry(0, 1, &slow);
        school
            .on(1, async {
                for number in 0..8 {
                    far.note(number).tell().await.unwrap();
                    school.settle().await;
                }
            })
            .await;
        school.blink(lost_by, 1 - lost_by);
        school.settle().await;
        school.on(0, async { other.kill().await.unwrap() }).await;
        let asked = school
            .on(1, async { tokio::time::timeout(Duration::from_secs(60), far.add(1)).await })
            .await;
        assert!(matches!(asked, Ok(Ok(1))), "lost by {lost_by}: {asked:?}");
        drop(slow);
    }
}

/// What a node tells anew of what it holds may cross the word that an actor was started for it.
#[tokio::test(start_paused = true)]
async fn an_actor_that_is_started_while_contact_comes_back_is_there_or_its_end_is_told() {
    let mut served = 0;
    for moment in 0..60 {
        let school = School::of(2);
        school.settle().await;
        school.lose(1, 0);
        let home = Placement::OnNode { node: school.node(0), or_elsewhere: false };
        let far = school.on(1, async { Counter::options().on(home).remote(1) }).await;
        for _ in 0..moment {
            tokio::task::yield_now().await;
        }
        school.find(1, 0);
        school.settle().await;
        match school.on(1, async { far.add(1).await }).await {
            Ok(sum) => {
                assert_eq!(sum, 2, "moment {moment}");
                served += 1;
                let end = far.closed();
                drop(far);
                let end = tokio::time::timeout(Duration::from_secs(60), end).await;
                assert!(matches!(end, Ok(ExitReason::Normal)), "moment {moment}: {end:?}");
            }
            Err(error) => {
                let end = tokio::time::timeout(Duration::from_secs(60), far.closed()).await;
                assert!(end.is_ok(), "moment {moment}: {error}, and its end was not told");
            }
        }
        school.settle().await;
        assert_eq!(school.citizens(0), 0, "moment {moment}");
    }
    assert!(served > 0, "none was there");
}

#[tokio::test(start_paused = true)]
async fn who_begins_to_wait_for_an_actor_of_a_lost_node_is_told_at_once() {
    let school = School::of(2);
    let downs = Downs::default();
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school.settle().await;
    school.part(0, 1);
    school.settle().await;
    let ends = school.on(1, async {
        let linked = Watcher::remote(Arc::clone(&downs));
        linked.link(far.clone()).await.unwrap();
        assert!(matches!(linked.closed().await, ExitReason::Linked { .. }));
        let watcher = Watcher::remote(Arc::clone(&downs));
        watcher.watch(far.clone()).await.unwrap();
        while downs.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        [far.closed().await, far.stop().await.unwrap(), far.kill().await.unwrap()]
    });
    let ends = tokio::time::timeout(Duration::from_secs(60), ends).await.expect("nobody waits");
    assert!(ends.iter().all(|end| matches!(end, ExitReason::NodeDown(_))), "{ends:?}");
    school.join(0, 1);
    school.on(1, async { assert_eq!(far.add(1).await.unwrap(), 2, "nobody told it to end") }).await;
    assert_eq!(downs.lock().len(), 1, "a monitor fires once");
}

#[tokio::test(start_paused = true)]
async fn an_actor_is_spawned_on_another_node_and_messages_wait_for_it() {
    let school = School::of(2);
    let node = school.node(0);
    school
        .on(1, async {
            let counter =
                Counter::options().on(Placement::OnNode { node, or_elsewhere: false }).remote(40);
            assert_eq!(counter.add(2).await.unwrap(), 42);
            counter.ready().await.unwrap();
            assert!(matches!(counter.stop().await, Ok(ExitReason::Shutdown)));
        })
        .await;
    school.settle().await;
    assert_eq!(school.citizens(0), 0);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_asked_for_twice_at_once_is_held_twice_and_no_more() {
    let school = School::of(2);
    let node = school.node(0);
    let get = || {
        let there = Placement::OnNode { node, or_elsewhere: false };
        Counter::options().on(there).name("only").get_if_exists().remote(1)
    };
    let (one, other) = school.on(1, async { (get(), get()) }).await;
    school.settle().await;
    school.on(1, async { assert_eq!(one.add(1).await.unwrap(), 2) }).await;
    drop(one);
    school.settle().await;
    school.on(1, async { assert_eq!(other.add(1).await.unwrap(), 3) }).await;
    let end = other.closed();
    drop(other);
    let end = tokio::time::timeout(Duration::from_secs(60), end).await;
    assert!(matches!(end, Ok(ExitReason::Normal)), "{end:?}");
    school.settle().await;
    assert_eq!(school.citizens(0), 0);
}

/// Between the word that an actor was started and the link of its stand-in there is a moment, too.
#[tokio::test(start_paused = true)]
async fn an_actor_that_was_being_spawned_when_contact_was_lost_serves_or_its_end_is_told() {
    let limit = Duration::from_secs(60);
    for steps in 0..60 {
        let school = School::of(2);
        let node = school.node(0);
        let spawned = async {
            Counter::options().on(Placement::OnNode { node, or_elsewhere: false }).remote(1)
        };
        let counter = school.on(1, spawned).await;
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        school.part(0, 1);
        school.join(0, 1);
        school.settle().await;
        let asked = school.on(1, async { tokio::time::timeout(limit, counter.add(1)).await }).await;
        match asked.unwrap_or_else(|_| panic!("after {steps} steps an ask was never answered")) {
            Ok(sum) => assert_eq!(sum, 2),
            Err(_gone) => {
                let told = tokio::time::timeout(limit, counter.closed()).await;
                told.unwrap_or_else(|_| panic!("after {steps} steps its end was never told"));
            }
        }
        drop(counter);
        school.settle().await;
        assert_eq!(school.citizens(0), 0, "after {steps} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn stop_handles_what_was_sent_before_it_and_kill_does_not_wait() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school
        .on(1, async {
            let before = far.add(1).ask();
            let (before, end) = tokio::join!(before, async {
                tokio::task::yield_now().await;
                far.stop().await
            });
            assert_eq!(before.unwrap(), 2);
            assert!(matches!(end, Ok(ExitReason::Shutdown)), "{end:?}");
        })
        .await;
    let counter = school.on(0, async { Counter::remote(1) }).await;
    let far = school.carry(0, 1, &counter);
    school
        .on(1, async {
            let (hanging, end) = tokio::join!(far.hang(), async {
                school.settle().await;
                far.kill().await
            });
            assert!(matches!(end, Ok(ExitReason::Killed)), "{end:?}");
            assert!(hanging.unwrap_err().to_string().contains("was killed"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_reference_may_go_with_calls_still_on_the_way() {
    let school = School::of(2);
    let counter = school.on(0, async { Counter::remote(0) }).await;
    let end = counter.closed();
    let far = school.carry(0, 1, &counter);
    drop(counter);
    school.settle().await;
    school
        .on(1, async {
            for number in 0..500 {
                far.note(number).tell().await.unwrap();
            }
            let answer = far.add(7).ask();
            // Stopped, and let go at once.
            assert_eq!(answer.await.unwrap(), 7);
            for number in 0..100 {
                far.note(number).tell().await.unwrap();
            }
            drop(far.stop());
            drop(far);
        })
        .await;
    assert!(matches!(end.await, ExitReason::Shutdown));
    assert_eq!(school.dead_letters(1), 0, "everything was sent before the stop");
    assert_eq!(school.dead_letters(0), 0, "and handled");
}

#[test]
fn carry_is_a_round_trip_of_bytes() {
    assert_eq!(carry(&7_u64), 7);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_waits_begins_once_on_whichever_node_takes_it() {
    let school = School::of(3);
    let _never = school.keep_books(0, false, 0);
    let wants = || async { Counter::options().resource("gpu", 1.0).remote(40) };
    let counter = school.on(0, wants()).await;
    for number in 0..100 {
        school.on(0, async { counter.note(number).tell().await.unwrap() }).await;
    }
    // The first keeps no books, and refuses.
    school.offer(0, Some(1));
    school.settle().await;
    assert_eq!((school.citizens(0), school.citizens(1)), (1, 0));
    let permits = school.keep_books(2, true, 1);
    school.offer(0, Some(2));
    let seen = school.on(0, async { counter.seen().await.unwrap() }).await;
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    assert_eq!((school.citizens(0), school.citizens(2)), (0, 1));
    drop(counter);
    school.settle().await;
    assert_eq!((school.citizens(2), permits.available_permits()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_may_have_begun_on_a_lost_node_begins_nowhere_else() {
    let school = School::of(3);
    let _never = school.keep_books(0, false, 0);
    let (_line, _free) = (school.keep_books(1, true, 0), school.keep_books(2, true, 9));
    let wants = || async { Counter::options().resource("gpu", 1.0).max_restarts(0).remote(40) };
    let counter = school.on(0, wants()).await;
    school.offer(0, Some(1));
    school.settle().await;
    assert_eq!(school.citizens(1), 1, "it stands in line there");
    school.part(0, 1);
    assert!(matches!(counter.closed().await, ExitReason::NodeDown(_)));
    school.offer(0, Some(2));
    school.settle().await;
    assert_eq!((school.citizens(0), school.citizens(2)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_ended_while_it_may_begin_elsewhere_is_called_back_there() {
    let school = School::of(2);
    let _never = school.keep_books(0, false, 0);
    let line = school.keep_books(1, true, 0);
    let wants = || async { Counter::options().resource("gpu", 1.0).remote(40) };
    for how in 0..3 {
        school.offer(0, None);
        let counter = school.on(0, wants()).await;
        school.offer(0, Some(1));
        school.settle().await;
        assert_eq!((school.citizens(0), school.citizens(1)), (1, 1));
        match how {
            0 => assert!(matches!(counter.kill().await.unwrap(), ExitReason::Killed)),
            1 => assert!(matches!(counter.stop().await.unwrap(), ExitReason::Shutdown)),
            _ => drop(counter),
        }
        school.settle().await;
        assert_eq!((school.citizens(0), school.citizens(1)), (0, 1), "there it is in line");
        line.add_permits(1);
        school.settle().await;
        assert_eq!((school.citizens(1), line.available_permits()), (0, 1), "and has ended");
        line.forget_permits(1);
    }
}
