//! The view against its definition.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::rings::NEIGHBOURS_MAX;
use super::*;
use crate::member::Details;

fn record(name: u64, incarnation: u64, status: Status) -> Record {
    let details = Arc::new(Details::default());
    Record { node: NodeId(name), incarnation: Incarnation(incarnation), status, details }
}

fn any_status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![
        Status::Alive,
        Status::Suspect,
        Status::Leaving,
        Status::Down,
        Status::Left,
    ])
}

fn any_record() -> impl Strategy<Value = Record> {
    (0_u64..60, 0_u64..4, any_status()).prop_map(|(name, inc, status)| record(name, inc, status))
}

proptest! {
    /// What was built step by step is what one would build from the outcome.
    #[test]
    fn the_view_is_a_function_of_its_records(records in prop::collection::vec(any_record(), 0..300)) {
        let view: View = records.iter().cloned().collect();
        let rebuilt: View = view.iter().cloned().collect();
        let reversed: View = records.iter().rev().cloned().collect();
        for other in [&rebuilt, &reversed] {
            prop_assert_eq!(view.hashes(), other.hashes());
            prop_assert!(view.iter().eq(other.iter()));
            for name in (0..60).map(NodeId) {
                prop_assert_eq!(view.neighbours(name), other.neighbours(name));
            }
        }
        let live = view.iter().filter(|record| record.status.is_live()).count();
        prop_assert_eq!(view.live_count(), live);
    }

    #[test]
    fn edges_are_symmetric_and_few(names in prop::collection::btree_set(0_u64..100, 0..60)) {
        let view: View = names.iter().map(|name| record(*name, 1, Status::Alive)).collect();
        for name in names.iter().copied().map(NodeId) {
            let neighbours = view.neighbours(name);
            prop_assert!(neighbours.len() <= NEIGHBOURS_MAX);
            prop_assert!(neighbours.is_sorted() && !neighbours.contains(&name));
            if names.len() <= NEIGHBOURS_MAX + 1 {
                prop_assert_eq!(neighbours.len(), names.len() - 1);
            } else {
                prop_assert!(neighbours.len() >= 2);
            }
            for other in neighbours {
                prop_assert!(view.neighbours(other).contains(&name));
            }
        }
    }

    #[test]
    fn equal_hashes_mean_equal_live_sets(
        left in prop::collection::vec(any_record(), 0..40),
        right in prop::collection::vec(any_record(), 0..40),
    ) {
        let (left, right): (View, View) = (left.into_iter().collect(), right.into_iter().collect());
        let live = |view: &View| -> BTreeSet<(NodeId, Incarnation, Status)> {
            let live = view.iter().filter(|record| record.status.is_live());
            live.map(|r| (r.node, r.incarnation, r.status)).collect()
        };
        prop_assert_eq!(live(&left) == live(&right), left.hashes() == right.hashes());
    }
}

#[test]
fn the_rings_connect_a_thousand_members_within_few_steps() {
    let view: View = (0..1_000).map(|name| record(name, 1, Status::Alive)).collect();
    let mut reached = BTreeSet::from([NodeId(0)]);
    let mut steps = 0;
    while reached.len() < 1_000 {
        let next: Vec<NodeId> = reached.iter().flat_map(|node| view.neighbours(*node)).collect();
        let before = reached.len();
        reached.extend(next);
        steps += 1;
        assert!(reached.len() > before, "the overlay is not connected");
    }
    assert!(steps <= 7, "{steps} steps");
}

#[test]
fn buckets_hold_each_record_once() {
    let view: View = (0..500).map(|name| record(name, 1, Status::Alive)).collect();
    let mut count = 0;
    for bucket in 0..BUCKETS {
        for record in view.bucket(bucket) {
            assert_eq!(view.bucket_of(record.node), bucket);
            count += 1;
        }
    }
    assert_eq!(count, 500);
}
