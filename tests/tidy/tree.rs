//! The repository as a list of files, real or made up.
//!
//! Rules that read the disk themselves cannot be shown to bite: they would need a broken repository to run in.
//! So they get a [`Tree`], which comes from the disk or from a few lines in a test.
//! Invariant: paths are relative to the root, use `/`, and are sorted, so that findings come in the same order
//! everywhere.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::source::Source;

/// Folders that hold what was built or fetched rather than written.
const NOT_OURS: &[&str] = &[
    "target",
    ".git",
    "corpus",
    "artifacts",
    "tinystore-data",
    "mutants.out",
    "proptest-regressions",
];
/// Larger files are data; they are known by name only.
const TEXT_MAX_BYTES: u64 = 512 * 1024;

pub(crate) struct Tree {
    files: Vec<Source>,
}

impl Tree {
    pub(crate) fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        collect(root, root, &mut files);
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Self { files }
    }

    /// A made-up tree: pairs of path and text.
    pub(crate) fn sample(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| Source::new(path, text)).collect() }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    pub(crate) fn rust_files(&self) -> impl Iterator<Item = &Source> {
        self.files().filter(|file| file.is_rust())
    }

    pub(crate) fn file(&self, path: &str) -> Option<&Source> {
        self.files().find(|file| file.path == path)
    }

    /// Whether `path` is a file or a folder of this tree.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files().any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(root, &path, files);
            }
            continue;
        }
        let is_text = entry.metadata().is_ok_and(|metadata| metadata.len() <= TEXT_MAX_BYTES);
        let bytes = if is_text { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let relative =
            path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        files.push(Source::new(&relative, &String::from_utf8_lossy(&bytes)));
    }
}

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    /// `line` counts from 1; 0 means the file as a whole.
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "  {}: {}", self.path, self.what),
            line => write!(formatter, "  {}:{line}: {}", self.path, self.what),
        }
    }
}

#[test]
fn a_folder_of_the_tree_is_known_by_its_files() {
    let tree = Tree::sample(&[("store/src/lib.rs", "")]);
    assert!(tree.has("store/src/lib.rs") && tree.has("store/src") && tree.has("store/"));
    assert!(!tree.has("store/src/li"));
}
