//! What a running supervisor can be asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mobula::ActorRef;
use mobula_supervision::{
    ChildSpec, Supervisor, child_rules::ChildKind, children::ChildCounts, error::Refusal,
};

use crate::worker::{Log, Worker, child, crash, fragile, node, settle};

const SECOND: Duration = Duration::from_secs(1);

/// The refusal of a call that must be refused.
macro_rules! refusal {
    ($call:expr) => {
        $call.await.unwrap_err().refusal().expect("a refusal").clone()
    };
}

#[tokio::test(start_paused = true)]
async fn a_child_is_terminated_restarted_and_deleted_as_in_otp() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one().child(log.spec("a")).spawn_on(&system);
    let a = child(&supervisor, "a").await;
    supervisor.up().await.unwrap();
    assert_eq!(refusal!(supervisor.restart_child("a")).refusal, Refusal::Running);
    assert_eq!(refusal!(supervisor.delete_child("a")).refusal, Refusal::Running);
    supervisor.terminate_child("a").await.unwrap();
    assert_eq!(log.take(), "+a -a");
    assert!(!a.is_alive());
    assert_eq!(refusal!(supervisor.child::<Worker>("a")).refusal, Refusal::Down);
    let present = refusal!(supervisor.start_child(log.spec("a")));
    assert_eq!(present.to_string(), "child `a`: a child spec of this name is already present");
    supervisor.restart_child("a").await.unwrap();
    assert_eq!(child(&supervisor, "a").await.count().await.unwrap(), 1);
    supervisor.terminate_child("a").await.unwrap();
    supervisor.delete_child("a").await.unwrap();
    assert_eq!(refusal!(supervisor.delete_child("a")).refusal, Refusal::NotFound);
    assert_eq!(supervisor.count_children().await.unwrap(), ChildCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_added_is_up_when_the_answer_comes_and_stops_first() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one().child(log.spec("a")).spawn_on(&system);
    let b: ActorRef<Worker> = supervisor.start_child(log.spec("b")).await.unwrap();
    assert_eq!(log.take(), "+a +b");
    crash(&b).await;
    assert_eq!(b.count().await.unwrap(), 1);
    supervisor.stop().await.unwrap();
    assert_eq!(log.take(), "+b -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_cannot_be_made_is_not_kept_and_the_answer_says_why() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one().spawn_on(&system);
    let broken = Arc::new(Mutex::new(1));
    let refused = refusal!(supervisor.start_child(fragile(&log, "a", Arc::clone(&broken))));
    let text = "child `a`: the child failed to start: it failed to start: no disk";
    assert_eq!(refused.to_string(), text);
    assert_eq!(supervisor.count_children().await.unwrap().specs, 0);
    supervisor.start_child(fragile(&log, "a", broken)).await.unwrap();
    let significant = log.spec("b").transient().significant();
    assert!(matches!(refusal!(supervisor.start_child(significant)).refusal, Refusal::BadSpec(_)));
}

#[tokio::test(start_paused = true)]
async fn asking_for_a_child_waits_for_its_first_start() {
    let (system, log) = (node(), Log::default());
    let slow = log.clone();
    let supervisor = Supervisor::one_for_one()
        .child(ChildSpec::new("slow", move || {
            let log = slow.clone();
            async move {
                tokio::time::sleep(SECOND).await;
                Worker::new("slow".into(), log)
            }
        }))
        .child(log.spec("after"))
        .spawn_on(&system);
    let before = tokio::time::Instant::now();
    let after = child(&supervisor, "after").await;
    assert_eq!(before.elapsed().as_secs(), 1);
    assert_eq!(after.count().await.unwrap(), 1);
    assert_eq!(refusal!(supervisor.child::<Supervisor>("after")).refusal, Refusal::OtherType);
    assert_eq!(refusal!(supervisor.child::<Worker>("nobody")).refusal, Refusal::NotFound);
}

#[tokio::test(start_paused = true)]
async fn listings_show_every_child_with_state_and_generation() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one()
        .child(log.spec("a"))
        .child(log.spec("b").transient())
        .child(ChildSpec::supervisor("c", Supervisor::one_for_one()))
        .spawn_on(&system);
    supervisor.up().await.unwrap();
    crash(&child(&supervisor, "a").await).await;
    child(&supervisor, "b").await.leave().await.unwrap();
    settle().await;
    let rows = supervisor.which_children().await.unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (&*row.name, row.type_name, row.state, row.generation, row.kind))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", "Worker", "running", 2, ChildKind::Worker),
            ("b", "Worker", "down", 1, ChildKind::Worker),
            ("c", "Supervisor", "running", 1, ChildKind::Supervisor),
        ]
    );
    let counts = supervisor.count_children().await.unwrap();
    assert_eq!(counts, ChildCounts { specs: 3, active: 2, supervisors: 1, workers: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_end_overtakes_is_refused() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one().child(log.spec("a")).spawn_on(&system);
    supervisor.up().await.unwrap();
    let never = ChildSpec::new("b", std::future::pending::<Worker>).shutdown(SECOND);
    let asking = {
        let supervisor = supervisor.clone();
        tokio::task::spawn(async move { refusal!(supervisor.start_child(never)) })
    };
    settle().await;
    supervisor.stop().await.unwrap();
    assert_eq!(asking.await.unwrap().refusal, Refusal::ShuttingDown);
}
