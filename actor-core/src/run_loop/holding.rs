//! Before the first constructor: the wait for what the actor is to hold.

use super::*;
use crate::handle::AnyCell;
use crate::resources::Holding;

/// What the actor has still to wait for, if anything.
pub(super) fn waits_for<A: Actor>(cell: &Cell<A>) -> Option<&Holding> {
    let holding = cell.settings()?.holding.as_deref()?;
    holding.is_waiting().then_some(holding)
}

/// Waits until the actor has what it demands; or gives the reason of its end, if that comes first. A kill ends it at once,
/// as any actor. Asked to stop, or referred to no more, it still handles what waits, when it has what it needs; with
/// nothing waiting it ends.
pub(super) async fn taken<A: Actor>(
    cell: &Cell<A>,
    holding: &Holding,
) -> Result<(), Box<ExitReason>> {
    // Heard already, and to be heard again by whoever handles messages.
    let mut put_off = Vec::new();
    poll_fn(|cx| {
        cell.lanes.register(cx.waker());
        let has_it = holding.poll(cx).is_ready();
        if let Some(reason) = ended_in_line(cell, &mut put_off) {
            return Poll::Ready(Err(Box::new(reason)));
        }
        if has_it { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await?;
    for signal in put_off {
        cell.signal(signal);
    }
    Ok(())
}

fn ended_in_line<A: Actor>(cell: &Cell<A>, put_off: &mut Vec<Signal>) -> Option<ExitReason> {
    while cell.lanes.is_signalled() {
        match cell.lanes.pop_signal()?.0 {
            Signal::Kill(reason) | Signal::Shutdown(reason) => return Some(reason),
            Signal::Stop(reason) => {
                if cell.lanes.len() == 0 {
                    return Some(reason);
                }
                cell.stopping(&reason);
                for envelope in cell.lanes.seal() {
                    cell.reject(envelope, Undelivered::ActorGone(reason.clone()));
                }
                put_off.push(Signal::Stop(reason));
            }
            Signal::Unreferenced if cell.is_unreferenced() => {
                if cell.lanes.len() == 0 {
                    cell.tell_to_end();
                    return Some(ExitReason::Normal);
                }
                put_off.push(Signal::Unreferenced);
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
