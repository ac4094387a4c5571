//! How long an actor lives: references, names, weak references, detached ones.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use desk::{Desk, Keeping, Place, Verdict, beside, here, ms, on_node, quiet};
use mobula_actor_core::{
    ActorOptions, ActorRef, AsHandle, AskError, Context, Current, ExitReason, FullName,
    LookupError, SpawnError, System, Undelivered, lookup, scope,
};

fn find(name: &str) -> Result<ActorRef<Desk>, LookupError> {
    lookup(&here(), &FullName::new("default", name))
}

#[tokio::test(start_paused = true)]
async fn a1_state_is_kept_across_calls_and_each_instance_has_its_own() {
    on_node(async {
        let (here, there) = (Place::new(), Place::new());
        let (one, two) = (Desk::remote(here.clone()), Desk::remote(there.clone()));
        for entry in 0..3 {
            one.note(entry).await.unwrap();
        }
        two.note(9).await.unwrap();
        assert_eq!((here.take(), there.take()), (vec![0, 1, 2], vec![9]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a6_an_actor_dies_with_its_last_reference_after_pending_calls() {
    on_node(async {
        let place = Place::new();
        assert_eq!(Desk::remote(place.clone()).note(1).await.unwrap(), 1);
        let desk = Desk::remote(place.clone());
        let clone = desk.clone();
        let closed = desk.closed();
        desk.note(2).tell().await.unwrap();
        drop(desk);
        quiet().await;
        assert!(clone.is_alive());
        let recipient = clone.recipient::<desk::DeskNote>();
        drop(clone);
        quiet().await;
        recipient.tell(desk::DeskNote::new((3,))).await.unwrap();
        drop(recipient);
        assert!(matches!(closed.await, ExitReason::Normal));
        assert_eq!(place.take(), [1, 2, 3]);
        assert_eq!(here().directory().len(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reference_inside_a_queued_message_keeps_its_actor_alive() {
    struct Post;
    #[mobula_actor_core::actor]
    impl Post {
        pub fn new() -> Self {
            Self
        }
        pub async fn deliver(&mut self, to: ActorRef<Desk>) {
            tokio::time::sleep(ms(10)).await;
            to.note(1).await.unwrap();
        }
    }
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let closed = desk.closed();
        let post = Post::remote();
        post.deliver(desk.clone()).tell().await.unwrap();
        post.deliver(desk).tell().await.unwrap();
        assert!(matches!(closed.await, ExitReason::Normal));
        assert_eq!(place.take(), [1, 1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_weak_reference_keeps_nobody_alive() {
    on_node(async {
        let desk = Desk::remote(Place::new());
        let weak = desk.downgrade();
        assert_eq!(weak.upgrade().unwrap().note(1).await.unwrap(), 1);
        let closed = desk.closed();
        drop(desk);
        closed.await;
        assert!(weak.upgrade().is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n8_a_detached_actor_lives_without_references_until_it_is_stopped() {
    on_node(async {
        let keeping = Keeping::new(Verdict::Terminate);
        here().set_root(keeping.handle());
        let place = Place::new();
        let detached = Desk::options().detached().remote(place.clone());
        let weak = detached.downgrade();
        drop(detached);
        tokio::time::sleep(ms(100)).await;
        let again = weak.upgrade().unwrap();
        assert_eq!(again.note(1).await.unwrap(), 1);
        assert!(matches!(again.stop().await, Ok(ExitReason::Shutdown)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_actor_needs_a_root_supervisor_and_says_so() {
    on_node(async {
        let refused = Desk::options().detached().try_remote(Place::new());
        assert!(matches!(refused, Err(SpawnError::NoSupervisor)));
        let late = Desk::options().detached().remote(Place::new());
        let error = late.note(1).await.unwrap_err();
        assert!(error.to_string().contains("no root supervisor"), "{error}");
        here().close();
        assert!(matches!(Desk::options().try_remote(Place::new()), Err(SpawnError::ShuttingDown)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n1_a_named_actor_is_found_by_its_name() {
    on_node(async {
        let desk = Desk::options().name("front").remote(Place::new());
        assert_eq!(find("front").unwrap(), desk);
        assert_eq!(desk.name().as_deref(), Some("front"));
        assert!(here().names().list().contains(&FullName::new("default", "front")));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n2_a_second_actor_under_a_living_name_is_refused_and_its_calls_say_why() {
    on_node(async {
        let first = Desk::options().name("front").remote(Place::new());
        let refused = Desk::options().name("front").try_remote(Place::new());
        assert!(
            matches!(&refused, Err(SpawnError::NameTaken { holder, .. }) if *holder == first.id())
        );
        assert!(refused.unwrap_err().to_string().contains("already taken"));
        let error = Desk::options().name("front").remote(Place::new()).note(1).await.unwrap_err();
        assert!(error.to_string().contains("already taken"), "{error}");
        assert_eq!(first.note(1).await.unwrap(), 1);
        assert_eq!(here().directory().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_no_childs_end() {
    on_node(async {
        let keeping = Keeping::new(Verdict::Terminate);
        let _first = Desk::options().name("front").remote(Place::new());
        let place = Place::new();
        let refused = ActorOptions::<Desk>::here()
            .name("front")
            .supervised_by(keeping.handle())
            .spawn_with(move || Desk::new(place.clone()));
        assert!(!refused.is_alive());
        quiet().await;
        assert!(keeping.exits().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n3_an_unknown_empty_or_blank_name_finds_nobody() {
    on_node(async {
        assert!(matches!(find("nobody"), Err(LookupError::NoSuchName(_))));
        for blank in ["", "  ", "\t"] {
            assert!(matches!(find(blank), Err(LookupError::BlankName)));
            let refused = Desk::options().name(blank).try_remote(Place::new());
            assert!(matches!(refused, Err(SpawnError::BlankName)));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n4_names_are_per_namespace() {
    on_node(async {
        let one = Desk::options().name("front").remote(Place::new());
        let two = Desk::options().name("front").namespace("night").remote(Place::new());
        assert_ne!(one, two);
        let found: ActorRef<Desk> = lookup(&here(), &FullName::new("night", "front")).unwrap();
        assert_eq!(found, two);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n6_a_named_actor_still_dies_with_its_references_and_frees_its_name() {
    on_node(async {
        let desk = Desk::options().name("front").remote(Place::new());
        let closed = desk.closed();
        drop(desk);
        closed.await;
        assert!(find("front").is_err());
        assert!(Desk::options().name("front").try_remote(Place::new()).is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n9_a_name_can_be_used_again_at_once_after_a_kill_or_a_crash() {
    on_node(async {
        for crash in [false, true] {
            let desk = Desk::options().name("front").remote(Place::new());
            if crash {
                drop(desk.boom(1).await);
                desk.closed().await;
            } else {
                desk.kill().await.unwrap();
            }
            assert!(find("front").is_err());
            let again = Desk::options().name("front").try_remote(Place::new()).unwrap();
            assert_eq!(again.note(1).await.unwrap(), 1);
            again.kill().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n10_a_name_outlives_the_crash_of_a_restarted_actor() {
    on_node(async {
        let keeping = Keeping::new(Verdict::Restart);
        let place = Place::new();
        let child: ActorRef<Desk> = ActorOptions::here()
            .name("front")
            .supervised_by(keeping.handle())
            .spawn_with(move || Desk::new(place.clone()));
        drop(child.boom(1).await);
        assert_eq!(find("front").unwrap(), child);
        quiet().await;
        assert_eq!(find("front").unwrap().note(1).await.unwrap(), 1);
        child.kill().await.unwrap();
        assert!(find("front").is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n11_get_if_exists_creates_or_returns_the_one_that_lives() {
    on_node(async {
        let get = || Desk::options().name("front").get_if_exists().remote(Place::new());
        let one = get();
        assert_eq!(one, get());
        one.kill().await.unwrap();
        assert_ne!(one, get());
        let nameless = Desk::options().get_if_exists().try_remote(Place::new());
        assert!(matches!(nameless, Err(SpawnError::BlankName)));
    })
    .await;
}

pub struct Other;

#[mobula_actor_core::actor]
impl Other {
    pub fn new() -> Self {
        Self
    }
    pub fn touch(&mut self) {}
    pub fn leave_for_good(&mut self, ctx: &mut Context<Self>) {
        ctx.exit_for_good();
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_of_another_type_is_an_error_and_not_a_reference() {
    on_node(async {
        let _desk = Desk::options().name("front").remote(Place::new());
        let found: Result<ActorRef<Other>, _> = lookup(&here(), &FullName::new("default", "front"));
        assert!(matches!(found, Err(LookupError::WrongType { .. })));
        let spawned = Other::options().name("front").get_if_exists().try_remote();
        assert!(matches!(spawned, Err(SpawnError::WrongType { .. })));
    })
    .await;
}

#[test]
fn n12_100_get_if_exists_from_10_threads_run_exactly_one_constructor() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let system = runtime.block_on(async { System::builder().build() });
    for round in 0..20 {
        let made = Arc::new(AtomicU32::new(0));
        let references: Vec<ActorRef<Desk>> = std::thread::scope(|threads| {
            let threads: Vec<_> = (0..10)
                .map(|_| {
                    threads.spawn(|| {
                        let get = |_| {
                            let made = Arc::clone(&made);
                            ActorOptions::<Desk>::new(system.clone())
                                .name(format!("front{round}"))
                                .get_if_exists()
                                .spawn_with(move || {
                                    made.fetch_add(1, Ordering::Relaxed);
                                    Desk::new(Place::new())
                                })
                        };
                        (0..10).map(get).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        runtime.block_on(scope(Current::root(system.clone()), async {
            for reference in &references {
                assert_eq!(reference.note(1).await.unwrap(), 1);
                assert_eq!(reference, &references[0]);
            }
        }));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a9_an_error_in_the_constructor_ends_all_calls_with_its_text_and_the_actors_id() {
    on_node(async {
        let failing = || Err::<Desk, _>(std::io::Error::other("no such ledger"));
        let desk = ActorOptions::<Desk>::here().spawn_with(failing);
        for _ in 0..2 {
            let error = desk.note(1).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    AskError::NotDelivered {
                        reason: Undelivered::ActorGone(ExitReason::StartFailed(_)),
                        ..
                    }
                ),
                "{error}"
            );
            let text = error.to_string();
            assert!(
                text.contains("no such ledger") && text.contains(&desk.id().to_string()),
                "{text}"
            );
        }
        assert!(matches!(desk.as_handle().ready().await, Err(ExitReason::StartFailed(_))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_constructor_ends_the_actor_and_so_does_a_kill_of_one_that_hangs() {
    on_node(async {
        let desk = ActorOptions::<Desk>::here().spawn_with(|| -> Desk { panic!("bad start") });
        let error = desk.note(1).await.unwrap_err().to_string();
        assert!(error.contains("bad start"), "{error}");
        let hanging = ActorOptions::<Desk>::here().spawn_with(std::future::pending::<Desk>);
        let ready = beside(hanging.ready());
        quiet().await;
        assert!(matches!(hanging.kill().await, Ok(ExitReason::Killed)));
        assert!(matches!(ready.await.unwrap(), Err(ExitReason::Killed)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a16_exit_ends_the_actor_at_once_and_pending_calls_come_back() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        desk.hold(0).tell().await.unwrap();
        desk.leave().tell().await.unwrap();
        let pending = beside({
            let desk = desk.clone();
            async move { desk.note(1).await }
        });
        quiet().await;
        place.open(1);
        let error = pending.await.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                AskError::NotDelivered { reason: Undelivered::ActorGone(ExitReason::Normal), .. }
            ),
            "{error}"
        );
        assert_eq!(place.take(), [0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a16_exit_for_good_is_never_followed_by_a_restart() {
    on_node(async {
        let keeping = Keeping::new(Verdict::Restart);
        let other: ActorRef<Other> =
            ActorOptions::here().supervised_by(keeping.handle()).spawn_with(Other::new);
        other.leave_for_good().await.unwrap();
        assert!(matches!(other.closed().await, ExitReason::Normal));
        quiet().await;
        assert!(keeping.exits()[0].ended_for_good);
    })
    .await;
}

#[test]
fn an_actor_whose_executor_goes_away_is_answered_for() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let system = runtime.block_on(async { System::builder().build() });
    let desk = ActorOptions::<Desk>::new(system.clone()).spawn_with(|| Desk::new(Place::new()));
    runtime.block_on(async { desk.note(1).await.unwrap() });
    runtime.shutdown_background();
    let late = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    late.block_on(async {
        assert!(matches!(desk.closed().await, ExitReason::Shutdown));
        assert!(desk.note(2).await.is_err());
    });
    assert_eq!(system.directory().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_root_supervisor_does_not_keep_its_system_alive() {
    let dropped = Arc::new(());
    let system = System::builder().build();
    system.set_extension(Arc::new(Arc::clone(&dropped)));
    scope(Current::root(system.clone()), async {
        let keeping = Keeping::new(Verdict::Terminate);
        here().set_root(keeping.handle());
        keeping.keeper.stop().await.unwrap();
    })
    .await;
    drop(system);
    quiet().await;
    assert_eq!(Arc::strong_count(&dropped), 1, "the system is gone, and its parts with it");
}

#[tokio::test(start_paused = true)]
async fn what_a_message_holds_is_dropped_once_wherever_it_ends() {
    struct Counted(Arc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    struct Taker;
    #[mobula_actor_core::actor]
    impl Taker {
        pub fn new() -> Self {
            Self
        }
        pub fn keep(&mut self, _what: Counted) {}
        pub async fn keep_long(&mut self, _what: Counted) {
            tokio::time::sleep(ms(1000)).await;
        }
        pub fn boom(&mut self, _what: Counted) {
            panic!("boom");
        }
    }
    on_node(async {
        let drops = Arc::new(AtomicU32::new(0));
        let counted = || Counted(Arc::clone(&drops));
        let taker = Taker::remote();
        taker.keep(counted()).await.unwrap();
        drop(taker.keep(counted()));
        drop(taker.keep_long(counted()).timeout(ms(5)).await);
        taker.keep(counted()).tell().await.unwrap();
        taker.kill().await.unwrap();
        drop(taker.keep(counted()).await);
        drop(taker.keep(counted()).try_tell());
        let crashing = Taker::remote();
        drop(crashing.boom(counted()).await);
        quiet().await;
        assert_eq!(drops.load(Ordering::Relaxed), 7);
    })
    .await;
}
