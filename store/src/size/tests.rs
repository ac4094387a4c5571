//! What the walk counts, and how little it looks at.

use std::{cell::Cell, collections::BTreeMap};

use serde::ser;

use super::*;
use crate::object_id::{Incarnation, NodeId, StoreId};

fn bytes<T: Serialize>(value: &T) -> u64 {
    estimate(value).bytes
}

#[derive(Serialize)]
struct Batch {
    name: String,
    rows: Vec<f64>,
    last: Option<u32>,
}

/// Stands for a reference: the same name and shape on the wire.
struct Reference(u64);

impl Serialize for Reference {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(REFERENCE_NAME, &(77_u64, 78_u64, self.0))
    }
}

/// Counts how often it is looked at.
struct Seen<'a>(&'a Cell<u64>);

impl Serialize for Seen<'_> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.set(self.0.get() + 1);
        serializer.serialize_u8(1)
    }
}

#[test]
fn small_values_are_counted_exactly() {
    assert_eq!(bytes(&()), 0);
    assert_eq!(bytes(&1_u64), 8);
    assert_eq!(bytes(&"seven b"), 7);
    assert_eq!(bytes(&vec![1_u16, 2, 3]), 6);
    assert_eq!(bytes(&(1_u8, 2.5_f64)), 9);
    let batch = Batch { name: "abc".into(), rows: vec![0.5; 10], last: Some(1) };
    assert_eq!(bytes(&batch), (24 + 3) + (24 + 80) + (1 + 4));
    let map: BTreeMap<String, u64> = [("a".to_owned(), 1), ("bc".to_owned(), 2)].into();
    assert_eq!(bytes(&map), (24 + 1 + 8) + (24 + 2 + 8));
}

#[test]
fn a_mebibyte_of_bytes_is_its_length_and_a_sample_of_work() {
    assert_eq!(bytes(&vec![7_u8; 1 << 20]), 1 << 20);
    let looks = Cell::new(0);
    let many: Vec<Seen<'_>> = (0..1 << 20).map(|_| Seen(&looks)).collect();
    assert_eq!(bytes(&many), 1 << 20);
    assert_eq!(looks.get(), u64::from(EXACT_LEAVES));
}

#[test]
fn what_follows_a_long_sequence_is_still_counted() {
    let batch = Batch { name: "abc".into(), rows: vec![0.5; 100_000], last: None };
    assert_eq!(bytes(&batch), (24 + 3) + (24 + 800_000) + 1);
    assert_eq!(bytes(&(vec![0_u8; 5000], vec![0_u8; 7000])), 24 + 5000 + 24 + 7000);
}

#[test]
fn a_matrix_of_rows_is_extrapolated_in_both_directions() {
    let rows = vec![vec![0.5_f64; 1000]; 1000];
    assert_eq!(bytes(&rows), 1000 * (24 + 8000));
}

#[test]
fn a_value_that_is_a_reference_is_noticed() {
    let owner = StoreId::new(NodeId(77), Incarnation(78));
    let id = ObjectId::new(owner, 5);
    assert_eq!(estimate(&Reference(5)).is_reference, id);
    assert_eq!(estimate(&Box::new(Reference(5))).is_reference, id);
    assert_eq!(estimate(&Some(Reference(5))).is_reference, None);
    assert_eq!(estimate(&vec![Reference(5)]).is_reference, None);
}

#[test]
fn no_contained_reference_is_missed_in_a_long_list() {
    let list: Vec<Reference> = (1..=5000).map(Reference).collect();
    let found: Vec<u64> = estimate(&(list, "x")).contained.iter().map(|id| id.number()).collect();
    assert_eq!(found, (1..=5000).collect::<Vec<u64>>());
}

#[test]
fn a_deep_list_of_boxes_does_not_exhaust_the_stack() {
    #[derive(Serialize)]
    struct Link(Option<Box<Self>>);
    let mut list = Link(None);
    for _ in 0..1000 {
        list = Link(Some(Box::new(list)));
    }
    assert!(bytes(&list) > 0);
}
