//! Which crate may lean on which.
//!
//! Cargo refuses cycles but not shortcuts: a wall that leans on its neighbour compiles well.
//! So every edge is compared with the table of the house, and every foreign crate with its role and place.
//! Invariant: an unknown crate is a finding, ours or foreign; a new dependency starts with a row and its reason.

use crate::manifest::{self, Dependency};
use crate::source::{Source, has_word};
use crate::tables::{FOREIGN, HOUSE, TEST_CODE, TEST_EDGES};
use crate::tree::{Finding, Tree};

const INDEX: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

fn manifests(tree: &Tree) -> impl Iterator<Item = (&Source, String, Vec<Dependency>)> {
    tree.files()
        .filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml"))
        .filter_map(|file| {
            Some((file, manifest::package_name(file)?, manifest::dependencies(file)))
        })
}

fn is_ours(name: &str) -> bool {
    name == "mobula" || name.starts_with("mobula-")
}

pub(crate) fn stray_edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, package, dependencies) in manifests(tree) {
        let Some((_, allowed)) = HOUSE.iter().find(|(name, _)| *name == package) else {
            findings.push(Finding::new(
                &file.path,
                0,
                format!("`{package}` has no row in the house table"),
            ));
            continue;
        };
        for dependency in dependencies.iter().filter(|dependency| is_ours(&dependency.name)) {
            let name = dependency.name.as_str();
            let for_tests = |(from, to, _): &(&str, &str, &str)| *from == package && *to == name;
            let is_allowed =
                allowed.contains(&name) || (dependency.is_dev && TEST_EDGES.iter().any(for_tests));
            if !is_allowed {
                let what = format!("`{package}` may not depend on `{name}`");
                findings.push(Finding::new(&file.path, dependency.line, what));
            }
        }
    }
    findings
}

pub(crate) fn stray_foreign_crates(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _, dependencies) in manifests(tree) {
        for dependency in dependencies.iter().filter(|dependency| !is_ours(&dependency.name)) {
            if !FOREIGN.iter().any(|(name, ..)| *name == dependency.name) {
                let what = format!("`{}` has no row: say its role and place", dependency.name);
                findings.push(Finding::new(&file.path, dependency.line, what));
            }
        }
    }
    for file in tree.rust_files().filter(|file| !file.is_compiler_sample()) {
        for (name, role, places) in FOREIGN {
            if places.iter().any(|place| file.path.starts_with(place)) {
                continue;
            }
            let tests_may = places.contains(&TEST_CODE);
            let ident = name.replace('-', "_");
            let named = file.code().filter(|(_, code)| names_crate(code, &ident));
            for (line, code) in named.filter(|(line, _)| !(tests_may && file.is_test_line(*line))) {
                let what = format!("`{name}` ({role}) has no business here: {}", code.trim());
                findings.push(Finding::new(&file.path, line, what));
            }
        }
    }
    findings
}

/// Whether a line takes something from the crate: `tokio::…`, `use tokio;`, `use tokio as t`.
fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let starts_a_path = code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].trim_end_matches("::").chars().next_back();
        let after_path_or_word =
            code[..at].ends_with("::") && before.is_some_and(char::is_alphanumeric);
        !after_path_or_word && !before.is_some_and(|last| last.is_alphanumeric() || last == '_')
    });
    starts_a_path
        || (code.trim_start().starts_with("use ") && !code.contains("::") && has_word(code, name))
}

pub(crate) fn private_versions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _, dependencies) in manifests(tree) {
        let foreign = dependencies.iter().filter(|dependency| !is_ours(&dependency.name));
        for dependency in foreign.filter(|dependency| !dependency.is_shared) {
            let what =
                format!("`{}` does not take its version from the workspace", dependency.name);
            findings.push(Finding::new(&file.path, dependency.line, what));
        }
    }
    findings
}

pub(crate) fn stray_lock_sources(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.file("Cargo.lock") else {
        return vec![Finding::new(
            "Cargo.lock",
            0,
            "is missing: programs and examples must build the same everywhere",
        )];
    };
    let sources = lock.lines().filter(|(_, line)| line.starts_with("source = ") && *line != INDEX);
    sources.map(|(line, text)| Finding::new(&lock.path, line, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str, rest: &str) -> String {
        format!("[package]\nname = \"{package}\"\n{rest}")
    }

    #[test]
    fn a_wall_may_not_lean_on_its_neighbour() {
        let bad = manifest("mobula-store", "[dependencies]\nmobula-supervision.workspace = true\n");
        assert_eq!(stray_edges(&Tree::sample(&[("store/Cargo.toml", &bad)])).len(), 1);
        let good = manifest("mobula-store", "[dependencies]\nmobula-actor-core.workspace = true\n");
        assert_eq!(stray_edges(&Tree::sample(&[("store/Cargo.toml", &good)])), []);
    }

    #[test]
    fn tests_may_not_draw_an_arrow_upwards_either() {
        let bad = manifest("mobula-store", "[dev-dependencies]\nmobula-tasks.workspace = true\n");
        assert_eq!(stray_edges(&Tree::sample(&[("store/Cargo.toml", &bad)])).len(), 1);
        let granted = manifest("mobula-macros", "[dev-dependencies]\nmobula.workspace = true\n");
        assert_eq!(stray_edges(&Tree::sample(&[("actor-core/macros/Cargo.toml", &granted)])), []);
    }

    #[test]
    fn a_crate_outside_the_house_is_found() {
        let bad = manifest("mobula-cellar", "");
        assert_eq!(stray_edges(&Tree::sample(&[("cellar/Cargo.toml", &bad)])).len(), 1);
    }

    #[test]
    fn a_foreign_crate_needs_a_row_and_a_place() {
        let bad = manifest("mobula-store", "[dependencies]\nlazy_static.workspace = true\n");
        assert_eq!(stray_foreign_crates(&Tree::sample(&[("store/Cargo.toml", &bad)])).len(), 1);
        let misplaced = "//! Store.\nuse actix::Actor;\n";
        assert_eq!(
            stray_foreign_crates(&Tree::sample(&[("store/src/lib.rs", misplaced)])).len(),
            1
        );
        let at_home = Tree::sample(&[("actor-core/src/actix_guest.rs", misplaced)]);
        assert_eq!(stray_foreign_crates(&at_home), []);
    }

    #[test]
    fn a_crate_for_tests_stays_in_tests() {
        let used = "//! Model.\nuse proptest::prelude::*;\n";
        let inside = "//! Store.\n#[cfg(test)]\nmod tests { use proptest::prelude::*; }\n";
        assert_eq!(stray_foreign_crates(&Tree::sample(&[("store/src/lib.rs", used)])).len(), 1);
        assert_eq!(stray_foreign_crates(&Tree::sample(&[("store/tests/model.rs", used)])), []);
        assert_eq!(stray_foreign_crates(&Tree::sample(&[("store/src/lib.rs", inside)])), []);
    }

    #[test]
    fn the_name_of_a_crate_is_told_from_words_like_it() {
        assert!(names_crate("use anyhow::Result;", "anyhow"));
        assert!(names_crate("fn main() -> ::anyhow::Result<()> {", "anyhow"));
        assert!(names_crate("use loom;", "loom"));
        assert!(!names_crate("use crate::loom::Lane;", "loom"));
        assert!(!names_crate("let my_tokio::X", "tokio"));
    }

    #[test]
    fn a_private_version_is_found() {
        let bad = manifest("mobula-store", "[dependencies]\nserde = \"1\"\n");
        assert_eq!(private_versions(&Tree::sample(&[("store/Cargo.toml", &bad)])).len(), 1);
    }

    #[test]
    fn git_and_other_registries_are_found_in_the_lock() {
        let bad = "source = \"git+https://example.org/x\"\nsource = \"registry+https://example.org/index\"\n";
        assert_eq!(stray_lock_sources(&Tree::sample(&[("Cargo.lock", bad)])).len(), 2);
        assert_eq!(stray_lock_sources(&Tree::sample(&[("Cargo.lock", INDEX)])), []);
        assert_eq!(stray_lock_sources(&Tree::sample(&[])).len(), 1);
    }
}
