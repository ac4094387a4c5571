//! Where things run: by load, by what a node has, and together in a placement group.
//!
//! Alone: `cargo run --example 14_placement`. On four nodes: `mobula run --nodes 4 -- target/debug/examples/14_placement`.

#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::collections::BTreeMap;
use std::time::Duration;

use mobula::prelude::*;
use mobula::{Bundle, GroupStrategy};

fn here() -> String {
    let id = Node::current().and_then(|node| node.id());
    id.map_or_else(|| "the only node".to_owned(), |id| id.to_string())
}

/// Some work that says where it was done.
#[mobula::task]
fn shard(number: u64) -> (u64, String) {
    ((0..200_000).fold(number, |sum, step| sum.rotate_left(5) ^ step), here())
}

struct Cache {
    sums: Vec<u64>,
}

#[mobula::actor]
impl Cache {
    pub fn new() -> Self {
        Self { sums: Vec::new() }
    }

    pub fn keep(&mut self, sum: u64) -> (usize, String) {
        self.sums.push(sum);
        (self.sums.len(), here())
    }
}

#[mobula::main]
async fn main(node: Node) -> Result<(), Box<dyn std::error::Error>> {
    println!("{} node(s)", node.nodes().len().max(1));

    // Taking turns; without a wish, tasks stay here until this node is full.
    let mut places = BTreeMap::<String, u64>::new();
    let shards: Vec<_> =
        (0..12).map(|n| shard::options().on(Placement::Spread).remote(n)).collect();
    for result in mobula::get(&shards).await? {
        *places.entry(result.1.clone()).or_default() += 1;
    }
    for (place, count) in &places {
        println!("{place}: {count} shards");
    }

    // Two bundles of half a CPU on one node, or none: a cache, and the work that fills it beside it.
    let bundles = [Bundle::cpus(0.5), Bundle::cpus(0.5)];
    let group = mobula::placement_group(bundles, GroupStrategy::StrictPack);
    if !group.wait(Duration::from_secs(10)).await {
        return Err("no node has a CPU to spare".into());
    }
    let cache = Cache::options().in_group(&group).bundle(0).remote();
    for number in 0..4 {
        let work = shard::options().num_cpus(0.5).in_group(&group).bundle(1).remote(number);
        let (sum, worked) = &*work.get().await?;
        let (kept, cached) = cache.keep(*sum).await?;
        assert_eq!(*worked, cached, "a strict pack is one node");
        println!("sum {kept} made and kept on {cached}");
    }

    // Ends the cache, and gives both bundles back.
    group.remove().await?;
    assert!(cache.keep(0).await.is_err());
    println!("removed");
    Ok(())
}
