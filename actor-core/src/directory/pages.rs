//! A map whose keys are handed out one after another.
//!
//! A hash table would put neighbours far apart: to start and to stop a hundred thousand actors would miss the cache with
//! each. Here sixteen consecutive keys share a page, and only pages are hashed. A page lives while it holds anything, so
//! one entry left of sixteen costs a page of some 270 bytes, at worst.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::HashMap;

const SLOTS: u64 = 16;

pub(super) struct Pages<T> {
    pages: HashMap<u64, Box<Page<T>>, foldhash::fast::RandomState>,
    len: usize,
}

struct Page<T> {
    slots: [Option<T>; SLOTS as usize],
    used: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: HashMap::default(), len: 0 }
    }
}

fn place(key: u64) -> (u64, usize) {
    (key / SLOTS, usize::try_from(key % SLOTS).unwrap_or(0))
}

impl<T> Pages<T> {
    /// Enters a value; gives back the one that had the key.
    pub(super) fn insert(&mut self, key: u64, value: T) -> Option<T> {
        let (number, slot) = place(key);
        let page = self
            .pages
            .entry(number)
            .or_insert_with(|| Box::new(Page { slots: [const { None }; SLOTS as usize], used: 0 }));
        let before = page.slots[slot].replace(value);
        if before.is_none() {
            page.used += 1;
            self.len += 1;
        }
        before
    }

    /// Takes a value out, and its page with the last of it.
    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        let (number, slot) = place(key);
        let page = self.pages.get_mut(&number)?;
        let value = page.slots[slot].take()?;
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.pages.remove(&number);
        }
        Some(value)
    }

    pub(super) fn get(&self, key: u64) -> Option<&T> {
        let (number, slot) = place(key);
        self.pages.get(&number)?.slots[slot].as_ref()
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.pages.values().flat_map(|page| page.slots.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeMap;

    /// Against a tree map, over keys that come and go near each other and far apart.
    #[test]
    fn pages_are_a_map_and_the_last_entry_frees_its_page() {
        let (mut pages, mut naive) = (Pages::default(), BTreeMap::new());
        let mut random = 7_u64;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (random >> 33) % 200 + ((random >> 60) << 40);
            if random & 0x100_0000 == 0 {
                assert_eq!(pages.remove(key), naive.remove(&key), "step {step}");
            } else {
                assert_eq!(pages.insert(key, step), naive.insert(key, step), "step {step}");
            }
            assert_eq!(pages.get(key), naive.get(&key), "step {step}");
            assert_eq!(pages.len(), naive.len(), "step {step}");
        }
        let mut values: Vec<_> = pages.values().copied().collect();
        values.sort_unstable();
        let mut expected: Vec<_> = naive.values().copied().collect();
        expected.sort_unstable();
        assert_eq!(values, expected);
        for key in naive.keys() {
            pages.remove(*key);
        }
        assert!(pages.pages.is_empty());
        assert_eq!(pages.remove(3), None);
    }
}
