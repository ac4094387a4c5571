//! The command `mobula`, run as people run it, on an example of ours.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::process::{Command, Output};

use serde_json::Value;

#[path = "fixture/built.rs"]
mod built;

static BUILT: built::Built = built::Built::new(&["quickstart", "10_message_structs"]);

fn mobula(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mobula")).args(words).output().unwrap()
}

/// An example of this package, as a word of a command line.
fn example(name: &str) -> String {
    BUILT.example(name).into_os_string().into_string().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn refused(words: &[&str], because: &str) {
    let output = mobula(words);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains(because), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn the_version_is_the_packages() {
    let output = mobula(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("mobula ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn functions_are_listed_as_a_table() {
    let output = mobula(&["functions", "--bin", &example("quickstart")]);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<Vec<&str>> =
        text(&output.stdout).lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["FUNCTION", "VERSION", "HASH", "SIGNATURE"]);
    let names: Vec<&str> = lines[1..].iter().map(|line| line[0]).collect();
    let expected = ["data_processing", "multiply", "squared", "zeros"];
    assert_eq!(names, expected.map(|name| format!("quickstart::{name}")));
    assert_eq!(lines[1][3..], ["fn(u64)", "->", "u64"]);
}

#[test]
fn functions_are_listed_as_json_one_object_a_line() {
    let output = mobula(&["functions", "--json", "--bin", &example("quickstart")]);
    let rows: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0]["name"], "quickstart::data_processing");
    assert_eq!(rows[0]["version"], 1);
    assert_eq!(rows[0]["signature"], "fn(u64) -> u64");
    assert_eq!(rows[0]["hash"].as_str().unwrap().len(), 16);
}

#[test]
fn a_program_that_is_none_of_ours_is_told_apart() {
    // This command is a program without `#[mobula::main]`: it answers with its usage and fails.
    let other = env!("CARGO_BIN_EXE_mobula");
    refused(&["functions", "--bin", other], "instead of an answer");
    refused(&["functions", "--bin", "no/such/file"], "cannot run no/such/file");
}

#[test]
fn run_is_the_program_with_its_arguments_and_its_exit_code() {
    let output = mobula(&["run", "--bin", &example("10_message_structs")]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("the message came back: 1"));

    let itself = env!("CARGO_BIN_EXE_mobula");
    let output = mobula(&["run", "--bin", itself, "--nodes", "1", "--", "--version"]);
    assert!(text(&output.stdout).starts_with("mobula "), "{output:?}");
    let output = mobula(&["run", "--bin", itself, "--", "run", "--bin", "no/such/file"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn no_nodes_at_all_are_refused() {
    let program = example("quickstart");
    refused(&["run", "--nodes", "0", "--bin", &program], "--nodes");
}

#[test]
fn a_program_asked_what_it_does_not_know_says_so_and_does_not_run() {
    let mut asked = Command::new(example("quickstart"));
    let output = asked.env("MOBULA_COMMAND", "dance").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let errors = text(&output.stderr);
    assert!(
        errors.contains("MOBULA_COMMAND=dance") && errors.contains("functions-json"),
        "{errors}"
    );
}
