//! The new build of a program: it prices in `u64`, counts with a step, can wrap, and has forgotten how to haggle.
//!
//! It serves: `MOBULA_ROLE=worker MOBULA_JOIN=... cargo run --example two_builds_new`. See `old.rs`.

#[path = "same.rs"]
mod same;

use mobula::prelude::*;
use same::Till;

#[mobula::task(name = "shop::price")]
fn price(number: u64) -> u64 {
    number * 100
}

#[mobula::task(name = "shop::wrap")]
fn wrap(what: String) -> String {
    format!("[{what}]")
}

struct Queue {
    step: u32,
    next: u32,
}

#[mobula::actor(key = "shop")]
impl Queue {
    pub fn new(first: u32, step: u32) -> Self {
        Self { step, next: first }
    }

    pub fn draw(&mut self, times: u8) -> u32 {
        self.next += self.step * u32::from(times);
        self.next
    }
}

#[mobula::main]
async fn main(node: Node) -> Result<(), Box<dyn std::error::Error>> {
    let doubled = same::double::remote(21).get().await?;
    let wrapped = wrap::remote(price::remote(1).get().await?.to_string()).get().await?;
    let (till, queue) = (Till::remote(1), Queue::remote(1, 2));
    let (paid, drawn) = (till.pay(1).await?, queue.draw(1).await?);
    tracing::info!(node = ?node.id(), doubled = *doubled, wrapped = %wrapped, paid, drawn, "alone");
    Ok(())
}
