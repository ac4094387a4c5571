//! Who learns of an end: a monitor is told once, a link shares the fate, and an actor that traps exits is told instead.
//!
//! `cargo run --example 03_links_and_monitors`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

struct Climber {
    name: &'static str,
    news: Vec<String>,
}

#[mobula::actor]
impl Climber {
    pub fn new(name: &'static str) -> Self {
        Self { name, news: Vec::new() }
    }

    /// One way, and harmless: `down` will run exactly once.
    pub fn watch_over(&mut self, ctx: &mut Context<Self>, other: ActorRef<Self>) {
        ctx.watch(&other);
    }

    /// Both ways: when one falls, so does the other.
    pub fn rope_to(&mut self, ctx: &mut Context<Self>, other: ActorRef<Self>) {
        ctx.link(&other);
    }

    /// Holds the rope's other end without falling: ends of linked actors come as `down`.
    pub fn stand_firm(&mut self, ctx: &mut Context<Self>) {
        ctx.trap_exits(true);
    }

    pub fn slip(&mut self) {
        panic!("{} slips", self.name);
    }

    pub fn news(&self) -> Vec<String> {
        self.news.clone()
    }

    fn down(&mut self, monitor: MonitorRef, reason: ExitReason) {
        let how = if monitor == MonitorRef::LINK { "rope" } else { "watch" };
        self.news.push(format!("{how}: somebody {reason}"));
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let climber = |name| Climber::remote(name);
    let (anna, ben, cleo, dora) =
        (climber("Anna"), climber("Ben"), climber("Cleo"), climber("Dora"));

    anna.watch_over(ben.clone()).await?;
    ben.rope_to(cleo.clone()).await?;
    dora.stand_firm().await?;
    dora.rope_to(cleo.clone()).await?;

    ben.slip().tell().await?;
    println!("Ben:  {}", ben.closed().await);
    println!("Cleo: {}", cleo.closed().await);
    // Their ends are told before `closed` says so, but on their own lane.
    while anna.news().await?.is_empty() || dora.news().await?.is_empty() {
        tokio::task::yield_now().await;
    }
    println!("Anna lives, {:?}", anna.news().await?);
    println!("Dora lives, {:?}", dora.news().await?);
    anna.watch_over(ben.clone()).await?; // too late: told at once
    println!("Anna lives, {:?}", anna.news().await?.last());
    Ok(())
}
