//! What a `Cargo.toml` says it depends on.
//!
//! `cargo metadata` would need a process, a network or a lock and a JSON reader to tell what three kinds of
//! line say.
//! Our manifests are written by hand in one form, so the few lines are read directly; a form the reader does not
//! know shows up as a missing edge in the first test that uses it.
//! Invariant: comments and other tables never yield a dependency.

use crate::source::Source;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Only tests and examples see it.
    pub(crate) is_dev: bool,
    /// Takes version and source from `[workspace.dependencies]`.
    pub(crate) is_shared: bool,
}

/// The name under `[package]`; `None` for other files and for a workspace without a root package.
pub(crate) fn package_name(file: &Source) -> Option<String> {
    let mut section = String::new();
    for (_, line) in lines(file) {
        if let Some(name) = section_name(line) {
            name.clone_into(&mut section);
        } else if section == "package"
            && let Some(("name", value)) = key_and_value(line)
        {
            return Some(value.trim_matches('"').to_owned());
        }
    }
    None
}

/// Every dependency of the package, of any kind and target, but not `[workspace.dependencies]`.
pub(crate) fn dependencies(file: &Source) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = String::new();
    for (line_number, line) in lines(file) {
        if let Some(name) = section_name(line) {
            name.clone_into(&mut section);
            continue;
        }
        let is_ours = section.ends_with("dependencies") && !section.starts_with("workspace");
        let Some((key, value)) = key_and_value(line).filter(|_| is_ours) else {
            continue;
        };
        let shared_key = key.strip_suffix(".workspace");
        let name = renamed(value).unwrap_or(shared_key.unwrap_or(key));
        found.push(Dependency {
            name: name.trim_matches('"').to_owned(),
            line: line_number,
            is_dev: section.ends_with("dev-dependencies"),
            is_shared: shared_key.is_some() || value.contains("workspace = true"),
        });
    }
    found
}

fn lines(file: &Source) -> impl Iterator<Item = (usize, &str)> {
    file.lines().map(|(number, line)| (number, line.split(" #").next().unwrap_or(line).trim()))
}

fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']').map(|name| name.trim_matches('['))
}

fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let is_key = line.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '"');
    let (key, value) = line.split_once('=').filter(|_| is_key)?;
    Some((key.trim(), value.trim()))
}

/// The crate behind a name of ours: `core = { package = "mobula-actor-core" }`.
fn renamed(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("package = \"")?;
    rest.split('"').next()
}

#[test]
fn all_forms_of_a_dependency_are_read() {
    let text = "[package]\nname = \"x\"\n[workspace.dependencies]\nserde = \"1\"\n[dependencies]\n# no = \"1\"\n\
                tokio.workspace = true\nsyn = { version = \"2\", features = [\n  \"full\",\n] }\n\
                [target.'cfg(loom)'.dependencies]\nloom = { workspace = true }\n\
                short = { package = \"long\", path = \"x\" }\n[dev-dependencies]\nanyhow = \"1\"\n";
    let file = Source::new("Cargo.toml", text);
    assert_eq!(package_name(&file).as_deref(), Some("x"));
    let read: Vec<(String, bool, bool)> = dependencies(&file)
        .into_iter()
        .map(|found| (found.name, found.is_dev, found.is_shared))
        .collect();
    let expected = [
        ("tokio", false, true),
        ("syn", false, false),
        ("loom", false, true),
        ("long", false, false),
        ("anyhow", true, false),
    ];
    assert_eq!(read, expected.map(|(name, dev, shared)| (name.to_owned(), dev, shared)));
}
