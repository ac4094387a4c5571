//! Actors as users meet them: typed calls, messages, order, ends.
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

use std::time::Duration;

use mobula_actor_core::{
    AskError, Current, ExitReason, System, Undelivered, UnknownOutcome, scope,
};

pub struct Counter {
    count: u64,
}

#[derive(Debug)]
pub struct TooMuch;
impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too much")
    }
}
impl std::error::Error for TooMuch {}

#[mobula_actor_core::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self { count: start }
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }
    pub async fn slow(&mut self, by: u64) -> u64 {
        let count = &mut self.count;
        tokio::time::sleep(Duration::from_secs(1)).await;
        *count += by;
        *count
    }
    pub fn boom(&mut self) {
        panic!("boom {}", self.count);
    }
    pub fn limited(&mut self, by: u64) -> Result<u64, TooMuch> {
        if by > 10 { Err(TooMuch) } else { Ok(self.add(by)) }
    }
}

async fn on_node<F: Future>(test: F) -> F::Output {
    let system = System::builder().build();
    scope(Current::root(system), test).await
}

#[tokio::test(start_paused = true)]
async fn typed_calls_ask_tell_and_refuse() {
    on_node(async {
        let counter = Counter::remote(1);
        assert_eq!(counter.add(2).await.unwrap(), 3);
        counter.add(4).tell().await.unwrap();
        assert_eq!(counter.slow(1).await.unwrap(), 8);
        let error = counter.limited(11).await.unwrap_err();
        assert!(matches!(error, AskError::Refused(TooMuch)));
        assert_eq!(error.to_string(), "`Counter::limited` was refused: too much");
        let overdue = counter.slow(1).timeout(Duration::from_millis(10)).await.unwrap_err();
        assert!(matches!(
            overdue,
            AskError::OutcomeUnknown { why: UnknownOutcome::Deadline(_), .. }
        ));
        assert_eq!(counter.add(0).await.unwrap(), 9);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_that_actor_only_and_says_where() {
    on_node(async {
        let counter = Counter::remote(1);
        let error = counter.boom().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("boom 1"), "{text}");
        assert!(text.contains("tests/actors.rs"), "{text}");
        assert!(text.contains("Counter::boom"), "{text}");
        let closed = counter.closed().await;
        assert!(matches!(closed, ExitReason::Panic(_)));
        let late = counter.add(1).await.unwrap_err();
        assert!(matches!(
            late,
            AskError::NotDelivered { reason: Undelivered::ActorGone(ExitReason::Panic(_)), .. }
        ));
        assert_eq!(Counter::remote(5).add(1).await.unwrap(), 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_to_record_without_end_lives_and_records_within_reason() {
    on_node(async {
        let counter = Counter::options().flight_recorder(usize::MAX).remote(1);
        assert_eq!(counter.add(1).await.unwrap(), 2);
        let text = counter.boom().await.unwrap_err().to_string();
        assert!(text.contains("boom 2"), "{text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_ends_when_its_last_reference_has_gone_and_its_calls_are_done() {
    on_node(async {
        let closed = {
            let counter = Counter::remote(1);
            counter.slow(1).tell().await.unwrap();
            counter.closed()
        };
        assert!(matches!(closed.await, ExitReason::Normal));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn kill_ends_a_running_handler_and_stop_lets_it_finish() {
    on_node(async {
        let counter = Counter::remote(1);
        let (slow, ()) = tokio::join!(async { counter.slow(1).await }, async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            counter.kill().await.unwrap();
        });
        let text = slow.unwrap_err().to_string();
        assert!(text.contains("was killed"), "{text}");
        let counter = Counter::remote(1);
        let (slow, reason) = tokio::join!(async { counter.slow(1).await }, async {
            tokio::task::yield_now().await;
            counter.stop().await.unwrap()
        });
        assert_eq!(slow.unwrap(), 2);
        assert!(matches!(reason, ExitReason::Shutdown));
    })
    .await;
}
