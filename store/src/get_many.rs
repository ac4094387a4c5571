//! The values of several objects, in the order of their references.
//!
//! Awaiting one after the other finds a failure only when its turn comes; here the first failure ends the get,
//! however slow the others are. Of several failures the one that happened first is reported.

use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    crowd::Crowd,
    entry::Reach,
    entry::Readiness,
    error::GetError,
    object_ref::ObjectRef,
    waiting::{Waitable, Waiting},
};

/// Waits for the values of `references`, in their order; duplicates are allowed.
///
/// # Errors
/// As for [`ObjectRef::get`], as soon as any of them failed.
///
/// # Cancel safety
/// Dropping the get changes nothing.
///
/// # Examples
/// ```
/// # use mobula_store::{Store, StoreConfig, get};
/// # let store = Store::new(StoreConfig::default());
/// let words = ["a", "b"].map(|word| store.put(word.to_owned()).try_now().expect("room"));
/// let values = get(&words).blocking().expect("both are there");
/// assert_eq!(*values[1], "b");
/// ```
/// Only references have values to get (row O3):
/// ```compile_fail
/// mobula_store::get(&[1, 2]).blocking();
/// ```
pub fn get<T: Any + Send + Sync>(references: &[ObjectRef<T>]) -> GetMany<'_, T> {
    GetMany { waiting: Waiting::new(All { references, crowd: None }) }
}

/// A get of several objects under way; see [`get`].
#[must_use = "a get does nothing until it is awaited, or called with `.blocking()`"]
pub struct GetMany<'a, T: Any + Send + Sync> {
    waiting: Waiting<All<'a, T>>,
}

impl<T: Any + Send + Sync> GetMany<'_, T> {
    /// Waits no longer than `timeout` for all of them, counted from the first poll; zero only looks.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { waiting: self.waiting.limit(timeout) }
    }

    /// Waits on this thread, under the wall clock; for compute threads.
    ///
    /// # Errors
    /// As when awaited.
    pub fn blocking(self) -> Result<Vec<Arc<T>>, GetError> {
        self.waiting.block()
    }
}

impl<T: Any + Send + Sync> Future for GetMany<'_, T> {
    type Output = Result<Vec<Arc<T>>, GetError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().waiting.poll(cx)
    }
}

impl<T: Any + Send + Sync> fmt::Debug for GetMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GetMany")
    }
}

/// Several objects, waited for together.
struct All<'a, T> {
    references: &'a [ObjectRef<T>],
    crowd: Option<Crowd>,
}

impl<T: Any + Send + Sync> All<'_, T> {
    /// The values, or the oldest failure; `None` while something is pending and nothing failed.
    fn outcome(&self) -> Option<Result<Vec<Arc<T>>, GetError>> {
        let mut pending = false;
        let mut oldest_failure: Option<(Readiness, &ObjectRef<T>)> = None;
        for reference in self.references {
            match reference.hold().entry().readiness() {
                None => pending = true,
                Some(at) if at.failed() && oldest_failure.is_none_or(|(oldest, _)| at < oldest) => {
                    oldest_failure = Some((at, reference));
                }
                Some(_) => {}
            }
        }
        let value = |reference: &ObjectRef<T>| {
            let object = reference.id();
            reference.hold().entry().outcome().unwrap_or(Err(GetError::Freed { object }))
        };
        match oldest_failure {
            Some((_, reference)) => Some(value(reference).map(|value| vec![value])),
            None if pending => None,
            None => Some(self.references.iter().map(value).collect()),
        }
    }
}

impl<T: Any + Send + Sync> Waitable for All<'_, T> {
    type Output = Result<Vec<Arc<T>>, GetError>;

    fn look(&mut self) -> Option<Self::Output> {
        match &self.crowd {
            Some(crowd) if !crowd.is_complete() => None,
            _ => self.outcome(),
        }
    }

    fn register(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let references = self.references;
        let crowd = self.crowd.get_or_insert_with(|| Crowd::gather(references, Reach::Here));
        crowd.poll(references, references.len(), true, cx)
    }

    fn expired(&mut self, after: Duration) -> Self::Output {
        self.outcome().unwrap_or_else(|| {
            let mut late = self.references.iter().filter(|reference| !reference.is_ready());
            late.next().map_or_else(
                || Ok(Vec::new()),
                |late| Err(GetError::Timeout { object: late.id(), after }),
            )
        })
    }
}
