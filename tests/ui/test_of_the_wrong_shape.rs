//! A test on a node is an async function without options.

#[mobula::test]
fn plain() {}

#[mobula::test(workers = 2)]
async fn with_options() {}

#[mobula::test]
async fn with_two_nodes(left: mobula::Node, right: mobula::Node) {
    drop((left, right));
}

fn main() {}
