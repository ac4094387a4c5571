//! Objects of other nodes, and what `bytes()` gave: whatever the type, reading ends, and what was read writes down again.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run values`.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::{encoded, sow};
use mobula_store::ObjectId;
use serde::{Deserialize, Serialize};

/// Everything that decoders get wrong: itself inside itself, lists of large elements, maps, options.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Number(u64),
    Text(String),
    Branch(Vec<Self>),
    Named { left: Box<Self>, right: Option<Box<Self>> },
    Table(BTreeMap<String, Self>),
    Wide(Vec<[u64; 16]>),
    Nothing(Vec<()>),
}

fn seeds() -> Vec<Vec<u8>> {
    let leaf = || Box::new(Tree::Leaf);
    let named = Tree::Named { left: leaf(), right: Some(leaf()) };
    let table = BTreeMap::from([("a".to_owned(), named), ("b".to_owned(), Tree::Number(7))]);
    let wide = Tree::Wide(vec![[1; 16]]);
    let branch = vec![Tree::Table(table), wide, Tree::Text("t".into()), Tree::Nothing(vec![()])];
    let mut seeds = encoded(&[Tree::Branch(branch)]);
    seeds.extend(encoded(&[(1_u64, 2_u64, 3_u64)]));
    seeds.push(b"o17@n00000000000000a4.1f".to_vec());
    seeds
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    if let Ok(tree) = mobula_store::decode::<Tree>(input) {
        let again = encoded(&[&tree]).remove(0);
        assert_eq!(mobula_store::decode::<Tree>(&again).expect("just written"), tree);
    }
    if let Ok(id) = mobula_store::decode::<ObjectId>(input) {
        assert_eq!(format!("{id:#}").parse(), Ok(id));
    }
    if let Ok(id) = String::from_utf8_lossy(input).parse::<ObjectId>() {
        assert_eq!(format!("{id:#}").parse(), Ok(id));
    }
    let _plain = mobula_store::decode::<Vec<u8>>(input);
    // A reference, outside any node.
    assert!(mobula_store::decode::<mobula_store::ObjectRef<u64>>(input).is_err());
});
