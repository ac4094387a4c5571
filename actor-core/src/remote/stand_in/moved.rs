//! The stand-in of an actor that waited here and was started elsewhere.
//!
//! Its references, mailbox, monitors and links are the cell's, and the cell stays; only who takes messages out changes, from
//! the run loop that waited to a forwarder. So nothing is handed over that could be lost or change its order.

use super::*;

/// Makes the cell of an actor that was started at `home` its stand-in. To be called by the run loop as the last that it
/// does with the cell.
pub(crate) fn take_over<A: Actor>(cell: Arc<Cell<A>>, home: Home) {
    let Some(remote) = cell.system().remote() else {
        // It was asked for by that port, which is never taken away.
        return cell.never_started(ExitReason::NodeDown(home.node));
    };
    cell.has_moved();
    launch(cell, &remote, Bound::Later(Box::pin(std::future::ready(Ok(home)))));
}

/// Ends an actor that is being started elsewhere for one that has been told to end meanwhile, once it has started. Without a
/// word it is just not held there; it may have begun already, and be held from here.
pub(crate) fn call_back<A: Actor>(
    cell: &Arc<Cell<A>>,
    start: BoxFuture<'static, Result<Home, NotSpawned>>,
    control: Option<Control>,
) {
    let (Some(remote), handle) = (cell.system().remote(), cell.handle()) else { return };
    drop(cell.system().runtime().spawn(async move {
        // Not started, it has ended already; on a node that is lost, nobody holds it.
        if let Ok(home) = start.await {
            let link = remote.link(home, &handle);
            if let Some(control) = control {
                link.control(control);
            }
            link.release(&|| Need::Nothing);
        }
    }));
}
