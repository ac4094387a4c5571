//! What becomes of replies that die with their actor.
//!
//! When a handler panics, its reply is dropped while the stack unwinds, before anybody knows the panic's
//! text; when an actor is killed, its handler's future is dropped, and with it the reply. The asker
//! shall learn *why* either way. So a dropped reply looks here: if this thread is ending an actor, the
//! reason is known and sent; if it is unwinding, the reply is kept until the run loop knows the reason.
//! Only where a guard will catch the panic, though: in a task of the user's own nobody would come for it.

use std::cell::RefCell;
use std::sync::Arc;

use crate::exit::{ExitReason, PanicReport};
use crate::panic_capture::{guard, is_guarded};

type Settle = Box<dyn FnOnce(Option<&ExitReason>)>;

thread_local! {
    static ENDING: RefCell<Option<ExitReason>> = const { RefCell::new(None) };
    static ORPHANS: RefCell<Vec<Settle>> = const { RefCell::new(Vec::new()) };
}

/// Settles a dropped reply: now, or once the reason is known.
pub(crate) fn settle(settle: impl FnOnce(Option<&ExitReason>) + 'static) {
    let reason = ENDING.with(|ending| ending.borrow().clone());
    if reason.is_some() {
        settle(reason.as_ref());
    } else if std::thread::panicking() && is_guarded() {
        ORPHANS.with(|orphans| orphans.borrow_mut().push(Box::new(settle)));
    } else {
        settle(None);
    }
}

/// Answers the replies that were dropped while this thread unwound.
pub(crate) fn answer_orphans(reason: &ExitReason) {
    let orphans = ORPHANS.with(|orphans| std::mem::take(&mut *orphans.borrow_mut()));
    for settle in orphans {
        settle(Some(reason));
    }
}

/// Drops `what` as part of an end for `reason`. A panic in a destructor is contained.
pub(crate) fn drop_as<T>(reason: &ExitReason, what: T) {
    let outer = ENDING.with(|ending| ending.replace(Some(reason.clone())));
    if let Err(report) = guard(move || drop(what)) {
        tracing::error!(%report, "a destructor panicked while its actor ended");
    }
    answer_orphans(reason);
    ENDING.with(|ending| *ending.borrow_mut() = outer);
}

/// Runs a handler that the run loop does not drive itself; replies that its panic drops are answered here,
/// on the thread where they were dropped.
///
/// # Errors
/// The report of the panic.
pub(crate) fn contain<R>(
    message: &'static str,
    work: impl FnOnce() -> R,
) -> Result<R, PanicReport> {
    guard(work).map_err(|report| {
        let report = PanicReport { while_handling: Some(message), ..report };
        answer_orphans(&ExitReason::Panic(Arc::new(report.clone())));
        report
    })
}

/// Runs `work`, which drops what a user made; a panic in a destructor is contained.
pub(crate) fn dispose<R: Default>(work: impl FnOnce() -> R) -> R {
    guard(work).unwrap_or_else(|report| {
        tracing::error!(%report, "a message's destructor panicked");
        R::default()
    })
}
