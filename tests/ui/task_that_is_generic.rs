//! A task has one entry in the function table.

#[mobula::task]
fn sort<T: Ord>(values: Vec<T>) -> Vec<T> {
    values
}

fn main() {}
