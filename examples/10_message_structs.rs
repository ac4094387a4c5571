//! Messages as structs, for those who prefer them: same mailbox, same guarantees as typed calls, and a `Recipient`
//! that knows a message instead of an actor.
//!
//! `cargo run --example 10_message_structs`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

#[derive(Message, Clone, Serialize, Deserialize)]
#[message(reply = u64)]
struct Add(u64);

struct Counter {
    count: u64,
}

#[mobula::actor]
impl Counter {
    pub fn new() -> Self {
        Self { count: 0 }
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Handler<Add> for Counter {
    async fn handle(&mut self, Add(by): Add, _: &mut Context<Self>) -> u64 {
        self.count += by;
        self.count
    }
}

/// Another actor for the same message.
struct Doubler;

#[mobula::actor]
impl Doubler {
    pub fn new() -> Self {
        Self
    }
}

impl Handler<Add> for Doubler {
    async fn handle(&mut self, Add(by): Add, _: &mut Context<Self>) -> u64 {
        by * 2
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let counter = Counter::remote();
    println!("ask:  {}", counter.ask(Add(2)).await?);
    counter.tell(Add(3)).await?;
    println!("call: {}", counter.count().await?); // a typed call, in order with the rest

    let all: Vec<Recipient<Add>> = vec![counter.recipient(), Doubler::remote().recipient()];
    for recipient in &all {
        println!("{recipient:?} answers {}", recipient.ask(Add(10)).await?);
    }

    counter.stop().await?;
    match counter.tell(Add(1)).await {
        Ok(()) => println!("it was still there"),
        Err(error) => {
            println!("{error}");
            println!("the message came back: {}", error.into_message().map_or(0, |back| back.0));
        }
    }
    Ok(())
}
