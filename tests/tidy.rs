//! The house rules, as tests.
//!
//! A rule that lives in a document is kept for a week; a rule that fails `cargo test` is kept.
//! The simple answer, a line-by-line search for forbidden words, cries wolf: it trips over comments, strings
//! and tests.
//! So every source file is read once by a small scanner that knows what is code, what is comment and what is
//! test (`tidy/source.rs`), and each rule is a function from a [`tree::Tree`] of files to its findings.
//!
//! Invariant: every rule is shown to bite. Its module holds a tree with the sin in it and a test that the sin
//! is found, beside a tree without it.
//!
//! Reading order: `tree` and `source` are the eyes, `tables` is the law (what may depend on what, and which
//! exceptions were granted, with their reasons), the other modules are the judges.
//! To run it alone: `cargo test --test tidy`.

#[path = "tidy/architecture.rs"]
mod architecture;
#[path = "tidy/behaviours.rs"]
mod behaviours;
#[path = "tidy/cycles.rs"]
mod cycles;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/reserved.rs"]
mod reserved;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tables.rs"]
mod tables;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

use tree::{Finding, Tree};

/// Fails with one line per finding, so that a whole clean-up can be planned from one run.
fn holds(rule: &str, judge: impl Fn(&Tree) -> Vec<Finding>) {
    let findings = judge(&Tree::of_this_repository());
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{rule}: {} finding(s)\n{}\n", list.len(), list.join("\n"));
}

#[test]
fn files_stay_within_400_lines_of_code() {
    holds("one concept per file, at most 400 lines outside tests", shape::long_files);
}

#[test]
fn examples_fit_on_a_screen_or_two() {
    holds("an example shows one idea in at most 80 lines", shape::long_examples);
}

#[test]
fn every_module_opens_with_its_argument() {
    holds("the first lines of a file say what problem it solves (`//!`)", shape::headless_modules);
}

#[test]
fn no_mod_rs() {
    holds("`foo.rs` + `foo/`, never `mod.rs`", shape::mod_files);
}

#[test]
fn pure_modules_stay_pure() {
    holds("no clock, no I/O, no tasks, no randomness of their own", shape::impure_pure_modules);
}

#[test]
fn pure_parts_of_the_plan_are_marked() {
    holds("a file the plan calls pure carries the marker line", shape::unmarked_pure_modules);
}

#[test]
fn unsafe_stays_in_its_place() {
    holds("`unsafe` only where the table allows it", shape::stray_unsafe);
}

#[test]
fn panics_are_caught_in_one_place() {
    holds("`catch_unwind` stands in one file", shape::stray_catches);
}

#[test]
fn nothing_of_a_node_is_global() {
    holds("no static that can change, but for those the table grants", shape::globals);
}

#[test]
fn arrows_between_crates_point_down() {
    holds("a dependency between our crates stands in the house table", dependencies::stray_edges);
}

#[test]
fn foreign_crates_stay_in_their_places() {
    holds("a foreign crate has a role and a place", dependencies::stray_foreign_crates);
}

#[test]
fn versions_live_in_the_workspace_manifest() {
    holds("versions only in [workspace.dependencies]", dependencies::private_versions);
}

#[test]
fn the_lock_file_names_one_registry_and_no_git() {
    holds("every locked package comes from the crates.io index", dependencies::stray_lock_sources);
}

#[test]
fn files_of_a_crate_do_not_import_in_circles() {
    holds("import cycles only where the table explains them", cycles::import_cycles);
}

#[test]
fn names_avoid_empty_words() {
    holds("a name says what a thing is, not that it helps", words::empty_names);
}

#[test]
fn calls_cannot_hide_behind_methods_of_a_reference() {
    holds("the macro refuses every name that `ActorRef` has", reserved::unreserved_names);
}

#[test]
fn promises_carry_a_number() {
    holds("a to-do names its issue, other markers stay out", words::unnumbered_promises);
}

#[test]
fn nothing_is_left_unwritten() {
    holds("no stub macros, in tests neither", words::stubs);
}

#[test]
fn tests_never_sleep() {
    holds("tests await events or turn virtual time", words::sleeping_tests);
}

#[test]
fn every_promised_behaviour_has_its_test() {
    holds("each numbered behaviour has a test named after it", behaviours::untested_behaviours);
}

#[test]
fn ignored_tests_say_where_they_run() {
    holds("an ignored test gives its reason", words::silent_ignores);
}

#[test]
fn no_machine_paths_and_no_registry_hosts() {
    holds("the tree builds anywhere, from any mirror", words::machine_paths);
}

#[test]
fn architecture_names_only_what_exists() {
    holds("ARCHITECTURE.md is a map of this tree", architecture::dead_paths);
}

#[test]
fn every_invariant_names_a_living_test() {
    holds(
        "each **Invariant:** line names the test that checks it",
        architecture::untested_invariants,
    );
}

#[test]
fn architecture_fits_its_page() {
    holds("ARCHITECTURE.md stays under 300 lines", architecture::too_long);
}
