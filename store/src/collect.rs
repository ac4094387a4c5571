//! Which references a value contains, found while it is encoded; and where they arrive, while it is decoded.
//!
//! A message is encoded by code that knows its type and nothing of references in it. Asking every type for its
//! references would be a second `Serialize` by hand. Instead each reference, when it is encoded, leaves a hold of
//! its object with whoever encodes, if anybody collects; and each reference that is decoded looks here first for
//! the store that it arrives at.
//!
//! Invariant: what a scope set is taken back when the scope ends, also by a panic; scopes nest.

use std::{cell::RefCell, fmt, mem, sync::Arc};

use crate::{entry::Entry, hold::FarHold, object_id::ObjectId, store::Store};

thread_local! {
    static COLLECTED: RefCell<Option<Vec<FarHold>>> = const { RefCell::new(None) };
    static ARRIVING: RefCell<Option<Store>> = const { RefCell::new(None) };
}

/// The references that were met while something was encoded; they keep their objects until dropped, or until
/// [`Store::pin`] has taken them.
#[derive(Default)]
pub struct Collected(pub(crate) Vec<FarHold>);

impl Collected {
    /// The objects, in the order met, each as often as it was met.
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> {
        self.0.iter().map(|hold| hold.entry().id())
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.objects()).finish()
    }
}

/// Runs `encode` and collects every reference that is encoded meanwhile on this thread.
///
/// # Examples
/// ```
/// # use mobula_store::{Store, StoreConfig, collect_refs};
/// # let store = Store::new(StoreConfig::default());
/// let object = store.put(7_u64).try_now().expect("room");
/// let (bytes, met) = collect_refs(|| rmp_serde::to_vec_named(&vec![object.clone()]));
/// assert!(bytes.is_ok());
/// assert_eq!(met.objects().collect::<Vec<_>>(), [object.id()]);
/// ```
pub fn collect_refs<R>(encode: impl FnOnce() -> R) -> (R, Collected) {
    struct Restore(Option<Vec<FarHold>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let _mine =
                COLLECTED.with(|collected| mem::replace(&mut *collected.borrow_mut(), outer));
        }
    }
    let restore = Restore(COLLECTED.with(|collected| collected.borrow_mut().replace(Vec::new())));
    let result = encode();
    let met = COLLECTED.with(|collected| collected.borrow_mut().take()).unwrap_or_default();
    drop(restore);
    (result, Collected(met))
}

/// A reference is being encoded.
pub(crate) fn met(entry: &Arc<Entry>) {
    COLLECTED.with(|collected| {
        if let Some(collected) = &mut *collected.borrow_mut() {
            collected.push(FarHold::of(entry));
        }
    });
}

/// Runs `decode`; references in it arrive at `store`.
pub(crate) fn arrive<R>(store: &Store, decode: impl FnOnce() -> R) -> R {
    struct Restore(Option<Store>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let _mine = ARRIVING.with(|arriving| mem::replace(&mut *arriving.borrow_mut(), outer));
        }
    }
    let outer = ARRIVING.with(|arriving| arriving.borrow_mut().replace(store.clone()));
    let _restore = Restore(outer);
    decode()
}

/// Where references that are decoded now arrive, if that was said.
pub(crate) fn arriving_at() -> Option<Store> {
    ARRIVING.with(|arriving| arriving.borrow().clone())
}
