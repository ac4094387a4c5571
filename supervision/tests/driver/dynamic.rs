//! Many like children.

use std::time::Duration;

use mobula_supervision::{ChildSpec, Dynamic, DynamicSpec, Supervisor, error::Refusal};

use crate::worker::{Log, Worker, crash, node, settle};

const SECOND: Duration = Duration::from_secs(1);

fn connections(log: &Log) -> DynamicSpec<String, Worker> {
    let log = log.clone();
    DynamicSpec::new("connection", move |user: String| Worker::new(user, log.clone()))
        .each(|child| child.transient().shutdown(2 * SECOND))
}

#[tokio::test(start_paused = true)]
async fn children_come_and_go_and_nothing_remains_of_them() {
    let (system, log) = (node(), Log::default());
    let dynamic = Supervisor::dynamic(connections(&log)).spawn_on(&system);
    let ann = dynamic.start_child("ann".into()).await.unwrap();
    let bob = dynamic.clone().start_child("bob".into()).await.unwrap();
    crash(&ann).await;
    assert_eq!(log.take(), "+ann +bob +ann", "made anew from the same arguments");
    bob.leave().await.unwrap();
    settle().await;
    let rows = dynamic.supervisor().which_children().await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["connection-1"]);
    dynamic.supervisor().terminate_child("connection-1").await.unwrap();
    assert_eq!(dynamic.supervisor().count_children().await.unwrap().specs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_children_stop_together() {
    let (system, log) = (node(), Log::default());
    let dynamic = Supervisor::dynamic(connections(&log)).spawn_on(&system);
    for index in 0..1000 {
        let child = dynamic.start_child(index.to_string()).await.unwrap();
        child.hang_in_stopping().await.unwrap();
    }
    assert_eq!(system.directory().len(), 1001);
    let before = tokio::time::Instant::now();
    dynamic.supervisor().stop().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 2, "one deadline for all");
    assert_eq!(system.directory().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_children_than_allowed() {
    let (system, log) = (node(), Log::default());
    let dynamic = Supervisor::dynamic(connections(&log)).max_children(2).spawn_on(&system);
    let first = dynamic.start_child("a".into()).await.unwrap();
    dynamic.start_child("b".into()).await.unwrap();
    let refused = dynamic.start_child("c".into()).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().refusal, Refusal::Full);
    first.leave().await.unwrap();
    settle().await;
    dynamic.start_child("c".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_may_be_a_child() {
    let (system, log) = (node(), Log::default());
    let spec = connections(&log);
    let below = Supervisor::dynamic(spec.clone()).into_supervisor();
    let root = Supervisor::one_for_one()
        .child(ChildSpec::supervisor("connections", below))
        .spawn_on(&system);
    let supervisor = root.child::<Supervisor>("connections").await.unwrap();
    let dynamic = Dynamic::over(supervisor, spec);
    dynamic.start_child("ann".into()).await.unwrap();
    root.stop().await.unwrap();
    assert_eq!(log.take(), "+ann -ann");
}
