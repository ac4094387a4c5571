//! A state machine is an enum in an actor: one message at a time means one transition at a time, and a state carries
//! what only that state needs. No `become`, no flags.
//!
//! `cargo run --example 08_state_machine`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

/// A turnstile: a coin unlocks it for one person or for a short while.
struct Turnstile {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Locked,
    Unlocked { coins: u32 },
    OutOfOrder { because: String },
}

#[derive(Debug, thiserror::Error)]
#[error("not while it is {0:?}")]
struct NotNow(State);

#[derive(Message)]
struct TooSlow;

#[mobula::actor]
impl Turnstile {
    pub fn new() -> Self {
        Self { state: State::Locked }
    }

    pub fn coin(&mut self, ctx: &mut Context<Self>) -> Result<State, NotNow> {
        self.state = match &self.state {
            State::Locked => State::Unlocked { coins: 1 },
            State::Unlocked { coins } => State::Unlocked { coins: coins + 1 },
            State::OutOfOrder { .. } => return Err(NotNow(self.state.clone())),
        };
        ctx.after_keyed("relock", ms(50), TooSlow);
        Ok(self.state.clone())
    }

    pub fn push(&mut self) -> Result<State, NotNow> {
        self.state = match &self.state {
            State::Unlocked { coins: 1 } => State::Locked,
            State::Unlocked { coins } => State::Unlocked { coins: coins - 1 },
            State::Locked | State::OutOfOrder { .. } => return Err(NotNow(self.state.clone())),
        };
        Ok(self.state.clone())
    }

    pub fn kick(&mut self) -> State {
        self.state = State::OutOfOrder { because: "somebody kicked it".to_owned() };
        self.state.clone()
    }
}

impl Handler<TooSlow> for Turnstile {
    async fn handle(&mut self, _: TooSlow, _: &mut Context<Self>) {
        if let State::Unlocked { .. } = self.state {
            self.state = State::Locked;
        }
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let turnstile = Turnstile::remote();
    println!("push: {}", turnstile.push().await.unwrap_err());
    println!("coin: {:?}", turnstile.coin().await?);
    println!("push: {:?}", turnstile.push().await?);
    println!("coin: {:?}", turnstile.coin().await?);
    tokio::time::sleep(ms(100)).await;
    println!("push, too late: {}", turnstile.push().await.unwrap_err());
    println!("kick: {:?}", turnstile.kick().await?);
    println!("coin: {}", turnstile.coin().await.unwrap_err());
    Ok(())
}
