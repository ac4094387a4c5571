//! How busy nodes are: twelve bytes each on the wire, and what may be concluded from them.
//!
//! Exact loads of everybody would have to be asked for at every decision; loads by rumour are seconds old, and
//! everybody who believes the same rumour runs to the same idle node.
//! So a rumour is a hint with an age, and what this node itself has placed since is counted at once.
//!
//! Invariants: a stale report counts as no report; an estimate is never better than the report it comes from.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::RngCore;

use crate::id::NodeId;
use crate::membership::LoadDigest;
use crate::time::Time;

/// Reports in one message at most.
pub const PIGGYBACK_MAX: usize = 16;
/// A report older than this is none: 10 s.
pub const FRESH_FOR: Duration = Duration::from_secs(10);
/// Nodes in a table at most.
pub const NODES_MAX: usize = 1 << 16;

/// How busy a node says it is. Fractions of a CPU are kept to 1/10 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Load {
    /// CPUs that nobody holds, in 1/10 000.
    pub free_cpu: u32,
    /// Tasks that wait there; at most 2^24 - 1 travel.
    pub queue_length: u32,
    /// How long a task that comes now is expected to wait; at most 65 s travel, in milliseconds.
    pub queue_wait: Duration,
    /// Memory that nobody holds, in MiB; at most 2^24 - 1 travel.
    pub free_memory_mib: u32,
}

const THREE_BYTES_MAX: u32 = (1 << 24) - 1;

impl From<Load> for LoadDigest {
    /// Free CPU in four bytes, queue length in three, free memory in three, wait in two; little-endian, saturating.
    fn from(load: Load) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&load.free_cpu.to_le_bytes());
        bytes[4..7].copy_from_slice(&load.queue_length.min(THREE_BYTES_MAX).to_le_bytes()[..3]);
        bytes[7..10].copy_from_slice(&load.free_memory_mib.min(THREE_BYTES_MAX).to_le_bytes()[..3]);
        let wait_millis = u16::try_from(load.queue_wait.as_millis()).unwrap_or(u16::MAX);
        bytes[10..].copy_from_slice(&wait_millis.to_le_bytes());
        Self(bytes)
    }
}

impl From<LoadDigest> for Load {
    fn from(LoadDigest(bytes): LoadDigest) -> Self {
        let three = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0]);
        Self {
            free_cpu: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            queue_length: three(4),
            free_memory_mib: three(7),
            queue_wait: Duration::from_millis(u16::from_le_bytes([bytes[10], bytes[11]]).into()),
        }
    }
}

/// What one placement takes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Placed {
    count: u32,
    cpu: u32,
    memory_mib: u32,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    load: Load,
    at: Time,
    /// What this node placed there after this report, and between the one before and this, which may have been
    /// written too early to know.
    since: Placed,
    before: Placed,
}

/// What is known of the loads of others.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    heard: BTreeMap<NodeId, Heard>,
}

impl Loads {
    /// Nothing known.
    #[must_use]
    pub const fn new() -> Self {
        Self { heard: BTreeMap::new() }
    }

    /// A report arrived, newer than all before (membership sees to that). Beyond [`NODES_MAX`] it is not kept.
    pub fn hear(&mut self, now: Time, node: NodeId, load: Load) {
        let known = self.heard.get(&node);
        if known.is_none() && self.heard.len() >= NODES_MAX {
            return;
        }
        let before = known.map(|known| known.since).unwrap_or_default();
        self.heard.insert(node, Heard { load, at: now, since: Placed::default(), before });
    }

    /// The node is gone.
    pub fn forget(&mut self, node: NodeId) {
        self.heard.remove(&node);
    }

    /// This node has placed something there.
    pub fn placed(&mut self, node: NodeId, cpu: u32, memory_mib: u32) {
        if let Some(heard) = self.heard.get_mut(&node) {
            let Placed { count, cpu: cpus, memory_mib: memory } = &mut heard.since;
            *count = count.saturating_add(1);
            *cpus = cpus.saturating_add(cpu);
            *memory = memory.saturating_add(memory_mib);
        }
    }

    /// The node's load less what this node has placed there since; `None` if nothing fresh is known.
    #[must_use]
    pub fn estimate(&self, now: Time, node: NodeId) -> Option<Load> {
        let heard = self.heard.get(&node).filter(|heard| heard.is_fresh(now))?;
        let Load { free_cpu, queue_length, queue_wait, free_memory_mib } = heard.load;
        let (before, since) = (heard.before, heard.since);
        let mut load = Load {
            free_cpu: free_cpu.saturating_sub(before.cpu).saturating_sub(since.cpu),
            free_memory_mib: free_memory_mib
                .saturating_sub(before.memory_mib)
                .saturating_sub(since.memory_mib),
            queue_length,
            queue_wait,
        };
        // What exceeds the free CPUs waits behind what waits already.
        if load.free_cpu == 0 {
            let placed = before.count.saturating_add(since.count);
            load.queue_length = queue_length.saturating_add(placed);
            load.queue_wait = queue_wait * (placed + 1);
        }
        Some(load)
    }

    /// What the node said itself; `None` if that is not fresh.
    #[must_use]
    pub fn reported(&self, now: Time, node: NodeId) -> Option<Load> {
        self.heard.get(&node).filter(|heard| heard.is_fresh(now)).map(|heard| heard.load)
    }

    /// How old the report is.
    #[must_use]
    pub fn age(&self, now: Time, node: NodeId) -> Option<Duration> {
        self.heard.get(&node).map(|heard| now.since(heard.at))
    }

    /// At most [`PIGGYBACK_MAX`] fresh reports, chosen at random, to travel with whatever is sent.
    pub fn piggyback(&self, now: Time, rng: &mut impl RngCore) -> Vec<(NodeId, Load)> {
        let fresh = self.heard.iter().filter(|(_, heard)| heard.is_fresh(now));
        let mut chosen: Vec<(NodeId, Load)> = Vec::with_capacity(PIGGYBACK_MAX);
        // Reservoir sampling (Vitter 1985, algorithm R): each with the same chance, in one pass.
        for (index, (&node, heard)) in fresh.enumerate() {
            if chosen.len() < PIGGYBACK_MAX {
                chosen.push((node, heard.load));
            } else if let Some(place) = chosen.get_mut(below(rng, index + 1)) {
                *place = (node, heard.load);
            }
        }
        chosen
    }
}

impl Heard {
    fn is_fresh(&self, now: Time) -> bool {
        now.since(self.at) <= FRESH_FOR
    }
}

/// A number below `end`, which is at least 1; the bias is below 2^-32 for what is counted here.
pub(crate) fn below(rng: &mut impl RngCore, end: usize) -> usize {
    ((u128::from(rng.next_u64()) * end as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    const NODE: NodeId = NodeId(1);

    fn load(cpus: u32) -> Load {
        Load { free_cpu: cpus * 10_000, free_memory_mib: 1_000, ..Load::default() }
    }

    #[test]
    fn a_load_comes_back_from_its_twelve_bytes() {
        let exact = Load {
            free_cpu: 123_456,
            queue_length: 70_000,
            queue_wait: Duration::from_millis(1_234),
            free_memory_mib: 9_000_000,
        };
        assert_eq!(Load::from(LoadDigest::from(exact)), exact);
        let huge = Load {
            free_cpu: u32::MAX,
            queue_length: u32::MAX,
            queue_wait: Duration::MAX,
            free_memory_mib: u32::MAX,
        };
        let seen = Load::from(LoadDigest::from(huge));
        assert_eq!((seen.queue_length, seen.free_memory_mib), (THREE_BYTES_MAX, THREE_BYTES_MAX));
        assert_eq!(seen.queue_wait, Duration::from_millis(65_535));
    }

    #[test]
    fn own_placements_count_until_a_report_must_know_of_them() {
        let mut loads = Loads::new();
        loads.hear(Time(0), NODE, load(4));
        loads.placed(NODE, 30_000, 100);
        let free = |loads: &Loads| loads.estimate(Time(1), NODE).map(|load| load.free_cpu);
        assert_eq!(free(&loads), Some(10_000));
        // Perhaps written before the task arrived.
        loads.hear(Time(1), NODE, load(4));
        assert_eq!(free(&loads), Some(10_000));
        loads.hear(Time(2), NODE, load(1));
        assert_eq!(free(&loads), Some(10_000));
    }

    #[test]
    fn what_exceeds_the_free_cpus_queues() {
        let mut loads = Loads::new();
        let wait = Duration::from_millis(10);
        loads.hear(Time(0), NODE, Load { queue_wait: wait, queue_length: 1, ..Load::default() });
        loads.placed(NODE, 10_000, 0);
        let estimate = loads.estimate(Time(0), NODE).unwrap();
        assert_eq!((estimate.queue_length, estimate.queue_wait), (2, wait * 2));
    }

    #[test]
    fn a_stale_report_is_none() {
        let mut loads = Loads::new();
        loads.hear(Time(0), NODE, load(4));
        let late = Time(0) + FRESH_FOR + Duration::from_micros(1);
        assert_eq!(loads.estimate(late, NODE), None);
        assert_eq!(loads.age(late, NODE), Some(late.since(Time(0))));
        assert!(loads.piggyback(late, &mut SmallRng::seed_from_u64(1)).is_empty());
    }

    #[test]
    fn piggybacked_reports_are_few_distinct_and_fair() {
        let mut loads = Loads::new();
        for node in 0..64 {
            loads.hear(Time(0), NodeId(node), load(1));
        }
        let mut rng = SmallRng::seed_from_u64(7);
        let mut counts = [0; 64];
        for _ in 0..4_000 {
            let mut chosen = loads.piggyback(Time(0), &mut rng);
            assert_eq!(chosen.len(), PIGGYBACK_MAX);
            chosen.dedup_by_key(|(node, _)| *node);
            assert_eq!(chosen.len(), PIGGYBACK_MAX);
            chosen.iter().for_each(|(node, _)| counts[node.0 as usize] += 1);
        }
        // 1000 expected each, standard deviation 27.
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
