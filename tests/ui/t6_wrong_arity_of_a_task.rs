//! A task takes as many arguments as its function: nothing is submitted otherwise.

#[mobula::task]
fn add(x: u64, y: u64) -> u64 {
    x + y
}

fn main() {
    let _too_few = add::remote(1);
    let _too_many = add::options().remote(1, 2, 3);
}
