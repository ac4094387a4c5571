//! `mobula run --nodes`: one program as several processes, which find each other and end together.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::path::PathBuf;
use std::process::{Command, Output};

fn mobula(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobula"));
    for variable in ["MOBULA_JOIN", "MOBULA_LISTEN", "MOBULA_SECRET", "MOBULA_ROLE"] {
        command.env_remove(variable);
    }
    command.args(arguments).output().unwrap()
}

/// An example of this package, built beside this test.
fn example(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(built.exists(), "{} is built by `cargo test`", built.display());
    built.to_str().unwrap().to_owned()
}

#[test]
fn three_processes_do_the_work_of_one() {
    let program = example("13_cluster");
    let one = mobula(&["run", "--", &program]);
    let three = mobula(&["run", "--nodes", "3", "--", &program]);
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    assert!(one.status.success() && three.status.success(), "{one:?} {three:?}");
    let longest = |output: &Output| {
        text(output).lines().find(|line| line.starts_with("longest")).map(str::to_owned).unwrap()
    };
    assert_eq!(longest(&one), longest(&three));
    assert!(text(&three).starts_with("3 node(s)"), "{}", text(&three));
}

#[test]
fn a_question_without_a_cluster_says_what_to_name() {
    let answer = mobula(&["why", "seventeen", "--join", "127.0.0.1:1"]);
    assert_eq!(answer.status.code(), Some(2));
    let text = String::from_utf8(answer.stderr).unwrap();
    assert!(text.contains("ids look like a17"), "{text}");
    let answer = mobula(&["run", "--nodes", "3"]);
    assert_eq!(answer.status.code(), Some(2));
    assert!(String::from_utf8(answer.stderr).unwrap().contains("name a program"));
}
