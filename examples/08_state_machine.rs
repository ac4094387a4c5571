//! A state machine is an enum in an actor: one message at a time means one transition at a time, and a state carries
//! what only that state needs. No `become`, no flags. Here: a turnstile.
//!
//! `cargo run --example 08_state_machine`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;

struct Turnstile(State);

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
        Self(State::Locked)
    }

    pub fn coin(&mut self, ctx: &mut Context<Self>) -> Result<State, NotNow> {
        self.0 = match &self.0 {
            State::Locked => State::Unlocked { coins: 1 },
            State::Unlocked { coins } => State::Unlocked { coins: coins + 1 },
            State::OutOfOrder { .. } => return Err(NotNow(self.0.clone())),
        };
        ctx.after_keyed("relock", ms(50), TooSlow);
        Ok(self.0.clone())
    }

    pub fn push(&mut self) -> Result<State, NotNow> {
        self.0 = match &self.0 {
            State::Unlocked { coins: 1 } => State::Locked,
            State::Unlocked { coins } => State::Unlocked { coins: coins - 1 },
            State::Locked | State::OutOfOrder { .. } => return Err(NotNow(self.0.clone())),
        };
        Ok(self.0.clone())
    }

    pub fn kick(&mut self) -> State {
        self.0 = State::OutOfOrder { because: "somebody kicked it".to_owned() };
        self.0.clone()
    }
}

impl Handler<TooSlow> for Turnstile {
    async fn handle(&mut self, _: TooSlow, _: &mut Context<Self>) {
        if let State::Unlocked { .. } = self.0 {
            self.0 = State::Locked;
        }
    }
}

fn tell(what: &str, result: Result<State, impl std::error::Error>) {
    let text = result.map_or_else(|error| error.to_string(), |state| format!("{state:?}"));
    println!("{what}: {text}");
}

#[mobula::main]
async fn main() {
    let turnstile = Turnstile::remote();
    tell("push", turnstile.push().await);
    tell("coin", turnstile.coin().await);
    tell("push", turnstile.push().await);
    tell("coin", turnstile.coin().await);
    tokio::time::sleep(ms(100)).await;
    tell("push, too late", turnstile.push().await);
    tell("kick", turnstile.kick().await);
    tell("coin", turnstile.coin().await);
}
