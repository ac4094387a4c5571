//! Before the first constructor: the wait for what the actor is to hold, here or on a node that comes to have it.

use std::time::Duration;

use super::*;
use crate::handle::AnyCell;
use crate::id::NodeId;
use crate::remote::{Control, NotSpawned};
use crate::resources::Holding;
use crate::spawn::{PAUSE_MIN, next_pause};

/// What the actor has still to wait for, if anything.
pub(super) fn waits_for<A: Actor>(cell: &Cell<A>) -> Option<&Holding> {
    let holding = cell.settings()?.holding.as_deref()?;
    holding.is_waiting().then_some(holding)
}

/// Where the actor begins.
pub(super) enum Settled {
    /// Here: it has what it demands.
    Here,
    /// There: it has begun.
    Elsewhere(Home),
}

/// Waits until the actor has what it demands, here or elsewhere; or gives the reason of its end, if that comes first. A
/// kill ends it at once, as any actor. Asked to stop, or referred to no more, it still handles what waits, when it has what
/// it needs; with nothing waiting it ends.
pub(super) async fn settled<A: Actor>(
    cell: &Arc<Cell<A>>,
    holding: &Holding,
) -> Result<Settled, Box<ExitReason>> {
    // Heard already, and to be heard again by whoever handles messages.
    let mut put_off = Vec::new();
    let mut pause = None;
    let settled = loop {
        let Some(node) = in_line(cell, holding, pause, &mut put_off).await? else {
            if let Some(relocation) = cell.relocation() {
                relocation.has_begun();
            }
            break Settled::Here;
        };
        // What comes free here meanwhile is for those who wait for it.
        holding.step_out();
        match started_on(cell, node, &mut put_off).await? {
            Some(home) => break Settled::Elsewhere(home),
            None => pause = Some(next_pause(pause)),
        }
        holding.stand(A::NAME, cell.system().resource_book());
        // What had to wait for the answer.
        hear_again(cell, &mut put_off);
    };
    hear_again(cell, &mut put_off);
    Ok(settled)
}

fn hear_again<A: Actor>(cell: &Cell<A>, put_off: &mut Vec<Signal>) {
    for signal in put_off.drain(..) {
        cell.signal(signal);
    }
}

/// Waits in line here, and for a node that has what is needed: `None` if it has come to have it here.
async fn in_line<A: Actor>(
    cell: &Arc<Cell<A>>,
    holding: &Holding,
    pause: Option<Duration>,
    put_off: &mut Vec<Signal>,
) -> Result<Option<NodeId>, Box<ExitReason>> {
    let mut found = std::pin::pin!(found(cell, pause));
    poll_fn(|cx| {
        cell.lanes.register(cx.waker());
        let has_it = holding.poll(cx).is_ready();
        if let Some(reason) = ended_in_line(cell, put_off) {
            return Poll::Ready(Err(Box::new(reason)));
        }
        if has_it {
            Poll::Ready(Ok(None))
        } else {
            found.as_mut().poll(cx).map(|node| Ok(Some(node)))
        }
    })
    .await
}

/// The node where the actor may begin, once there is one; after a refusal not at once.
async fn found<A: Actor>(cell: &Arc<Cell<A>>, pause: Option<Duration>) -> NodeId {
    let (Some(relocation), Some(remote)) = (cell.relocation(), cell.system().remote()) else {
        return std::future::pending().await;
    };
    let mut news = remote.news();
    if let Some(pause) = pause {
        tokio::time::sleep(PAUSE_MIN).await;
        // Whichever comes first.
        let _ = tokio::time::timeout(pause - PAUSE_MIN, news.changed()).await;
    }
    loop {
        if let Some(node) = relocation.place(cell.system(), remote.as_ref()) {
            return node;
        }
        if news.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Has the actor started on `node`; `None` if that would not.
///
/// Until it has answered, the actor may have begun there: what would end this generation alone, so that another is begun,
/// waits for the answer. Told to end for good, with nothing to handle before, it ends, and the one there is called back.
async fn started_on<A: Actor>(
    cell: &Arc<Cell<A>>,
    node: NodeId,
    put_off: &mut Vec<Signal>,
) -> Result<Option<Home>, Box<ExitReason>> {
    let (Some(relocation), Some(remote)) = (cell.relocation(), cell.system().remote()) else {
        return Ok(None);
    };
    let mut start = relocation.start(remote.as_ref(), node);
    let answer = poll_fn(|cx| {
        cell.lanes.register(cx.waker());
        match ended_under_way(cell, put_off) {
            Some(end) => Poll::Ready(Err(end)),
            None => start.as_mut().poll(cx).map(Ok),
        }
    })
    .await;
    match answer {
        Ok(Ok(home)) => Ok(Some(home)),
        Ok(Err(NotSpawned::Refused(reason))) => {
            relocation.refused(node, reason);
            Ok(None)
        }
        Ok(Err(not @ (NotSpawned::Ended(_) | NotSpawned::Lost(_)))) => {
            cell.tell_to_end();
            Err(Box::new(not.into()))
        }
        Err((reason, control)) => {
            stand_in::call_back(cell, start, control);
            Err(Box::new(reason))
        }
    }
}

fn ended_in_line<A: Actor>(cell: &Cell<A>, put_off: &mut Vec<Signal>) -> Option<ExitReason> {
    while cell.lanes.is_signalled() {
        match cell.lanes.pop_signal()?.0 {
            Signal::Kill(reason) | Signal::Shutdown(reason) => return Some(reason),
            Signal::Stop(reason) => {
                if cell.lanes.len() == 0 {
                    return Some(reason);
                }
                take_nothing_new(cell, &reason);
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

/// The end of one that is being started elsewhere, and what the one there is told of it.
fn ended_under_way<A: Actor>(
    cell: &Cell<A>,
    put_off: &mut Vec<Signal>,
) -> Option<(ExitReason, Option<Control>)> {
    while cell.lanes.is_signalled() {
        match cell.lanes.pop_signal()?.0 {
            Signal::Kill(reason) if cell.is_told_to_end() => {
                return Some((reason.clone(), Some(Control::Kill(reason))));
            }
            Signal::Stop(reason) => {
                if cell.lanes.len() == 0 {
                    cell.tell_to_end();
                    return Some((reason.clone(), Some(Control::Stop(reason))));
                }
                take_nothing_new(cell, &reason);
                put_off.push(Signal::Stop(reason));
            }
            Signal::Unreferenced if cell.is_unreferenced() && cell.lanes.len() == 0 => {
                cell.tell_to_end();
                return Some((ExitReason::Normal, None));
            }
            Signal::ChildExited(exited) => exited.child.terminate(exited.reason),
            signal @ (Signal::Kill(_)
            | Signal::Shutdown(_)
            | Signal::Unreferenced
            | Signal::Exit { .. }) => put_off.push(signal),
            Signal::Down { .. } | Signal::FarEnd { .. } => {}
        }
    }
    None
}

/// What stands in line for the mailbox goes back; what is in it will be handled.
fn take_nothing_new<A: Actor>(cell: &Cell<A>, reason: &ExitReason) {
    cell.stopping(reason);
    for envelope in cell.lanes.seal() {
        cell.reject(envelope, Undelivered::ActorGone(reason.clone()));
    }
}
