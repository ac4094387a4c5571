//! The messages, answers and refusals of every handler of a whole node: what is read writes down again, and stays the
//! same. The command line asks a node by these, too.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run messages`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mobula::Node;
use mobula_actor_core::remote::table::Table;
use mobula_fuzz::{encoded, sow};
use tokio::runtime::Runtime;

/// References in messages belong to a node, so there is one; and to start it links all of its handlers.
static NODE: LazyLock<(Runtime, Node, Table)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let node = runtime.block_on(async { Node::builder().num_cpus(1.0).start().await });
    let table = Table::linked();
    assert!(table.provided().len() > 20, "the node's own handlers are linked: {table:?}");
    (runtime, node.expect("a node"), table)
});

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = encoded(&[(1_u64, 2_u64)]);
    seeds.extend(encoded::<(u64, Vec<String>, Option<u64>)>(&[(1, vec!["a".into()], None)]));
    seeds.extend(encoded::<(String, bool)>(&[("a".into(), true)]));
    seeds.extend(encoded(&[()]));
    seeds
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let (runtime, node, table) = &*NODE;
    let _kinds = runtime.block_on(node.enter(async { table.read_all(input) }));
});
