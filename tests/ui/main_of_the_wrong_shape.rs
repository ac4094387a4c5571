//! The driver of a node is one async function.

#[mobula::main(threads = 4)]
async fn main() {}
