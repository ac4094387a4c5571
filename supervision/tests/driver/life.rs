//! One supervisor: starting, restarting, giving up, stopping.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mobula::{ExitReason, System};
use mobula_supervision::{
    AutoShutdown, ChildSpec, CrashReports, Shutdown, Supervisor, SupervisorBuilder,
    decide::event::Incident,
};

use crate::worker::{Log, Worker, child, crash, fragile, is_escalation, node, pass, settle};

const SECOND: Duration = Duration::from_secs(1);

fn abc(builder: SupervisorBuilder, log: &Log) -> SupervisorBuilder {
    builder.intensity(3, 5 * SECOND).child(log.spec("a")).child(log.spec("b")).child(log.spec("c"))
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_one(), &log).spawn_on(&system);
    supervisor.up().await.unwrap();
    assert_eq!(log.take(), "+a +b +c");
    let reason = supervisor.stop().await.unwrap();
    assert!(matches!(reason, ExitReason::Shutdown), "{reason}");
    assert_eq!(log.take(), "-c -b -a");
    assert_eq!(system.directory().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crashed_child_is_made_anew_and_its_reference_stays_good() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_one(), &log).spawn_on(&system);
    let b = child(&supervisor, "b").await;
    assert_eq!((b.count().await.unwrap(), b.count().await.unwrap()), (1, 2));
    supervisor.up().await.unwrap();
    log.take();
    crash(&b).await;
    assert_eq!(log.take(), "+b");
    assert_eq!(b.count().await.unwrap(), 1, "the same reference, a fresh state");
    assert_eq!(child(&supervisor, "b").await, b);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_starts_all_anew_and_all_references_stay_good() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_all(), &log).spawn_on(&system);
    supervisor.up().await.unwrap();
    let (a, c) = (child(&supervisor, "a").await, child(&supervisor, "c").await);
    a.count().await.unwrap();
    log.take();
    crash(&child(&supervisor, "b").await).await;
    assert_eq!(log.take(), "-c -a +a +b +c");
    assert_eq!((a.count().await.unwrap(), c.count().await.unwrap()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_leaves_the_elder_ones_alone() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::rest_for_one(), &log).spawn_on(&system);
    supervisor.up().await.unwrap();
    let a = child(&supervisor, "a").await;
    a.count().await.unwrap();
    log.take();
    crash(&child(&supervisor, "b").await).await;
    assert_eq!(log.take(), "-c +b +c");
    assert_eq!(a.count().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_restart_too_many_ends_the_supervisor_and_names_the_child() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_one(), &log).spawn_on(&system);
    supervisor.up().await.unwrap();
    let b = child(&supervisor, "b").await;
    log.take();
    for _ in 0..3 {
        crash(&b).await;
    }
    assert_eq!(log.take(), "+b +b +b");
    assert!(supervisor.is_alive());
    crash(&b).await;
    assert_eq!(log.take(), "-c -a");
    let reason = supervisor.closed().await;
    assert!(is_escalation(&reason, "b"), "{reason}");
    assert!(!b.is_alive());
}

#[tokio::test(start_paused = true)]
async fn restarts_further_apart_than_the_period_go_on_for_ever() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_one(), &log).spawn_on(&system);
    let b = child(&supervisor, "b").await;
    for _ in 0..20 {
        crash(&b).await;
        pass(2 * SECOND).await;
    }
    assert!(supervisor.is_alive() && b.is_alive());
}

#[tokio::test(start_paused = true)]
async fn the_restart_type_decides_what_a_normal_end_means() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one()
        .intensity(3, SECOND)
        .child(log.spec("permanent"))
        .child(log.spec("transient").transient())
        .child(log.spec("temporary").temporary())
        .spawn_on(&system);
    supervisor.up().await.unwrap();
    log.take();
    for name in ["permanent", "transient", "temporary"] {
        let worker = child(&supervisor, name).await;
        worker.leave().await.unwrap();
        settle().await;
        assert_eq!(worker.is_alive(), name == "permanent");
    }
    assert_eq!(log.take(), "-permanent +permanent -transient -temporary");
    let rows = supervisor.which_children().await.unwrap();
    let states: Vec<_> = rows.iter().map(|row| (&*row.name, row.state)).collect();
    assert_eq!(states, [("permanent", "running"), ("transient", "down")]);
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_fails_itself_is_restarted_like_one_that_panics() {
    let (system, log) = (node(), Log::default());
    let spec = log.spec("a").transient();
    let supervisor = Supervisor::one_for_one().child(spec).spawn_on(&system);
    let a = child(&supervisor, "a").await;
    a.give_up().await.unwrap();
    settle().await;
    assert_eq!(a.count().await.unwrap(), 1);
    assert_eq!(log.take(), "+a -a +a");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_stop_in_time_is_killed_and_reported() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one()
        .child(log.spec("a"))
        .child(log.spec("b").shutdown(2 * SECOND))
        .spawn_on(&system);
    child(&supervisor, "b").await.hang_in_stopping().await.unwrap();
    let before = tokio::time::Instant::now();
    supervisor.stop().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 2);
    assert_eq!(log.take(), "+a +b -b -a");
    let reports = CrashReports::of(&system).list();
    assert_eq!(reports[0].incident, Incident::DeadlineMissed);
}

#[tokio::test(start_paused = true)]
async fn a_child_stuck_in_a_handler_is_killed_at_its_deadline() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one().child(log.spec("a")).spawn_on(&system);
    let a = child(&supervisor, "a").await;
    a.hang().tell().await.unwrap();
    settle().await;
    let before = tokio::time::Instant::now();
    supervisor.stop().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 5, "OTP's default");
    assert!(!a.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_brutal_kill_runs_no_hook() {
    let (system, log) = (node(), Log::default());
    let spec = log.spec("a").shutdown(Shutdown::BrutalKill);
    let supervisor = Supervisor::one_for_one().child(spec).spawn_on(&system);
    supervisor.up().await.unwrap();
    supervisor.stop().await.unwrap();
    assert_eq!(log.take(), "+a");
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_takes_its_children_along() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_one(), &log).spawn_on(&system);
    let c = child(&supervisor, "c").await;
    supervisor.kill().await.unwrap();
    c.closed().await;
    settle().await;
    assert_eq!(log.take(), "+a +b +c", "no hook runs");
    assert_eq!(system.directory().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_panics_takes_its_children_along() {
    let (system, log) = (node(), Log::default());
    let broken = log.spec("b").options(|_| panic!("no options today"));
    let supervisor = Supervisor::one_for_one().child(log.spec("a")).child(broken).spawn_on(&system);
    let reason = supervisor.closed().await;
    assert!(matches!(reason, ExitReason::Panic(_)), "{reason}");
    settle().await;
    assert_eq!(log.take(), "+a");
    assert_eq!(system.directory().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_reference_to_a_supervisor_ends_it_in_order() {
    let (system, log) = (node(), Log::default());
    let supervisor = abc(Supervisor::one_for_one(), &log).spawn_on(&system);
    supervisor.up().await.unwrap();
    drop(supervisor);
    settle().await;
    assert_eq!(log.take(), "+a +b +c -c -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_fails_stops_the_others_and_ends_the_supervisor() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one()
        .child(log.spec("a"))
        .child(fragile(&log, "b", Arc::new(Mutex::new(1))))
        .child(log.spec("c"))
        .spawn_on(&system);
    let reason = supervisor.closed().await;
    assert_eq!(reason.to_string(), "failed to start: child `b` failed to start: no disk");
    assert_eq!(log.take(), "+a -a");
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_tried_again_and_counts() {
    let (system, log) = (node(), Log::default());
    let broken = Arc::new(Mutex::new(0));
    let supervisor = Supervisor::one_for_one()
        .intensity(3, SECOND)
        .child(fragile(&log, "a", Arc::clone(&broken)))
        .spawn_on(&system);
    let a = child(&supervisor, "a").await;
    *broken.lock().unwrap() = 2;
    crash(&a).await;
    assert_eq!(a.count().await.unwrap(), 1, "the third restart succeeds, the reference is good");
    let rows = supervisor.which_children().await.unwrap();
    assert_eq!(rows[0].generation, 4);
    crash(&a).await;
    assert!(is_escalation(&supervisor.closed().await, "a"));
}

#[tokio::test(start_paused = true)]
async fn a_backoff_spreads_restarts_and_stopping_does_not_wait_for_it() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one()
        .intensity(100, SECOND)
        .backoff(SECOND..(3600 * SECOND))
        .seed(7)
        .child(log.spec("a"))
        .spawn_on(&system);
    let a = child(&supervisor, "a").await;
    supervisor.up().await.unwrap();
    for attempt in 0..6 {
        let ceiling = SECOND * 2_u32.pow(attempt);
        assert!(a.crash().await.is_err());
        let before = tokio::time::Instant::now();
        a.ready().await.unwrap();
        // What waited for the child was handed back; now it serves again.
        assert_eq!(a.count().await.unwrap(), 1);
        assert!(before.elapsed() <= ceiling + Duration::from_millis(2), "attempt {attempt}");
    }
    assert!(a.crash().await.is_err());
    let before = tokio::time::Instant::now();
    supervisor.stop().await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(10));
    assert!(!a.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_significant_child_that_is_done_ends_the_supervisor() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one()
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(log.spec("helper"))
        .child(log.spec("job").transient().significant())
        .spawn_on(&system);
    supervisor.up().await.unwrap();
    child(&supervisor, "job").await.leave().await.unwrap();
    let reason = supervisor.closed().await;
    assert!(matches!(reason, ExitReason::Shutdown), "{reason}");
    assert_eq!(log.take(), "+helper +job -job -helper");
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_that_was_killed_for_good_is_started_anew() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_one().child(log.spec("a")).spawn_on(&system);
    let a = child(&supervisor, "a").await;
    supervisor.up().await.unwrap();
    a.kill().restart();
    settle().await;
    assert_eq!(a.count().await.unwrap(), 1, "as a crash: the reference stays good");
    pass(6 * SECOND).await;
    a.kill().await.unwrap();
    settle().await;
    let again = child(&supervisor, "a").await;
    assert_eq!(again.count().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn contradictory_specs_are_refused_when_the_supervisor_starts() {
    let (system, log) = (node(), Log::default());
    let twice = Supervisor::one_for_one().child(log.spec("a")).child(log.spec("a"));
    let reason = twice.spawn_on(&system).ready().await.unwrap_err();
    let text = "failed to start: two child specs share the name `a`";
    assert_eq!(reason.to_string(), text);
    let significant = Supervisor::one_for_one().child(log.spec("a").significant());
    assert!(significant.spawn_on(&system).ready().await.is_err());
    assert_eq!(log.take(), "");
}

#[tokio::test(start_paused = true)]
async fn a_child_is_made_by_a_value_a_result_or_a_future() {
    let (system, log) = (node(), Log::default());
    let worker = |log: &Log, name: &str| Worker::new(name.to_owned(), log.clone());
    let (x, y) = (log.clone(), log.clone());
    let supervisor = Supervisor::one_for_one()
        .child(ChildSpec::new("later", move || {
            let log = x.clone();
            async move {
                tokio::time::sleep(SECOND).await;
                worker(&log, "later")
            }
        }))
        .child(ChildSpec::new("perhaps", move || Ok::<_, std::io::Error>(worker(&y, "perhaps"))))
        .spawn_on(&system);
    supervisor.up().await.unwrap();
    assert_eq!(log.take(), "+later +perhaps");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_does_not_hold_up_the_end() {
    let (system, log) = (node(), Log::default());
    let hanging = ChildSpec::new("b", std::future::pending::<Worker>).shutdown(SECOND);
    let supervisor =
        Supervisor::one_for_one().child(log.spec("a")).child(hanging).spawn_on(&system);
    settle().await;
    supervisor.stop().await.unwrap();
    assert_eq!(log.take(), "+a -a");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_runs_when_the_supervisor_is_stopped_runs_on() {
    let (system, log) = (node(), Log::default());
    let supervisor = Supervisor::one_for_all()
        .child(log.spec("a"))
        .child(log.spec("b").shutdown(10 * SECOND))
        .spawn_on(&system);
    child(&supervisor, "b").await.hang_in_stopping().await.unwrap();
    let began = tokio::time::Instant::now();
    crash(&child(&supervisor, "a").await).await; // so `b` is told to stop
    pass(6 * SECOND).await;
    supervisor.stop().await.unwrap();
    assert_eq!(began.elapsed(), 10 * SECOND);
    assert_eq!(log.take(), "+a +b -b");
}

#[tokio::test(start_paused = true)]
async fn a_crash_report_says_who_did_what_and_what_comes_of_it() {
    let system: System = node();
    let log = Log::default();
    let recorded = log.spec("ledger").options(|options| options.flight_recorder(2));
    let supervisor = Supervisor::one_for_one()
        .name("bank")
        .intensity(2, SECOND)
        .child(recorded)
        .spawn_on(&system);
    let ledger = child(&supervisor, "ledger").await;
    for _ in 0..3 {
        ledger.count().await.unwrap();
    }
    crash(&ledger).await;
    let reports = CrashReports::of(&system).list();
    let text = reports[0].to_string();
    let id = ledger.id();
    assert!(
        text.starts_with(&format!(
            "bank/ledger (Worker {id}, generation 1) panicked: boom in ledger at "
        )),
        "{text}"
    );
    assert!(
        text.contains("(while handling `Worker::crash`); restarting, 1 restart left"),
        "{text}"
    );
    assert!(text.ends_with("; handled last: #2 Worker::count, #3 Worker::crash"), "{text}");
    assert_eq!(reports[0].restarts_left(), Some(1));
    crash(&ledger).await;
    crash(&ledger).await;
    let last = CrashReports::of(&system).list().pop().unwrap();
    assert_eq!(last.incident, Incident::IntensityExceeded);
    assert!(last.to_string().contains("the supervisor gives up"), "{last}");
}
