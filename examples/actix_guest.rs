//! An existing actix actor moves in: hosted by one line it gets a name, bounded mailbox, watchers, and a supervisor
//! that restarts it fresh from its factory, which actix's own cannot.
//!
//! `cargo run --example actix_guest`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::actix_guest::{Guest, host};
use mobula::prelude::*;

// What an actix program has already; none of it knows of mobula.

#[derive(Default)]
struct Cellar {
    bottles: u32,
}

impl actix::Actor for Cellar {
    type Context = actix::Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        println!("  a cellar opens with {} bottles", self.bottles);
    }
}

#[derive(Clone)]
struct Store(u32);

impl actix::Message for Store {
    type Result = u32;
}

impl actix::Handler<Store> for Cellar {
    type Result = u32;

    fn handle(&mut self, Store(bottles): Store, _: &mut Self::Context) -> u32 {
        assert!(bottles < 100, "the shelf breaks under {bottles} bottles");
        self.bottles += bottles;
        self.bottles
    }
}

struct Insurance;

#[mobula::actor]
impl Insurance {
    pub fn new() -> Self {
        Self
    }

    pub fn insure(&mut self, ctx: &mut Context<Self>, cellar: ActorRef<Guest<Cellar>>) {
        ctx.watch(&cellar);
    }

    fn down(&mut self, reason: ExitReason) {
        println!("the insurance hears that the cellar {reason}");
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let cellar = host("cellar", Cellar::default); // the one line
    println!("six bottles: {}", cellar.send(Store(6)).await?);

    let insurance = Insurance::remote();
    insurance.insure(cellar.clone()).await?;
    let found = mobula::actor::<Guest<Cellar>>("cellar").await?;
    if let Err(error) = found.send(Store(100)).await {
        println!("a hundred bottles: {error}");
    }
    // Whoever knows of the crash reaches the next guest: the call waits until it is there.
    println!("six more, in a fresh cellar: {}", cellar.send(Store(6)).await?);

    cellar.stop().await?;
    if let Err(error) = mobula::actor::<Guest<Cellar>>("cellar").await {
        println!("by name, after the stop: {error}");
    }
    Ok(())
}
