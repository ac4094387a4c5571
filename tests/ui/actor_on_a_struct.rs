//! `#[actor]` goes on the `impl` block.

#[mobula::actor]
struct Counter;

fn main() {}
