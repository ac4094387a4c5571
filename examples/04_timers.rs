//! Timers: an actor's own messages, later. Once or again and again, by a key that replaces or cancels them; a full
//! mailbox does not starve them, and they end with their actor.
//!
//! `cargo run --example 04_timers`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::time::Instant;

use mobula::prelude::*;

/// Boils water for so many seconds, tells the time, and can be asked to hurry.
struct Kettle {
    began: Instant,
    ticks: u32,
}

#[derive(Message, Clone)]
struct Tick;

#[derive(Message)]
struct Boiled;

#[mobula::actor]
impl Kettle {
    pub fn new() -> Self {
        Self { began: Instant::now(), ticks: 0 }
    }

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.every_keyed("tick", ms(50), Tick);
        ctx.after_keyed("boiled", secs(3600), Boiled);
    }

    /// Setting a key again replaces its timer.
    pub fn hurry(&mut self, ctx: &mut Context<Self>) {
        ctx.after_keyed("boiled", ms(275), Boiled);
    }
}

impl Handler<Tick> for Kettle {
    async fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.ticks += 1;
        println!(
            "tick {} after about {} ms",
            self.ticks,
            self.began.elapsed().as_millis() / 10 * 10
        );
    }
}

impl Handler<Boiled> for Kettle {
    async fn handle(&mut self, _: Boiled, ctx: &mut Context<Self>) {
        let was_set = ctx.cancel_timer("tick");
        println!("boiled; the tick {}", if was_set { "is cancelled" } else { "was gone" });
        ctx.stop();
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let kettle = Kettle::remote();
    kettle.hurry().await?;
    println!("the kettle {}", kettle.closed().await);
    Ok(())
}
