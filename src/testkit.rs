//! For tests: a node under virtual time, probes, and assertions on what would otherwise go unseen.
//!
//! Time stands still while anything can run, and jumps to the next timer when nothing can: a test of an hour's back-off takes
//! microseconds and never races.
//!
//! ```
//! use mobula::prelude::*;
//! use mobula::testkit::Probe;
//!
//! #[derive(Message, Clone, Debug, PartialEq)]
//! pub struct Tick(u32);
//!
//! mobula::testkit::run(|_node| async {
//!     let probe = Probe::<Tick>::spawn();
//!     probe.actor().tell(Tick(1)).await.unwrap();
//!     assert_eq!(probe.next().await, Tick(1));
//!     probe.expect_silence(secs(3600)).await; // an hour of virtual time
//! });
//! ```

use std::future::Future;
use std::time::Duration;

use crate::node::Node;

pub use mobula_actor_core::testkit::{
    DeadLetterProbe, Probe, ProbeActor, RestartProbe, advance, ends,
};

/// When nothing can run and no timer is set, time jumps here, and the test fails instead of hanging for ever.
const PATIENCE: Duration = Duration::from_hours(24 * 365);

/// Runs `body` as the driver of a node under virtual time, on one thread; returns what it returns.
///
/// Pinned actors and actix guests run on the same thread, under the same clock.
///
/// # Panics
/// When the node does not start, and when `body` does.
pub fn run<F, Fut>(body: F) -> Fut::Output
where
    F: FnOnce(Node) -> Fut,
    Fut: Future,
{
    run_with(Node::builder().num_cpus(2.0), body)
}

/// Like [`run`], on a node with these settings.
///
/// # Panics
/// When the node does not start, when `body` panics, and when it waits for what will never come.
#[expect(clippy::expect_used, reason = "a test that cannot start must fail")]
pub fn run_with<F, Fut>(builder: crate::NodeBuilder, body: F) -> Fut::Output
where
    F: FnOnce(Node) -> Fut,
    Fut: Future,
{
    mobula_actor_core::testkit::block_on(async move {
        let node = builder.under_virtual_time().start().await.expect("the node starts");
        let output = tokio::time::timeout(PATIENCE, node.enter(body(node.clone()))).await;
        let output = output.expect("the test ends: it waits for what nobody will ever do");
        node.shutdown().await;
        output
    })
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "the test ends")]
    fn a_test_that_waits_for_ever_fails() {
        super::run(|_node| std::future::pending::<()>());
    }
}
