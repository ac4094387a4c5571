//! The side that has nothing to do.
//!
//! To wait for others to send work wastes the time until their rumours arrive; to ask everybody floods them just
//! when they are busy.
//! So an idle node asks two others drawn by chance, takes half of what waits there, and backs off when there is nothing:
//! 1 ms, doubling, up to 50 ms. (Blumofe and Leiserson, 1999; Hawk, USENIX ATC '15.)
//!
//! Invariants: one raid at a time; nothing pinned, bound or started is ever given away; the victim keeps the older
//! half.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use rand_core::RngCore;

use crate::id::NodeId;
use crate::load::below;
use crate::time::Time;

/// How many are asked at once.
pub const VICTIMS: usize = 2;
/// The first pause after a raid that brought nothing.
pub const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_millis(50);
/// How long an answer is awaited: 200 ms.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(200);
/// Tasks in one answer at most.
pub const LOOT_MAX: usize = 256;

/// Decides when to ask whom for work.
#[derive(Clone, Debug)]
pub struct Thief {
    is_idle: bool,
    pause: Duration,
    state: Raid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Raid {
    Resting { until: Time },
    Asked { of: Vec<NodeId>, until: Time, has_loot: bool },
}

impl Default for Thief {
    fn default() -> Self {
        Self::new()
    }
}

impl Thief {
    /// Busy, at first.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_idle: false, pause: PAUSE_MIN, state: Raid::Resting { until: Time::ZERO } }
    }

    /// This node has nothing to do, or has again.
    pub const fn set_idle(&mut self, is_idle: bool) {
        if !is_idle {
            self.pause = PAUSE_MIN;
        }
        self.is_idle = is_idle;
    }

    /// Whom to ask now: at most [`VICTIMS`] of those that may have something, drawn by chance. Call it when idle and
    /// at [`Thief::next_wake`].
    pub fn tick(
        &mut self,
        now: Time,
        may_have_work: &[NodeId],
        rng: &mut impl RngCore,
    ) -> Vec<NodeId> {
        if let Raid::Asked { until, has_loot, .. } = self.state
            && until <= now
        {
            self.rest(now, has_loot);
        }
        let Raid::Resting { until } = self.state else {
            return Vec::new();
        };
        if !self.is_idle || now < until {
            return Vec::new();
        }
        let mut pool = may_have_work.to_vec();
        let mut victims = Vec::new();
        while victims.len() < VICTIMS && !pool.is_empty() {
            victims.push(pool.swap_remove(below(rng, pool.len())));
        }
        if victims.is_empty() {
            self.rest(now, false);
        } else {
            let until = now + ANSWER_WITHIN;
            self.state = Raid::Asked { of: victims.clone(), until, has_loot: false };
        }
        victims
    }

    /// A victim has answered with so many tasks, or cannot answer any more (0).
    pub fn answered(&mut self, now: Time, from: NodeId, loot: usize) {
        let Raid::Asked { of, has_loot, .. } = &mut self.state else {
            return;
        };
        of.retain(|&victim| victim != from);
        *has_loot |= loot > 0;
        let (is_over, has_loot) = (of.is_empty(), *has_loot);
        if is_over {
            self.rest(now, has_loot);
        }
    }

    /// When [`Thief::tick`] is next worth calling.
    #[must_use]
    pub const fn next_wake(&self) -> Option<Time> {
        match &self.state {
            Raid::Asked { until, .. } => Some(*until),
            Raid::Resting { until } if self.is_idle => Some(*until),
            Raid::Resting { .. } => None,
        }
    }

    fn rest(&mut self, now: Time, has_loot: bool) {
        let pause = if has_loot { PAUSE_MIN } else { self.pause };
        self.state = Raid::Resting { until: now + pause };
        self.pause = if has_loot { PAUSE_MIN } else { (self.pause * 2).min(PAUSE_MAX) };
    }
}

/// Which of the waiting tasks, oldest first, a victim gives away: the newer half of those that may go (rounded down, so
/// the last one stays), at most [`LOOT_MAX`]. `may_go` says no to what is pinned, to calls of actors, and to what the
/// thief does not provide.
#[must_use]
pub fn loot<K>(waiting: &[K], may_go: impl Fn(&K) -> bool) -> Vec<&K> {
    let movable: Vec<&K> = waiting.iter().filter(|task| may_go(task)).collect();
    let count = loot_count(movable.len());
    movable[movable.len() - count..].to_vec()
}

/// How many of so many that may go are given away.
#[must_use]
pub const fn loot_count(movable: usize) -> usize {
    let half = movable / 2;
    if half < LOOT_MAX { half } else { LOOT_MAX }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    const ALL: [NodeId; 4] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4)];

    #[test]
    fn pauses_double_until_something_is_found() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut thief = Thief::new();
        assert_eq!(thief.next_wake(), None);
        assert!(thief.tick(Time(0), &ALL, &mut rng).is_empty(), "busy");
        thief.set_idle(true);
        let mut now = Time(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let victims = thief.tick(now, &ALL, &mut rng);
            assert_eq!(victims.len(), VICTIMS);
            assert_ne!(victims[0], victims[1]);
            assert!(thief.tick(now, &ALL, &mut rng).is_empty(), "one raid at a time");
            victims.iter().for_each(|&victim| thief.answered(now, victim, 0));
            let wake = thief.next_wake().unwrap();
            pauses.push(wake.since(now).as_millis());
            now = wake;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 50, 50]);
        let victims = thief.tick(now, &ALL, &mut rng);
        thief.answered(now, victims[0], 3);
        thief.answered(now, victims[1], 0);
        assert_eq!(thief.next_wake(), Some(now + PAUSE_MIN));
    }

    #[test]
    fn a_silent_victim_ends_the_raid_in_time() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut thief = Thief::new();
        thief.set_idle(true);
        thief.tick(Time(0), &ALL, &mut rng);
        let late = Time(0) + ANSWER_WITHIN;
        assert_eq!(thief.next_wake(), Some(late));
        assert!(thief.tick(late, &ALL, &mut rng).is_empty());
        assert_eq!(thief.next_wake(), Some(late + PAUSE_MIN));
        assert!(thief.tick(late + PAUSE_MIN, &[], &mut rng).is_empty(), "nobody has work");
    }

    #[test]
    fn the_newer_half_goes_and_what_is_pinned_stays() {
        let waiting: Vec<u32> = (0..9).collect();
        assert_eq!(loot(&waiting, |_| true), [&5, &6, &7, &8]);
        assert_eq!(loot(&waiting, |task| task % 2 == 0), [&6, &8]);
        assert!(loot(&waiting[..1], |_| true).is_empty());
        assert!(loot(&waiting, |_| false).is_empty());
        let many: Vec<u32> = (0..10_000).collect();
        assert_eq!(loot(&many, |_| true).len(), LOOT_MAX);
    }
}
