//! The methods of a trait are not calls.

struct Counter;

#[mobula::actor]
impl Default for Counter {
    fn default() -> Self {
        Self
    }
}

fn main() {}
