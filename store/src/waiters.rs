//! Everybody who wants to hear when one object is ready.
//!
//! Most objects have one listener or none, a few have thousands, and any of them may leave early.
//! A plain list makes leaving linear, so that ten thousand cancelled gets on one object cost 10^8 steps;
//! a map costs an allocation for the one listener of the common case.
//! This is a slab whose first place is inline: entering and leaving take constant time, and the common case
//! allocates nothing.
//!
//! Some listeners never leave but may become unused; they are replaced by the next that comes, or swept out when
//! the crowd has doubled, which costs constant time each in the long run.
//!
//! Invariant: a [`WaiterKey`] is removed at most once, by whoever got it from `insert`.
//!
//! Pure: no clock, no I/O, no tasks.

use std::mem;

/// The place of one listener at one object.
#[derive(Debug)]
#[must_use = "a listener that is not needed any more must be withdrawn by its key"]
pub struct WaiterKey(u32);

/// So many places beyond the first are searched for an unused listener.
const FEW: usize = 4;

/// The listeners of one object.
#[derive(Debug)]
pub(crate) struct Waiters<W> {
    first: Option<W>,
    more: Vec<Option<W>>,
    /// Places in `more` that are empty.
    vacant: Vec<u32>,
}

impl<W> Waiters<W> {
    pub(crate) const fn new() -> Self {
        Self { first: None, more: Vec::new(), vacant: Vec::new() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &W> {
        self.first.iter().chain(self.more.iter().flatten())
    }

    pub(crate) fn insert(&mut self, waiter: W) -> WaiterKey {
        if self.first.is_none() {
            self.first = Some(waiter);
            return WaiterKey(0);
        }
        if let Some(place) = self.vacant.pop()
            && let Some(empty) = self.more.get_mut(place as usize)
        {
            *empty = Some(waiter);
            return WaiterKey(place + 1);
        }
        self.more.push(Some(waiter));
        // Memory ends long before 2^32 listeners do.
        WaiterKey(u32::try_from(self.more.len()).unwrap_or(u32::MAX))
    }

    /// Enters `waiter` for good, in the place of an unused one if there is one at hand. Returns who had to go.
    pub(crate) fn replace(&mut self, waiter: W, is_unused: impl Fn(&W) -> bool) -> Vec<W> {
        let few = self.first.iter_mut().chain(self.more.iter_mut().take(FEW).flatten());
        if let Some(place) = few.into_iter().find(|place| is_unused(place)) {
            return vec![mem::replace(place, waiter)];
        }
        let mut swept = Vec::new();
        if self.vacant.is_empty() && self.more.len() > FEW && self.more.len().is_power_of_two() {
            for (place, slot) in (0_u32..).zip(&mut self.more) {
                if let Some(unused) = slot.take_if(|waiter| is_unused(waiter)) {
                    swept.push(unused);
                    self.vacant.push(place);
                }
            }
        }
        let WaiterKey(_never_withdrawn) = self.insert(waiter);
        swept
    }

    /// Those that are found without searching a crowd.
    pub(crate) fn first_few(&self) -> impl Iterator<Item = &W> {
        self.first.iter().chain(self.more.iter().take(FEW).flatten())
    }

    pub(crate) fn get_mut(&mut self, key: &WaiterKey) -> Option<&mut W> {
        match key.0.checked_sub(1) {
            None => self.first.as_mut(),
            Some(place) => self.more.get_mut(place as usize).and_then(Option::as_mut),
        }
    }

    /// The listener leaves; `None` if it was told already.
    pub(crate) fn remove(&mut self, key: WaiterKey) -> Option<W> {
        let Some(place) = key.0.checked_sub(1) else {
            return self.first.take();
        };
        let waiter = self.more.get_mut(place as usize)?.take()?;
        self.vacant.push(place);
        if self.vacant.len() == self.more.len() {
            // The crowd has left: give its memory back.
            self.more = Vec::new();
            self.vacant = Vec::new();
        }
        Some(waiter)
    }

    /// Takes those listeners out that are content with less than the others, to be told outside the lock.
    pub(crate) fn extract(&mut self, is_content: impl Fn(&W) -> bool) -> Vec<W> {
        let mut content: Vec<W> =
            self.first.take_if(|waiter| is_content(waiter)).into_iter().collect();
        for (place, slot) in (0_u32..).zip(&mut self.more) {
            if let Some(waiter) = slot.take_if(|waiter| is_content(waiter)) {
                content.push(waiter);
                self.vacant.push(place);
            }
        }
        content
    }

    /// Takes all listeners out, to be told outside the lock.
    pub(crate) fn take(&mut self) -> Self {
        mem::replace(self, Self::new())
    }
}

impl<W> IntoIterator for Waiters<W> {
    type Item = W;
    type IntoIter = std::iter::Chain<
        std::option::IntoIter<W>,
        std::iter::Flatten<std::vec::IntoIter<Option<W>>>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.more.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_and_entering_again_reuses_places() {
        let mut waiters = Waiters::new();
        let a = waiters.insert('a');
        let b = waiters.insert('b');
        let c = waiters.insert('c');
        assert_eq!(waiters.remove(b), Some('b'));
        let d = waiters.insert('d');
        assert_eq!(waiters.more.len(), 2);
        *waiters.get_mut(&d).unwrap() = 'e';
        assert_eq!(waiters.remove(a), Some('a'));
        let mut told: Vec<char> = waiters.take().into_iter().collect();
        told.sort_unstable();
        assert_eq!(told, ['c', 'e']);
        assert_eq!(waiters.remove(c), None, "was told already");
        assert_eq!(waiters.remove(d), None);
    }

    #[test]
    fn those_content_with_less_are_taken_out_and_the_others_stay() {
        let mut waiters = Waiters::new();
        let _keys: Vec<_> = (0..10).map(|number| waiters.insert(number)).collect();
        let mut even = waiters.extract(|number| number % 2 == 0);
        even.sort_unstable();
        assert_eq!(even, [0, 2, 4, 6, 8]);
        let _first = waiters.insert(11);
        let mut rest: Vec<i32> = waiters.take().into_iter().collect();
        rest.sort_unstable();
        assert_eq!(rest, [1, 3, 5, 7, 9, 11]);
    }

    #[test]
    fn unused_listeners_make_way_and_never_pile_up() {
        let mut waiters = Waiters::new();
        for used in 0..100 {
            assert!(waiters.replace(used, |_| false).is_empty());
        }
        for unused in 1000..5000 {
            let _gone = waiters.replace(unused, |waiter| *waiter >= 1000);
        }
        assert!(waiters.more.len() <= 256, "{}", waiters.more.len());
        assert_eq!(waiters.into_iter().filter(|waiter| *waiter < 1000).count(), 100);
        let mut waiters = Waiters::new();
        assert!(waiters.replace('a', |_| true).is_empty());
        assert_eq!(waiters.replace('b', |_| true), ['a']);
        assert_eq!(waiters.first_few().copied().collect::<String>(), "b");
    }

    #[test]
    fn a_crowd_that_left_holds_no_memory() {
        let mut waiters = Waiters::new();
        let keys: Vec<WaiterKey> = (0..1000).map(|n| waiters.insert(n)).collect();
        for key in keys {
            assert!(waiters.remove(key).is_some());
        }
        assert_eq!(waiters.more.capacity(), 0);
    }
}
