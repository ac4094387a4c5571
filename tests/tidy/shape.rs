//! The shape of files: how long, how opened, how pure.
//!
//! Long files grow by lines that are each too small to object to, so the limit is a number and growth past an
//! old sin is a failure (a ratchet).
//! Purity is a promise in the header; the scanner holds the file to it.
//! Invariant: an exception is a row in `tables.rs` with a reason, and a row that is no longer needed is a finding.

use crate::source::{Source, has_word};
use crate::tables::{GRANTED_GLOBALS, LONG_FILES, PURE_FILES, UNSAFE_FILES};
use crate::tree::{Finding, Tree};

const LINES_MAX: usize = 400;
const EXAMPLE_LINES_MAX: usize = 80;
const PURE_MARKER: &str = "//! Pure: no clock, no I/O, no tasks.";
/// The only file that calls `catch_unwind`.
const CATCHER: &str = "actor-core/src/panic_capture.rs";
/// What makes a static changeable.
const CHANGEABLE: &[&str] =
    &["static mut", "Mutex", "RwLock", "Atomic", "Once", "Lazy", "Cell<", "ArcSwap", "DashMap"];
/// What a pure module has no use for. Tests inside the file are free.
const IMPURE: &[&str] = &[
    "tokio::",
    "async fn",
    ".await",
    "Instant::now",
    "SystemTime",
    "spawn",
    "std::fs",
    "std::net",
    "std::thread",
    "rand::rng(",
    "thread_rng",
    "from_os_rng",
    "println!",
];

pub(crate) fn long_files(tree: &Tree) -> Vec<Finding> {
    long_files_except(tree, LONG_FILES)
}

fn long_files_except(tree: &Tree, granted: &[(&str, usize, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let count = file.product_line_count();
        let limit = granted
            .iter()
            .find(|(path, ..)| *path == file.path)
            .map_or(LINES_MAX, |(_, lines, _)| *lines);
        if count > limit {
            findings.push(Finding::new(
                &file.path,
                0,
                format!("{count} lines outside tests, at most {limit}"),
            ));
        }
    }
    for (path, _, _) in granted {
        let count = tree.file(path).map_or(0, Source::product_line_count);
        if count <= LINES_MAX {
            findings.push(Finding::new(path, 0, "needs its exception no longer: strike the row"));
        }
    }
    findings
}

/// Every example in one file shows one idea, but for the tour of all of them.
pub(crate) fn long_examples(tree: &Tree) -> Vec<Finding> {
    let shows_one_idea = |path: &str| {
        let name = path.strip_prefix("examples/").filter(|name| !name.contains('/'));
        name.is_some_and(|name| name != "quickstart.rs")
    };
    let examples = tree.rust_files().filter(|file| shows_one_idea(&file.path));
    let long = examples.filter(|file| file.lines().count() > EXAMPLE_LINES_MAX);
    long.map(|file| Finding::new(&file.path, 0, format!("{} lines", file.lines().count())))
        .collect()
}

pub(crate) fn headless_modules(tree: &Tree) -> Vec<Finding> {
    let opens_with_argument = |file: &Source| {
        let mut lines = file.lines().map(|(_, line)| line.trim()).filter(|line| !line.is_empty());
        lines.find(|line| !line.starts_with("#![")).is_some_and(|line| line.starts_with("//!"))
    };
    let files = tree.rust_files().filter(|file| !file.is_compiler_sample());
    let headless = files.filter(|file| !opens_with_argument(file));
    headless.map(|file| Finding::new(&file.path, 1, "does not open with `//!`")).collect()
}

pub(crate) fn mod_files(tree: &Tree) -> Vec<Finding> {
    let files = tree.rust_files().filter(|file| file.path.ends_with("/mod.rs"));
    files.map(|file| Finding::new(&file.path, 0, "name the file after its module")).collect()
}

pub(crate) fn impure_pure_modules(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let Some((line, marker)) = file.lines().find(|(_, line)| line.starts_with("//! Pure"))
        else {
            continue;
        };
        if marker != PURE_MARKER {
            findings.push(Finding::new(
                &file.path,
                line,
                format!("the marker reads exactly `{PURE_MARKER}`"),
            ));
        }
        for (line, code) in file.product_code() {
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("`{word}` in a pure module: {}", code.trim()),
                ));
            }
        }
    }
    findings
}

pub(crate) fn unmarked_pure_modules(tree: &Tree) -> Vec<Finding> {
    unmarked(tree, PURE_FILES)
}

fn unmarked(tree: &Tree, plan: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for row in plan {
        let covers = |path: &str| match row.strip_suffix('/') {
            Some(_) => path.starts_with(row) && !path.ends_with("/lib.rs"),
            None => path == *row,
        };
        let mut files = tree.rust_files().filter(|file| covers(&file.path)).peekable();
        if files.peek().is_none() {
            findings.push(Finding::new(row, 0, "is pure by plan and does not exist"));
        }
        let unmarked = files
            .filter(|file| !file.is_test_file())
            .filter(|file| !file.lines().any(|(_, line)| line == PURE_MARKER));
        findings.extend(unmarked.map(|file| {
            Finding::new(&file.path, 1, "is pure by plan: add the marker, or change the plan")
        }));
    }
    findings
}

pub(crate) fn stray_unsafe(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| !UNSAFE_FILES.contains(&file.path.as_str())) {
        for (line, code) in file.code().filter(|(_, code)| has_word(code, "unsafe")) {
            findings.push(Finding::new(&file.path, line, code.trim()));
        }
    }
    findings
}

/// A panic is caught in one place; everything else calls that.
pub(crate) fn stray_catches(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| file.path != CATCHER) {
        for (line, code) in file.product_code().filter(|(_, code)| code.contains("catch_unwind")) {
            findings.push(Finding::new(&file.path, line, code.trim()));
        }
    }
    findings
}

/// Statics that can change belong to the process, not to a node: two nodes would share them.
/// A thread's own slots are exempt; they hold where the thread is, never what a node is.
pub(crate) fn globals(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        let mut is_thread_local = false;
        for (line, code) in file.product_code() {
            let code = code.trim();
            is_thread_local |= code.starts_with("thread_local!");
            let item = code.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let is_static = item.starts_with("static ") && !is_thread_local;
            let can_change = CHANGEABLE.iter().any(|kind| item.contains(kind));
            let is_granted = GRANTED_GLOBALS.iter().any(|(path, name, _)| {
                file.path == *path && item.starts_with(&format!("static {name}:"))
            });
            if is_static && can_change && !is_granted {
                findings.push(Finding::new(&file.path, line, item));
            }
            is_thread_local &= code != "}";
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> String {
        "fn f() {}\n".repeat(count)
    }

    #[test]
    fn a_long_file_is_found_and_tests_do_not_count() {
        let (long, short) = (lines(401), lines(400));
        let tested = format!("{short}#[cfg(test)]\nmod tests {{\n{long}}}\n");
        let tree = Tree::sample(&[
            ("a/src/long.rs", &long),
            ("a/src/short.rs", &short),
            ("a/src/tested.rs", &tested),
        ]);
        let findings = long_files_except(&tree, &[]);
        assert_eq!(
            findings,
            [Finding::new("a/src/long.rs", 0, "401 lines outside tests, at most 400")]
        );
    }

    #[test]
    fn a_granted_file_may_shrink_but_not_grow() {
        let (grown, shrunk) = (lines(451), lines(10));
        let granted = [("a.rs", 450, "one table")];
        assert_eq!(long_files_except(&Tree::sample(&[("a.rs", &grown)]), &granted).len(), 1);
        assert_eq!(long_files_except(&Tree::sample(&[("a.rs", &shrunk)]), &granted).len(), 1);
        assert_eq!(long_files_except(&Tree::sample(&[("a.rs", &lines(450))]), &granted), []);
    }

    #[test]
    fn a_long_numbered_example_is_found() {
        let long = lines(81);
        let tree =
            Tree::sample(&[("examples/01_tell.rs", &long), ("examples/quickstart.rs", &long)]);
        assert_eq!(long_examples(&tree), [Finding::new("examples/01_tell.rs", 0, "81 lines")]);
    }

    #[test]
    fn a_module_without_header_is_found() {
        let tree = Tree::sample(&[
            ("a.rs", "use std::fmt;\n"),
            ("b.rs", "#![cfg(loom)]\n//! Why.\n"),
            ("m/tests/ui/c.rs", "fn main() {}\n"),
        ]);
        assert_eq!(headless_modules(&tree), [Finding::new("a.rs", 1, "does not open with `//!`")]);
    }

    #[test]
    fn mod_rs_is_found() {
        assert_eq!(mod_files(&Tree::sample(&[("a/src/b/mod.rs", "//! B.\n")])).len(), 1);
    }

    #[test]
    fn impurity_is_found_outside_comments_and_tests() {
        let header = "//! Decides.\n//! Pure: no clock, no I/O, no tasks.\n";
        let sin = format!("{header}fn f() {{ let now = Instant::now(); }}\n");
        let innocent =
            format!("{header}// Never spawn.\n#[cfg(test)]\nmod tests {{ async fn f() {{}} }}\n");
        assert_eq!(impure_pure_modules(&Tree::sample(&[("a.rs", &sin)])).len(), 1);
        assert_eq!(impure_pure_modules(&Tree::sample(&[("a.rs", &innocent)])), []);
        assert_eq!(impure_pure_modules(&Tree::sample(&[("a.rs", "//! Pure, mostly.\n")])).len(), 1);
    }

    #[test]
    fn a_pure_part_without_its_marker_is_found() {
        let marked = format!("//! Decides.\n{PURE_MARKER}\n");
        let tree = Tree::sample(&[
            ("a/src/core.rs", "//! Decides.\n"),
            ("a/src/core/part.rs", "//! Part.\n"),
            ("a/src/core/other.rs", &marked),
            ("a/src/core/tests.rs", "//! Tests.\n"),
        ]);
        let unmarked_in = |plan: &[&str]| unmarked(&tree, plan).len();
        assert_eq!(unmarked_in(&["a/src/core.rs"]), 1);
        assert_eq!(unmarked_in(&["a/src/core/"]), 1);
        assert_eq!(unmarked_in(&["a/src/core/other.rs"]), 0);
        assert_eq!(unmarked_in(&["a/src/gone.rs"]), 1, "a row without its file is dead");
    }

    #[test]
    fn unsafe_outside_its_place_is_found() {
        let text = "//! A.\n#![deny(unsafe_code)]\nfn f() { unsafe { g() } }\n";
        assert_eq!(stray_unsafe(&Tree::sample(&[("store/src/table.rs", text)])).len(), 1);
        assert_eq!(stray_unsafe(&Tree::sample(&[("store/src/shm/segment.rs", text)])), []);
    }

    #[test]
    fn a_second_catcher_of_panics_is_found() {
        let text = "//! A.\nuse std::panic::catch_unwind;\n";
        assert_eq!(stray_catches(&Tree::sample(&[("tasks/src/one_shot.rs", text)])).len(), 1);
        assert_eq!(stray_catches(&Tree::sample(&[(CATCHER, text)])), []);
    }

    #[test]
    fn a_global_that_can_change_is_found() {
        let text = "//! A.\npub static NODES: Mutex<u8> = x;\nstatic LIMIT: u32 = 3;\n\
                    thread_local! {\n    static HERE: Cell<u8> = const { 1 };\n}\nstatic N: AtomicU8 = y;\n";
        let findings = globals(&Tree::sample(&[("a/src/b.rs", text)]));
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(globals(&Tree::sample(&[("a/tests/b.rs", text)])), []);
    }
}
