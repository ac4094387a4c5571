//! One function makes the actor.

struct Ledger;

#[mobula::actor]
impl Ledger {
    pub fn open() -> Self {
        Self
    }

    pub fn create() -> Self {
        Self
    }
}

fn main() {}
