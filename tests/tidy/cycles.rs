//! Files of one crate that import each other in a circle.
//!
//! Rust allows it, so nothing stops a leaf from reaching back into what is built on it; after that neither file
//! can be read alone.
//! Following every name to its definition would need the compiler; the `crate::…`, `super::…` and `mod` paths of
//! the sources are enough, because our imports are written out.
//! Invariants: `lib.rs` and `main.rs` are indexes, not files that use something; a leaf in `foo/` may name
//! `foo.rs`, of which it is a part; a circle is reported once, whole; one that is really one concept in several
//! files has a row in `tables.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::tables::KNOWN_CYCLES;
use crate::tree::{Finding, Tree};

type Graph = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn import_cycles(tree: &Tree) -> Vec<Finding> {
    import_cycles_except(tree, KNOWN_CYCLES)
}

fn import_cycles_except(tree: &Tree, known: &[(&[&str], &str)]) -> Vec<Finding> {
    let circles = circles(&import_graph(tree));
    let is_known = |circle: &Vec<String>| {
        known.iter().any(|(modules, _)| {
            circle.iter().all(|file| modules.iter().any(|module| belongs(file, module)))
        })
    };
    let mut findings: Vec<Finding> = Vec::new();
    for circle in circles.iter().filter(|circle| !is_known(circle)) {
        let others = circle[1..].join(", ");
        findings.push(Finding::new(&circle[0], 0, format!("in a circle with {others}")));
    }
    for module in known.iter().flat_map(|(modules, _)| *modules) {
        if !circles.iter().flatten().any(|file| belongs(file, module)) {
            findings.push(Finding::new(module, 0, "is in no circle any more: strike it out"));
        }
    }
    findings
}

/// Whether `file` is the module's own file or one below it.
fn belongs(file: &str, module: &str) -> bool {
    let rest = file.strip_prefix(module);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Which file uses which file of the same crate, outside tests.
fn import_graph(tree: &Tree) -> Graph {
    let mut graph = Graph::new();
    for file in tree.rust_files().filter(|file| !file.is_test_file()) {
        let Some((root, module)) = place(&file.path) else {
            continue;
        };
        for used in used_paths(file, &module) {
            // The longest prefix of the path that is a file; the rest names an item in it.
            let target = (1..=used.len()).rev().map(|length| module_file(&root, &used[..length]));
            let target = target.into_iter().find(|path| tree.file(path).is_some());
            let is_whole_of = |part: &str, whole: &str| {
                part.starts_with(&format!("{}/", whole.trim_end_matches(".rs")))
            };
            let is_use = |target: &String| *target != file.path && !is_whole_of(&file.path, target);
            if let Some(target) = target.filter(is_use) {
                graph.entry(file.path.clone()).or_default().insert(target);
            }
        }
    }
    graph
}

/// The source folder of the crate and the module path of a file below it; `None` for crate roots.
fn place(path: &str) -> Option<(String, Vec<String>)> {
    let (root, rest) =
        path.rsplit_once("src/").map(|(root, rest)| (format!("{root}src/"), rest))?;
    let module: Vec<String> = rest.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_root = matches!(module[0].as_str(), "lib" | "main" | "bin");
    (!is_root).then_some((root, module))
}

fn module_file(root: &str, module: &[String]) -> String {
    format!("{root}{}.rs", module.join("/"))
}

/// Module paths, from the crate root, that the product code of `file` names.
fn used_paths(file: &Source, module: &[String]) -> Vec<Vec<String>> {
    let code: String = file.product_code().map(|(_, line)| format!("{line}\n")).collect();
    let mut used = Vec::new();
    for (start, base) in [("crate::", 0), ("super::", module.len() - 1), ("self::", module.len())] {
        for (at, _) in code.match_indices(start) {
            let is_path_start = !code[..at]
                .ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == ':');
            if is_path_start {
                let tail = expand(&code[at + start.len()..]);
                used.extend(tail.into_iter().map(|tail| [&module[..base], &tail].concat()));
            }
        }
    }
    used
}

/// `a::{b::C, d}` as the paths it stands for.
fn expand(text: &str) -> Vec<Vec<String>> {
    let end =
        text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return text
            .strip_prefix('{')
            .map_or_else(Vec::new, |list| split_list(list).into_iter().flat_map(expand).collect());
    }
    let tails = rest.strip_prefix("::").map_or_else(Vec::new, expand);
    let tails = if tails.is_empty() { vec![Vec::new()] } else { tails };
    tails.into_iter().map(|tail| [vec![name.to_owned()], tail].concat()).collect()
}

/// The entries of a use list up to its closing brace.
fn split_list(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut entries) = (0_usize, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                entries.push(list[start..at].trim());
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    entries
}

/// Groups of files that can all reach each other, each sorted.
fn circles(graph: &Graph) -> BTreeSet<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|file| (file, reachable(graph, file))).collect();
    let mutual = |file: &String| -> Vec<String> {
        let others = reach[file]
            .iter()
            .filter(|other| reach.get(*other).is_some_and(|back| back.contains(file)));
        others.map(|other| (*other).clone()).collect()
    };
    graph.keys().map(mutual).filter(|circle| circle.len() > 1).collect()
}

fn reachable<'graph>(graph: &'graph Graph, from: &String) -> BTreeSet<&'graph String> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&String> = graph.get(from).into_iter().flatten().collect();
    while let Some(file) = next.pop() {
        if seen.insert(file) {
            next.extend(graph.get(file).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIRCLE: &[(&str, &str)] = &[
        ("a/src/lib.rs", "mod one; mod two;"),
        ("a/src/one.rs", "use crate::{three::Three, two::{Deep, Two}};"),
        ("a/src/two.rs", "fn f(x: super::one::One) {}"),
        ("a/src/three.rs", "use crate::Two;"),
    ];

    #[test]
    fn a_circle_is_found_once_and_whole() {
        let findings = import_cycles_except(&Tree::sample(CIRCLE), &[]);
        assert_eq!(findings, [Finding::new("a/src/one.rs", 0, "in a circle with a/src/two.rs")]);
    }

    #[test]
    fn a_leaf_may_name_what_it_is_part_of_but_not_its_sibling_in_a_circle() {
        let parts =
            [("a/src/one.rs", "use self::leaf::Leaf;"), ("a/src/one/leaf.rs", "use super::One;")];
        assert_eq!(import_cycles_except(&Tree::sample(&parts), &[]), []);
        let siblings = [
            ("a/src/one/leaf.rs", "use super::twig::Twig;"),
            ("a/src/one/twig.rs", "use super::leaf::Leaf;"),
        ];
        assert_eq!(import_cycles_except(&Tree::sample(&siblings), &[]).len(), 1);
    }

    #[test]
    fn a_granted_circle_passes_until_it_is_gone() {
        let granted: &[(&[&str], &str)] = &[(&["a/src/one", "a/src/two"], "one type family")];
        assert_eq!(import_cycles_except(&Tree::sample(CIRCLE), granted), []);
        assert_eq!(import_cycles_except(&Tree::sample(&CIRCLE[2..]), granted).len(), 2);
    }

    #[test]
    fn imports_of_tests_do_not_count() {
        let files = [
            ("a/src/one.rs", "use crate::two::Two;"),
            ("a/src/two.rs", "#[cfg(test)]\nmod tests { use crate::one::One; }"),
        ];
        assert_eq!(import_cycles_except(&Tree::sample(&files), &[]), []);
    }
}
