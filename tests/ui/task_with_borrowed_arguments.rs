//! Arguments cross to another thread, or machine.

#[mobula::task]
fn count(text: &str) -> usize {
    text.len()
}

fn main() {}
