//! Let it crash: a supervisor starts a child that panicked anew, from its spec and never from the damaged value, until
//! it happens too often; then it gives up, as in OTP.
//!
//! `cargo run --example 02_supervision`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

struct Ledger {
    entries: Vec<i64>,
}

#[mobula::actor]
impl Ledger {
    pub fn open() -> Self {
        Self { entries: Vec::new() }
    }

    pub fn enter(&mut self, amount: i64) -> usize {
        self.entries.push(amount);
        assert!(amount != 13, "superstition");
        self.entries.len()
    }
}

#[mobula::main]
async fn main(node: Node) -> anyhow::Result<()> {
    let bank = Supervisor::one_for_one()
        .name("bank")
        .intensity(2, secs(10)) // a third restart within any 10 s is one too many
        .backoff(ms(5)..ms(50))
        .child(ChildSpec::new("ledger", Ledger::open).permanent().shutdown(secs(1)))
        .spawn();
    let ledger: ActorRef<Ledger> = bank.child("ledger").await?;

    println!("entries: {}", ledger.enter(1).await?);
    println!("entries: {}", ledger.enter(2).await?);
    if let Err(error) = ledger.enter(13).await {
        println!("the asker learns: {error}");
    }
    // The reference stays good, and the ledger is a fresh one; a call waits until it is back.
    println!("entries after the restart: {}", ledger.enter(3).await?);

    if let Err(error) = ledger.enter(13).max_retries(9).await {
        println!("insisting helps nobody: {error}");
    }
    println!("the supervisor {}", bank.closed().await);

    println!("what was reported:");
    for report in node.crash_reports() {
        println!("  {report}");
    }
    Ok(())
}
