//! Before the first constructor: the wait for what the actor is to hold.

use super::*;
use crate::resources::Holding;

/// What the actor has still to wait for, if anything.
pub(super) fn waits_for<A: Actor>(cell: &Cell<A>) -> Option<&Holding> {
    let holding = cell.settings()?.holding.as_deref()?;
    holding.is_waiting().then_some(holding)
}

/// Waits until the actor has what it demands; or gives the reason of its end, if that comes first. Whoever stops an actor
/// that has not begun stops it at once: it has nothing to finish.
pub(super) async fn taken<A: Actor>(
    cell: &Cell<A>,
    holding: &Holding,
) -> Result<(), Box<ExitReason>> {
    poll_fn(|cx| {
        cell.lanes.register(cx.waker());
        if let Some(reason) = ended_in_line(cell) {
            return Poll::Ready(Err(Box::new(reason)));
        }
        holding.poll(cx).map(Ok)
    })
    .await
}

fn ended_in_line<A: Actor>(cell: &Cell<A>) -> Option<ExitReason> {
    while cell.lanes.is_signalled() {
        match cell.lanes.pop_signal()?.0 {
            Signal::Kill(reason) | Signal::Shutdown(reason) | Signal::Stop(reason) => {
                return Some(reason);
            }
            Signal::Unreferenced if cell.is_unreferenced() => {
                cell.tell_to_end();
                return Some(ExitReason::Normal);
            }
            Signal::Exit { from, reason } if reason.is_abnormal() => {
                return Some(ExitReason::Linked { from, reason: Arc::new(reason) });
            }
            Signal::ChildExited(exited) => exited.child.terminate(exited.reason),
            Signal::Unreferenced
            | Signal::Exit { .. }
            | Signal::Down { .. }
            | Signal::FarEnd { .. } => {}
        }
    }
    None
}
