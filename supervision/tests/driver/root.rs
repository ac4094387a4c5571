//! The root supervisor: detached actors and those with `max_restarts`.

use std::time::Duration;

use mobula::{ActorOptions, ActorRef, System};
use mobula_supervision::{CrashReports, RootSupervisor, backoff::Backoff, decide::event::Incident};

use crate::worker::{Log, Worker, crash, node, pass, settle};

const SECOND: Duration = Duration::from_secs(1);

fn rooted() -> (System, ActorRef<RootSupervisor>) {
    let system = node();
    let root = RootSupervisor::spawn_with(&system, Backoff::none(), Some(1));
    (system, root)
}

fn worker(system: &System, log: &Log, max_restarts: u32) -> ActorRef<Worker> {
    let log = log.clone();
    ActorOptions::new(system.clone())
        .max_restarts(max_restarts)
        .spawn_with(move || Worker::new("w".into(), log.clone()))
}

#[tokio::test(start_paused = true)]
async fn an_actor_is_restarted_as_often_as_it_asked_for_and_then_ends() {
    let (system, _root) = rooted();
    let log = Log::default();
    let worker = worker(&system, &log, 2);
    for _ in 0..2 {
        crash(&worker).await;
        assert_eq!(worker.count().await.unwrap(), 1);
    }
    crash(&worker).await;
    assert!(!worker.is_alive());
    assert_eq!(log.take(), "+w +w +w");
    let reports = CrashReports::of(&system).list();
    let incidents: Vec<_> = reports.iter().map(|report| report.restarts_left()).collect();
    assert_eq!(incidents, [Some(1), Some(0), Some(0)]);
    assert_eq!(reports[2].incident, Incident::BudgetUsedUp);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_somebody_wanted_is_final() {
    let (system, _root) = rooted();
    let log = Log::default();
    let (killed, stopped, left) =
        (worker(&system, &log, 9), worker(&system, &log, 9), worker(&system, &log, 9));
    killed.kill().await.unwrap();
    stopped.stop().await.unwrap();
    left.leave().await.unwrap();
    left.closed().await;
    settle().await;
    assert!(CrashReports::of(&system).list().is_empty());
    assert_eq!(system.directory().len(), 1, "the root alone");
}

#[tokio::test(start_paused = true)]
async fn a_kill_that_asks_for_a_restart_counts_as_a_crash() {
    let (system, _root) = rooted();
    let worker = worker(&system, &Log::default(), 1);
    worker.count().await.unwrap();
    worker.kill().restart();
    settle().await;
    assert_eq!(worker.count().await.unwrap(), 1);
    worker.kill().restart();
    settle().await;
    assert!(!worker.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_restartable_actor_that_nobody_refers_to_is_not_restarted() {
    let (system, _root) = rooted();
    let log = Log::default();
    let worker = worker(&system, &log, 9);
    worker.ready().await.unwrap();
    worker.crash().tell().await.unwrap();
    drop(worker);
    settle().await;
    assert_eq!(log.take(), "+w");
    assert_eq!(system.directory().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_detached_actor_lives_without_references_and_without_restarts_ends_at_a_crash() {
    let (system, _root) = rooted();
    let log = Log::default();
    let worker_log = log.clone();
    let worker = ActorOptions::new(system.clone())
        .detached()
        .name("w")
        .spawn_with(move || Worker::new("w".into(), worker_log.clone()));
    worker.ready().await.unwrap();
    drop(worker);
    pass(3600 * SECOND).await;
    let name = mobula::FullName::new(mobula::DEFAULT_NAMESPACE, "w".to_owned());
    let worker: ActorRef<Worker> = mobula::lookup(&system, &name).unwrap();
    crash(&worker).await;
    assert!(!worker.is_alive());
    assert!(mobula::lookup::<Worker>(&system, &name).is_err(), "the name is free");
    assert_eq!(CrashReports::of(&system).list()[0].incident, Incident::StaysDown);
}

#[tokio::test(start_paused = true)]
async fn crashes_in_a_row_wait_longer_and_a_stable_time_forgives() {
    let system = node();
    let backoff = Backoff::new(SECOND, 64 * SECOND);
    let _root = RootSupervisor::spawn_with(&system, backoff, Some(3));
    let worker = worker(&system, &Log::default(), 100);
    for attempt in 0..5 {
        assert!(worker.crash().await.is_err());
        pass(Duration::from_millis(1)).await;
        let Incident::Restarting { delay, .. } =
            CrashReports::of(&system).list().pop().unwrap().incident
        else {
            panic!("a restart");
        };
        assert!(delay <= SECOND * 2_u32.pow(attempt), "attempt {attempt}: {delay:?}");
        worker.ready().await.unwrap();
    }
    pass(65 * SECOND).await;
    crash(&worker).await;
    let incident = CrashReports::of(&system).list().pop().unwrap().incident;
    assert!(matches!(incident, Incident::Restarting { delay, .. } if delay <= SECOND));
}

#[tokio::test(start_paused = true)]
async fn actors_that_wait_for_their_restart_end_with_the_root() {
    let system = node();
    let backoff = Backoff::new(3600 * SECOND, 7200 * SECOND);
    let root = RootSupervisor::spawn_with(&system, backoff, Some(5));
    let worker = worker(&system, &Log::default(), 9);
    crash(&worker).await;
    assert!(worker.is_alive());
    root.stop().await.unwrap();
    worker.closed().await;
    assert_eq!(system.directory().len(), 0);
}
