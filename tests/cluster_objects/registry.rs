//! There is no central table: what tasks and objects do on one node is written down nowhere else.

use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::prelude::*;

use super::town::Town;

#[mobula::task]
fn next(number: u64) -> u64 {
    number + 1
}

/// Everything that a node writes down beside its actors, and what its store says to others.
fn written(town: &Town) -> Vec<(usize, usize, u64, u64, u64, usize)> {
    let houses = town.houses();
    houses
        .map(|house| {
            let node = &house.node;
            let usage = node.store().usage();
            let members = node.nodes().len();
            let named = node.enter_sync(|| mobula::list_named_actors().len());
            (members, named, usage.told, usage.pulled, usage.bytes, usage.objects)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_tasks_write_nothing_to_any_registry() {
    const COUNT: u64 = 100_000;
    let town = Town::new(3).await;
    let before = written(&town);
    let citizens: Vec<usize> = town.houses().map(|house| house.node.status().citizens).collect();
    let first = town.at(0).node.clone();
    let others = [town.at(1).node.clone(), town.at(2).node.clone()];
    let seen = AtomicUsize::new(0);
    first
        .enter(async {
            // In waves, each a chain through objects, none of which leaves the node.
            for wave in 0..100 {
                let first = town.at(0).only();
                let numbers: Vec<ObjectRef<u64>> = (0..COUNT / 200)
                    .map(|number| next::options().on(first.clone()).remote(wave + number))
                    .collect();
                let further: Vec<ObjectRef<u64>> = numbers
                    .iter()
                    .map(|number| next::options().on(first.clone()).remote(number))
                    .collect();
                let values = mobula::get(&further).await.unwrap();
                for (number, value) in (0..).zip(&values) {
                    assert_eq!(**value, wave + number + 2);
                }
                let elsewhere = others.iter().map(|node| node.store().usage().objects).sum();
                seen.fetch_max(elsewhere, Ordering::Relaxed);
            }
        })
        .await;
    assert_eq!(seen.load(Ordering::Relaxed), 0, "no other node knew of any object");
    super::town::until(|| written(&town) == before).await;
    let after: Vec<usize> = town.houses().map(|house| house.node.status().citizens).collect();
    assert_eq!(after, citizens);
    town.end().await;
}
