//! The shapes in which a network breaks: who cannot reach whom.
//!
//! A partition into halves is the kindest case: both sides agree about it.
//! One-way links, a ring and a bridge are those in which nodes see different clusters, and in which a failure detector
//! with one observer is wrong.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::time::Duration;

use rand::Rng;

/// Who is cut off from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// These on one side, all others on the other.
    Halves(Vec<u16>),
    /// From these to all others nothing arrives; the way back is open.
    OneWay(Vec<u16>),
    /// Each reaches its two neighbours only.
    Ring { machines: u16 },
    /// As halves, but this one, of neither side, reaches all.
    Bridge { side: Vec<u16>, middle: u16 },
}

impl Shape {
    /// Whether nothing gets from the one to the other.
    #[must_use]
    pub(crate) fn cuts(&self, from: u16, to: u16) -> bool {
        match self {
            _ if from == to => false,
            Self::Halves(side) => side.contains(&from) != side.contains(&to),
            Self::OneWay(mute) => mute.contains(&from) && !mute.contains(&to),
            Self::Ring { machines } => {
                let distance = from.abs_diff(to);
                distance != 1 && distance != machines.saturating_sub(1)
            }
            Self::Bridge { side, middle } => {
                from != *middle && to != *middle && side.contains(&from) != side.contains(&to)
            }
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halves(side) => write!(f, "halves, {side:?} on one side"),
            Self::OneWay(mute) => write!(f, "one way, nobody hears {mute:?}"),
            Self::Ring { machines } => write!(f, "ring of {machines}"),
            Self::Bridge { side, middle } => write!(f, "bridge {middle} beside {side:?}"),
        }
    }
}

/// What the network does to a packet now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    pub(crate) cut: Option<Shape>,
    /// Of a hundred packets so many are lost.
    pub(crate) loss_percent: u8,
    /// How long each takes.
    pub(crate) delay: Duration,
    /// How much longer it may take, drawn for each: so they overtake each other.
    pub(crate) jitter: Duration,
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop,
    Deliver { after: Duration },
}

impl Rules {
    /// Decides about one packet.
    #[must_use]
    pub(crate) fn judge(&self, from: u16, to: u16, rng: &mut impl Rng) -> Verdict {
        if self.cut.as_ref().is_some_and(|shape| shape.cuts(from, to)) {
            return Verdict::Drop;
        }
        if self.loss_percent > 0 && rng.random_range(0..100) < self.loss_percent {
            return Verdict::Drop;
        }
        let jitter = if self.jitter.is_zero() { 0.0 } else { rng.random_range(0.0..1.0) };
        Verdict::Deliver { after: self.delay + self.jitter.mul_f64(jitter) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    fn open_ways(shape: &Shape) -> Vec<(u16, u16)> {
        let pairs = (0..4).flat_map(|from| (0..4).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && !shape.cuts(*from, *to)).collect()
    }

    #[test]
    fn halves_reach_their_own_side_only() {
        assert_eq!(open_ways(&Shape::Halves(vec![0, 2])), [(0, 2), (1, 3), (2, 0), (3, 1)]);
    }

    #[test]
    fn one_way_is_open_backwards() {
        let shape = Shape::OneWay(vec![0]);
        assert!(shape.cuts(0, 1) && shape.cuts(0, 3));
        assert!(!shape.cuts(1, 0) && !shape.cuts(1, 2));
    }

    #[test]
    fn a_ring_leaves_two_neighbours() {
        let ways = open_ways(&Shape::Ring { machines: 4 });
        assert_eq!(ways, [(0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2)]);
    }

    #[test]
    fn a_bridge_reaches_both_sides() {
        let shape = Shape::Bridge { side: vec![0], middle: 3 };
        assert!(shape.cuts(0, 1) && shape.cuts(2, 0));
        assert!(!shape.cuts(0, 3) && !shape.cuts(3, 1) && !shape.cuts(1, 2));
    }

    #[test]
    fn loss_and_jitter_are_what_the_rules_say() {
        let rules = Rules {
            loss_percent: 10,
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(5),
            ..Rules::default()
        };
        let mut rng = SmallRng::seed_from_u64(1);
        let mut lost = 0;
        for _ in 0..10_000 {
            match rules.judge(0, 1, &mut rng) {
                Verdict::Drop => lost += 1,
                Verdict::Deliver { after } => {
                    assert!((rules.delay..=rules.delay + rules.jitter).contains(&after));
                }
            }
        }
        assert!((800..1200).contains(&lost), "{lost}");
        let calm = Rules::default().judge(0, 1, &mut rng);
        assert_eq!(calm, Verdict::Deliver { after: Duration::ZERO });
    }
}
