//! Where a panic happened.
//!
//! `catch_unwind` gives the payload of a panic, never its place; only the panic hook sees that. One hook is
//! installed for the process: inside an actor or task it notes message and location in a thread-local
//! and stays quiet, since the crash report tells the story; everywhere else the previous hook runs, and the panic is
//! noted as a *stray*: a guest's host, whose guest has lost a future that it knows nothing of, can say why.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use crate::exit::PanicReport;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
    static STRAYS: RefCell<Strays> = const { RefCell::new(Strays { count: 0, last: None }) };
}

/// Panics on this thread that nothing of ours guarded.
struct Strays {
    count: u64,
    last: Option<PanicReport>,
}

static INSTALL: Once = Once::new();

pub(crate) fn install() {
    INSTALL.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if GUARDED.with(Cell::get) {
                let location = info.location().map(ToString::to_string);
                LOCATION.with(|slot| *slot.borrow_mut() = location);
            } else {
                STRAYS.with_borrow_mut(|strays| {
                    strays.count += 1;
                    let location = info.location().map(ToString::to_string);
                    let message = text_of(info.payload());
                    strays.last = Some(PanicReport { message, location, while_handling: None });
                });
                previous(info);
            }
        }));
    });
}

/// Runs `work`; a panic in it becomes a report with its text and place.
///
/// # Errors
/// The report of the panic.
pub fn guard<R>(work: impl FnOnce() -> R) -> Result<R, PanicReport> {
    let outer = GUARDED.with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|guarded| guarded.set(outer));
    result.map_err(|payload| report(payload.as_ref()))
}

/// How many panics of this thread nothing of ours has guarded.
pub(crate) fn stray_count() -> u64 {
    STRAYS.with_borrow(|strays| strays.count)
}

/// The last of them, if it came after there had been `count`.
pub(crate) fn stray_since(count: u64) -> Option<PanicReport> {
    STRAYS.with_borrow(|strays| strays.last.clone().filter(|_| strays.count > count))
}

/// Whether a panic on this thread would be caught by [`guard`] now.
pub(crate) fn is_guarded() -> bool {
    GUARDED.with(Cell::get)
}

/// The last panic's report on this thread, for a payload that something else caught. A payload that is a
/// report already, resumed from another thread, is that report.
#[must_use]
pub fn report(payload: &(dyn Any + Send)) -> PanicReport {
    if let Some(report) = payload.downcast_ref::<PanicReport>() {
        return report.clone();
    }
    let location = LOCATION.with(|slot| slot.borrow_mut().take());
    PanicReport { message: text_of(payload), location, while_handling: None }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}
