//! The end of a supervisor, inside its `stopping` hook.
//!
//! No signal and no message is read in a hook, so what the running supervisor learns from its
//! mailbox must be learnt otherwise: the final ends of the children are awaited as futures, and
//! so are the timers. The decisions are the same core's. Invariant: when the hook returns, every
//! child has ended for good.

use std::time::Duration;

use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use mobula_actor_core::ExitReason;
use tokio::time::{Instant, sleep};

use super::{FollowUp, Supervisor};
use crate::{
    children::ChildState,
    decide::event::{Event, TimerToken},
    restart::ExitClass,
    shutdown::Shutdown,
};

impl Supervisor {
    /// The end of the supervisor inside its `stopping` hook: until the last child is down.
    pub(super) async fn shut_down(&mut self) {
        let mut coming = FuturesUnordered::<BoxFuture<'static, Event>>::new();
        for (key, child) in self.core.children().iter() {
            let Some(handle) = self.kids.handle(key).cloned() else {
                continue;
            };
            if !child.state.is_alive() {
                continue;
            }
            if let (ChildState::Stopping { killed: false }, Shutdown::Deadline(after)) =
                (child.state, child.rules.shutdown)
            {
                // Its timer runs in the mailbox, which is not read any more; what of it has passed has passed.
                let stop_by = self.kids.get(key).and_then(|kid| kid.stop_by);
                let left = stop_by.map(|by| by.saturating_duration_since(Instant::now()));
                let after = left.unwrap_or(after);
                let token = TimerToken::Deadline { child: key, generation: child.generation };
                coming.push(timer(token, after));
            }
            if matches!(child.state, ChildState::Stopping { .. }) {
                // It was to be started again; now it ends for good.
                handle.request_stop(ExitReason::Shutdown);
            }
            let generation = child.generation;
            coming.push(Box::pin(async move {
                let exit = ExitClass::of(&handle.closed().await);
                Event::ChildExited { child: key, generation, exit }
            }));
        }
        let mut event = Event::Shutdown;
        loop {
            for follow_up in self.feed(event) {
                match follow_up {
                    FollowUp::Timer(token, after) => coming.push(timer(token, after)),
                    FollowUp::AwaitUp(..) => {}
                    FollowUp::End(_) => return,
                }
            }
            match coming.next().await {
                Some(next) => event = next,
                // It had ended before, or nobody is left to wait for.
                None => return,
            }
        }
    }
}

fn timer(token: TimerToken, after: Duration) -> BoxFuture<'static, Event> {
    Box::pin(async move {
        sleep(after).await;
        Event::TimerFired(token)
    })
}
