//! Links and monitors: exactly one `down`, whatever happens when.
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

use std::sync::{Arc, Mutex};

use desk::{Desk, Keeping, Place, Verdict, beside, ms, on_node, quiet};
use mobula_actor_core::{
    ActorHandle, ActorOptions, ActorRef, AsHandle, Context, ExitReason, Mailbox, MonitorRef,
};

type Downs = Arc<Mutex<Vec<(MonitorRef, ExitReason)>>>;

pub struct Watcher {
    downs: Downs,
}

#[mobula_actor_core::actor]
impl Watcher {
    pub fn new(downs: Downs) -> Self {
        Self { downs }
    }
    pub fn observe(&mut self, ctx: &mut Context<Self>, other: ActorHandle) -> MonitorRef {
        ctx.watch(&other)
    }
    pub fn ignore(&mut self, ctx: &mut Context<Self>, monitor: MonitorRef) -> bool {
        ctx.unwatch(monitor)
    }
    pub fn join_fate(&mut self, ctx: &mut Context<Self>, other: ActorHandle) {
        ctx.link(&other);
    }
    pub fn part(&mut self, ctx: &mut Context<Self>, other: ActorHandle) {
        ctx.unlink(&other);
    }
    pub fn trap(&mut self, ctx: &mut Context<Self>, trap: bool) {
        ctx.trap_exits(trap);
    }
    pub async fn doze(&mut self) {
        tokio::time::sleep(ms(1000)).await;
    }
    pub fn boom(&mut self) {
        panic!("boom");
    }
    pub fn touch(&mut self) {}
    fn down(&mut self, monitor: MonitorRef, reason: ExitReason) {
        self.downs.lock().unwrap().push((monitor, reason));
    }
}

/// What a [`Clerk`] notes for a `down`; messages have other numbers.
const DOWN: u64 = 0;

/// Notes messages and signals in one log, so that their order shows.
pub struct Clerk {
    place: Place,
}

#[mobula_actor_core::actor]
impl Clerk {
    pub fn new(place: Place) -> Self {
        Self { place }
    }
    pub fn observe(&mut self, ctx: &mut Context<Self>, other: ActorHandle) {
        let _monitor = ctx.watch(&other);
    }
    /// Waits at the door.
    pub async fn hold(&mut self) {
        self.place.pass().await;
    }
    pub fn note(&mut self, entry: u64) {
        self.place.note(entry);
    }
    fn down(&mut self, _monitor: MonitorRef, _reason: ExitReason) {
        self.place.note(DOWN);
    }
}

fn watcher() -> (ActorRef<Watcher>, Downs) {
    let downs = Downs::default();
    (Watcher::remote(Arc::clone(&downs)), downs)
}

fn taken(downs: &Downs) -> Vec<(MonitorRef, ExitReason)> {
    std::mem::take(&mut *downs.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_monitor_gets_exactly_one_down_with_the_reason() {
    on_node(async {
        let (watcher, downs) = watcher();
        for end in 0..3 {
            let desk = Desk::remote(Place::new());
            let monitor = watcher.observe(desk.as_handle()).await.unwrap();
            match end {
                0 => drop(desk.stop().await),
                1 => drop(desk.kill().await),
                _ => drop(desk.boom(1).await),
            }
            quiet().await;
            let downs = taken(&downs);
            assert_eq!(downs.len(), 1, "{downs:?}");
            assert_eq!(downs[0].0, monitor);
            assert!(matches!(
                (end, &downs[0].1),
                (0, ExitReason::Shutdown) | (1, ExitReason::Killed) | (2, ExitReason::Panic(_))
            ));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_of_two_monitors_of_one_actor_gets_its_own_down() {
    on_node(async {
        let (watcher, downs) = watcher();
        let desk = Desk::remote(Place::new());
        let one = watcher.observe(desk.as_handle()).await.unwrap();
        let two = watcher.observe(desk.as_handle()).await.unwrap();
        assert_ne!(one, two);
        desk.kill().await.unwrap();
        quiet().await;
        let mut monitors: Vec<_> = taken(&downs).into_iter().map(|(monitor, _)| monitor).collect();
        monitors.sort_unstable();
        assert_eq!(monitors, [one, two]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_monitor_of_an_actor_already_gone_gets_its_down_at_once() {
    on_node(async {
        let (watcher, downs) = watcher();
        let desk = Desk::remote(Place::new());
        desk.kill().await.unwrap();
        watcher.observe(desk.as_handle()).await.unwrap();
        quiet().await;
        assert!(matches!(taken(&downs)[..], [(_, ExitReason::NoActor)]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_taken_back_gets_no_down_even_if_it_was_on_its_way() {
    on_node(async {
        let (watcher, downs) = watcher();
        let desk = Desk::remote(Place::new());
        let monitor = watcher.observe(desk.as_handle()).await.unwrap();
        assert!(watcher.ignore(monitor).await.unwrap());
        assert!(!watcher.ignore(monitor).await.unwrap());
        desk.kill().await.unwrap();
        quiet().await;
        assert!(taken(&downs).is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_monitor_of_a_supervised_actor_is_told_of_the_crash_once() {
    on_node(async {
        let keeping = Keeping::new(Verdict::Restart);
        let (watcher, downs) = watcher();
        let place = Place::new();
        let child: ActorRef<Desk> = ActorOptions::here()
            .supervised_by(keeping.handle())
            .spawn_with(move || Desk::new(place.clone()));
        watcher.observe(child.as_handle()).await.unwrap();
        drop(child.boom(1).await);
        child.note(2).await.unwrap();
        drop(child.boom(3).await);
        quiet().await;
        assert!(
            matches!(taken(&downs)[..], [(_, ExitReason::Panic(_))]),
            "a generation was watched"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_abnormal_end_ends_the_linked_actor_too_and_a_normal_one_does_not() {
    on_node(async {
        let (watcher, _downs) = watcher();
        let normal = Desk::remote(Place::new());
        watcher.join_fate(normal.as_handle()).await.unwrap();
        normal.stop().await.unwrap();
        quiet().await;
        assert!(watcher.is_alive());
        let crashing = Desk::remote(Place::new());
        watcher.join_fate(crashing.as_handle()).await.unwrap();
        // The link reaches into a running handler.
        let dozing = beside({
            let watcher = watcher.clone();
            async move { watcher.doze().await }
        });
        quiet().await;
        drop(crashing.boom(1).await);
        let reason = watcher.closed().await;
        assert!(
            matches!(&reason, ExitReason::Linked { from, .. } if *from == crashing.id()),
            "{reason}"
        );
        let error = dozing.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("boom 1"), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_link_works_from_both_sides_and_is_dissolved_from_both() {
    on_node(async {
        let (watcher, _downs) = watcher();
        let desk = Desk::remote(Place::new());
        watcher.join_fate(desk.as_handle()).await.unwrap();
        watcher.boom().tell().await.unwrap();
        assert!(matches!(desk.closed().await, ExitReason::Linked { .. }));

        let (watcher, _downs) = self::watcher();
        let desk = Desk::remote(Place::new());
        watcher.join_fate(desk.as_handle()).await.unwrap();
        watcher.part(desk.as_handle()).await.unwrap();
        drop(desk.boom(1).await);
        quiet().await;
        assert!(watcher.is_alive());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_traps_exits_hears_of_each_link_once() {
    on_node(async {
        let (watcher, downs) = watcher();
        watcher.trap(true).await.unwrap();
        let desk = Desk::remote(Place::new());
        watcher.join_fate(desk.as_handle()).await.unwrap();
        drop(desk.boom(1).await);
        watcher.join_fate(desk.as_handle()).await.unwrap();
        quiet().await;
        let downs = taken(&downs);
        assert!(
            matches!(
                downs[..],
                [(MonitorRef::LINK, ExitReason::Panic(_)), (MonitorRef::LINK, ExitReason::NoActor)]
            ),
            "{downs:?}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_of_one_who_traps_exits_says_killed_and_not_linked() {
    on_node(async {
        let (watcher, _downs) = watcher();
        watcher.trap(true).await.unwrap();
        let desk = Desk::remote(Place::new());
        watcher.join_fate(desk.as_handle()).await.unwrap();
        watcher.doze().tell().await.unwrap();
        quiet().await;
        drop(desk.boom(1).await);
        assert!(matches!(watcher.kill().await, Ok(ExitReason::Killed)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn signals_that_come_during_a_handler_are_all_heard_after_it() {
    on_node(async {
        let (watcher, downs) = watcher();
        let desks: Vec<_> = (0..5).map(|_| Desk::remote(Place::new())).collect();
        for desk in &desks {
            watcher.observe(desk.as_handle()).await.unwrap();
        }
        watcher.doze().tell().await.unwrap();
        quiet().await;
        for desk in &desks {
            desk.kill().await.unwrap();
        }
        watcher.touch().await.unwrap();
        assert_eq!(taken(&downs).len(), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_never_delays_a_down() {
    on_node(async {
        let place = Place::new();
        let clerk = Clerk::options().mailbox(Mailbox::bounded(2)).remote(place.clone());
        let desk = Desk::remote(Place::new());
        clerk.observe(desk.as_handle()).await.unwrap();
        clerk.hold().tell().await.unwrap();
        quiet().await;
        for entry in [1, 2] {
            clerk.note(entry).try_tell().unwrap();
        }
        assert!(clerk.note(9).try_tell().is_err(), "two wait, which is the limit");
        let third = beside({
            let clerk = clerk.clone();
            async move { clerk.note(3).tell().await }
        });
        quiet().await;
        // The last to come, while a handler runs, and the first to be heard.
        desk.kill().await.unwrap();
        quiet().await;
        assert_eq!(place.entries(), [], "the handler is still inside");
        place.open(1);
        third.await.unwrap().unwrap();
        quiet().await;
        assert_eq!(place.take(), [DOWN, 1, 2, 3]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_that_races_the_end_gets_exactly_one_down() {
    on_node(async {
        let (watcher, downs) = watcher();
        for round in 0..500 {
            let desk = Desk::remote(Place::new());
            let ending = beside({
                let desk = desk.clone();
                async move { desk.kill().await }
            });
            watcher.observe(desk.as_handle()).await.unwrap();
            ending.await.unwrap().unwrap();
            while downs.lock().unwrap().len() <= round {
                tokio::task::yield_now().await;
            }
            assert_eq!(downs.lock().unwrap().len(), round + 1);
        }
        watcher.touch().await.unwrap();
        assert_eq!(taken(&downs).len(), 500);
    })
    .await;
}
