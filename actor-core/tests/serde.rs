//! References and messages that travel as bytes.
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

use desk::{Desk, Place, on_node};
use mobula_actor_core::{ActorId, ActorRef};

pub struct Other;

#[mobula_actor_core::actor]
impl Other {
    pub fn new() -> Self {
        Self
    }
    pub fn touch(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn a5_a_reference_that_was_written_and_read_reaches_the_same_actor() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let text = serde_json::to_string(&desk).unwrap();
        let read: ActorRef<Desk> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, desk);
        let bytes = rmp_serde::to_vec_named(&vec![desk.clone(), desk.clone()]).unwrap();
        let read: Vec<ActorRef<Desk>> = rmp_serde::from_slice(&bytes).unwrap();
        drop(desk);
        assert_eq!(read[1].note(1).await.unwrap(), 1);
        assert_eq!(place.take(), [1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reading_a_reference_to_nobody_or_to_another_type_is_an_error_that_says_so() {
    on_node(async {
        let desk = Desk::remote(Place::new());
        let text = serde_json::to_string(&desk).unwrap();
        let wrong = serde_json::from_str::<ActorRef<Other>>(&text).unwrap_err();
        assert!(wrong.to_string().contains("`Desk`, not a `Other`"), "{wrong}");
        desk.kill().await.unwrap();
        let gone = serde_json::from_str::<ActorRef<Desk>>(&text).unwrap_err();
        assert!(gone.to_string().contains("no living actor"), "{gone}");
        let nobody = text.replace(&format!("\"actor\":{}", desk.id().as_u64()), "\"actor\":0");
        assert!(serde_json::from_str::<ActorRef<Desk>>(&nobody).is_err(), "zero names nobody");
    })
    .await;
}

#[test]
fn a_reference_cannot_be_read_outside_a_node() {
    let text = r#"{"key":1,"home":{"node":0,"incarnation":0,"actor":1}}"#;
    let error = serde_json::from_str::<ActorRef<Desk>>(text).unwrap_err();
    assert!(error.to_string().contains("outside any node"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_message_of_a_call_travels_as_its_arguments() {
    on_node(async {
        let message = desk::DeskNote::new((7,));
        let bytes = rmp_serde::to_vec_named(&message).unwrap();
        let read: desk::DeskNote = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(Desk::remote(Place::new()).ask(read).await.unwrap(), 7);
        let id = ActorId::from_u64(17).unwrap();
        assert_eq!(
            serde_json::from_str::<ActorId>(&serde_json::to_string(&id).unwrap()).unwrap(),
            id
        );
    })
    .await;
}
