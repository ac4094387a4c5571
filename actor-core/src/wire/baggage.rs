//! Baggage: what must stay alive while a message is on its way.
//!
//! A reference inside a message keeps its actor, or object, alive where it is sent from and again where it has
//! arrived. In between it is only bytes: if the sender drops its own in that moment, the last count is gone and the
//! receiver gets a reference to nothing. So whoever writes a message collects the references in it, and
//! whoever sends it holds them until the receiver has taken its own hold.
//!
//! Writing happens deep inside serde, which takes nothing along; so the collection hangs on the thread.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// Something kept alive, whatever it is.
pub type Hold = Box<dyn Any + Send + Sync>;

thread_local! {
    static PACKING: RefCell<Option<Vec<Hold>>> = const { RefCell::new(None) };
    static ARRIVING: RefCell<Option<Ticket>> = const { RefCell::new(None) };
}

/// Runs `write` and returns what [`pack`] was given meanwhile. May be nested; the inner one keeps its own.
pub fn collect<R>(write: impl FnOnce() -> R) -> (R, Vec<Hold>) {
    let mut collection = Collection { outer: PACKING.replace(Some(Vec::new())) };
    let written = write();
    let packed = PACKING.replace(collection.outer.take());
    (written, packed.unwrap_or_default())
}

/// Puts the outer collection back, after a panic in between, too.
struct Collection {
    outer: Option<Vec<Hold>>,
}

impl Drop for Collection {
    fn drop(&mut self) {
        if std::thread::panicking() {
            PACKING.set(self.outer.take());
        }
    }
}

/// Adds to the collection that runs on this thread; without one, nothing is kept: the bytes go nowhere.
pub fn pack(hold: impl FnOnce() -> Hold) {
    if PACKING.with_borrow(Option::is_some) {
        let hold = hold();
        PACKING.with_borrow_mut(|packing| packing.as_mut().map(|packed| packed.push(hold)));
    }
}

/// What keeps the sender's baggage: dropped when everything in a message has its own hold.
pub type Ticket = Arc<dyn Any + Send + Sync>;

/// Runs `read` on behalf of a message that came with baggage; what is read may take the [`ticket`] along.
pub fn unpack<R>(ticket: Ticket, read: impl FnOnce() -> R) -> R {
    let _restore = Arrival { outer: ARRIVING.replace(Some(ticket)) };
    read()
}

/// The ticket of the message that is being read on this thread. Keep it until what was read is held for good.
#[must_use]
pub fn ticket() -> Option<Ticket> {
    ARRIVING.with_borrow(Clone::clone)
}

struct Arrival {
    outer: Option<Ticket>,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        ARRIVING.set(self.outer.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_collection_keeps_its_own_and_none_keeps_nothing() {
        pack(|| Box::new(0_u8));
        let (inner, outer) = collect(|| {
            pack(|| Box::new(1_u8));
            let ((), inner) = collect(|| pack(|| Box::new(2_u8)));
            pack(|| Box::new(3_u8));
            inner
        });
        let values = |holds: &[Hold]| {
            holds.iter().map(|hold| *hold.downcast_ref::<u8>().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!((values(&inner), values(&outer)), (vec![2], vec![1, 3]));
    }

    #[test]
    fn a_ticket_is_there_while_its_message_is_read() {
        assert!(ticket().is_none());
        let outer: Ticket = Arc::new(1_u8);
        let kept = unpack(Arc::clone(&outer), || {
            unpack(Arc::new(2_u8), || assert!(ticket().unwrap().is::<u8>()));
            ticket()
        });
        assert!(Arc::ptr_eq(&kept.unwrap(), &outer));
        assert!(ticket().is_none());
    }

    #[test]
    fn a_panic_while_writing_leaves_no_collection_behind() {
        let caught = std::panic::catch_unwind(|| collect(|| panic!("no")));
        assert!(caught.is_err());
        assert!(PACKING.with_borrow(Option::is_none));
    }
}
