//! Every option is known, and fits the function.

#[mobula::task(cpus = 2)]
fn first() {}

#[mobula::task(num_returns = 2)]
fn second() -> u64 {
    0
}

#[mobula::task(num_returns = 0)]
fn third() {}

fn main() {}
