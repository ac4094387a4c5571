//! Named cases: what the tables cannot say because it takes time or several events.

use std::time::Duration;

use mobula_supervision::{
    auto_shutdown::AutoShutdown,
    backoff::Backoff,
    child_rules::ChildRules,
    decide::{
        Core,
        event::{Event, Request},
    },
    error::{Refusal, SpecError},
    intensity::Intensity,
    restart::{ExitClass, Restart},
    settings::Settings,
    shutdown::{Shutdown, StopOrder},
    strategy::Strategy,
};

use crate::stage::{Stage, child, permanent};

const SECOND: Duration = Duration::from_secs(1);

fn settings(strategy: Strategy, restarts: u32) -> Settings {
    Settings { strategy, intensity: Intensity::new(restarts, 5 * SECOND), ..Settings::default() }
}

fn patient(strategy: Strategy) -> Settings {
    Settings { backoff: Backoff::new(8 * SECOND, 60 * SECOND), ..settings(strategy, 9) }
}

#[test]
fn children_start_in_order_and_stop_in_reverse() {
    let mut stage = Stage::new(Settings::default(), permanent("a b c"));
    stage.feed(Event::Begin);
    assert_eq!(stage.take_log(), "+a +b +c ready");
    stage.feed(Event::Shutdown);
    assert_eq!(stage.take_log(), "-c -b -a done");
    assert!(stage.all_down());
}

#[test]
fn a_child_waits_for_its_predecessor_to_be_up() {
    let mut stage = Stage::new(Settings::default(), permanent("a b"));
    stage.hold("a");
    stage.feed(Event::Begin);
    assert_eq!(stage.take_log(), "+a");
    stage.started("a");
    assert_eq!(stage.take_log(), "+b ready");
}

#[test]
fn a_failed_first_start_stops_what_was_started_and_ends() {
    let mut stage = Stage::new(Settings::default(), permanent("a b c d"));
    stage.fail_starts("c", 1);
    stage.feed(Event::Begin);
    assert_eq!(stage.take_log(), "+a +b +c unstartable:c -b -a not-started:c");
}

#[test]
fn a_supervisor_without_children_is_ready_and_done_at_once() {
    let mut stage = Stage::new(Settings::default(), Vec::new());
    stage.feed(Event::Begin);
    stage.feed(Event::Shutdown);
    assert_eq!(stage.take_log(), "ready done");
}

#[test]
fn a_failed_restart_counts_as_another_restart() {
    let mut stage = Stage::begun(settings(Strategy::OneForOne, 3), permanent("a b"));
    stage.fail_starts("b", 2);
    stage.crash("b");
    assert_eq!(stage.take_log(), "+b +b +b", "three restarts, the last succeeds");
    stage.crash("b");
    assert_eq!(stage.take_log(), "-a gave-up:b");
}

#[test]
fn a_restart_that_never_succeeds_gives_up() {
    let mut stage = Stage::begun(settings(Strategy::OneForAll, 2), permanent("a b c"));
    stage.fail_starts("b", 99);
    stage.crash("c");
    assert_eq!(stage.take_log(), "-b -a +a +b -a +a +b -a gave-up:b");
}

#[test]
fn a_failed_restart_of_a_group_begins_again_with_the_failed_one() {
    let mut stage = Stage::begun(settings(Strategy::RestForOne, 9), permanent("a b c d"));
    stage.fail_starts("c", 1);
    stage.crash("b");
    assert_eq!(stage.take_log(), "-d -c +b +c +c +d");
}

#[test]
fn one_for_all_revives_children_that_had_ended_normally_as_otp_does() {
    let mut stage = Stage::begun(
        settings(Strategy::OneForAll, 9),
        vec![child("a", Restart::Transient), child("b", Restart::Permanent)],
    );
    stage.exit("a", ExitClass::Normal);
    assert_eq!(stage.states(), "a=down b=running");
    stage.crash("b");
    assert_eq!(stage.take_log(), "+a +b");
}

#[test]
fn shutdown_overtakes_a_restart_that_waits() {
    let mut stage = Stage::begun(patient(Strategy::OneForOne), permanent("a b"));
    stage.crash("b");
    stage.feed(Event::Shutdown);
    stage.pass(100 * SECOND);
    assert_eq!(stage.take_log(), "-a done");
}

#[test]
fn shutdown_overtakes_a_start_that_hangs() {
    let mut stage = Stage::begun(settings(Strategy::OneForAll, 9), permanent("a b"));
    stage.hold("a");
    stage.crash("b");
    assert_eq!(stage.take_log(), "-a");
    stage.exit("a", ExitClass::Shutdown);
    assert_eq!(stage.take_log(), "+a");
    stage.feed(Event::Shutdown);
    assert_eq!(stage.take_log(), "-a");
    stage.pass(6 * SECOND);
    assert_eq!(stage.take_log(), "late:a !a", "a start that hangs has a deadline too");
    stage.crash("a");
    assert_eq!(stage.take_log(), "done");
}

#[test]
fn a_child_that_misses_its_deadline_is_killed_and_the_next_waits_for_it() {
    let rules = ChildRules { shutdown: Shutdown::Deadline(2 * SECOND), ..ChildRules::worker("b") };
    let mut stage = Stage::begun(Settings::default(), vec![child("a", Restart::Permanent), rules]);
    stage.hold("b");
    stage.feed(Event::Shutdown);
    stage.pass(SECOND);
    assert_eq!(stage.take_log(), "-b");
    stage.pass(SECOND);
    assert_eq!(stage.take_log(), "late:b !b");
    stage.crash("b");
    assert_eq!(stage.take_log(), "-a done");
}

#[test]
fn a_brutal_kill_asks_nobody_and_infinity_waits_for_ever() {
    let mut children = permanent("a b");
    children[0].shutdown = Shutdown::Infinity;
    children[1].shutdown = Shutdown::BrutalKill;
    let mut stage = Stage::begun(Settings::default(), children);
    stage.hold("a");
    stage.feed(Event::Shutdown);
    stage.pass(1_000_000 * SECOND);
    assert_eq!(stage.take_log(), "!b -a");
}

#[test]
fn a_child_that_crashes_while_it_is_stopped_is_reported_and_not_restarted() {
    let mut stage = Stage::begun(Settings::default(), permanent("a b"));
    stage.hold("b");
    stage.feed(Event::Shutdown);
    stage.crash("b");
    assert_eq!(stage.take_log(), "-b bad-end:b -a done");
}

#[test]
fn like_children_stop_together() {
    let together = Settings { stop_order: StopOrder::Together, ..Settings::default() };
    let mut stage = Stage::begun(together, permanent("a b c"));
    for name in ["a", "b", "c"] {
        stage.hold(name);
    }
    stage.feed(Event::Shutdown);
    assert_eq!(stage.take_log(), "-c -b -a");
    for name in ["a", "c", "b"] {
        assert_eq!(stage.take_log(), "");
        stage.exit(name, ExitClass::Shutdown);
    }
    assert_eq!(stage.take_log(), "done");
}

#[test]
fn siblings_stop_before_the_backoff_and_start_after_it() {
    let mut stage = Stage::begun(patient(Strategy::OneForAll), permanent("a b"));
    stage.crash("a");
    assert_eq!(stage.take_log(), "-b");
    assert_eq!(stage.states(), "a=restarting b=restarting");
    stage.pass(8 * SECOND);
    assert_eq!(stage.take_log(), "+a +b");
}

#[test]
fn under_one_for_one_a_backoff_holds_up_nobody_else() {
    let mut stage = Stage::begun(patient(Strategy::OneForOne), permanent("a b c"));
    stage.crash("a");
    stage.crash("c");
    assert_eq!(stage.ask(Request::Terminate(stage.key("b"))), Some(Ok("b".into())));
    assert_eq!(stage.states(), "a=restarting b=down c=restarting");
    stage.pass(8 * SECOND);
    assert_eq!(stage.states(), "a=running b=down c=running");
}

#[test]
fn a_larger_restart_takes_in_one_that_waits_out_its_backoff() {
    let mut stage = Stage::begun(patient(Strategy::RestForOne), permanent("a b c"));
    stage.crash("c");
    stage.crash("b");
    stage.pass(60 * SECOND);
    assert_eq!(stage.take_log(), "+b +c", "c is started once, and after b");
}

#[test]
fn a_crash_during_a_groups_restart_is_dealt_with_after_it() {
    let mut stage = Stage::begun(settings(Strategy::OneForAll, 9), permanent("a b c"));
    stage.hold("b");
    stage.crash("c");
    stage.exit("b", ExitClass::Shutdown);
    assert_eq!(stage.take_log(), "-b -a +a +b");
    stage.crash("a");
    assert_eq!(stage.take_log(), "", "b is still starting");
    stage.let_go("b");
    stage.started("b");
    assert_eq!(stage.take_log(), "+c -c -b +a +b +c");
}

#[test]
fn a_child_that_crashes_before_its_turn_to_stop_is_not_waited_for() {
    let mut stage = Stage::begun(settings(Strategy::OneForAll, 1), permanent("a b c"));
    stage.hold("c");
    stage.crash("b");
    stage.crash("a");
    assert_eq!(stage.take_log(), "-c");
    stage.let_go("c");
    stage.exit("c", ExitClass::Shutdown);
    assert_eq!(stage.take_log(), "bad-end:a +a +b +c", "and it counts no second restart");
}

#[test]
fn late_events_of_an_earlier_life_are_ignored() {
    let mut stage = Stage::begun(settings(Strategy::OneForOne, 9), permanent("a"));
    let child = stage.key("a");
    stage.crash("a");
    stage.take_log();
    for event in [
        Event::ChildExited { child, generation: 1, exit: ExitClass::Abnormal },
        Event::StartFailed { child, generation: 1 },
        Event::StartSucceeded { child, generation: 1 },
        Event::StartSucceeded { child, generation: 2 },
    ] {
        stage.feed(event);
    }
    assert_eq!((stage.take_log().as_str(), stage.states().as_str()), ("", "a=running"));
}

#[test]
fn a_childs_own_budget_ends_the_child_and_nobody_else() {
    let mut children = permanent("a b");
    children[0] = ChildRules { budget: Some(2), ..child("a", Restart::Transient) };
    let unlimited = Settings { intensity: Intensity::unlimited(), ..Settings::default() };
    let mut stage = Stage::begun(unlimited, children);
    for _ in 0..2 {
        stage.crash("a");
        stage.pass(1000 * SECOND);
    }
    assert_eq!(stage.take_log(), "+a +a");
    stage.crash("a");
    assert_eq!((stage.take_log().as_str(), stage.states().as_str()), ("used-up:a", "b=running"));
}

#[test]
fn a_significant_child_whose_budget_is_used_up_has_ended_for_good() {
    for (auto_shutdown, log) in [
        (AutoShutdown::AnySignificant, "used-up:b -c -a auto-shutdown"),
        (AutoShutdown::AllSignificant, "used-up:b"),
    ] {
        let main = ChildRules { significant: true, ..child("b", Restart::Transient) };
        let other = ChildRules { significant: true, ..child("c", Restart::Transient) };
        let main = ChildRules { budget: Some(1), ..main };
        let auto = Settings { auto_shutdown, ..settings(Strategy::OneForOne, 9) };
        let mut stage = Stage::begun(auto, vec![child("a", Restart::Permanent), main, other]);
        stage.crash("b");
        assert_eq!(stage.take_log(), "+b");
        stage.crash("b");
        assert_eq!(stage.take_log(), log);
    }
}

#[test]
fn a_group_goes_on_without_a_member_whose_budget_is_used_up() {
    let mut children = permanent("a b c");
    children[1].budget = Some(1);
    let mut stage = Stage::begun(settings(Strategy::OneForAll, 9), children);
    stage.fail_starts("b", 1);
    stage.crash("b");
    assert_eq!(stage.take_log(), "-c -a +a +b used-up:b +c");
    assert_eq!(stage.states(), "a=running c=running");
}

#[test]
fn requests_answer_as_otp_does() {
    let mut stage = Stage::begun(settings(Strategy::OneForOne, 9), permanent("a"));
    let a = stage.key("a");
    assert_eq!(stage.add(child("a", Restart::Permanent)), Some(Err(Refusal::Running)));
    assert_eq!(stage.ask(Request::Restart(a)), Some(Err(Refusal::Running)));
    assert_eq!(stage.ask(Request::Delete(a)), Some(Err(Refusal::Running)));
    assert_eq!(stage.ask(Request::Terminate(a)), Some(Ok("a".into())));
    assert_eq!(stage.ask(Request::Terminate(a)), Some(Ok("a".into())), "again is fine");
    assert_eq!(stage.add(child("a", Restart::Permanent)), Some(Err(Refusal::AlreadyPresent)));
    assert_eq!(stage.ask(Request::Restart(a)), Some(Ok("a".into())));
    assert_eq!(stage.ask(Request::Terminate(a)), Some(Ok("a".into())));
    assert_eq!(stage.ask(Request::Delete(a)), Some(Ok("a".into())));
    assert_eq!(stage.ask(Request::Delete(a)), Some(Err(Refusal::NotFound)));
    assert_eq!(stage.ask(Request::Restart(a)), Some(Err(Refusal::NotFound)));
    assert_eq!(stage.ask(Request::Terminate(a)), Some(Err(Refusal::NotFound)));
    stage.feed(Event::Shutdown);
    assert_eq!(stage.add(child("b", Restart::Permanent)), Some(Err(Refusal::ShuttingDown)));
}

#[test]
fn a_terminated_temporary_child_leaves_no_spec() {
    let mut stage = Stage::begun(Settings::default(), vec![child("a", Restart::Temporary)]);
    assert_eq!(stage.ask(Request::Terminate(stage.key("a"))), Some(Ok("a".into())));
    assert!(stage.core.children().is_empty());
}

#[test]
fn an_added_child_that_does_not_start_is_not_kept() {
    let mut stage = Stage::begun(Settings::default(), Vec::new());
    stage.fail_starts("a", 1);
    let refused = stage.add(child("a", Restart::Permanent));
    assert_eq!(refused, Some(Err(Refusal::StartFailed)));
    assert!(stage.core.children().is_empty());
    assert_eq!(stage.add(child("a", Restart::Permanent)), Some(Ok("a".into())));
}

#[test]
fn a_child_may_be_terminated_while_it_waits_and_while_it_starts() {
    let mut stage = Stage::begun(patient(Strategy::OneForOne), permanent("a b"));
    stage.crash("a");
    assert_eq!(stage.ask(Request::Restart(stage.key("a"))), Some(Err(Refusal::Restarting)));
    assert_eq!(stage.ask(Request::Terminate(stage.key("a"))), Some(Ok("a".into())));
    stage.pass(100 * SECOND);
    assert_eq!(stage.states(), "a=down b=running");
    stage.hold("a");
    assert_eq!(stage.ask(Request::Restart(stage.key("a"))), None, "it is starting");
    assert_eq!(stage.ask(Request::Terminate(stage.key("a"))), None, "it is stopping");
    assert_eq!(stage.ask(Request::Terminate(stage.key("a"))), None);
    stage.exit("a", ExitClass::Shutdown);
    let answers: Vec<_> = stage.answers.values().rev().take(3).cloned().collect();
    assert_eq!(answers, [Ok("a".into()), Ok("a".into()), Err(Refusal::Terminated)]);
}

#[test]
fn a_group_in_backoff_goes_on_without_a_terminated_member() {
    let mut stage = Stage::begun(patient(Strategy::OneForAll), permanent("a b c"));
    stage.crash("a");
    assert_eq!(stage.ask(Request::Terminate(stage.key("b"))), Some(Ok("b".into())));
    stage.pass(60 * SECOND);
    assert_eq!(stage.states(), "a=running b=down c=running");
}

#[test]
fn requests_to_a_group_wait_for_its_restart_and_shutdown_answers_them() {
    let mut stage = Stage::begun(settings(Strategy::OneForAll, 9), permanent("a b"));
    stage.hold("b");
    stage.crash("a");
    assert_eq!(stage.ask(Request::Terminate(stage.key("a"))), None);
    stage.feed(Event::Shutdown);
    assert_eq!(stage.answers.values().last(), Some(&Err(Refusal::ShuttingDown)));
}

#[test]
fn there_are_no_more_children_than_allowed() {
    let small = Settings { children_max: Some(1), ..Settings::default() };
    let mut stage = Stage::begun(small, permanent("a"));
    assert_eq!(stage.add(child("b", Restart::Permanent)), Some(Err(Refusal::Full)));
}

#[test]
fn an_end_that_the_supervisor_caused_is_no_auto_shutdown() {
    let auto = Settings {
        auto_shutdown: AutoShutdown::AnySignificant,
        ..settings(Strategy::OneForAll, 9)
    };
    let significant = ChildRules { significant: true, ..child("b", Restart::Transient) };
    let mut stage = Stage::begun(auto, vec![child("a", Restart::Permanent), significant]);
    stage.crash("a");
    assert_eq!(stage.take_log(), "-b +a +b");
    assert_eq!(stage.ask(Request::Terminate(stage.key("b"))), Some(Ok("b".into())));
    assert_eq!(stage.core.ending(), None);
}

#[test]
fn contradictory_rules_are_refused_with_a_sentence() {
    let mut core = Core::new(Settings::default());
    let significant = ChildRules { significant: true, ..ChildRules::worker("a") };
    let refused = core.declare(significant.clone()).unwrap_err();
    let text = "child `a` is permanent and significant, which contradict each other";
    assert_eq!(refused.to_string(), text);
    let transient = ChildRules { restart: Restart::Transient, ..significant };
    let refused = core.declare(transient).unwrap_err();
    assert!(matches!(refused, SpecError::SignificantWithoutAutoShutdown { .. }));
    core.declare(ChildRules::worker("a")).unwrap();
    let refused = core.declare(ChildRules::worker("a")).unwrap_err();
    assert_eq!(refused, SpecError::DuplicateName { child: "a".into() });
    assert_eq!(core.declare(ChildRules::worker("")).unwrap_err(), SpecError::EmptyName);
}

#[test]
fn a_stable_child_waits_no_longer_than_after_its_first_fault() {
    let backoff = Backoff::new(SECOND, 64 * SECOND);
    let mut stage = Stage::begun(
        Settings { backoff, intensity: Intensity::unlimited(), ..Settings::default() },
        permanent("a"),
    );
    for _ in 0..6 {
        stage.crash("a");
        stage.pass(64 * SECOND);
    }
    // It has been up for some of the last 64 s only; now let it be stable.
    stage.pass(64 * SECOND);
    stage.crash("a");
    stage.pass(SECOND);
    assert_eq!(stage.states(), "a=running");
}
