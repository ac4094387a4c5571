//! Timers of one actor: which is due when, and which have been cancelled.
//!
//! Cancelling inside a heap is costly and racy; a stale entry is made harmless instead: each key remembers
//! the number of its newest setting, and an entry with another number is passed over when its time comes. When most are
//! stale the heap is swept, so that a key set again and again, for far away, costs no more than one.
//!
//! Pure: no clock, no I/O, no tasks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

/// So few entries are not worth a sweep.
const STALE_MIN: usize = 16;

/// Names a timer of one actor. Setting a key again replaces its timer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TimerKey(Key);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Named(std::borrow::Cow<'static, str>),
    Numbered(u64),
}

impl From<&'static str> for TimerKey {
    fn from(name: &'static str) -> Self {
        Self(Key::Named(name.into()))
    }
}

impl From<String> for TimerKey {
    fn from(name: String) -> Self {
        Self(Key::Named(name.into()))
    }
}

impl fmt::Debug for TimerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::Named(name) => write!(f, "TimerKey({name})"),
            Key::Numbered(number) => write!(f, "TimerKey(#{number})"),
        }
    }
}

/// What a due timer gives.
pub(crate) enum Due<T> {
    /// It fires once: here it is.
    Once(T),
    /// It fires again: make one from this.
    Again(TimerKey),
}

struct Entry<T> {
    setting: u64,
    every: Option<Duration>,
    give: Option<T>,
}

/// The timers of one actor; `T` is what a one-time timer gives.
pub(crate) struct TimerTable<T> {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    by_setting: HashMap<u64, TimerKey>,
    entries: HashMap<TimerKey, Entry<T>>,
    next_setting: u64,
}

impl<T> TimerTable<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            by_setting: HashMap::new(),
            entries: HashMap::new(),
            next_setting: 0,
        }
    }

    /// A key that nobody else has.
    pub(crate) fn fresh_key(&mut self) -> TimerKey {
        let number = self.next_setting;
        self.next_setting += 1;
        TimerKey(Key::Numbered(number))
    }

    /// Sets `key` to fire at `at`, and then `every` so often; replaces what the key was set to.
    pub(crate) fn set(
        &mut self,
        key: TimerKey,
        at: Instant,
        every: Option<Duration>,
        give: Option<T>,
    ) {
        let setting = self.next_setting;
        self.next_setting += 1;
        self.by_setting.insert(setting, key.clone());
        if let Some(old) = self.entries.insert(key, Entry { setting, every, give }) {
            self.by_setting.remove(&old.setting);
        }
        if self.heap.len() > STALE_MIN && self.heap.len() / 2 > self.by_setting.len() {
            self.heap.retain(|Reverse((_, setting))| self.by_setting.contains_key(setting));
        }
        self.heap.push(Reverse((at, setting)));
    }

    /// Cancels `key`; false if it was not set, or has fired.
    pub(crate) fn cancel(&mut self, key: &TimerKey) -> bool {
        match self.entries.remove(key) {
            Some(entry) => {
                self.by_setting.remove(&entry.setting);
                true
            }
            None => false,
        }
    }

    /// When the next timer is due; passes over stale ones.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, setting))) = self.heap.peek() {
            if self.by_setting.contains_key(setting) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// The oldest timer due at `now`. A repeating one is set again, for the first time after `now` that
    /// is a whole number of periods away: ticks that were missed are not made up for.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Due<T>> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((at, setting)) = self.heap.pop()?;
        let key = self.by_setting.get(&setting)?.clone();
        let every = self.entries.get(&key)?.every;
        match every {
            Some(every) => {
                self.heap.push(Reverse((next_tick(at, every, now), setting)));
                Some(Due::Again(key))
            }
            None => {
                self.by_setting.remove(&setting);
                self.entries.remove(&key)?.give.map(Due::Once)
            }
        }
    }

    /// How many are set.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn next_tick(last: Instant, every: Duration, now: Instant) -> Instant {
    let every = every.max(Duration::from_nanos(1));
    let missed = now.saturating_duration_since(last).as_nanos() / every.as_nanos();
    let ticks = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
    let far = Duration::from_secs(30 * 365 * 24 * 3600);
    last.checked_add(every.saturating_mul(ticks)).unwrap_or_else(|| last + far)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn fired(table: &mut TimerTable<u32>, now: Instant) -> Option<Result<u32, String>> {
        table.pop_due(now).map(|due| match due {
            Due::Once(give) => Ok(give),
            Due::Again(key) => Err(format!("{key:?}")),
        })
    }

    #[test]
    fn timers_fire_in_order_of_time_and_once() {
        let start = Instant::now();
        let mut table = TimerTable::new();
        let (late, soon) = (table.fresh_key(), table.fresh_key());
        table.set(late, start + ms(20), None, Some(2));
        table.set(soon, start + ms(10), None, Some(1));
        assert_eq!(fired(&mut table, start), None);
        assert_eq!(table.next_due(), Some(start + ms(10)));
        assert_eq!(fired(&mut table, start + ms(30)), Some(Ok(1)));
        assert_eq!(fired(&mut table, start + ms(30)), Some(Ok(2)));
        assert_eq!(fired(&mut table, start + ms(30)), None);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_key_set_again_fires_only_as_set_last() {
        let start = Instant::now();
        let mut table = TimerTable::new();
        table.set("beat".into(), start + ms(10), None, Some(1));
        table.set("beat".into(), start + ms(50), None, Some(2));
        assert_eq!(fired(&mut table, start + ms(20)), None);
        assert_eq!(fired(&mut table, start + ms(50)), Some(Ok(2)));
    }

    #[test]
    fn a_key_set_again_and_again_keeps_no_more_than_it_needs() {
        let start = Instant::now();
        let mut table = TimerTable::new();
        table.set("beat".into(), start + ms(1), Some(ms(1)), None);
        for time in 1..10_000 {
            table.set("idle".into(), start + ms(3_600_000 + time), None, Some(7));
            assert!(table.heap.len() <= STALE_MIN + 1, "{} entries for two", table.heap.len());
        }
        assert_eq!(table.len(), 2);
        assert!(table.cancel(&"beat".into()));
        assert_eq!(fired(&mut table, start + ms(3_609_998)), None);
        assert_eq!(fired(&mut table, start + ms(3_609_999)), Some(Ok(7)));
    }

    #[test]
    fn a_cancelled_timer_never_fires() {
        let start = Instant::now();
        let mut table = TimerTable::new();
        table.set("beat".into(), start, Some(ms(10)), None::<u32>);
        assert!(table.cancel(&"beat".into()));
        assert!(!table.cancel(&"beat".into()));
        assert_eq!(fired(&mut table, start + ms(100)), None);
        assert_eq!(table.next_due(), None);
    }

    #[test]
    fn missed_ticks_are_not_made_up_for() {
        let start = Instant::now();
        let mut table = TimerTable::new();
        table.set("beat".into(), start + ms(10), Some(ms(10)), None::<u32>);
        assert!(fired(&mut table, start + ms(45)).is_some());
        assert_eq!(fired(&mut table, start + ms(45)), None);
        assert_eq!(table.next_due(), Some(start + ms(50)));
    }
}
