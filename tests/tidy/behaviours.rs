//! Every promised behaviour has a test that carries its name.
//!
//! What users rely on is numbered (`t` tasks, `o` objects, `w` waiting, `a` actors, `n` names, `f` failures,
//! `c` cancellation, `r` resources), and a test says in its name which row it holds: `w4_wait_default_returns…`.
//! A suite can shrink without anybody noticing; a list of rows cannot.
//! Invariant: each row of the list is the beginning of the name of at least one test, or of a sample that must
//! not compile.

use crate::tables::BEHAVIOURS;
use crate::tree::{Finding, Tree};
use crate::words::function_name;

pub(crate) fn untested_behaviours(tree: &Tree) -> Vec<Finding> {
    untested(tree, BEHAVIOURS)
}

fn untested(tree: &Tree, rows: &[&str]) -> Vec<Finding> {
    let tests = tree.rust_files().flat_map(|file| file.test_code());
    // What types make impossible is held by a sample that must not compile.
    let samples = tree.rust_files().filter(|file| file.is_compiler_sample());
    let samples = samples.filter_map(|file| file.path.rsplit('/').next());
    let names: Vec<&str> =
        tests.filter_map(|(_, code)| function_name(code)).chain(samples).collect();
    let has_test = |row: &str| names.iter().any(|name| name.starts_with(&format!("{row}_")));
    let missing = rows.iter().filter(|row| !has_test(row));
    missing.map(|row| Finding::new("tests/", 0, format!("no test is named `{row}_…`"))).collect()
}

#[test]
fn a_row_without_test_is_found() {
    let tree = Tree::sample(&[
        ("tests/tasks.rs", "#[mobula::test]\nasync fn t1_a_call_returns_at_once() {}\n"),
        ("tests/ui/t3_wrong_arity.rs", "fn main() {}\n"),
        ("src/node.rs", "fn t2_is_no_test() {}\nfn t11_not_t1() {}\n"),
    ]);
    let findings = untested(&tree, &["t1", "t2", "t3"]);
    assert_eq!(findings, [Finding::new("tests/", 0, "no test is named `t2_…`")]);
}
