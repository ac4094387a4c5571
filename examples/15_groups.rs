//! Process groups: workers that join by themselves, a router over all of them, and a topic that everybody hears.
//!
//! Alone: `cargo run --example 15_groups`. On three nodes: `mobula run --nodes 3 -- target/debug/examples/15_groups`.

#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::collections::BTreeMap;

use mobula::prelude::*;
use mobula::{Placement, Routing};

struct Worker {
    done: u64,
}

#[derive(Message, Serialize, Deserialize)]
#[message(reply = (String, u64))]
struct Measure(String);

#[mobula::actor]
impl Worker {
    pub fn new() -> Self {
        Self { done: 0 }
    }

    /// Wherever it was started: all nodes will know.
    pub async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), mobula::GroupError> {
        mobula::group::<Self>("workers").join(&ctx.actor_ref()).await.map(drop)
    }
}

#[mobula::handler]
impl Handler<Measure> for Worker {
    async fn handle(&mut self, Measure(text): Measure, ctx: &mut Context<Self>) -> (String, u64) {
        self.done += 1;
        let place = Node::current().and_then(|node| node.id());
        let place = place.map_or("the only node".to_owned(), |node| node.to_string());
        (format!("{place} {}", ctx.id()), text.len() as u64)
    }
}

#[mobula::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _started: Vec<_> =
        (0..6).map(|_| Worker::options().on(Placement::Spread).remote()).collect();
    let workers = mobula::group::<Worker>("workers");
    workers.wait_until(|members| members.len() == 6).await;

    // Each member in turn.
    let router = workers.router(Routing::RoundRobin);
    let mut turns = BTreeMap::<String, u64>::new();
    for number in 0..60 {
        let (worker, _) = router.ask(Measure(format!("text {number}"))).await?;
        *turns.entry(worker).or_default() += 1;
    }
    for (worker, count) in &turns {
        println!("{worker}: {count} texts");
    }

    // What belongs together goes to one member, until that one leaves.
    let (first, _) = router.ask_for("customer 7", Measure("a".into())).await?;
    let (second, _) = router.ask_for("customer 7", Measure("b".into())).await?;
    println!("customer 7 is always with {first}: {}", first == second);

    // Publishers and subscribers know only the topic.
    let results = mobula::topic::<(String, u64)>("results");
    let mut feed = results.subscribe()?;
    results.publish(&("texts".into(), turns.values().sum()))?;
    if let Some((what, count)) = feed.recv().await {
        println!("published and heard: {count} {what}");
    }
    Ok(())
}
