//! ARCHITECTURE.md, held to what it says.
//!
//! Maps rot: a page that names a file which moved is worse than no page, because it is believed.
//! So every path in it must exist, and every invariant must name a test that exists.
//! Invariant: a path is what stands in backticks and looks like one (a slash, or an ending of ours); a test is
//! `path.rs::name`.

use crate::source::has_word;
use crate::tree::{Finding, Tree};

const PAGE: &str = "ARCHITECTURE.md";
const LINES_MAX: usize = 300;
const INVARIANT: &str = "**Invariant:**";
const ENDINGS: &[&str] = &[".rs", ".md", ".toml"];

pub(crate) fn too_long(tree: &Tree) -> Vec<Finding> {
    let count = tree.file(PAGE).map_or(0, |page| page.lines().count());
    if (1..LINES_MAX).contains(&count) {
        Vec::new()
    } else {
        vec![Finding::new(PAGE, 0, format!("{count} lines"))]
    }
}

pub(crate) fn dead_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in quoted_words(tree) {
        let path = text.split("::").next().unwrap_or(text);
        if is_path(path) && !tree.has(path) {
            findings.push(Finding::new(PAGE, line, format!("`{path}` does not exist")));
        }
    }
    findings
}

pub(crate) fn untested_invariants(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(page) = tree.file(PAGE) else {
        return findings;
    };
    for (line, text) in
        page.lines().filter(|(_, text)| text.trim_start_matches("- ").starts_with(INVARIANT))
    {
        let tests: Vec<(&str, &str)> =
            in_backticks(text).filter_map(|quoted| quoted.split_once("::")).collect();
        let tests = tests.into_iter().filter(|(path, _)| path.ends_with(".rs")).collect::<Vec<_>>();
        if tests.is_empty() {
            findings.push(Finding::new(PAGE, line, "names no test (`path.rs::name`)"));
        }
        for (path, name) in tests {
            let function = format!("fn {name}");
            let lives = tree
                .file(path)
                .is_some_and(|file| file.code().any(|(_, code)| has_word(code, &function)));
            if !lives {
                findings.push(Finding::new(PAGE, line, format!("no test `{name}` in {path}")));
            }
        }
    }
    findings
}

fn quoted_words(tree: &Tree) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    let lines = tree.file(PAGE).into_iter().flat_map(|page| page.lines());
    let prose = lines.filter(move |(_, text)| {
        let is_fence = text.trim_start().starts_with("```");
        in_block ^= is_fence;
        !is_fence && !in_block
    });
    prose.flat_map(|(line, text)| in_backticks(text).map(move |quoted| (line, quoted)))
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_path(quoted: &str) -> bool {
    let has_only_path_letters =
        quoted.chars().all(|letter| letter.is_alphanumeric() || "_-./".contains(letter));
    let looks_like_one =
        quoted.contains('/') || ENDINGS.iter().any(|ending| quoted.ends_with(ending));
    has_only_path_letters
        && looks_like_one
        && quoted.starts_with(|first: char| first.is_alphanumeric() || first == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(page: &str) -> Tree {
        Tree::sample(&[(PAGE, page), ("store/src/table.rs", "//! T.\nfn keeps_order() {}\n")])
    }

    #[test]
    fn a_dead_path_is_found() {
        let page = "See `store/src/table.rs` and `store/src/`, `Arc<T>`, `a / b`.\nSee `store/src/gone.rs`.\n";
        assert_eq!(
            dead_paths(&tree(page)),
            [Finding::new(PAGE, 2, "`store/src/gone.rs` does not exist")]
        );
    }

    #[test]
    fn drawings_are_not_read() {
        assert_eq!(dead_paths(&tree("```text\n`no/such.rs`\n```\n")), []);
    }

    #[test]
    fn an_invariant_without_living_test_is_found() {
        let good = "**Invariant:** in order (`store/src/table.rs::keeps_order`).";
        assert_eq!(untested_invariants(&tree(good)), []);
        assert_eq!(untested_invariants(&tree("**Invariant:** in order.")).len(), 1);
        assert_eq!(
            untested_invariants(&tree("**Invariant:** x (`store/src/table.rs::keeps`).")).len(),
            1
        );
    }

    #[test]
    fn a_page_that_is_missing_or_too_long_is_found() {
        assert_eq!(too_long(&Tree::sample(&[])).len(), 1);
        assert_eq!(too_long(&tree(&"line\n".repeat(300))).len(), 1);
        assert_eq!(too_long(&tree("line\n")), []);
    }
}
