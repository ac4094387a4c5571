//! Supervisors of supervisors: order, escalation, and the chain in crash reports.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mobula::{ActorRef, ExitReason};
use mobula_supervision::{ChildSpec, CrashReports, Supervisor, SupervisorBuilder};

use crate::worker::{Log, child, crash, fragile, is_escalation, node, settle};

const SECOND: Duration = Duration::from_secs(1);

fn storage(log: &Log) -> SupervisorBuilder {
    Supervisor::one_for_all().intensity(1, SECOND).child(log.spec("disk")).child(log.spec("index"))
}

fn tree(log: &Log) -> SupervisorBuilder {
    Supervisor::rest_for_one()
        .name("root")
        .intensity(1, SECOND)
        .child(ChildSpec::supervisor("storage", storage(log)))
        .child(log.spec("web"))
}

async fn subtree(root: &ActorRef<Supervisor>) -> ActorRef<Supervisor> {
    root.child::<Supervisor>("storage").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_tree_starts_depth_first_and_stops_backwards() {
    let (system, log) = (node(), Log::default());
    let root = tree(&log).spawn_on(&system);
    root.up().await.unwrap();
    assert_eq!(log.take(), "+disk +index +web");
    root.stop().await.unwrap();
    assert_eq!(log.take(), "-web -index -disk");
    settle().await;
    assert_eq!(system.directory().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subtree_that_gives_up_is_restarted_by_its_parent_with_those_after_it() {
    let (system, log) = (node(), Log::default());
    let root = tree(&log).spawn_on(&system);
    root.up().await.unwrap();
    let storage = subtree(&root).await;
    log.take();
    crash(&child(&storage, "disk").await).await;
    assert_eq!(log.take(), "-index +disk +index", "the first fault stays below");
    crash(&child(&storage, "disk").await).await;
    assert_eq!(log.take(), "-index -web +disk +index +web", "the second one escalates");
    assert!(storage.is_alive(), "the reference to the subtree stays good");
    assert_eq!(child(&storage, "disk").await.count().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_no_restart_helps_reaches_the_top() {
    let (system, log) = (node(), Log::default());
    let root = tree(&log).spawn_on(&system);
    root.up().await.unwrap();
    let storage = subtree(&root).await;
    for _ in 0..4 {
        crash(&child(&storage, "index").await).await;
    }
    let reason = root.closed().await;
    assert!(is_escalation(&reason, "storage"), "{reason}");
    let text = reason.to_string();
    assert!(
        text.contains("`storage`, which gave up on child `index`, which panicked: boom"),
        "{text}"
    );
    let chains: Vec<String> = CrashReports::of(&system)
        .list()
        .iter()
        .map(|report| report.to_string().split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        chains,
        [
            "root/storage/index",
            "root/storage/index",
            "root/storage",
            "root/storage/index",
            "root/storage/index",
            "root/storage",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_subtree_whose_first_start_fails_fails_its_parents_start() {
    let (system, log) = (node(), Log::default());
    let below = Supervisor::one_for_one().child(log.spec("a")).child(fragile(
        &log,
        "b",
        Arc::new(Mutex::new(1)),
    ));
    let root = Supervisor::one_for_one()
        .child(log.spec("first"))
        .child(ChildSpec::supervisor("below", below))
        .child(log.spec("last"))
        .spawn_on(&system);
    let reason = root.closed().await;
    assert!(matches!(reason, ExitReason::StartFailed(_)), "{reason}");
    assert!(reason.to_string().ends_with("child `b` failed to start: no disk"), "{reason}");
    assert_eq!(log.take(), "+first +a -a -first");
}

#[tokio::test(start_paused = true)]
async fn a_transient_subtree_that_gives_up_stays_down_as_in_otp() {
    let (system, log) = (node(), Log::default());
    let root = Supervisor::one_for_one()
        .child(ChildSpec::supervisor("storage", storage(&log)).transient())
        .spawn_on(&system);
    root.up().await.unwrap();
    let storage = subtree(&root).await;
    for _ in 0..2 {
        crash(&child(&storage, "disk").await).await;
    }
    assert!(!storage.is_alive());
    assert_eq!(root.which_children().await.unwrap()[0].state, "down");
}

#[tokio::test(start_paused = true)]
async fn killing_the_top_kills_the_whole_tree() {
    let (system, log) = (node(), Log::default());
    let root = tree(&log).spawn_on(&system);
    root.up().await.unwrap();
    root.kill().await.unwrap();
    settle().await;
    assert_eq!(system.directory().len(), 0);
    assert_eq!(log.take(), "+disk +index +web", "no hook runs");
}
