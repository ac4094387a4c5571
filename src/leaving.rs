//! Leaving without harm: a node that is drained takes nothing new, finishes or moves what it has, and says farewell.
//!
//! A node that just stops cancels its tasks, and takes along what others refer to. Everything needed to do better is
//! there, but the order matters: what waits here on behalf of others goes back first, so that it runs elsewhere meanwhile;
//! what runs here may need actors of this node, so they stop after it; tasks that actors submitted end after those;
//! objects go last, because all of these make some.
//!
//! Every step ends with the limit at the latest. What is left then ends as with any stop, and the answer counts it.
//!
//! Invariant: nobody sees the node as down, and no task fails that could end within the limit or run elsewhere.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mobula_actor_core::{ExitReason, Kind};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::node::Node;

/// How long a drain may take where nothing else is said: by the command, or after SIGTERM.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether a step is done: nothing of this waits on a fast path.
const LOOK: Duration = Duration::from_millis(5);

/// How long the others may take to hear that nothing is to be placed here any more.
const HEARSAY: Duration = Duration::from_millis(500);

/// Who ends the process when its node has left.
#[derive(Debug, Default)]
pub(crate) struct Leave {
    asked: Notify,
    role: AtomicU8,
}

/// What the process of the node does beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The node was started by hand.
    Unknown,
    /// Runs a program's main.
    Drives,
    /// Serves until it is told to end.
    Serves,
}

impl Leave {
    pub(crate) fn set_role(&self, role: Role) {
        let word = match role {
            Role::Unknown => 0,
            Role::Drives => 1,
            Role::Serves => 2,
        };
        self.role.store(word, Ordering::Release);
    }

    fn role(&self) -> Role {
        match self.role.load(Ordering::Acquire) {
            1 => Role::Drives,
            2 => Role::Serves,
            _ => Role::Unknown,
        }
    }

    /// Until somebody asks the node to leave.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }
}

/// What a drained node had left when it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Attempts of other nodes' tasks that had not ended: they are lost, and retried where that was asked for.
    pub attempts: usize,
    /// Actors that had not stopped: they were killed.
    pub actors: usize,
    /// Tasks of this node that had not ended: they were cancelled.
    pub tasks: usize,
    /// Objects that others need and that found no new keeper: they went with the node.
    pub objects: usize,
}

impl Node {
    /// Takes nothing new, finishes or moves what this node has, and leaves; at the latest a few seconds after `limit`.
    ///
    /// Attempts of other nodes' tasks that have not begun go back and run elsewhere; those that run, finish. Then actors
    /// stop, after what is in their mailboxes, as [`ExitReason::Shutdown`]: whoever keeps them alive from another node
    /// starts them anew elsewhere. Objects that others need are handed over to one that does. Nobody sees the
    /// node as down. Alone, a node is just shut down.
    ///
    /// # Cancel safety
    /// Dropped on the way, the node takes nothing new and goes on otherwise; call again, or [`shutdown`](Self::shutdown).
    ///
    /// # Examples
    /// ```
    /// use mobula::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::builder().start().await?;
    /// let left = node.drain(secs(5)).await;
    /// assert_eq!(left, mobula::Drained::default()); // nothing
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain(&self, limit: Duration) -> Drained {
        let mut left = Drained::default();
        if let Some(cluster) = self.cluster() {
            let deadline = Instant::now() + limit;
            let heard = Instant::now() + HEARSAY.min(limit);
            cluster.drain().await;
            left.attempts = self.finish_attempts(deadline).await;
            left.actors = self.stop_guests(deadline).await;
            left.tasks = until_none(deadline, || self.scheduler().unfinished()).await;
            left.objects = until_none(deadline, || self.store().evacuate()).await;
            // One that has not heard may still send something, and must be told to take it back.
            tokio::time::sleep_until(heard).await;
        }
        self.shutdown().await;
        left
    }

    /// Sends back the attempts of others that wait, and lets those that run finish; how many do not.
    async fn finish_attempts(&self, deadline: Instant) -> usize {
        let Some(service) = self.own_tasks() else { return 0 };
        loop {
            let count = match self.enter(async { service.drain().await }).await {
                Ok(count) => count,
                Err(_stopped) => return 0,
            };
            if count == 0 || Instant::now() >= deadline {
                return count;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops what programs started here, outer supervisors first; how many did not in time.
    async fn stop_guests(&self, deadline: Instant) -> usize {
        let mut left = 0;
        for supervisor in self.guests(|kind| kind == Kind::Supervisor) {
            supervisor.request_stop(ExitReason::Shutdown);
            // Counted below, if it is still there.
            let _ = tokio::time::timeout_at(deadline, supervisor.closed()).await;
        }
        let guests = self.guests(|kind| kind != Kind::Task);
        for guest in &guests {
            guest.request_stop(ExitReason::Shutdown);
        }
        for guest in &guests {
            left += usize::from(tokio::time::timeout_at(deadline, guest.closed()).await.is_err());
        }
        left
    }

    /// Somebody wants this node to leave.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn ask_to_leave(&self) -> Result<(), String> {
        match self.leave().role() {
            Role::Drives => Err(format!(
                "node {} runs the program's main, and ends with it; to end all, stop that program",
                self.id().unwrap_or(mobula_actor_core::NodeId::HERE)
            )),
            Role::Serves => {
                self.leave().asked.notify_one();
                Ok(())
            }
            Role::Unknown => {
                let node = self.clone();
                let runtime = self.system().runtime().clone();
                drop(runtime.spawn(async move { node.drain(DRAIN_LIMIT).await }));
                Ok(())
            }
        }
    }
}

/// Looks until `count` is 0 or it is too late; gives the last.
async fn until_none(deadline: Instant, count: impl Fn() -> usize) -> usize {
    loop {
        let left = count();
        if left == 0 || Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep(LOOK).await;
    }
}
