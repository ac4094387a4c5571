//! Every example, run as a program: it ends by itself, soon and well, and says what it is there to say.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::fs;
use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[path = "fixture/built.rs"]
mod built;

static BUILT: built::Built = built::Built::new(TESTED);

/// Each does its work in well under a second; a busy machine gets more.
const DEADLINE: Duration = Duration::from_secs(60);

fn output_of(name: &str) -> Output {
    let mut run = Command::new(BUILT.example(name));
    run.env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
    let child = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        // Until the program ends: nothing else holds the other end.
        let read = stdout.read_to_end(&mut said);
        sender.send(read.map(|_| said))
    });
    let said = receiver.recv_timeout(DEADLINE);
    if said.is_err() {
        child.kill().unwrap();
    }
    // What it writes to standard error is far less than a pipe holds.
    let mut output = child.wait_with_output().unwrap();
    match said {
        Ok(said) => output.stdout = said.unwrap(),
        Err(_) => panic!("example {name} did not end within {DEADLINE:?}: {output:?}"),
    }
    output
}

#[track_caller]
fn says(name: &str, lines: &[&str]) {
    let output = output_of(name);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} ended with {}: {errors}", output.status);
    let mut rest = text.lines();
    for wanted in lines {
        assert!(
            rest.any(|line| line.starts_with(wanted)),
            "{name} does not say `{wanted}`, or not in this order:\n{text}\n{errors}"
        );
    }
}

macro_rules! examples {
    ($($name:ident: $file:literal says $lines:expr;)*) => {
        const TESTED: &[&str] = &[$($file),*];
        $(
            #[test]
            fn $name() {
                says($file, &$lines);
            }
        )*
    };
}

examples! {
    the_quickstart: "quickstart" says [
        "z = x * y is 60 x 50, and its sum is 0",
        "x * x * y: task `multiply",
        "get:  140 after",
        "wait: 140 after",
        "the counter says 2",
        "its next, squared by a task, is 9",
        "clicks, found by name, says 2",
        "clicks was killed",
        "looked up again: no living actor is named `clicks`",
    ];
    ask_and_tell: "01_ask_and_tell" says [
        "ask:     150 cents",
        "tell:    175 cents",
        "refused: Some(Overdrawn { left: 175 })",
        "late:    outcome of `Account::audit`",
        "full:    `Account::deposit` was not delivered",
        "at last: 176 cents",
    ];
    supervision: "02_supervision" says [
        "entries: 2",
        "the asker learns: outcome of `Ledger::enter`",
        "entries after the restart: 1",
        "the supervisor gave up on child `ledger`, which panicked: superstition",
        "  bank/ledger (Ledger",
    ];
    links_and_monitors: "03_links_and_monitors" says [
        "Ben:  panicked: Ben slips",
        "Cleo: linked actor",
        "Anna lives, [\"watch: somebody panicked: Ben slips",
        "Dora lives, [\"rope: somebody linked actor",
    ];
    timers: "04_timers" says ["tick 1", "tick 2", "boiled; the tick is cancelled", "the kettle ended normally"];
    streams: "05_streams" says ["mean of the day: 15.0 °C"];
    an_object_graph: "06_object_graph" says [
        "words with r: 3000",
        "nothing has run yet",
        "twice the words with r and t: 10000",
        "all references are gone, the store holds 0 bytes",
    ];
    a_worker_pool: "07_worker_pool" says ["  alubom by worker 0", "1 workers:", "  atnam by worker 1", "4 workers:"];
    a_state_machine: "08_state_machine" says [
        "push: `Turnstile::push` was refused: not while it is Locked",
        "coin: Unlocked { coins: 1 }",
        "push, too late: `Turnstile::push` was refused",
        "coin: `Turnstile::coin` was refused: not while it is OutOfOrder",
    ];
    the_testkit: "09_testkit" says [
        "no alarm while there are signs of life, one when they end",
        "over 27 hours of virtual time passed in",
    ];
    message_structs: "10_message_structs" says ["ask:  2", "call: 5", "the message came back: 1"];
    retries_and_cancellation: "11_retries_and_cancellation" says [
        "page 1",
        "not tried again: task `fetch",
        "cancelled: true true",
        "task `search",
    ];
    pinned_actors: "12_pinned_actors" says [
        "the scrapbook has 2 pages",
        "ping and pong share a thread: true",
        "another group has its own: true",
    ];
    a_cluster: "13_cluster" says ["1 node(s)", "longest sequence below 4000000: 596 steps", "the only node: 199 tasks"];
    groups: "15_groups" says ["the only node a", "customer 7 is always with the only node a", "published and heard: 60 texts"];
    placement: "14_placement" says ["1 node(s)", "the only node: 12 shards", "sum 4 made and kept on the only node", "removed"];
    an_actix_guest: "actix_guest" says [
        "six bottles: 6",
        "a hundred bottles: outcome of `Guest::send`",
        "six more, in a fresh cellar: 6",
        "by name, after the stop: no living actor is named `cellar`",
    ];
}

#[test]
fn every_example_is_run_here() {
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> =
        files.filter_map(|file| file.strip_suffix(".rs").map(str::to_owned)).collect();
    for name in &names {
        assert!(TESTED.contains(&name.as_str()), "example {name} is not tested");
    }
    assert_eq!(names.len(), TESTED.len());
}
