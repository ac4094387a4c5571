//! tinystore, tested as a program and module by module.
//!
//! An example's own tests are not run by `cargo test`, so the whole program is compiled into this
//! test as a module; its unit tests and `examples/tinystore/tests.rs` come with it. What only a
//! process can show — what is on standard output, and how it ends — is tested on the built binary.

#![expect(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use std::process::{Command, Output};

#[expect(dead_code, reason = "`main` is called by the program only")]
#[path = "../examples/tinystore/main.rs"]
mod tinystore;

#[path = "fixture/built.rs"]
mod built;

static BUILT: built::Built = built::Built::new(&["tinystore"]);

fn tinystore(words: &[&str]) -> Output {
    Command::new(BUILT.example("tinystore"))
        .args(words)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

#[test]
fn standard_output_holds_json_lines_and_nothing_else() {
    let output = tinystore(&["--json", "apply", "--feature", "dep_delay", "--agg", "count,max"]);
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    let line: serde_json::Value = serde_json::from_str(out.trim_end()).unwrap();
    assert_eq!(line["count"], 6064, "{out}{err}");
    assert!(err.contains("rows/s"), "{err}");
}

#[test]
fn a_mistake_ends_the_process_with_an_error_on_standard_error() {
    let output = tinystore(&["apply", "--feature", "nothing", "--agg", "count"]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("has no feature `nothing`"), "{err}");
}

/// Lines of a run that must succeed, without those that tell how long something took.
fn timeless_lines(words: &[&str]) -> Vec<String> {
    let output = tinystore(words);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {err}");
    let out = String::from_utf8(output.stdout).unwrap();
    let told = out.lines().filter(|line| !line.contains("\"seconds\":"));
    told.filter(|line| !line.contains("\"shards_killed\":")).map(str::to_owned).collect()
}

#[test]
fn three_nodes_answer_bit_for_bit_as_one() {
    let words = "count,sum,mean,min,max,variance,stddev,median,p90,distinct,first,last,late_share";
    let apply = ["--json", "apply", "--agg", words];
    // Whole numbers, floats, and windows over a derived feature.
    let questions: [&[&str]; 3] = [
        &["--feature", "dep_delay", "--by", "origin,carrier"],
        &["--table", "weather", "--feature", "wind_speed", "--by", "origin"],
        &["--feature", "speed_mph", "--window", "12h", "--every", "3h"],
    ];
    for question in questions {
        let on = |nodes| timeless_lines(&[&["--nodes", nodes], &apply[..], question].concat());
        let one = on("1");
        assert!(!one.is_empty());
        assert_eq!(one, on("3"), "{question:?}");
    }
}

#[test]
fn the_demo_on_three_nodes_tells_what_it_tells_on_one() {
    let one = timeless_lines(&["--json", "--nodes", "1"]);
    assert!(one.len() > 20, "{one:#?}");
    assert_eq!(one, timeless_lines(&["--json", "--nodes", "3"]));
}

#[test]
fn nodes_that_are_killed_change_no_answer() {
    let output = tinystore(&["--json", "--nodes", "3", "chaos", "--rounds", "2", "--seed", "11"]);
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{out}");
    for line in &lines {
        // More than two, where an answer was quicker than the kill that was meant for it.
        assert!(line["asked"].as_u64() >= Some(2) && line["asked"] == line["equal"], "{out}");
        assert!(line["nodes_killed"].as_u64() > Some(0), "{out}");
    }
}
