//! Where a panic happened.
//!
//! `catch_unwind` gives the payload of a panic, never its place; only the panic hook sees that. One hook is
//! installed for the process: inside an actor or task it notes message and location in a thread-local
//! and stays quiet, since the crash report tells the story; everywhere else the previous hook runs.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use crate::exit::PanicReport;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
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
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned());
    let location = LOCATION.with(|slot| slot.borrow_mut().take());
    PanicReport { message, location, while_handling: None }
}
