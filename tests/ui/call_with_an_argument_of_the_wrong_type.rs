//! What the type checker says of a call reads as of a plain function.

struct Counter;

#[mobula::actor]
impl Counter {
    pub fn new() -> Self {
        Self
    }

    pub fn add(&mut self, by: u64) {
        let _ = by;
    }
}

fn call() {
    let counter = Counter::remote();
    drop(counter.add("two"));
}

fn main() {}
