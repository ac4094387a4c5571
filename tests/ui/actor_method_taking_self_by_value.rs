//! An actor lives on after a message.

struct Counter;

#[mobula::actor]
impl Counter {
    pub fn finish(self) {}

    pub fn boxed(self: Box<Self>) {}
}

fn main() {}
