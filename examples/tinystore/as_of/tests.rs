//! The point-in-time join against its definition, spelled out as a loop; and the leak it must not have.

use proptest::prelude::*;

use super::{
    super::{column::Column, moment::HOUR},
    *,
};

fn history(aggregations: &[&str], within: i64) -> History {
    History {
        table: "flights".into(),
        feature: "dep_delay".into(),
        by: vec!["origin".into()],
        definitions: aggregations.iter().map(|text| Definition::parse(text).unwrap()).collect(),
        within,
    }
}

fn flights(rows: &[(i64, i64)]) -> Events {
    let mut events = Events::default();
    for (scheduled, delay_minutes) in rows {
        let value = Value::Int(i128::from(*delay_minutes));
        events.push(*scheduled, scheduled + delay_minutes * 60, value);
    }
    events
}

#[test]
fn a_delay_is_not_seen_before_the_flight_has_left() {
    // Scheduled at 10:00 and four hours late; at 9:30 one was ten minutes late.
    let mut events = flights(&[(10 * HOUR, 240), (9 * HOUR + HOUR / 2, 10)]);
    let points = [11 * HOUR, 14 * HOUR - 1, 14 * HOUR];
    let answers = history(&["mean", "count"], 24 * HOUR).answer(&mut events, &points).unwrap();
    assert_eq!(
        answers[0],
        [Value::Float(10.0), Value::Int(1)],
        "11:00 must not see the 10:00 flight"
    );
    assert_eq!(answers[1], [Value::Float(10.0), Value::Int(1)], "nor a second before it leaves");
    assert_eq!(answers[2], [Value::Float(125.0), Value::Int(2)], "the moment it leaves, it counts");
}

#[test]
fn a_flight_never_sees_itself_even_if_it_left_early() {
    let mut events = flights(&[(10 * HOUR, -5)]);
    let answers = history(&["count"], HOUR).answer(&mut events, &[10 * HOUR]).unwrap();
    assert_eq!(answers[0], [Value::Int(0)]);
}

#[test]
fn the_window_reaches_back_exactly_so_far() {
    let mut events = flights(&[(HOUR, 1), (2 * HOUR, 2)]);
    let answers = history(&["sum"], HOUR).answer(&mut events, &[2 * HOUR, 2 * HOUR + 1, 4 * HOUR]);
    let sums: Vec<Value> = answers.unwrap().into_iter().flatten().collect();
    assert_eq!(sums, [Value::Int(1), Value::Int(0), Value::Int(0)]);
}

#[test]
fn a_key_that_nobody_knows_yet_hides_its_event() {
    // Scheduled at 10:00, four hours late, and of a distance that was known all along.
    let names = ["distance", "dep_delay", "time_hour"].map(str::to_owned).to_vec();
    let cells = vec![Column::Int(vec![500]), Column::Int(vec![240]), Column::Time(vec![10 * HOUR])];
    let batch = Batch::new("flights", names, cells);
    let points = [10 * HOUR + 1, 14 * HOUR - 1, 14 * HOUR];
    let counts = |by: &str| -> Vec<Value> {
        let history = History {
            feature: "distance".into(),
            by: vec![by.into()],
            ..history(&["count"], 24 * HOUR)
        };
        let mut events = EventsByKey::new();
        history.collect(&batch, 0, 24 * HOUR, &mut events);
        let mut of_key = events.into_values().next().unwrap();
        history.answer(&mut of_key, &points).unwrap().into_iter().flatten().collect()
    };
    assert_eq!(counts("distance"), [1, 1, 1].map(Value::Int));
    assert_eq!(counts("late"), [0, 0, 1].map(Value::Int));
}

#[test]
fn an_event_whose_key_is_never_known_is_not_collected() {
    let names = ["distance", "dep_delay", "time_hour"].map(str::to_owned).to_vec();
    let cells = vec![Column::Int(vec![500]), Column::Int(vec![NULL]), Column::Time(vec![0])];
    let history = History {
        feature: "distance".into(),
        by: vec!["late".into()],
        ..history(&["count"], HOUR)
    };
    let mut events = EventsByKey::new();
    history.collect(&Batch::new("flights", names, cells), 0, HOUR, &mut events);
    assert!(events.is_empty(), "{events:?}");
}

proptest! {
    /// Against the definition, spelled out; and whichever order the shards deliver in.
    #[test]
    fn the_join_is_what_its_definition_says(
        rows in prop::collection::vec((0i64..5000, -20i64..60), 0..40),
        points in prop::collection::vec(0i64..6000, 1..10),
        within in 1i64..3000,
        cut in 0usize..40,
    ) {
        let history = history(&["sum"], within);
        let (left, right) = rows.split_at(cut.min(rows.len()));
        let mut events = flights(right);
        events.append(flights(left));
        let answers = history.answer(&mut events, &points).unwrap();
        for (point, answer) in points.iter().zip(answers) {
            let visible = rows.iter().filter(|(time, delay)| {
                *time < *point && *time >= point - within && time + delay * 60 <= *point
            });
            let sum: i64 = visible.map(|(_, delay)| delay).sum();
            prop_assert_eq!(answer, vec![Value::Int(i128::from(sum))]);
        }
    }
}
