//! Folding and merging: every registered aggregation, however the rows are spread over shards.

use proptest::prelude::*;

use super::{
    super::{
        aggregate::{Definition, functions},
        column::TextColumn,
        json,
        moment::{DAY, HOUR},
        query::{Filter, Rows},
    },
    *,
};

/// Every function in the program's table, also those that someone adds later.
fn every_function() -> Vec<Definition> {
    let text = |function: &&super::super::aggregate::Function| match function.parameter {
        Some(_) => format!("{}(0.9)", function.name),
        None => function.name.to_owned(),
    };
    functions().iter().map(|function| Definition::parse(&text(function)).unwrap()).collect()
}

fn apply(definitions: &str, by: &[&str]) -> Apply {
    Apply {
        rows: Rows { table: "flights".into(), ..Rows::default() },
        feature: "dep_delay".into(),
        definitions: definitions.split(',').map(|text| Definition::parse(text).unwrap()).collect(),
        by: by.iter().map(ToString::to_string).collect(),
        window: None,
        as_of: None,
    }
}

/// Flights of three airports: airport number, delay, second of departure.
fn batch(rows: &[(u32, Option<f64>, i64)]) -> Batch {
    let mut origins = TextColumn::default();
    let mut interner = super::super::column::Interner::default();
    for (origin, _, _) in rows {
        let name = ["EWR", "JFK", "LGA"][*origin as usize];
        origins.codes.push(interner.code(name.as_bytes(), &mut origins.dictionary).unwrap());
    }
    let delays = rows.iter().map(|(_, delay, _)| delay.unwrap_or(f64::NAN)).collect();
    let times = rows.iter().map(|(_, _, time)| *time).collect();
    Batch::new(
        "flights",
        vec!["origin".into(), "dep_delay".into(), "time_hour".into()],
        vec![Column::Text(origins), Column::Float(delays), Column::Time(times)],
    )
}

fn partial(question: &Apply, rows: &[(u32, Option<f64>, i64)]) -> Partial {
    let mut fold = Fold::new(question).unwrap();
    fold.add_batch(&batch(rows));
    fold.into_partial().unwrap()
}

fn combine<'p>(question: &Apply, partials: impl IntoIterator<Item = &'p Partial>) -> Answer {
    let mut fold = Fold::new(question).unwrap();
    for partial in partials {
        fold.add_partial(partial).unwrap();
    }
    fold.finish()
}

#[test]
fn groups_are_sorted_and_nulls_are_skipped() {
    let rows = [(1, Some(5.0), 0), (0, None, 0), (1, None, 0), (0, Some(2.0), 0), (2, None, 0)];
    let question = apply("count,sum,mean,max", &["origin"]);
    let answer = combine(&question, [&partial(&question, &rows)]);
    assert_eq!(
        json::lines(&answer),
        "{\"origin\":\"EWR\",\"count\":1,\"sum\":2.0,\"mean\":2.0,\"max\":2.0}\n\
         {\"origin\":\"JFK\",\"count\":1,\"sum\":5.0,\"mean\":5.0,\"max\":5.0}\n\
         {\"origin\":\"LGA\",\"count\":0,\"sum\":0,\"mean\":null,\"max\":null}\n"
    );
}

#[test]
fn without_groups_there_is_one_line_even_without_rows() {
    let question = apply("count,max", &[]);
    assert_eq!(json::lines(&combine(&question, [])), "{\"count\":0,\"max\":null}\n");
    let mut question = apply("count", &[]);
    question.rows.filters = vec![Filter { feature: "origin".into(), texts: vec!["EWR".into()] }];
    let rows = [(0, Some(1.0), 0), (1, Some(2.0), 0)];
    assert_eq!(json::lines(&combine(&question, [&partial(&question, &rows)])), "{\"count\":1}\n");
}

#[test]
fn windows_slide_over_event_time() {
    let mut question = apply("count,sum", &["origin"]);
    question.window = Some(Window { length: 20, every: 10 });
    let rows = [(0, Some(1.0), 3), (0, Some(2.0), 12), (0, Some(4.0), 35), (1, Some(8.0), 10)];
    let answer =
        combine(&question, [&partial(&question, &rows[..2]), &partial(&question, &rows[2..])]);
    let sums: Vec<String> = answer
        .rows
        .iter()
        .map(|row| format!("{} {:?} {}", row[0], row[1].as_scalar(), row[2]))
        .collect();
    assert_eq!(
        sums,
        [
            "EWR Time(10) 1",
            "EWR Time(20) 2",
            "EWR Time(30) 1",
            "EWR Time(40) 1",
            "EWR Time(50) 1",
            "JFK Time(10) 0",
            "JFK Time(20) 1",
            "JFK Time(30) 1",
            "JFK Time(40) 0",
            "JFK Time(50) 0",
        ]
    );
}

#[test]
fn as_of_hides_what_was_not_known_yet() {
    let mut question = apply("count", &[]);
    // Thirty seconds after the hour, a delay of one minute is still in the future.
    let rows = [(0, Some(0.0), 0), (0, Some(1.0), 0)];
    question.as_of = Some(30);
    let whole = |rows: &[(u32, Option<f64>, i64)]| {
        let delays = rows.iter().map(|(_, delay, _)| delay.unwrap() as i64).collect();
        let times = rows.iter().map(|(_, _, time)| *time).collect();
        let names = vec!["dep_delay".into(), "time_hour".into()];
        Batch::new("flights", names, vec![Column::Int(delays), Column::Time(times)])
    };
    let mut fold = Fold::new(&question).unwrap();
    fold.add_batch(&whole(&rows));
    assert_eq!(json::lines(&fold.finish()), "{\"count\":1}\n");
}

#[test]
fn filters_and_groups_count_once_they_are_known() {
    // Two flights scheduled at second 0: one leaves an hour late, the other never.
    let names = ["distance", "dep_delay", "dep_time", "time_hour"].map(str::to_owned).to_vec();
    let columns = vec![
        Column::Int(vec![500, 700]),
        Column::Int(vec![60, NULL]),
        Column::Int(vec![100, NULL]),
        Column::Time(vec![0, 0]),
    ];
    let flights = Batch::new("flights", names, columns);
    let count = |filter: &str, by: &[&str], as_of: i64| {
        let mut question = Apply { feature: "distance".into(), ..apply("count", by) };
        question.as_of = Some(as_of);
        if let Some((feature, text)) = filter.split_once('=') {
            let filter = Filter { feature: feature.into(), texts: vec![text.into()] };
            question.rows.filters = vec![filter];
        }
        let mut fold = Fold::new(&question).unwrap();
        fold.add_batch(&flights);
        json::lines(&fold.finish())
    };
    let (none, one, both) = ("{\"count\":0}\n", "{\"count\":1}\n", "{\"count\":2}\n");
    // A distance is known at once, and so is what is chosen by one.
    assert_eq!(count("", &[], -1), none);
    assert_eq!(count("", &[], 0), both);
    assert_eq!(count("distance=500", &[], 0), one);
    // That it is late is known when it leaves, and that the other never does a day later.
    assert_eq!(count("late=1", &[], HOUR - 1), none);
    assert_eq!(count("late=1", &[], HOUR), one);
    assert_eq!(count("cancelled=1", &[], DAY - 1), none);
    assert_eq!(count("cancelled=1", &[], DAY), one);
    // The same of groups; the one that never leaves is never known to be late or not.
    assert_eq!(count("", &["late"], HOUR - 1), "");
    assert_eq!(count("", &["late"], 2 * DAY), "{\"late\":1,\"count\":1}\n");
    assert_eq!(count("late=1", &["cancelled"], DAY - 1), "");
    assert_eq!(count("late=1", &["cancelled"], DAY), "{\"cancelled\":0,\"count\":1}\n");
}

#[test]
fn wrong_names_and_numbers_are_explained() {
    let error = |text: &str| Definition::parse(text).unwrap_err().to_string();
    assert!(
        error("meen").starts_with("there is no aggregation `meen`; there are: count, distinct")
    );
    assert_eq!(
        error("quantile"),
        "aggregation `quantile` needs a share from 0 to 1, as in `quantile(0.9)`"
    );
    assert_eq!(error("mean(2)"), "aggregation `mean` takes no number");
    assert_eq!(
        error("quantile(x)"),
        "aggregation `quantile` takes a number in its brackets, not `x`"
    );
    assert_eq!(Definition::parse("p90=quantile(0.9)").unwrap().name, "p90");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The invariant of `aggregate.rs`, for every function there is: however the rows are spread
    /// over shards and in whatever order their partial results come back, the same bits.
    #[test]
    fn every_aggregation_ignores_shards_and_merge_order(
        rows in prop::collection::vec(
            (0u32..3, prop::option::weighted(0.9, -1e6..1e6f64), 0i64..50), 0..120),
        cuts in prop::collection::vec(0usize..120, 0..6),
        rotation in 0usize..6,
        window in prop::option::of((1i64..4, 1i64..20)),
    ) {
        let mut question = apply("count", &["origin"]);
        question.definitions = every_function();
        question.window =
            window.map(|(panes, every)| Window { length: panes * every, every });
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let mut partials: Vec<Partial> =
            cuts.windows(2).map(|cut| partial(&question, &rows[cut[0]..cut[1]])).collect();
        let rotation = rotation % partials.len();
        partials.rotate_left(rotation);
        let whole = combine(&question, [&partial(&question, &rows)]);
        prop_assert_eq!(json::lines(&whole), json::lines(&combine(&question, &partials)));
        // And merging by way of another machine.
        let (left, right) = partials.split_at(rotation);
        let half = |partials: &[Partial]| {
            let mut fold = Fold::new(&question).unwrap();
            partials.iter().for_each(|partial| fold.add_partial(partial).unwrap());
            fold.into_partial().unwrap()
        };
        prop_assert_eq!(json::lines(&whole), json::lines(&combine(&question, &[half(right), half(left)])));
    }
}
