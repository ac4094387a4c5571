//! Replies: refusals, replies owed, replies lost, and what the asker learns of a panic.
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

use std::error::Error;
use std::fmt;

use desk::{Desk, Place, beside, on_node, quiet};
use mobula_actor_core::{
    AskError, Context, Deferred, ExitReason, Handler, Message, Reply, UnknownOutcome,
};

#[derive(Debug)]
pub struct Outer(Inner);
#[derive(Debug)]
pub struct Inner;
impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot pour")
    }
}
impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cup is full")
    }
}
impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
impl Error for Inner {}

#[derive(Default)]
pub struct Waiter {
    owed: Vec<Reply<u64>>,
}

#[mobula_actor_core::actor]
impl Waiter {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn order(&mut self, ctx: &mut Context<Self>) -> Deferred<u64> {
        let (reply, deferred) = ctx.defer();
        self.owed.push(reply);
        deferred
    }
    pub fn serve(&mut self, dish: u64) -> u64 {
        let count = self.owed.len();
        self.owed.drain(..).for_each(|reply| reply.send(dish));
        count as u64
    }
    pub fn forget(&mut self) {
        self.owed.clear();
    }
    pub fn order_elsewhere(&mut self, ctx: &mut Context<Self>, panics: bool) -> Deferred<u64> {
        let (reply, deferred) = ctx.defer();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            assert!(!panics, "the kitchen burns");
            reply.send(9);
        });
        deferred
    }
    pub fn defer_twice(&mut self, ctx: &mut Context<Self>) -> Deferred<u64> {
        let (_reply, _deferred) = ctx.defer::<u64>();
        ctx.defer::<u64>().1
    }
    pub fn pour(&mut self) -> Result<u64, Outer> {
        Err(Outer(Inner))
    }
    pub fn boom(&mut self) -> u64 {
        panic!("dropped the {}", "tray");
    }
    pub async fn boom_later(&mut self) -> u64 {
        tokio::task::yield_now().await;
        panic!("slipped")
    }
    pub fn boom_without_text(&mut self) {
        std::panic::panic_any(17_u8);
    }
    pub async fn stuck(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[derive(Message)]
#[message(reply = Result<u64, String>)]
struct Tip(u64);

impl Handler<Tip> for Waiter {
    async fn handle(&mut self, Tip(coins): Tip, _ctx: &mut Context<Self>) -> Result<u64, String> {
        if coins == 0 { Err("nothing".to_owned()) } else { Ok(coins) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_handlers_own_error_with_its_chain() {
    on_node(async {
        let waiter = Waiter::remote();
        let error = waiter.pour().await.unwrap_err();
        assert!(matches!(error.refusal(), Some(Outer(Inner))));
        assert_eq!(error.to_string(), "`Waiter::pour` was refused: cannot pour: the cup is full");
        let source = Error::source(&error).unwrap();
        assert!(source.downcast_ref::<Outer>().is_some());
        assert!(source.source().unwrap().downcast_ref::<Inner>().is_some());
        assert_eq!(waiter.ask(Tip(3)).await.unwrap(), 3);
        let error = waiter.ask(Tip(0)).await.unwrap_err();
        assert_eq!(error.refusal().map(String::as_str), Some("nothing"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a10_a_refusal_does_not_end_the_actor() {
    on_node(async {
        let waiter = Waiter::remote();
        assert!(waiter.pour().await.is_err());
        assert_eq!(waiter.serve(1).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deferred_reply_comes_when_it_is_sent_and_others_are_served_meanwhile() {
    on_node(async {
        let waiter = Waiter::remote();
        let orders: Vec<_> = (0..3)
            .map(|_| {
                let waiter = waiter.clone();
                beside(async move { waiter.order().await })
            })
            .collect();
        quiet().await;
        waiter.order().tell().await.unwrap();
        assert_eq!(waiter.serve(7).await.unwrap(), 4);
        for order in orders {
            assert_eq!(order.await.unwrap().unwrap(), 7);
        }
        assert_eq!(waiter.order_elsewhere(false).await.unwrap(), 9);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_dropped_tells_the_asker_so() {
    on_node(async {
        let waiter = Waiter::remote();
        let order = beside({
            let waiter = waiter.clone();
            async move { waiter.order().await }
        });
        quiet().await;
        waiter.forget().await.unwrap();
        let error = order.await.unwrap().unwrap_err();
        assert!(
            matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::NoReply, .. }),
            "{error}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_dies_with_a_task_of_the_users_own_does_not_hang_the_asker() {
    on_node(async {
        let waiter = Waiter::remote();
        let error = waiter.order_elsewhere(true).await.unwrap_err();
        assert!(
            matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::NoReply, .. }),
            "{error}"
        );
        assert_eq!(waiter.serve(1).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn deferring_twice_is_a_panic_that_says_what_is_wrong() {
    on_node(async {
        let error = Waiter::remote().defer_twice().await.unwrap_err().to_string();
        assert!(error.contains("only once"), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn owed_replies_learn_why_their_actor_ended() {
    on_node(async {
        for end in 0..3 {
            let waiter = Waiter::remote();
            let order = beside({
                let waiter = waiter.clone();
                async move { waiter.order().await }
            });
            quiet().await;
            match end {
                0 => drop(waiter.kill().await),
                1 => drop(waiter.stop().await),
                _ => drop(waiter.boom().await),
            }
            let error = order.await.unwrap().unwrap_err();
            let reason = error.exit_reason().unwrap();
            assert!(
                matches!(
                    (end, reason),
                    (0, ExitReason::Killed) | (1, ExitReason::Shutdown) | (2, ExitReason::Panic(_))
                ),
                "{reason}"
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_panic_names_message_place_and_handler_sync_or_async() {
    on_node(async {
        for (asynchronous, parts) in [
            (false, ["dropped the tray", "tests/replies.rs", "Waiter::boom"]),
            (true, ["slipped", "tests/replies.rs", "Waiter::boom_later"]),
        ] {
            let waiter = Waiter::remote();
            let error = if asynchronous {
                waiter.boom_later().await.unwrap_err().to_string()
            } else {
                waiter.boom().await.unwrap_err().to_string()
            };
            let reason = waiter.closed().await.to_string();
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
                assert!(reason.contains(part), "{part}: {reason}");
            }
        }
        let error = Waiter::remote().boom_without_text().await.unwrap_err().to_string();
        assert!(error.contains("a panic without text"), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a17_kill_answers_running_and_queued_calls_with_killed() {
    on_node(async {
        let waiter = Waiter::remote();
        let running = beside({
            let waiter = waiter.clone();
            async move { waiter.stuck().await }
        });
        quiet().await;
        let queued = beside({
            let waiter = waiter.clone();
            async move { waiter.serve(1).await }
        });
        quiet().await;
        waiter.kill().await.unwrap();
        let running = running.await.unwrap().unwrap_err();
        assert!(!running.is_safe_to_retry());
        assert!(matches!(running.exit_reason(), Some(ExitReason::Killed)));
        let queued = queued.await.unwrap().unwrap_err();
        assert!(queued.is_safe_to_retry());
        assert!(matches!(queued.exit_reason(), Some(ExitReason::Killed)));
        assert!(queued.to_string().contains("was killed"), "{queued}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_gives_up_does_not_stop_the_handler() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        assert!(tokio::time::timeout(desk::ms(5), desk.hold(1)).await.is_err());
        place.open(1);
        assert_eq!(desk.note(2).await.unwrap(), 2);
        assert_eq!(place.take(), [1, 2]);
    })
    .await;
}
