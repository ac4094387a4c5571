//! Children: they end with their parent, in the reverse order of their start.
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

use desk::{Desk, Place, on_node, quiet};
use mobula_actor_core::{ActorRef, Context, ExitReason};

pub struct Parent {
    place: Place,
    children: Vec<ActorRef<Child>>,
}

pub struct Child {
    place: Place,
    number: u64,
}

#[mobula_actor_core::actor]
impl Parent {
    pub fn new(place: Place) -> Self {
        Self { place, children: Vec::new() }
    }
    pub fn bear(&mut self, ctx: &mut Context<Self>, number: u64) -> ActorRef<Child> {
        let place = self.place.clone();
        let child = ctx.spawn(move || Child { place, number });
        self.children.push(child.clone());
        child
    }
    pub fn adopt_desk(&mut self, ctx: &mut Context<Self>, desk: ActorRef<Desk>) {
        ctx.adopt(&desk);
    }
    pub fn count(&mut self, ctx: &mut Context<Self>) -> usize {
        ctx.children().len()
    }
    pub fn boom(&mut self) {
        panic!("boom");
    }
}

#[mobula_actor_core::actor]
impl Child {
    pub fn touch(&mut self) {}
    fn stopping(&mut self) {
        self.place.note(self.number);
    }
}

async fn family() -> (ActorRef<Parent>, Vec<ActorRef<Child>>, Place) {
    let place = Place::new();
    let parent = Parent::remote(place.clone());
    let mut children = Vec::new();
    for number in 0..4 {
        let child = parent.bear(number).await.unwrap();
        child.touch().await.unwrap();
        children.push(child);
    }
    (parent, children, place)
}

#[tokio::test(start_paused = true)]
async fn children_of_a_parent_that_stops_are_stopped_last_first() {
    on_node(async {
        let (parent, children, place) = family().await;
        assert_eq!(parent.count().await.unwrap(), 4);
        parent.stop().await.unwrap();
        for child in &children {
            assert!(matches!(child.closed().await, ExitReason::Shutdown));
        }
        assert_eq!(place.take(), [3, 2, 1, 0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn children_of_a_parent_that_crashes_or_is_killed_are_killed() {
    on_node(async {
        for crash in [true, false] {
            let (parent, children, place) = family().await;
            if crash {
                drop(parent.boom().await);
            } else {
                parent.kill().await.unwrap();
            }
            for child in &children {
                assert!(matches!(child.closed().await, ExitReason::Killed));
            }
            assert_eq!(place.take(), [], "no hook runs");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_has_ended_is_no_child_any_more() {
    on_node(async {
        let (parent, children, _place) = family().await;
        children[1].kill().await.unwrap();
        assert_eq!(parent.count().await.unwrap(), 3);
        assert!(parent.is_alive(), "a parent does not end with its child");
        let desk = Desk::remote(Place::new());
        parent.adopt_desk(desk.clone()).await.unwrap();
        assert_eq!(parent.count().await.unwrap(), 4);
        parent.stop().await.unwrap();
        assert!(matches!(desk.closed().await, ExitReason::Shutdown));
        quiet().await;
    })
    .await;
}
