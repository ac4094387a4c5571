//! Actors that handle several messages at once: never more than they may, and each end is told.
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

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::ThreadId;

use desk::{Place, beside, ms, on_node, quiet};
use mobula_actor_core::{AskError, ExitReason, UnknownOutcome};

#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Load {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }
    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

pub struct Pool {
    place: Place,
    load: Arc<Load>,
    threads: Arc<Mutex<HashSet<ThreadId>>>,
    barrier: Arc<Barrier>,
}

impl Pool {
    fn of(load: &Arc<Load>) -> Self {
        Self {
            place: Place::new(),
            load: Arc::clone(load),
            threads: Arc::default(),
            barrier: Arc::new(Barrier::new(3)),
        }
    }
}

#[mobula_actor_core::actor(max_concurrency = 3)]
impl Pool {
    pub fn new(pool: Self) -> Self {
        pool
    }
    pub async fn wait(&self, entry: u64) -> u64 {
        self.load.enter();
        self.place.note(entry);
        self.place.pass().await;
        self.load.leave();
        entry
    }
    /// Passes only when three do so together.
    pub fn meet(&self) {
        self.load.enter();
        self.threads.lock().unwrap().insert(std::thread::current().id());
        self.barrier.wait();
        self.load.leave();
    }
    pub fn boom(&self) {
        panic!("boom in a thread");
    }
    pub async fn boom_later(&self) {
        tokio::task::yield_now().await;
        panic!("boom later");
    }
}

pub struct Single {
    place: Place,
}

#[mobula_actor_core::actor(max_concurrency = 1)]
impl Single {
    pub fn new(place: Place) -> Self {
        Self { place }
    }
    pub async fn run(&self, entry: u64) {
        self.place.note(entry);
        tokio::time::sleep(ms(1)).await;
        self.place.note(entry);
    }
}

#[tokio::test(start_paused = true)]
async fn a12_async_calls_interleave_up_to_the_limit_and_start_in_order() {
    on_node(async {
        let load = Arc::default();
        let pool = Pool::of(&load);
        let place = pool.place.clone();
        let pool = Pool::remote(pool);
        let calls: Vec<_> = (0..10)
            .map(|entry| {
                let pool = pool.clone();
                beside(async move { pool.wait(entry).await })
            })
            .collect();
        quiet().await;
        assert_eq!(place.entries(), [0, 1, 2]);
        place.open(1);
        quiet().await;
        assert_eq!(place.entries(), [0, 1, 2, 3]);
        place.open(9);
        for (call, entry) in calls.into_iter().zip(0..) {
            assert_eq!(call.await.unwrap().unwrap(), entry);
        }
        assert_eq!(load.most(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a12_with_a_limit_of_one_calls_go_start_end_start_end() {
    on_node(async {
        let place = Place::new();
        let single = Single::remote(place.clone());
        for entry in 0..4 {
            single.run(entry).tell().await.unwrap();
        }
        single.stop().await.unwrap();
        assert_eq!(place.take(), [0, 0, 1, 1, 2, 2, 3, 3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a11_sync_calls_run_at_once_on_threads_and_never_more_than_the_limit() {
    on_node(async {
        let load = Arc::default();
        let pool = Pool::of(&load);
        let threads = Arc::clone(&pool.threads);
        let pool = Pool::remote(pool);
        let calls: Vec<_> = (0..30)
            .map(|_| {
                let pool = pool.clone();
                beside(async move { pool.meet().await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(load.most(), 3);
        assert!(threads.lock().unwrap().len() >= 3);
    })
    .await;
}

mod sources {
    use super::{Arc, Load, Ordering, on_node, quiet};
    use futures_util::stream;
    use mobula_actor_core::{Actor, Context, Hook, Message, NoCalls, Shared, SharedHandler, spawn};
    use std::time::Duration;
    use tokio::sync::Semaphore;

    #[derive(Clone, Message)]
    pub(crate) struct Work;

    pub(crate) struct Fed {
        load: Arc<Load>,
        door: Arc<Semaphore>,
    }

    impl Actor for Fed {
        type Mode = Shared;
        type Calls = NoCalls<Self>;
        const NAME: &'static str = "Fed";
        const MAX_CONCURRENCY: usize = 2;

        fn started<'a>(&'a mut self, ctx: &'a mut Context<Self>) -> Hook<'a, Self> {
            ctx.attach(stream::iter(vec![Work; 20]));
            for _ in 0..20 {
                ctx.after(Duration::ZERO, Work);
            }
            Hook::done()
        }
    }

    impl SharedHandler<Work> for Fed {
        async fn handle(&self, _work: Work) {
            self.load.enter();
            self.door.acquire().await.unwrap().forget();
            self.load.leave();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a11_timers_and_streams_do_not_break_the_limit_either() {
        on_node(async {
            let load: Arc<Load> = Arc::default();
            let door = Arc::new(Semaphore::new(0));
            let fed = Fed { load: Arc::clone(&load), door: Arc::clone(&door) };
            let fed = spawn(move || fed);
            for _ in 0..20 {
                fed.tell(Work).await.unwrap();
            }
            for _ in 0..59 {
                quiet().await;
                assert_eq!(load.now.load(Ordering::SeqCst), 2);
                door.add_permits(1);
            }
            door.add_permits(1);
            quiet().await;
            assert_eq!((load.now.load(Ordering::SeqCst), load.most()), (0, 2));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_thread_answers_its_asker_and_ends_the_actor_with_text_and_place() {
    on_node(async {
        let pool = Pool::remote(Pool::of(&Arc::default()));
        let error = pool.boom().await.unwrap_err().to_string();
        for part in ["boom in a thread", "tests/shared.rs", "Pool::boom"] {
            assert!(error.contains(part), "{error}");
        }
        let reason = pool.closed().await;
        assert!(matches!(reason, ExitReason::Panic(_)));
        assert_eq!(reason.to_string().matches("boom in a thread").count(), 1, "{reason}");
        assert!(reason.to_string().contains("tests/shared.rs"), "{reason}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_beside_others_answers_them_all() {
    on_node(async {
        let pool = Pool::remote(Pool::of(&Arc::default()));
        let other = beside({
            let pool = pool.clone();
            async move { pool.wait(1).await }
        });
        quiet().await;
        let error = pool.boom_later().await.unwrap_err().to_string();
        assert!(error.contains("boom later") && error.contains("Pool::boom_later"), "{error}");
        let other = other.await.unwrap().unwrap_err();
        assert!(
            matches!(
                other,
                AskError::OutcomeUnknown {
                    why: UnknownOutcome::ActorEnded(ExitReason::Panic(_)),
                    ..
                }
            ),
            "{other}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_answers_all_that_run_beside_each_other_and_a_stop_lets_them_end() {
    on_node(async {
        for kill in [true, false] {
            let pool = Pool::of(&Arc::default());
            let place = pool.place.clone();
            let pool = Pool::remote(pool);
            let calls: Vec<_> = (0..5)
                .map(|entry| {
                    let pool = pool.clone();
                    beside(async move { pool.wait(entry).await })
                })
                .collect();
            quiet().await;
            if kill {
                pool.kill().await.unwrap();
            } else {
                let stopping = pool.stop();
                quiet().await;
                place.open(5);
                stopping.await.unwrap();
            }
            for (call, entry) in calls.into_iter().zip(0..) {
                match call.await.unwrap() {
                    Ok(value) => assert!(!kill && value == entry),
                    Err(AskError::OutcomeUnknown {
                        why: UnknownOutcome::ActorEnded(ExitReason::Killed),
                        ..
                    }) => {
                        assert!(kill && entry < 3);
                    }
                    Err(AskError::NotDelivered { .. }) => assert!(kill && entry >= 3),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    })
    .await;
}
