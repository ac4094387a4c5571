//! `#[task]` is for functions.

struct Counter;

#[mobula::task]
impl Counter {}

fn main() {}
