//! Two builds of one program in one cluster: what both have is used, what one lacks or has in another form is refused at
//! once, with the reason.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mobula::{ClusterConfig, Node, Role};

#[path = "fixture/built.rs"]
mod built;

static BUILT: built::Built = built::Built::new(&["two_builds_old", "two_builds_new"]);

/// Far more than anything here takes: a bound on failure, not a measure.
const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of the test's own";

fn start(name: &str, join: &str, settings: &[(&str, &str)]) -> Child {
    let mut run = Command::new(BUILT.example(name));
    run.env_remove("RUST_LOG").env("MOBULA_JOIN", join).env("MOBULA_SECRET", SECRET);
    run.envs(settings.iter().copied());
    run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_builds_share_what_they_have_and_say_what_they_have_not() {
    let mut config = ClusterConfig::listen("127.0.0.1:0".parse().unwrap());
    config.secret = Some(SECRET.to_owned());
    // A third build: this test. It only brings the others together.
    config.role = Role::Client;
    let meeting = Node::builder().num_cpus(1.0).cluster(config).start().await.unwrap();
    let address = &meeting.addresses()[0];
    let worker = [
        ("MOBULA_ROLE", "worker"),
        ("MOBULA_LABELS", "build=new"),
        ("MOBULA_LEAVE_WITH_STDIN", "1"),
    ];
    let new = start("two_builds_new", address, &worker);
    meeting.wait_for_nodes(2, LIMIT).await.unwrap();
    let old = start("two_builds_old", address, &[("MOBULA_EXPECT_NODES", "3")]);
    let ended = tokio::task::spawn_blocking(move || old.wait_with_output());
    let output = tokio::time::timeout(LIMIT, ended).await.unwrap().unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let line = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("nothing of {name} in {said}{errors}"))
    };
    assert_eq!(line("same function: "), "42");
    assert_eq!(line("same actor: "), "105");
    assert_eq!(line("all at home: "), "true");
    let changed = line("changed function: ");
    assert!(changed.contains("no node provides the function"), "{changed}");
    assert!(changed.contains("`shop::price` v1 fn(u32) -> u32"), "what was asked for: {changed}");
    assert!(changed.contains("has `shop::price` v1 fn(u64) -> u64"), "what is there: {changed}");
    let missing = line("missing function: ");
    assert!(missing.contains("has nothing named `shop::haggle`"), "{missing}");
    let actor = line("changed actor: ");
    assert!(actor.contains("no node provides `Queue`"), "{actor}");
    assert!(actor.contains("has the constructor of `Queue`"), "{actor}");
    // The end of its standard input is the end of the worker.
    drop(new.wait_with_output().unwrap());
    meeting.shutdown().await;
}
