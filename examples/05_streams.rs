//! Streams: an actor takes the items of any stream as messages, in turn with its mailbox. The stream is polled only
//! when the actor has time for an item, so a slow actor slows its source and nothing piles up.
//!
//! `cargo run --example 05_streams`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use futures_util::{StreamExt, stream};
use mobula::prelude::*;

struct Thermometer {
    readings: Vec<f64>,
    mean: Option<Reply<f64>>,
}

#[derive(Message)]
struct Reading(f64);

#[derive(Message)]
struct EndOfDay;

#[mobula::actor]
impl Thermometer {
    pub fn new() -> Self {
        Self { readings: Vec::new(), mean: None }
    }

    fn started(&mut self, ctx: &mut Context<Self>) {
        let hours = stream::iter(0..24_u32).then(|hour| async move {
            tokio::time::sleep(ms(5)).await; // the sensor takes its time
            Reading(15.0 - 5.0 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).cos())
        });
        ctx.attach_with_end(hours, EndOfDay);
    }

    /// Handled between two items of the stream.
    pub fn latest(&self) -> Option<f64> {
        self.readings.last().copied()
    }

    /// Answers when the stream has ended; meanwhile other messages are handled.
    pub fn mean_of_the_day(&mut self, ctx: &mut Context<Self>) -> Deferred<f64> {
        let (reply, deferred) = ctx.defer();
        self.mean = Some(reply);
        deferred
    }
}

impl Handler<Reading> for Thermometer {
    async fn handle(&mut self, Reading(celsius): Reading, _: &mut Context<Self>) {
        self.readings.push(celsius);
    }
}

impl Handler<EndOfDay> for Thermometer {
    async fn handle(&mut self, _: EndOfDay, _: &mut Context<Self>) {
        if let Some(reply) = self.mean.take() {
            reply.send(self.readings.iter().sum::<f64>() / 24.0);
        }
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let thermometer = Thermometer::remote();
    let mean = thermometer.mean_of_the_day().remote(); // asked before the day is over
    while !mean.is_ready() {
        if let Some(celsius) = thermometer.latest().await? {
            println!("now {celsius:4.1} °C");
        }
        tokio::time::sleep(ms(30)).await;
    }
    println!("mean of the day: {:.1} °C", mean.get().await?);
    Ok(())
}
