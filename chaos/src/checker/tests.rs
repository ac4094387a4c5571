//! Histories by hand: one that is whole, and for each rule one in which it is broken. A checker that cannot fail is
//! worth nothing.

use super::*;

const SENDER: Place = Place { machine: 0, life: 0 };
const RECEIVER: Place = Place { machine: 1, life: 0 };

/// A whole history of one stream of three messages, a monitor, a task, an object, and two nodes that agree.
fn whole() -> History {
    let outcome = |seq, outcome| (SENDER, Event::Outcome { stream: 1, seq, outcome });
    let sent = |seq| (SENDER, Event::Sent { stream: 1, seq, operation: 10 + seq });
    let effect = |seq| (RECEIVER, Event::Effect { stream: 1, seq });
    let mut history = History {
        events: vec![
            (SENDER, Event::Ready { node: 100, addresses: Vec::new() }),
            (RECEIVER, Event::Ready { node: 101, addresses: Vec::new() }),
            (SENDER, Event::Opened { stream: 1, to: 101 }),
            (SENDER, Event::Watched { watch: 2, stream: 1 }),
            sent(1),
            effect(1),
            outcome(1, Outcome::Acked { count: 1 }),
            sent(2),
            outcome(2, Outcome::Taken),
            sent(3),
            outcome(3, Outcome::NotDelivered { why: "expired".into() }),
            sent(4),
            effect(2),
            effect(4),
            outcome(4, Outcome::Acked { count: 3 }),
            (SENDER, Event::Closed { stream: 1, count: 3 }),
            (SENDER, Event::Fired { watch: 2, why: "was killed".into() }),
            (
                SENDER,
                Event::Begun { wait: 5, what: Wait::Tasks { first: 7, count: 2, runs_max: 2 } },
            ),
            (RECEIVER, Event::Ran { task: 7 }),
            (RECEIVER, Event::Ran { task: 7 }),
            (SENDER, Event::Ran { task: 8 }),
            (SENDER, Event::Ended { wait: 5, end: End::Value { is_right: true } }),
            (SENDER, Event::Begun { wait: 6, what: Wait::ReadThere { bytes: 10 } }),
            (SENDER, Event::Ended { wait: 6, end: End::Error { why: "owner died".into() } }),
        ],
        fates: BTreeMap::from([(SENDER, Fate::Stayed), (RECEIVER, Fate::Stayed)]),
    };
    for place in [SENDER, RECEIVER] {
        let rows = [(100, "alive".to_owned()), (101, "alive".to_owned()), (99, "down".to_owned())];
        history.events.push((place, Event::View { rows: rows.into() }));
        history.events.push((place, Event::Census { objects: 0, tasks: 0, actors: 0 }));
    }
    history
}

fn violations(history: &History) -> Vec<Violation> {
    check(history).violations
}

/// The whole history without the events that `is_missing`.
fn without(is_missing: impl Fn(&Event) -> bool) -> Vec<Violation> {
    let mut history = whole();
    history.events.retain(|(_, event)| !is_missing(event));
    violations(&history)
}

/// The whole history with one event put where `at` first holds, in its place or after it.
fn with(at: impl Fn(&Event) -> bool, event: Event, replaces: bool) -> Vec<Violation> {
    let mut history = whole();
    let index = history.events.iter().position(|(_, event)| at(event)).expect("the event is there");
    let place = history.events[index].0;
    if replaces {
        history.events[index] = (place, event);
    } else {
        history.events.insert(index + 1, (place, event));
    }
    violations(&history)
}

fn effect(seq: u64) -> impl Fn(&Event) -> bool {
    move |event| *event == Event::Effect { stream: 1, seq }
}

fn outcome_of(number: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Outcome { seq, .. } if *seq == number)
}

#[test]
fn a_whole_history_passes_and_is_counted() {
    let verdict = check(&whole());
    assert_eq!(verdict.violations, []);
    let counts = verdict.counts;
    assert_eq!((counts.acknowledged, counts.taken, counts.not_delivered), (2, 1, 1));
    assert_eq!((counts.effects, counts.tasks.values, counts.objects.errors), (3, 1, 1));
}

#[test]
fn an_acknowledged_message_without_effect_is_found() {
    let found = without(effect(1));
    assert!(found.contains(&Violation::Lost { stream: 1, seq: 1 }), "{found:?}");
}

#[test]
fn a_lost_tell_is_found_while_the_monitor_is_silent_and_forgiven_after_it_fired() {
    let found = without(effect(2));
    assert!(found.contains(&Violation::Gap { stream: 1, seq: 2 }), "{found:?}");
    let mut history = whole();
    // The contact was lost before the end: no last word, and the later ask ended with it.
    let is_later = |event: &Event| {
        effect(2)(event)
            || effect(4)(event)
            || outcome_of(4)(event)
            || matches!(event, Event::Sent { seq: 4, .. } | Event::Closed { .. })
    };
    history.events.retain(|(_, event)| !is_later(event));
    assert_eq!(violations(&history), []);
}

#[test]
fn a_message_that_is_handled_twice_is_found() {
    let found = with(effect(4), Event::Effect { stream: 1, seq: 4 }, false);
    assert!(found.contains(&Violation::Duplicated { stream: 1, seq: 4 }), "{found:?}");
}

#[test]
fn two_messages_that_change_places_are_found() {
    let mut history = whole();
    let at = |seq| history.events.iter().position(|(_, event)| effect(seq)(event)).unwrap();
    let (second, fourth) = (at(2), at(4));
    history.events.swap(second, fourth);
    let found = violations(&history);
    assert!(found.contains(&Violation::OutOfOrder { stream: 1, seq: 2, after: 4 }), "{found:?}");
}

#[test]
fn an_effect_that_nobody_sent_is_found() {
    let found = with(effect(4), Event::Effect { stream: 1, seq: 9 }, false);
    assert!(found.contains(&Violation::Invented { stream: 1, seq: 9 }), "{found:?}");
}

#[test]
fn an_actor_at_two_places_is_found() {
    let mut history = whole();
    history.events.push((SENDER, Event::Effect { stream: 1, seq: 9 }));
    let places = (RECEIVER, SENDER);
    assert!(violations(&history).contains(&Violation::TwoPlaces { stream: 1, places }));
}

#[test]
fn a_reply_that_belongs_to_another_message_is_found() {
    let wrong = Event::Outcome { stream: 1, seq: 4, outcome: Outcome::Acked { count: 2 } };
    let found = with(outcome_of(4), wrong, true);
    assert_eq!(found, [Violation::Misnumbered { stream: 1, seq: 4, told: 2, handled: 3 }]);
    let found = with(
        |event| matches!(event, Event::Closed { .. }),
        Event::Closed { stream: 1, count: 4 },
        true,
    );
    assert_eq!(found, [Violation::Miscounted { stream: 1, told: 4, handled: 3 }]);
}

#[test]
fn a_handled_message_that_was_called_undelivered_is_found() {
    let found = with(effect(2), Event::Effect { stream: 1, seq: 3 }, false);
    assert!(matches!(&found[..], [Violation::Delivered { seq: 3, .. }, ..]), "{found:?}");
}

#[test]
fn a_sender_that_is_never_answered_is_found_unless_it_was_killed() {
    let mut history = whole();
    history.events.retain(|(_, event)| !outcome_of(4)(event));
    let lost = Violation::NoOutcome { stream: 1, seq: 4, sender: SENDER };
    assert_eq!(violations(&history), [lost]);
    history.fates.insert(SENDER, Fate::Killed);
    assert!(!violations(&history).iter().any(|found| matches!(found, Violation::NoOutcome { .. })));
}

#[test]
fn an_operation_that_took_effect_twice_is_found_unless_its_outcome_was_unknown() {
    let mut history = whole();
    for (_, event) in &mut history.events {
        if let Event::Sent { operation, .. } = event {
            *operation = 10;
        }
    }
    let repeated = Violation::Repeated { operation: 10, effects: 3, unknown: 0 };
    assert!(violations(&history).contains(&repeated));
    let unknown = |seq| Event::Outcome {
        stream: 1,
        seq,
        outcome: Outcome::Unknown { why: "no reply".into() },
    };
    for seq in [1, 4] {
        let index = history.events.iter().position(|(_, event)| outcome_of(seq)(event)).unwrap();
        history.events[index].1 = unknown(seq);
    }
    assert_eq!(violations(&history), []);
}

#[test]
fn a_monitor_that_fires_twice_or_never_is_found() {
    let fired = Event::Fired { watch: 2, why: "was killed".into() };
    let found = with(|event| matches!(event, Event::Fired { .. }), fired.clone(), false);
    assert_eq!(found, [Violation::Fired { watch: 2, watcher: SENDER, times: 2 }]);
    let found = without(|event| *event == fired);
    assert_eq!(found, [Violation::Fired { watch: 2, watcher: SENDER, times: 0 }]);
}

#[test]
fn a_wait_without_end_and_a_wrong_value_are_found() {
    let found = without(|event| matches!(event, Event::Ended { wait: 6, .. }));
    assert!(matches!(&found[..], [Violation::NeverEnded { wait: 6, .. }]), "{found:?}");
    let wrong = Event::Ended { wait: 5, end: End::Value { is_right: false } };
    let found = with(|event| matches!(event, Event::Ended { wait: 5, .. }), wrong, true);
    assert!(matches!(&found[..], [Violation::WrongValue { wait: 5, .. }]), "{found:?}");
}

#[test]
fn a_task_that_runs_too_often_or_not_at_all_is_found() {
    let found = with(|event| *event == Event::Ran { task: 7 }, Event::Ran { task: 7 }, false);
    assert_eq!(found, [Violation::Runs { task: 7, runs: 3, runs_max: 2 }]);
    let found = without(|event| *event == Event::Ran { task: 8 });
    assert_eq!(found, [Violation::Runs { task: 8, runs: 0, runs_max: 2 }]);
}

#[test]
fn survivors_that_disagree_or_keep_something_are_found() {
    let rows = vec![(100, "alive".to_owned()), (99, "alive".to_owned())];
    let is_view = |event: &Event| matches!(event, Event::View { .. });
    let mut history = whole();
    let dead = Place { machine: 2, life: 0 };
    history.events.push((dead, Event::Ready { node: 99, addresses: Vec::new() }));
    history.fates.insert(dead, Fate::Killed);
    assert_eq!(violations(&history), []);
    let first = history.events.iter().position(|(_, event)| is_view(event)).unwrap();
    history.events[first].1 = Event::View { rows };
    let found = violations(&history);
    assert_eq!(found, [Violation::Diverged { place: SENDER, missing: 1, ghosts: 1 }]);
    let is_census = |event: &Event| matches!(event, Event::Census { .. });
    let found = with(is_census, Event::Census { objects: 2, tasks: 1, actors: 3 }, true);
    assert_eq!(found, [Violation::LeftOver { place: SENDER, objects: 2, tasks: 1, actors: 3 }]);
}

#[test]
fn a_node_that_fell_is_found() {
    let mut history = whole();
    history.fates.insert(RECEIVER, Fate::Fell { how: "exit code 101".into() });
    let found = violations(&history);
    assert!(found.iter().any(|found| matches!(found, Violation::Fell { .. })), "{found:?}");
}

#[test]
fn a_refusal_nobody_meant_is_found() {
    let refused =
        Event::Outcome { stream: 1, seq: 3, outcome: Outcome::Refused { why: "?".into() } };
    let found = with(outcome_of(3), refused, true);
    assert!(matches!(&found[..], [Violation::Refused { seq: 3, .. }]), "{found:?}");
}
