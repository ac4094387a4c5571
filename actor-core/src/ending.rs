//! What becomes of replies that die with their actor.
//!
//! When a handler panics, its reply is dropped while the stack unwinds, before anybody knows the panic's
//! text; when an actor is killed, its handler's future is dropped, and with it the reply. The asker
//! shall learn *why* either way. So a dropped reply looks here: while this thread ends an actor or unwinds, it is
//! kept, an orphan, until the end is complete and its reason known.
//! Only where a guard will catch the panic, though: in a task of the user's own nobody would come for it.
//!
//! Nobody learns of an end too early: the replies are answered when the mailbox has been renewed or closed, so that who
//! knows of a crash and sends again reaches the next generation.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::exit::{ExitReason, PanicReport};
use crate::panic_capture::{guard, is_guarded};

/// Answers one dropped reply.
pub(crate) type Settle = Box<dyn FnOnce(Option<&ExitReason>) + Send>;

thread_local! {
    static ENDING: Cell<bool> = const { Cell::new(false) };
    static ORPHANS: RefCell<Vec<Settle>> = const { RefCell::new(Vec::new()) };
}

/// Settles a dropped reply: now, or once the reason is known.
pub(crate) fn settle(settle: impl FnOnce(Option<&ExitReason>) + Send + 'static) {
    let is_ending = ENDING.with(Cell::get);
    if is_ending || (std::thread::panicking() && is_guarded()) {
        ORPHANS.with(|orphans| orphans.borrow_mut().push(Box::new(settle)));
    } else {
        settle(None);
    }
}

/// Answers the replies that were dropped while this thread unwound.
pub(crate) fn answer_orphans(reason: &ExitReason) {
    answer_all(take_orphans(), reason);
}

/// The replies that wait for their answer on this thread.
pub(crate) fn take_orphans() -> Vec<Settle> {
    ORPHANS.with(|orphans| std::mem::take(&mut *orphans.borrow_mut()))
}

/// Answers these replies.
pub(crate) fn answer_all(orphans: Vec<Settle>, reason: &ExitReason) {
    for settle in orphans {
        settle(Some(reason));
    }
}

/// Drops `what` as part of an end; the replies in it become orphans. A panic in a destructor is contained.
pub(crate) fn drop_ending<T>(what: T) {
    let outer = ENDING.with(|ending| ending.replace(true));
    if let Err(report) = guard(move || drop(what)) {
        tracing::error!(%report, "a destructor panicked while its actor ended");
    }
    ENDING.with(|ending| ending.set(outer));
}

/// Drops `what` as part of an end for `reason`, and answers the replies in it, and no others: one actor may end within
/// the end of another, as a child does when its supervisor's state is dropped.
pub(crate) fn drop_as<T>(reason: &ExitReason, what: T) {
    let others = take_orphans();
    drop_ending(what);
    answer_orphans(reason);
    ORPHANS.with(|orphans| orphans.borrow_mut().extend(others));
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
        let report = PanicReport { while_handling: Some(message.into()), ..report };
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
