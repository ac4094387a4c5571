//! Every promised behaviour has a test that carries its name.
//!
//! What users rely on is numbered (`t` tasks, `o` objects, `w` waiting, `a` actors, `n` names, `f` failures,
//! `c` cancellation, `r` resources), and a test says in its name which row it holds: `w4_wait_default_returns…`.
//! A suite can shrink without anybody noticing; a list of rows cannot.
//! A function that nobody runs holds nothing, whatever its name: a test is what carries the attribute of one.
//! Invariant: each row of the list is the beginning of the name of at least one test, or of a sample that must
//! not compile.

use crate::tables::BEHAVIOURS;
use crate::tree::{Finding, Tree};
use crate::words::function_name;

pub(crate) fn untested_behaviours(tree: &Tree) -> Vec<Finding> {
    untested(tree, BEHAVIOURS)
}

fn untested(tree: &Tree, rows: &[&str]) -> Vec<Finding> {
    let tests = tree.rust_files().flat_map(|file| test_names(file.test_code()));
    // What types make impossible is held by a sample that must not compile.
    let samples = tree.rust_files().filter(|file| file.is_compiler_sample());
    let samples = samples.filter_map(|file| file.path.rsplit('/').next());
    let names: Vec<&str> = tests.chain(samples).collect();
    let has_test = |row: &str| names.iter().any(|name| name.starts_with(&format!("{row}_")));
    let missing = rows.iter().filter(|row| !has_test(row));
    missing.map(|row| Finding::new("tests/", 0, format!("no test is named `{row}_…`"))).collect()
}

/// The functions below an attribute that makes them tests: `#[test]`, or a path that ends so, as in `#[tokio::test(…)]`.
fn test_names<'text>(lines: impl Iterator<Item = (usize, &'text str)>) -> Vec<&'text str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for (_, code) in lines {
        if let Some(name) = function_name(code) {
            names.extend(std::mem::take(&mut is_test).then_some(name));
        } else if let Some(attribute) = code.trim_start().strip_prefix("#[") {
            let path = attribute.split(['(', ']', ' ']).next().unwrap_or(attribute);
            is_test |= path.rsplit("::").next() == Some("test");
        }
    }
    names
}

#[test]
fn a_row_whose_function_nobody_runs_is_found() {
    let tree = Tree::sample(&[
        ("tests/a.rs", "async fn t1_is_called_by_tests() {}\n#[test]\nfn other() {}\n"),
        ("tests/b.rs", "#[test]\nfn other() {}\nfn t2_stands_below_a_test() {}\n"),
        ("src/c.rs", "#[cfg(test)]\nfn t3_is_no_test() {}\n"),
        ("tests/d.rs", "#[tokio::test(\n    a = true\n)]\n#[expect(b)]\nfn t4_is_one() {}\n"),
        ("src/e.rs", "#[cfg(test)]\nmod tests {\n    #[test]\n    fn t5_is_one() {}\n}\n"),
    ]);
    let rows = ["t1", "t2", "t3", "t4", "t5"];
    let missing = |row: &str| Finding::new("tests/", 0, format!("no test is named `{row}_…`"));
    assert_eq!(untested(&tree, &rows), ["t1", "t2", "t3"].map(missing));
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
