//! `mobula run --nodes`, `up`, and what is asked of nodes that run: real processes, as people start them.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use mobula::prelude::*;
use serde_json::Value;

#[path = "fixture/built.rs"]
mod built;

static BUILT: built::Built = built::Built::new(&["13_cluster", "tinystore"]);

/// The command, knowing nothing of other clusters on this machine.
fn mobula_in(room: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobula"));
    for variable in ["MOBULA_JOIN", "MOBULA_LISTEN", "MOBULA_SECRET", "MOBULA_ROLE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    let runs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("runs-{room}"));
    fs::create_dir_all(&runs).unwrap();
    command.env("XDG_RUNTIME_DIR", runs);
    command
}

fn mobula(arguments: &[&str]) -> Output {
    mobula_in("alone").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// An example of this package, as a word of a command line.
fn example(name: &str) -> String {
    BUILT.example(name).into_os_string().into_string().unwrap()
}

#[test]
fn three_processes_do_the_work_of_one() {
    let program = example("13_cluster");
    let one = mobula(&["run", "--", &program]);
    let three = mobula(&["run", "--nodes", "3", "--", &program]);
    assert!(one.status.success() && three.status.success(), "{one:?} {three:?}");
    let longest = |output: &Output| {
        let mut lines = text(&output.stdout).lines();
        lines.find(|line| line.starts_with("longest")).map(str::to_owned).unwrap()
    };
    assert_eq!(longest(&one), longest(&three));
    assert!(text(&three.stdout).starts_with("3 node(s)"), "{}", text(&three.stdout));
}

#[test]
fn tinystore_runs_on_four_processes_and_answers_as_on_one() {
    let program = example("tinystore");
    let question = ["--json", "apply", "--feature", "dep_delay", "--agg", "count,sum,mean,max"];
    let by = ["--by", "origin"];
    let one = mobula(&[&["run", "--", &program], &question[..], &by[..]].concat());
    let four = mobula(&[&["run", "--nodes", "4", "--", &program], &question[..], &by[..]].concat());
    assert!(one.status.success() && four.status.success(), "{one:?} {four:?}");
    assert_eq!(text(&one.stdout).lines().count(), 3);
    assert_eq!(text(&one.stdout), text(&four.stdout));
}

#[test]
fn a_question_without_a_cluster_says_what_to_name() {
    let answer = mobula(&["why", "seventeen", "--join", "127.0.0.1:1"]);
    assert_eq!(answer.status.code(), Some(2));
    assert!(text(&answer.stderr).contains("ids look like a17"), "{answer:?}");
    let answer = mobula(&["run", "--nodes", "3"]);
    assert_eq!(answer.status.code(), Some(2));
    assert!(text(&answer.stderr).contains("name a program"), "{answer:?}");
    let answer = mobula(&["status"]);
    assert_eq!(answer.status.code(), Some(2));
    assert!(text(&answer.stderr).contains("--join"), "{answer:?}");
}

// A program that has something of everything, and waits until its standard input ends. It is this test itself, started
// once more.

pub struct Clicks(u64);

#[mobula::actor]
impl Clicks {
    pub fn new() -> Self {
        Self(0)
    }
    pub fn click(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

#[mobula::task]
fn doomed(why: String) -> Result<u64, String> {
    Err(why)
}

#[mobula::task]
fn double(number: u64) -> u64 {
    number * 2
}

#[mobula::main]
async fn program() {
    let clicks = Clicks::options().name("clicks").detached().remote();
    clicks.click().await.unwrap();
    let puts = (0..5).map(|_| async { mobula::put(vec![7_u8; 10_000]).await.unwrap() });
    let kept = futures_util::future::join_all(puts).await;
    let failed = doomed::options().name("hopeless").max_retries(2).retry_errors();
    let failed = failed.backoff(ms(1)..ms(2)).remote("the moon is wrong".to_owned());
    assert!(failed.get().await.is_err());
    for number in 0..20 {
        assert_eq!(*double::remote(number).get().await.unwrap(), number * 2);
    }
    let node = Node::current().unwrap().id().unwrap();
    // No node has one: it waits for one that does.
    let waits = double::options().resource("telescope", 1.0).remote(1);
    println!("ready {node}");
    let end = tokio::task::spawn_blocking(|| std::io::stdin().lock().read_to_end(&mut Vec::new()));
    end.await.unwrap().unwrap();
    assert_eq!(*double::remote(21).get().await.unwrap(), 42, "what is left goes on");
    drop((waits, kept));
}

#[test]
fn the_program() {
    if env::var_os("MOBULA_TEST_PROGRAM").is_some() {
        program();
    }
}

/// The program on some nodes.
struct Running {
    room: &'static str,
    run: Child,
    driver: String,
}

impl Running {
    fn start(room: &'static str, nodes: &str) -> Self {
        let this = env::current_exe().unwrap();
        let mut run = mobula_in(room)
            .args(["run", "--nodes", nodes, "--", this.to_str().unwrap()])
            .args(["--exact", "the_program", "--nocapture"])
            .env("MOBULA_TEST_PROGRAM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
        let driver = lines
            .find_map(|line| {
                let line = line.unwrap();
                line.split_once("ready ").map(|(_, node)| node.to_owned())
            })
            .unwrap();
        // Read to the end, so that it can go on speaking.
        std::thread::spawn(move || lines.for_each(drop));
        Self { room, run, driver }
    }

    fn ask(&self, words: &[&str]) -> Output {
        mobula_in(self.room).args(words).output().unwrap()
    }

    /// The rows, and the totals.
    #[track_caller]
    fn json(&self, words: &[&str]) -> (Vec<Value>, Value) {
        let output = self.ask(&[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
        let mut rows: Vec<Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let totals = rows.pop().unwrap()["totals"].take();
        (rows, totals)
    }

    #[track_caller]
    fn refused(&self, words: &[&str], because: &[&str]) {
        let output = self.ask(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        for part in because {
            assert!(text(&output.stderr).contains(part), "{words:?} lacks `{part}`: {output:?}");
        }
    }

    fn end(mut self) {
        drop(self.run.stdin.take());
        assert!(self.run.wait().unwrap().success());
    }
}

#[test]
fn lists_are_filtered_by_the_nodes_and_their_totals_are_of_all() {
    let running = Running::start("lists", "3");
    let driver = running.driver.as_str();

    let (rows, totals) = running.json(&["status"]);
    assert_eq!((rows.len(), &totals["nodes"]), (3, &3.into()), "{totals}");
    let sum: u64 = rows.iter().map(|row| row["citizens"].as_u64().unwrap()).sum();
    assert_eq!(totals["citizens"], sum);
    assert!(totals["failed_tasks"].as_u64().unwrap() >= 1, "{totals}");
    assert!(totals["finished_tasks"].as_u64().unwrap() >= 20, "{totals}");

    let (all, totals) = running.json(&["actors"]);
    assert_eq!(totals["actors"], all.len());
    let (some, cut) = running.json(&["actors", "--limit", "2"]);
    assert_eq!((some.len(), &cut["actors"]), (6, &totals["actors"]));
    assert_eq!(cut["left_off"], all.len() - 6);
    let shown = running.ask(&["actors", "--limit", "1"]);
    assert!(text(&shown.stdout).contains("left off: raise --limit"), "{shown:?}");
    let (clicks, totals) = running.json(&["actors", "--kind", "actor", "--name", "clicks"]);
    assert_eq!((&clicks[0]["name"], &clicks[0]["node"]), (&"clicks".into(), &driver.into()));
    assert_eq!((clicks.len(), &totals["actors"]), (1, &1.into()));
    let (none, totals) = running.json(&["actors", "--state", "asleep"]);
    assert_eq!((none.len(), &totals["actors"]), (0, &0.into()));
    let (here, totals) = running.json(&["actors", "--node", driver]);
    assert!(here.iter().all(|row| row["node"] == driver) && here.len() < all.len());
    assert_eq!(totals["nodes"], 1);

    let (rows, totals) = running.json(&["objects", "--state", "sealed", "--filter", "Vec<u8>"]);
    let bytes: u64 = rows.iter().map(|row| row["bytes"].as_u64().unwrap()).sum();
    assert!(rows.len() >= 5 && bytes >= 50_000, "{rows:?}");
    assert_eq!((&totals["objects"], &totals["bytes"]), (&rows.len().into(), &bytes.into()));
    let (one, cut) = running.json(&["objects", "--filter", "Vec<u8>", "--limit", "1"]);
    assert!(one.len() < rows.len() && cut["bytes"].as_u64().unwrap() >= bytes, "{cut}");

    let (rows, totals) = running.json(&["functions", "--name", "doomed"]);
    assert_eq!((rows.len(), &totals["functions"]), (3, &3.into()), "one on each node");
    running.refused(&["status", "--node", "zzz"], &["no living node is called `zzz`", driver]);
    running.end();
}

#[test]
fn tasks_that_wait_and_tasks_that_failed_say_why() {
    let running = Running::start("tasks", "2");
    let (waiting, totals) = running.json(&["tasks"]);
    assert_eq!((waiting.len(), &totals["tasks"]), (1, &1.into()), "{waiting:?}");
    assert_eq!(waiting[0]["function"], "double");
    let id = |row: &Value| format!("a{}", row["id"].to_string().trim_matches(['"', 'a']));
    let said = running.ask(&["why", &id(&waiting[0]), "--node", &running.driver]);
    assert!(text(&said.stdout).contains("telescope"), "{said:?}");

    let (failed, totals) = running.json(&["tasks", "--ended", "--state", "failed"]);
    let hopeless = failed.iter().find(|row| row["node"] == running.driver.as_str()).unwrap();
    assert_eq!(hopeless["name"], "hopeless");
    assert_eq!(hopeless["attempts"], 3);
    assert!(hopeless["why"].as_str().unwrap().contains("the moon is wrong"), "{hopeless}");
    assert_eq!(totals["states"]["failed"], failed.len());
    let said = running.ask(&["why", &id(hopeless), "--node", &running.driver]);
    let said = text(&said.stdout);
    assert!(said.contains("failed after 3 attempts") && said.contains("the moon"), "{said}");
    running.refused(&["why", "a999999999"], &["no node has or remembers", "tasks --ended"]);

    let trace = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("trace.json");
    let written = running.ask(&["timeline", "-o", trace.to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    let trace: Value = serde_json::from_slice(&fs::read(&trace).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    assert!(events.iter().filter(|event| event["name"] == "double").count() >= 20);
    running.end();
}

#[test]
fn names_are_listed_and_their_actors_killed() {
    let running = Running::start("kill", "2");
    let (names, totals) = running.json(&["names", "--name", "clicks"]);
    assert_eq!((names.len(), &totals["names"]), (1, &1.into()), "{names:?}");
    assert_eq!(names[0]["name"], "clicks");
    running.refused(&["kill", "click"], &["no actor is called `click`", "mobula names"]);
    let killed = running.ask(&["kill", "clicks"]);
    assert!(killed.status.success(), "{killed:?}");
    assert!(text(&killed.stdout).contains("was killed"), "{killed:?}");
    running.refused(&["kill", "clicks"], &["no actor is called `clicks`"]);
    running.end();
}

#[test]
fn f30_a_drained_node_leaves_and_the_program_goes_on() {
    let running = Running::start("drain", "3");
    running.refused(&["drain", &running.driver], &["runs the program's main"]);
    let (nodes, _) = running.json(&["nodes", "--state", "alive"]);
    let of_program = nodes_with_tasks(&running);
    let worker = of_program.iter().find(|node| **node != running.driver).unwrap().clone();
    assert!(nodes.iter().any(|row| row["node"] == worker.as_str()), "{nodes:?}");
    let drained = running.ask(&["drain", &worker]);
    assert!(drained.status.success(), "{drained:?}");
    assert!(text(&drained.stdout).contains("has left"), "{drained:?}");
    let (rows, totals) = running.json(&["nodes"]);
    // Whoever comes later hears of it no more, or that it has left.
    let of_worker = rows.iter().find(|row| row["node"] == worker.as_str());
    assert!(of_worker.is_none_or(|row| row["status"] == "left"), "{rows:?}");
    assert!(totals["states"].get("down").is_none(), "{totals}");
    let (rows, _) = running.json(&["status"]);
    assert_eq!(rows.len(), 2);
    running.refused(&["drain", &worker], &["no living node is called"]);
    running.end();
}

/// Nodes that have functions: those of the program.
fn nodes_with_tasks(running: &Running) -> Vec<String> {
    let (rows, _) = running.json(&["functions", "--name", "doomed"]);
    rows.iter().map(|row| row["node"].as_str().unwrap().to_owned()).collect()
}

/// A node that `mobula up` started.
struct Up {
    node: Child,
    address: String,
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        let mut node = mobula_in("up")
            .args(["up", "--bin", &example("13_cluster"), "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", "mobula::service=info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(node.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("listens on ")?;
            Some(address.split([' ', ',']).next().unwrap().to_owned())
        });
        // Read to the end, so that it can go on speaking.
        std::thread::spawn(move || lines.for_each(drop));
        Self { node, address: address.unwrap() }
    }

    fn signal(&self, signal: &str) {
        let process = self.node.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }
}

#[test]
fn machines_join_by_address_and_secret_and_leave_on_sigterm() {
    let secret = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("up-secret");
    fs::write(&secret, "a secret of thirty bytes or so\n").unwrap();
    let wrong = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wrong-secret");
    fs::write(&wrong, "another secret of some length\n").unwrap();
    let (secret, wrong) = (secret.to_str().unwrap(), wrong.to_str().unwrap());

    let mut first = Up::start(&["--secret-file", secret, "--label", "zone=a"]);
    let join = first.address.clone();
    let mut second =
        Up::start(&["--secret-file", secret, "--join", &join, "--label", "zone=b,disk=ssd"]);
    let ask = |secret: &str, words: &[&str]| {
        let place = ["--join", &join, "--secret-file", secret];
        mobula_in("up").args([words, &place].concat()).output().unwrap()
    };
    let nodes = || {
        let output = ask(secret, &["nodes", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let rows = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
        rows.filter(|row: &Value| row["observer"] == false).collect::<Vec<Value>>()
    };
    let rows = nodes();
    let mut labels: Vec<String> = rows.iter().map(|row| row["labels"].to_string()).collect();
    labels.sort();
    assert_eq!(labels, [r#"{"disk":"ssd","zone":"b"}"#, r#"{"zone":"a"}"#]);
    assert!(rows.iter().all(|row| row["status"] == "alive"), "{rows:?}");

    let stranger = ask(wrong, &["status"]);
    assert_eq!(stranger.status.code(), Some(2), "{stranger:?}");
    assert!(text(&stranger.stderr).contains("secret"), "{stranger:?}");

    second.signal("-TERM");
    assert!(second.node.wait().unwrap().success());
    let rows = nodes();
    let state = |row: &Value| (row["labels"]["zone"].clone(), row["status"].clone());
    let living: Vec<_> = rows.iter().filter(|row| row["status"] != "left").map(state).collect();
    assert_eq!(living, [("a".into(), "alive".into())], "{rows:?}");

    // The first is as good as any: it leaves, too.
    first.signal("-TERM");
    assert!(first.node.wait().unwrap().success());
}
