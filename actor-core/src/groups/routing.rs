//! Which member of a group gets a message.
//!
//! Taking turns spreads messages and not work; the shortest queue spreads work and is never known of other nodes; and
//! what belongs together by a key should come to one member, also after others have come and gone. So there are three
//! ways, and each is a function of the members and of what is known of them.
//!
//! Invariants: a member that was tried is not chosen again; by key, a message moves only when the member it went to
//! leaves, or to one that is new.
//!
//! Pure: no clock, no I/O, no tasks.

use std::hash::{Hash, Hasher};

use crate::remote::Home;

/// How a [`Router`](crate::groups::Router) chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Routing {
    /// Each member in turn. Each router has its own turn, and begins anywhere.
    #[default]
    RoundRobin,
    /// The member with the fewest messages waiting: exactly, of up to 64 members on this node; of those on others two
    /// are drawn, and asked if they were not within the last 20 ms (what this router has sent since counts, too), which
    /// costs a round trip. One on a suspected node, or that does not answer within a second, counts as long. The
    /// message that a member is just handling does not count.
    LeastMailbox,
    /// By the highest of the hashes of key and member (rendezvous hashing): all nodes that know the same members choose
    /// the same one, and one key in n moves when the n-th member comes or goes. A message without a key goes by its
    /// sender.
    ConsistentHash,
}

/// The member that is next in turn, of those not tried.
pub(super) fn in_turn(homes: &[Home], turn: u64, tried: &[Home]) -> Option<Home> {
    let count = homes.len() as u64;
    let mut order = (0..count).map(|step| homes[((turn.wrapping_add(step)) % count) as usize]);
    order.find(|home| !tried.contains(home))
}

/// The member with the highest weight for a key, of those not tried.
pub(super) fn by_key(homes: &[Home], key: u64, tried: &[Home]) -> Option<Home> {
    let left = homes.iter().filter(|home| !tried.contains(home));
    left.copied().max_by_key(|home| (weight(key, *home), *home))
}

/// Two different places below `count`, or one twice if there is only one.
pub(super) const fn two_of(count: usize, random: u64) -> Option<(usize, usize)> {
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            let first = random as u32 as usize % count;
            let second = (random >> 32) as usize % (count - 1);
            Some((first, if second >= first { second + 1 } else { second }))
        }
    }
}

/// The number of a key, the same on every node.
pub(super) fn number_of(key: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    key.hash(&mut hasher);
    mixed(hasher.finish())
}

fn weight(key: u64, home: Home) -> u64 {
    let member = mixed(home.node.0) ^ mixed(home.incarnation).rotate_left(21);
    mixed(key ^ mixed(member ^ mixed(home.actor.as_u64()).rotate_left(42)))
}

/// Every bit of the input moves every bit of the output (the finalizer of `SplitMix64`).
pub(super) const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ActorId, NodeId};

    fn homes(count: u64) -> Vec<Home> {
        let home = |number| Home {
            node: NodeId(number % 4),
            incarnation: 9,
            actor: ActorId::from_u64(number + 1).unwrap(),
        };
        (0..count).map(home).collect()
    }

    #[test]
    fn turns_go_around_and_leave_out_who_was_tried() {
        let homes = homes(3);
        let turns: Vec<_> = (0..4).filter_map(|turn| in_turn(&homes, turn, &[])).collect();
        assert_eq!(turns, [homes[0], homes[1], homes[2], homes[0]]);
        assert_eq!(in_turn(&homes, 1, &[homes[1], homes[2]]), Some(homes[0]));
        assert_eq!(in_turn(&homes, 1, &homes), None);
        assert_eq!(in_turn(&[], 1, &[]), None);
    }

    #[test]
    fn a_key_moves_only_when_its_member_leaves_or_to_one_that_is_new() {
        let before = homes(10);
        let without: Vec<_> = before.iter().copied().filter(|home| *home != before[4]).collect();
        let with: Vec<_> = homes(11);
        let (mut left, mut come) = (0, 0);
        for key in (0..10_000).map(|key: u32| number_of(&key)) {
            let at = by_key(&before, key, &[]).unwrap();
            let then = by_key(&without, key, &[]).unwrap();
            assert!(then == at || at == before[4]);
            assert_eq!(Some(then), by_key(&before, key, &[before[4]]), "as if it had been tried");
            left += usize::from(then != at);
            let now = by_key(&with, key, &[]).unwrap();
            assert!(now == at || now == with[10]);
            come += usize::from(now != at);
        }
        assert!((800..1200).contains(&left), "a tenth had been there: {left}");
        assert!((700..1100).contains(&come), "an eleventh goes to the new one: {come}");
    }

    #[test]
    fn two_places_differ_and_each_comes_up() {
        assert_eq!(two_of(0, 5), None);
        assert_eq!(two_of(1, 5), Some((0, 0)));
        let mut seen = [0; 5];
        for turn in 0..1_000 {
            let (first, second) = two_of(5, mixed(turn)).unwrap();
            assert_ne!(first, second);
            seen[first] += 1;
            seen[second] += 1;
        }
        assert!(seen.iter().all(|count| (300..500).contains(count)), "{seen:?}");
    }
}
