//! Waiting for the first few of many objects.
//!
//! Two things go wrong with the obvious "return whatever is ready": a loop of `wait(1)` always serves the front
//! of the list and starves the rest, and waking for every object looks at all of them every time.
//! Here the oldest ready ones are chosen, in the order in which they became ready, so the loop is first come,
//! first served; and the waiting future is woken once, when enough are ready.
//!
//! Both lists that come back keep the order of the list that went in.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    crowd::Crowd,
    entry::{Reach, Readiness},
    error::WaitError,
    object_ref::ObjectRef,
    waiting::{Waitable, Waiting},
};

/// Waits until one of `references` is ready, or as many as `.num_returns(n)` says.
///
/// Gives two lists, each in the order of the input: exactly that many ready ones, those that became ready first;
/// and the rest. An object whose task failed is ready. With a timeout there may be fewer. An empty list gives
/// two empty lists at once.
///
/// # Errors
/// - [`WaitError::NumReturns`]: 0, or more than there are.
/// - [`WaitError::Duplicate`]: an object stands in the list twice.
///
/// # Cancel safety
/// Dropping the wait drops the references it was given; keep clones if they are still needed.
///
/// # Examples
/// ```
/// # use mobula_store::{Store, StoreConfig, wait};
/// # let store = Store::new(StoreConfig::default());
/// let (slow, producer) = store.create_pending::<u8>();
/// let quick = store.put(1_u8).try_now().expect("room");
/// let (ready, rest) = wait(vec![slow, quick]).blocking().expect("the list is right");
/// assert_eq!((ready[0].id().to_string(), rest[0].id().to_string()), ("o2".into(), "o1".into()));
/// # producer.seal(Ok(2));
/// ```
/// It takes a list of references, not a single one, and nothing else (row W7):
/// ```compile_fail
/// # let store = mobula_store::Store::new(Default::default());
/// mobula_store::wait(store.put(1_u8).try_now().unwrap());
/// ```
/// ```compile_fail
/// mobula_store::wait(vec![1_u8]);
/// ```
pub fn wait<T>(references: Vec<ObjectRef<T>>) -> Wait<T> {
    let first = First { references, num_returns: 1, reach: Reach::Here, crowd: None };
    Wait { waiting: Waiting::new(first) }
}

/// The ready references, and the rest.
type Split<T> = (Vec<ObjectRef<T>>, Vec<ObjectRef<T>>);

/// A wait under way; see [`wait`].
#[must_use = "a wait does nothing until it is awaited, or called with `.blocking()`"]
pub struct Wait<T> {
    waiting: Waiting<First<T>>,
}

impl<T> Wait<T> {
    /// How many must be ready; 1 unless said otherwise.
    pub fn num_returns(mut self, num_returns: usize) -> Self {
        self.waiting.waitable_mut().num_returns = num_returns;
        self
    }

    /// Whether the values of those that are ready are brought to this node, as they are unless said otherwise. With `false`
    /// an object whose value was made on another node is ready, and stays there until somebody needs it here; it comes
    /// after those that are here.
    ///
    /// Of an object that another node keeps (its reference came from there) nobody here knows whether it is made, so
    /// that its value is fetched to find out.
    pub fn fetch_local(mut self, fetch: bool) -> Self {
        let first = self.waiting.waitable_mut();
        first.reach = if fetch { Reach::Here } else { Reach::Anywhere };
        first.crowd = None;
        self
    }

    /// Waits no longer than `timeout`, counted from the first poll, and gives those that are ready then; zero
    /// only looks.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { waiting: self.waiting.limit(timeout) }
    }

    /// Waits on this thread, under the wall clock; for compute threads.
    ///
    /// # Errors
    /// As when awaited.
    pub fn blocking(self) -> Result<Split<T>, WaitError> {
        self.waiting.block()
    }
}

impl<T> Future for Wait<T> {
    type Output = Result<Split<T>, WaitError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().waiting.poll(cx)
    }
}

impl<T> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait")
    }
}

/// Several objects, some of which are waited for.
struct First<T> {
    references: Vec<ObjectRef<T>>,
    num_returns: usize,
    reach: Reach,
    crowd: Option<Crowd>,
}

impl<T> First<T> {
    fn check(&self) -> Result<(), WaitError> {
        let len = self.references.len();
        if self.num_returns == 0 || self.num_returns > len {
            return Err(WaitError::NumReturns { num_returns: self.num_returns, len });
        }
        let ascending = self.references.is_sorted_by(|a, b| a < b);
        if !ascending {
            let mut sorted: Vec<&ObjectRef<T>> = self.references.iter().collect();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(WaitError::Duplicate { object: pair[0].id() });
            }
        }
        Ok(())
    }

    /// When each reference became ready, as of now.
    fn times(&self) -> Vec<Option<Readiness>> {
        let reach = self.reach;
        let times = self.references.iter().map(|one| one.hold().entry().readiness_at(reach));
        times.collect()
    }

    /// Takes the oldest ready ones, at most as many as were asked for. One look at the times decides all: what
    /// becomes ready meanwhile is left for the next wait.
    fn split(&mut self, times: &[Option<Readiness>]) -> Split<T> {
        self.crowd = None;
        let mut oldest_first: Vec<(Readiness, usize)> =
            (0..).zip(times).filter_map(|(place, time)| Some(((*time)?, place))).collect();
        if oldest_first.len() > self.num_returns {
            oldest_first.select_nth_unstable(self.num_returns);
            oldest_first.truncate(self.num_returns);
        }
        let mut chosen = vec![false; times.len()];
        for (_, place) in &oldest_first {
            chosen[*place] = true;
        }
        let mut ready = Vec::with_capacity(oldest_first.len());
        let mut rest = Vec::with_capacity(times.len() - oldest_first.len());
        for (reference, chosen) in mem::take(&mut self.references).into_iter().zip(chosen) {
            if chosen {
                ready.push(reference);
            } else {
                rest.push(reference);
            }
        }
        (ready, rest)
    }
}

impl<T> Waitable for First<T> {
    type Output = Result<Split<T>, WaitError>;

    fn look(&mut self) -> Option<Self::Output> {
        match &self.crowd {
            Some(crowd) if !crowd.is_complete() => return None,
            Some(_) => {}
            None if self.references.is_empty() => return Some(Ok((Vec::new(), Vec::new()))),
            None => {
                if let Err(error) = self.check() {
                    return Some(Err(error));
                }
            }
        }
        let times = self.times();
        let ready_count = times.iter().flatten().count();
        (ready_count >= self.num_returns).then(|| Ok(self.split(&times)))
    }

    fn register(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { references, num_returns, reach, crowd } = self;
        let crowd = crowd.get_or_insert_with(|| Crowd::gather(references, *reach));
        crowd.poll(references, *num_returns, false, cx)
    }

    fn expired(&mut self, _: Duration) -> Self::Output {
        let times = self.times();
        Ok(self.split(&times))
    }
}
