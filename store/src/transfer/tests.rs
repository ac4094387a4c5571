//! Pulls from stores that answer, fail, stall, and lie.

use rand::{SeedableRng, rngs::SmallRng};

use super::*;
use crate::object_id::{Incarnation, NodeId};

fn store(node: u64) -> StoreId {
    StoreId::new(NodeId(node), Incarnation(1))
}

const NOW: Time = Time(0);

#[test]
fn the_first_part_tells_the_length_and_the_rest_comes_from_all_within_their_credit() {
    let mut rng = SmallRng::seed_from_u64(1);
    let (mut pull, mut out) = (Pull::new(), Vec::new());
    pull.add_sources([store(1), store(2), store(3)], NOW, &mut rng, &mut out);
    let [Request::Part { source, offset: 0, length: CHUNK_BYTES }] = out[..] else {
        panic!("{out:?}")
    };
    out.clear();
    let total = 100 * CHUNK_BYTES + 7;
    let fill = pull.part(source, (0, CHUNK_BYTES, total), NOW, &mut rng, &mut out);
    assert_eq!(fill, Fill::Write);
    assert_eq!(out.len(), 3 * CREDIT);
    for number in 1..=3 {
        let of_this = |request: &&Request| matches!(request, Request::Part { source, .. } if *source == store(number));
        assert_eq!(out.iter().filter(of_this).count(), CREDIT);
    }
}

#[test]
fn a_small_value_is_one_part_and_an_empty_one_too() {
    for total in [0, 1, CHUNK_BYTES] {
        let mut rng = SmallRng::seed_from_u64(1);
        let (mut pull, mut out) = (Pull::new(), Vec::new());
        pull.add_sources([store(1)], NOW, &mut rng, &mut out);
        out.clear();
        let fill = pull.part(store(1), (0, total, total), NOW, &mut rng, &mut out);
        assert_eq!((fill, &out[..]), (Fill::Write, &[Request::Complete][..]));
    }
}

#[test]
fn a_slow_source_loses_its_parts_and_then_its_place() {
    let mut rng = SmallRng::seed_from_u64(1);
    let (mut pull, mut out) = (Pull::new(), Vec::new());
    pull.add_sources([store(1)], NOW, &mut rng, &mut out);
    let mut rounds = 0;
    while let Some(at) = pull.next_wake() {
        rounds += 1;
        pull.tick(at, &mut rng, &mut out);
    }
    assert_eq!(rounds, STRIKES_MAX);
    assert_eq!(out[out.len() - 2..], [Request::GivenUp { source: store(1) }, Request::Stuck]);
    out.clear();
    pull.add_sources([store(2)], NOW, &mut rng, &mut out);
    assert!(matches!(out[..], [Request::Part { source, .. }] if source == store(2)));
}

/// Sources that answer late, never, doubled, or with nonsense; every byte must be written once.
#[test]
fn random_pulls_fill_every_byte_once_or_say_that_they_are_stuck() {
    for seed in 0..500 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let total = rng.random_range(0..20 * CHUNK_BYTES);
        let (mut pull, mut out) = (Pull::new(), Vec::new());
        let mut now = NOW;
        pull.add_sources((0..4).map(store), now, &mut rng, &mut out);
        let mut under_way: Vec<Request> = Vec::new();
        let (mut written, mut ended, mut reserve) = (0, None, 4_u64);
        for _ in 0..10_000 {
            for request in out.drain(..) {
                match request {
                    Request::Part { .. } => under_way.push(request),
                    Request::Complete | Request::Stuck => ended = Some(request),
                    Request::GivenUp { .. } => {}
                }
            }
            if ended == Some(Request::Stuck) && reserve < 8 {
                ended = None;
                pull.add_sources([store(reserve)], now, &mut rng, &mut out);
                reserve += 1;
                continue;
            }
            if ended.is_some() {
                break;
            }
            for source in 0..8 {
                let asked = pull.sources.get(&store(source)).map_or(0, |source| source.asked);
                assert!(asked <= CREDIT, "seed {seed}");
            }
            if under_way.is_empty() || rng.random_ratio(1, 10) {
                now = pull.next_wake().expect("somebody was asked").max(now);
                pull.tick(now, &mut rng, &mut out);
                continue;
            }
            let place = rng.random_range(0..under_way.len());
            let Request::Part { source, offset, .. } = under_way[place] else { continue };
            let length = total.saturating_sub(offset).min(CHUNK_BYTES);
            match rng.random_range(0..20) {
                0 => pull.give_up(source, now, &mut rng, &mut out),
                1 => drop(under_way.swap_remove(place)),
                2 => {
                    let lie = (offset, length + 1, total);
                    let fill = pull.part(source, lie, now, &mut rng, &mut out);
                    assert_eq!(fill, Fill::Ignore, "seed {seed}");
                }
                answer => {
                    let part = (offset, length, total);
                    if pull.part(source, part, now, &mut rng, &mut out) == Fill::Write {
                        written += length;
                    }
                    if answer != 3 {
                        under_way.swap_remove(place);
                    }
                }
            }
        }
        match ended {
            Some(Request::Complete) => assert_eq!(written, total, "seed {seed}"),
            Some(_) => assert!(pull.is_stuck(), "seed {seed}"),
            None => panic!("seed {seed}: neither complete nor stuck"),
        }
    }
}
