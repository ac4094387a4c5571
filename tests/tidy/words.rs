//! Words that have no place: in names, in comments, in tests, in the tree at all.
//!
//! A name like the forbidden ones grows: whatever has no home moves in.
//! A stub, a bare to-do or a sleep in a test is a promise that somebody else will keep.
//! Invariant: names are split at `_` and at capitals, so that `metadata` is not mistaken for its second half.

use crate::source::{Source, has_word};
use crate::tree::{Finding, Tree};

const EMPTY_WORDS: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "manager", "data", "info"];
/// The only word that is forbidden as a verb alone.
const EMPTY_VERB: &str = "process";
const ITEM_KINDS: &[&str] =
    &["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "union"];

pub(crate) fn empty_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files().filter(|file| !file.is_compiler_sample()) {
        for part in file.path.trim_end_matches(".rs").split('/') {
            findings.extend(
                empty_word(part)
                    .map(|word| Finding::new(&file.path, 0, format!("`{word}` in its path"))),
            );
        }
        for (line, code) in file.product_code() {
            let Some((kind, name)) = public_item(code) else {
                continue;
            };
            let verb = (kind == "fn" && words_of(name).next().as_deref() == Some(EMPTY_VERB))
                .then_some(EMPTY_VERB);
            if let Some(word) = empty_word(name).or(verb) {
                findings.push(Finding::new(&file.path, line, format!("`{word}` in `{name}`")));
            }
        }
    }
    findings
}

/// Kind and name of the item that a line makes visible outside its module.
fn public_item(code: &str) -> Option<(&str, &str)> {
    let mut words =
        code.trim_start().strip_prefix("pub")?.split(|character: char| !is_word(character));
    let kind = words.by_ref().find(|word| ITEM_KINDS.contains(word))?;
    let name = words.find(|word| !word.is_empty())?;
    // `pub const fn name`
    if kind == "const" && name == "fn" {
        Some(("fn", words.find(|word| !word.is_empty())?))
    } else {
        Some((kind, name))
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn empty_word(name: &str) -> Option<&'static str> {
    words_of(name).find_map(|word| EMPTY_WORDS.iter().copied().find(|empty| *empty == word))
}

fn words_of(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::new();
    for character in name.chars() {
        if character.is_uppercase() {
            spaced.push(' ');
        }
        spaced.extend(if character == '_' || character == '-' {
            ' '.to_lowercase()
        } else {
            character.to_lowercase()
        });
    }
    spaced.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

pub(crate) fn unnumbered_promises(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        for (line, comment) in file.comments() {
            let is_bare_promise = comment.match_indices("TODO").any(|(at, _)| {
                let rest = &comment[at + 4..];
                !rest
                    .strip_prefix("(#")
                    .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
            });
            let is_marker = ["FIXME", "HACK", "XXX"].iter().any(|marker| comment.contains(marker));
            if is_bare_promise || is_marker {
                findings.push(Finding::new(&file.path, line, comment.trim()));
            }
        }
    }
    findings
}

pub(crate) fn stubs(tree: &Tree) -> Vec<Finding> {
    find_code(tree, Source::code, &["todo!", "unimplemented!"])
}

fn find_code<'tree, Lines>(
    tree: &'tree Tree,
    lines: impl Fn(&'tree Source) -> Lines,
    patterns: &[&str],
) -> Vec<Finding>
where
    Lines: Iterator<Item = (usize, &'tree str)>,
{
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        for (line, code) in
            lines(file).filter(|(_, code)| patterns.iter().any(|pattern| code.contains(pattern)))
        {
            findings.push(Finding::new(&file.path, line, code.trim()));
        }
    }
    findings
}

/// `thread::sleep` is always a real sleep; `time::sleep` is one in a test that does not turn virtual time, and so is
/// whatever of the file leads to it.
pub(crate) fn sleeping_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = find_code(tree, Source::test_code, &["thread::sleep"]);
    for file in tree.rust_files() {
        let functions = functions_of(file.test_code());
        let mut sleepers: Vec<&str> = Vec::new();
        let mut known = None;
        while known != Some(sleepers.len()) {
            known = Some(sleepers.len());
            for function in functions.iter().filter(|function| function.clock.is_none()) {
                if function.sleeps(&sleepers) && !sleepers.contains(&function.name) {
                    sleepers.push(function.name);
                }
            }
        }
        let turners = functions.iter().filter(|function| function.turns_time(&[]));
        let turners: Vec<&str> = turners.map(|function| function.name).collect();
        let tests = functions.iter().filter(|function| {
            function.clock == Some(Clock::Real) && !function.turns_time(&turners)
        });
        for test in tests.filter(|test| test.sleeps(&sleepers)) {
            findings.push(Finding::new(&file.path, test.line, format!("`{}` sleeps", test.name)));
        }
    }
    findings
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Real,
    Virtual,
}

/// A function among tests: a test, if it has a clock, or what tests call.
struct TestFunction<'text> {
    name: &'text str,
    line: usize,
    clock: Option<Clock>,
    body: Vec<&'text str>,
}

impl TestFunction<'_> {
    fn turns_time(&self, turners: &[&str]) -> bool {
        let leads_to_one = |code: &str| turners.iter().any(|name| has_word(code, name));
        let turns = |code: &str| code.contains("start_paused(") || code.contains("testkit::");
        self.body.iter().any(|code| turns(code) || leads_to_one(code))
    }

    fn sleeps(&self, sleepers: &[&str]) -> bool {
        let leads_to_one = |code: &str| sleepers.iter().any(|name| has_word(code, name));
        self.body.iter().any(|code| code.contains("time::sleep") || leads_to_one(code))
    }
}

fn functions_of<'text>(
    lines: impl Iterator<Item = (usize, &'text str)>,
) -> Vec<TestFunction<'text>> {
    let mut functions: Vec<TestFunction<'_>> = Vec::new();
    let mut clock = None;
    for (line, code) in lines {
        if code.trim_start().starts_with("#[") && (code.contains("test]") || code.contains("test("))
        {
            let is_virtual = code.contains("start_paused = true") || code.contains("mobula::test");
            clock = Some(if is_virtual { Clock::Virtual } else { Clock::Real });
        } else if let Some(name) = function_name(code) {
            let (_, body) = code.split_once(name).unwrap_or(("", ""));
            functions.push(TestFunction { name, line, clock: clock.take(), body: vec![body] });
        } else if let Some(function) = functions.last_mut() {
            function.body.push(code);
        }
    }
    functions
}

/// The name of the function that begins on this line.
pub(crate) fn function_name(code: &str) -> Option<&str> {
    let (before, rest) = code.split_once("fn ")?;
    let is_item = before.split_whitespace().all(|word| {
        ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe"].contains(&word)
    });
    is_item.then(|| rest.split(['(', '<']).next()).flatten()
}

pub(crate) fn silent_ignores(tree: &Tree) -> Vec<Finding> {
    find_code(tree, Source::code, &["#[ignore]"])
}

/// Paths of somebody's machine, and hosts that a build behind another mirror cannot reach.
const PLACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("../sha", "red"),
    concat!("crates", ".io/api"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("proxy.", "golang.org"),
    concat!("--index", "-url"),
    concat!("artifac", "tory"),
];

pub(crate) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        for (line, text) in file.lines() {
            let place = PLACES.iter().find(|place| text.contains(**place));
            findings.extend(
                place.map(|place| Finding::new(&file.path, line, format!("names `{place}`"))),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_in(judge: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> usize {
        judge(&Tree::sample(&[(path, text)])).len()
    }

    #[test]
    fn empty_words_are_found_in_files_and_public_names() {
        assert_eq!(findings_in(empty_names, "store/src/utils.rs", ""), 1);
        assert_eq!(findings_in(empty_names, "store/src/helper/a.rs", ""), 1);
        assert_eq!(findings_in(empty_names, "a.rs", "pub struct ActorManager;"), 1);
        assert_eq!(findings_in(empty_names, "a.rs", "pub(crate) const fn node_info() {}"), 1);
        assert_eq!(findings_in(empty_names, "a.rs", "pub async fn process_batch() {}"), 1);
    }

    #[test]
    fn honest_names_are_left_alone() {
        let text =
            "pub struct Metadata;\npub mod process;\nfn helper() {}\npub use a::Data as Row;\n";
        assert_eq!(findings_in(empty_names, "store/src/database.rs", text), 0);
    }

    #[test]
    fn a_promise_without_number_is_found() {
        assert_eq!(findings_in(unnumbered_promises, "a.rs", "// TODO: later\n"), 1);
        assert_eq!(findings_in(unnumbered_promises, "a.rs", "// FIXME\n"), 1);
        assert_eq!(
            findings_in(unnumbered_promises, "a.rs", "// TODO(#12): spill\nlet a = \"TODO\";\n"),
            0
        );
    }

    #[test]
    fn a_stub_is_found_in_tests_too() {
        assert_eq!(findings_in(stubs, "a/tests/b.rs", "fn f() { todo!() }"), 1);
        assert_eq!(findings_in(stubs, "a.rs", "fn f() { unimplemented!(\"x\") }\n// todo!\n"), 1);
    }

    #[test]
    fn a_real_sleep_in_a_test_is_found() {
        let naps = |text: &str| findings_in(sleeping_tests, "tests/a.rs", text);
        let real = "#[tokio::test]\nasync fn a() { tokio::time::sleep(d).await; }\n";
        assert_eq!(naps(real), 1);
        assert_eq!(naps(&real.replace("test]", "test(start_paused = true)]")), 0);
        assert_eq!(naps(&real.replace("tokio::test", "mobula::test")), 0);
        let thread = "#[mobula::test]\nasync fn a() { std::thread::sleep(d); }\n";
        assert_eq!(naps(thread), 1);
        assert_eq!(findings_in(sleeping_tests, "examples/a.rs", thread), 0);
    }

    #[test]
    fn a_sleep_behind_another_function_is_found_where_time_is_real() {
        let naps = |text: &str| findings_in(sleeping_tests, "tests/a.rs", text);
        let nap = "async fn nap() { time::sleep(d).await; }\nasync fn rest() {\n nap().await; }\n";
        let real = format!("{nap}#[tokio::test]\nasync fn b() {{\n    rest().await;\n}}\n");
        assert_eq!(naps(&real), 1);
        assert_eq!(naps(&real.replace("test]", "test(start_paused = true)]")), 0);
        assert_eq!(naps(&real.replace("    rest()", "    work()")), 0);
        let turner = "fn on_node() { runtime().start_paused(true); }\n";
        let turned = real.replace("    rest()", "    on_node(rest())");
        assert_eq!(naps(&format!("{turner}{turned}")), 0);
    }

    #[test]
    fn an_ignored_test_without_reason_is_found() {
        assert_eq!(findings_in(silent_ignores, "tests/a.rs", "#[ignore]\nfn f() {}\n"), 1);
        assert_eq!(
            findings_in(silent_ignores, "tests/a.rs", "#[ignore = \"nightly, see .ci/run\"]\n"),
            0
        );
    }

    #[test]
    fn a_machine_path_is_found_in_any_file() {
        let path = concat!("see /ho", "me/me/x");
        assert_eq!(findings_in(machine_paths, "README.md", path), 1);
        assert_eq!(findings_in(machine_paths, "README.md", "see examples/tinystore"), 0);
    }
}
