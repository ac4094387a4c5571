//! Actors that stay on one thread: state that is not `Send`, and groups that stay together.
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

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::thread::ThreadId;

use desk::{ms, on_node};
use mobula_actor_core::{ActorRef, AskError, Context, Current, ExitReason, Message, System, scope};
use tokio::time::Instant;

/// `Rc` state: the compiler would refuse it anywhere else.
pub struct Cellar {
    bottles: Rc<RefCell<Vec<u32>>>,
}

#[derive(Message)]
struct Tick;

#[mobula_actor_core::actor(local)]
impl Cellar {
    pub fn new() -> Self {
        Self { bottles: Rc::default() }
    }
    pub fn put(&mut self, bottle: u32) -> usize {
        self.bottles.borrow_mut().push(bottle);
        self.bottles.borrow().len()
    }
    pub async fn put_slowly(&mut self, bottle: u32) -> usize {
        let bottles = Rc::clone(&self.bottles);
        tokio::time::sleep(ms(1000)).await;
        bottles.borrow_mut().push(bottle);
        bottles.borrow().len()
    }
    pub fn put_later(&mut self, ctx: &mut Context<Self>) {
        ctx.after(ms(500), Tick);
    }
    pub fn thread(&mut self) -> ThreadId {
        std::thread::current().id()
    }
    pub fn spawn_near(&mut self) -> ActorRef<Cellar> {
        Cellar::remote()
    }
    pub fn boom(&mut self) {
        panic!("corked");
    }
}

impl mobula_actor_core::LocalHandler<Tick> for Cellar {
    async fn handle(&mut self, _tick: Tick, _ctx: &mut Context<Self>) {
        self.bottles.borrow_mut().push(0);
    }
}

/// Virtual time on one thread, which is an actix arbiter too.
fn virtual_node<F: Future>(test: F) -> F::Output {
    let runner = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    });
    runner.block_on(async {
        let system = System::builder().arbiter_here().build();
        scope(Current::root(system), test).await
    })
}

#[test]
fn local_state_is_kept_across_awaits_under_virtual_time() {
    virtual_node(async {
        let cellar = Cellar::remote();
        let start = Instant::now();
        assert_eq!(cellar.put(1).await.unwrap(), 1);
        assert_eq!(cellar.put_slowly(2).await.unwrap(), 2);
        cellar.put_later().await.unwrap();
        tokio::time::sleep(ms(600)).await;
        assert_eq!(cellar.put(3).await.unwrap(), 4);
        assert_eq!(start.elapsed(), ms(1600));
        let killed = cellar.put_slowly(4).timeout(ms(10)).await.unwrap_err();
        assert!(matches!(killed, AskError::OutcomeUnknown { .. }));
        assert!(matches!(cellar.kill().await, Ok(ExitReason::Killed)));
    });
}

#[test]
fn a_panic_on_an_arbiter_ends_that_actor_only() {
    virtual_node(async {
        let (one, two) = (Cellar::remote(), Cellar::remote());
        let error = one.boom().await.unwrap_err().to_string();
        assert!(error.contains("corked") && error.contains("Cellar::boom"), "{error}");
        assert_eq!(two.put(1).await.unwrap(), 1);
    });
}

/// An ordinary actor, pinned.
pub struct Pinned {
    peer: Option<ActorRef<Pinned>>,
}

#[mobula_actor_core::actor]
impl Pinned {
    pub fn new(peer: Option<ActorRef<Pinned>>) -> Self {
        Self { peer }
    }
    pub fn thread(&mut self) -> ThreadId {
        std::thread::current().id()
    }
    pub async fn peers_thread(&mut self) -> Option<ThreadId> {
        Some(self.peer.as_ref()?.thread().await.unwrap())
    }
    pub fn spawn_near(&mut self) -> ActorRef<Pinned> {
        Pinned::options().pinned().remote(None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_stays_on_one_thread_and_groups_spread_over_the_arbiters() {
    let system = System::builder().arbiters(3).build();
    scope(Current::root(system), async {
        let mut threads: HashMap<ThreadId, u32> = HashMap::new();
        let mut alive = Vec::new(); // a group whose actors have ended counts no more
        for group in 0..6 {
            let group = format!("group{group}");
            let first = Pinned::options().group(group.clone()).remote(None);
            let second = Pinned::options().group(group.clone()).remote(Some(first.clone()));
            let third = Pinned::options().group(group).remote(Some(second.clone()));
            let thread = first.thread().await.unwrap();
            assert_eq!(second.thread().await.unwrap(), thread);
            assert_eq!(third.peers_thread().await.unwrap(), Some(thread));
            assert_ne!(thread, std::thread::current().id());
            *threads.entry(thread).or_default() += 1;
            alive.push(third);
        }
        assert_eq!(threads.len(), 3);
        assert!(threads.values().all(|groups| *groups == 2), "{threads:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_actor_that_a_pinned_one_spawns_stays_with_it() {
    let system = System::builder().arbiters(4).build();
    scope(Current::root(system), async {
        for group in ["a", "b", "c"] {
            let pinned = Pinned::options().group(group).remote(None);
            let near = pinned.spawn_near().await.unwrap();
            assert_eq!(near.thread().await.unwrap(), pinned.thread().await.unwrap());
        }
        let cellar = Cellar::remote();
        let near = cellar.spawn_near().await.unwrap();
        assert_eq!(near.thread().await.unwrap(), cellar.thread().await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_actors_on_real_threads_handle_every_message_on_their_own() {
    on_node(async {
        let cellar = Cellar::remote();
        let thread = cellar.thread().await.unwrap();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let cellar = cellar.clone();
                desk::beside(async move {
                    for bottle in 0..200 {
                        cellar.put(bottle).tell().await.unwrap();
                        assert_eq!(cellar.thread().await.unwrap(), thread);
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        assert_eq!(cellar.put(0).await.unwrap(), 801);
        assert!(matches!(cellar.stop().await, Ok(ExitReason::Shutdown)));
    })
    .await;
}
