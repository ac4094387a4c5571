//! The old build of a program, which uses nodes of the new one for what both have, and hears what is not to be had there.
//!
//! It drives, on a cluster in which the new build serves with the label `build=new`; see `tests/two_builds.rs`.

#![expect(clippy::print_stdout, reason = "an example speaks")]

#[path = "same.rs"]
mod same;

use mobula::Placement;
use mobula::prelude::*;
use same::{Till, double};

#[mobula::task(name = "shop::price")]
fn price(number: u32) -> u32 {
    number * 90
}

#[mobula::task(name = "shop::haggle")]
fn haggle(cents: u64) -> u64 {
    cents - cents / 10
}

/// Only this build has it.
#[mobula::task(name = "shop::whereabouts")]
fn whereabouts(_number: u64) -> String {
    Node::current().and_then(|node| node.id()).map(|id| id.to_string()).unwrap_or_default()
}

struct Queue(u32);

#[mobula::actor(key = "shop")]
impl Queue {
    pub fn new(first: u32) -> Self {
        Self(first)
    }

    pub fn draw(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

fn said<T: std::fmt::Debug, E: std::fmt::Display>(outcome: Result<T, E>) -> String {
    outcome.map_or_else(|error| error.to_string(), |value| format!("unexpectedly {value:?}"))
}

#[mobula::main]
async fn main(node: Node) -> Result<(), Box<dyn std::error::Error>> {
    let there = || Placement::Labelled {
        name: "build".to_owned(),
        value: "new".to_owned(),
        or_elsewhere: false,
    };
    let doubled = double::options().on(there()).remote(21);
    println!("same function: {}", doubled.get().await?);
    let till = Till::options().on(there()).remote(100);
    println!("same actor: {}", till.pay(5).await?);
    let price = price::options().on(there()).remote(1).get().await;
    println!("changed function: {}", said(price));
    let haggled = haggle::options().on(there()).remote(100).get().await;
    println!("missing function: {}", said(haggled));
    let queue = Queue::options().on(there()).remote(1);
    println!("changed actor: {}", said(queue.draw().await));
    // What only this build has runs where this build is, however much there is of it.
    let many: Vec<_> = (0..500).map(whereabouts::remote).collect();
    let places = mobula::get(&many).await?;
    let own = node.id().map(|id| id.to_string()).unwrap_or_default();
    println!("all at home: {}", places.iter().all(|place| **place == own));
    Ok(())
}
