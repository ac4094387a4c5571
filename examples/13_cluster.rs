//! Many nodes: the same program on one node or several, with no node in charge.
//!
//! Alone: `cargo run --example 13_cluster`. On four nodes: `mobula run --nodes 4 -- target/debug/examples/13_cluster`.

#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::collections::BTreeMap;

use mobula::Placement;
use mobula::prelude::*;

/// Some work that says where it was done.
#[mobula::task]
fn collatz(start: u64) -> (u64, Option<String>) {
    let mut longest = 0;
    for first in start..start + 20_000 {
        let (mut number, mut steps) = (first, 0_u64);
        while number > 1 {
            number = if number % 2 == 0 { number / 2 } else { 3 * number + 1 };
            steps += 1;
        }
        longest = longest.max(steps);
    }
    (longest, Node::current().and_then(|node| node.id()).map(|id| id.to_string()))
}

struct Tally {
    longest: u64,
    places: BTreeMap<String, u64>,
}

#[mobula::actor]
impl Tally {
    pub fn new() -> Self {
        Self { longest: 0, places: BTreeMap::new() }
    }

    pub fn count(&mut self, longest: u64, place: String) {
        self.longest = self.longest.max(longest);
        *self.places.entry(place).or_default() += 1;
    }

    pub fn result(&self) -> (u64, BTreeMap<String, u64>) {
        (self.longest, self.places.clone())
    }
}

#[mobula::main]
async fn main(node: Node) -> Result<(), Box<dyn std::error::Error>> {
    println!("{} node(s)", node.nodes().len().max(1));
    // On another node, if there is one; the reference is the same.
    let tally = Tally::options().on(Placement::Spread).remote();
    let mut pending: Vec<_> = (1..200).map(|chunk| collatz::remote(chunk * 20_000)).collect();
    while !pending.is_empty() {
        let (ready, rest) = mobula::wait(pending).num_returns(1).await?;
        for result in mobula::get(&ready).await? {
            let (longest, place) = &*result;
            let place = place.clone().unwrap_or_else(|| "the only node".to_owned());
            tally.count(*longest, place).tell().await?;
        }
        pending = rest;
    }
    let (longest, places) = tally.result().await?;
    println!("longest sequence below 4000000: {longest} steps");
    for (place, tasks) in places {
        println!("{place}: {tasks} tasks");
    }
    Ok(())
}
