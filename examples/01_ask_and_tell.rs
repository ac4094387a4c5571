//! The ways to reach an actor: ask for a value, tell and go on, try without waiting, refuse with an error of your own.
//!
//! `cargo run --example 01_ask_and_tell`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

struct Account {
    cents: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("only {left} cents are left")]
struct Overdrawn {
    left: u64,
}

#[mobula::actor]
impl Account {
    pub fn new(cents: u64) -> Self {
        Self { cents }
    }

    pub fn deposit(&mut self, cents: u64) -> u64 {
        self.cents += cents;
        self.cents
    }

    /// A `Result` is a value or a refusal.
    pub fn withdraw(&mut self, cents: u64) -> Result<u64, Overdrawn> {
        self.cents = self.cents.checked_sub(cents).ok_or(Overdrawn { left: self.cents })?;
        Ok(self.cents)
    }

    /// Keeps the account busy; it may borrow `self` while it waits.
    pub async fn audit(&mut self) -> u64 {
        tokio::time::sleep(ms(200)).await;
        self.cents
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let account = Account::options().mailbox(Mailbox::bounded(1)).remote(100);

    println!("ask:     {} cents", account.deposit(50).await?);

    account.deposit(25).tell().await?; // returns when it is in the mailbox
    println!(
        "tell:    {} cents, since messages of one sender keep their order",
        account.deposit(0).await?
    );

    if let Err(refused) = account.withdraw(1_000).await {
        println!("refused: {:?}", refused.refusal());
    }

    if let Err(late) = account.audit().timeout(ms(20)).await {
        println!("late:    {late}"); // the outcome is unknown: it still runs
    }

    // It is busy for a while: one message fits into its mailbox, the next is handed back.
    account.deposit(1).try_tell()?;
    match account.deposit(2).try_tell() {
        Ok(()) => println!("full:    no"),
        Err(back) => println!("full:    {back}"),
    }
    println!("at last: {} cents", account.audit().await?);
    Ok(())
}
