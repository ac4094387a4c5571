//! Known times and derived features, of whole minutes and of fractions.

use super::*;

/// Flights that are all scheduled at second 0, with these columns.
fn flights(columns: Vec<(&str, Column)>) -> Batch {
    let row_count = columns.first().map_or(0, |(_, column)| column.len());
    let (mut names, mut cells): (Vec<String>, Vec<Column>) =
        columns.into_iter().map(|(name, column)| (name.to_owned(), column)).unzip();
    names.push("time_hour".to_owned());
    cells.push(Column::Time(vec![0; row_count]));
    Batch::new("flights", names, cells)
}

#[test]
fn a_fraction_of_a_minute_is_never_known_too_early() {
    let minutes = vec![1.0, 2.5, 0.01, -0.01, f64::NAN, 1e300];
    let batch = flights(vec![("dep_delay", Column::Float(minutes))]);
    assert_eq!(known_times(&batch, ["dep_delay"]), [60, 150, 1, 0, NULL, NULL]);
    let batch = flights(vec![
        ("dep_delay", Column::Float(vec![0.5, 0.5, f64::NAN])),
        ("air_time", Column::Int(vec![10, NULL, 10])),
    ]);
    assert_eq!(known_times(&batch, ["gained"]), [30 + 600 + HOUR, NULL, NULL]);
}

#[test]
fn whole_minutes_are_known_at_the_same_time_in_either_sort_of_column() {
    let minutes = [-5, 0, 240];
    let ints = flights(vec![
        ("dep_delay", Column::Int(minutes.to_vec())),
        ("air_time", Column::Int(minutes.to_vec())),
    ]);
    let minutes = minutes.map(|minutes: i64| minutes as f64);
    let floats = flights(vec![
        ("dep_delay", Column::Float(minutes.to_vec())),
        ("air_time", Column::Float(minutes.to_vec())),
    ]);
    for feature in ["dep_delay", "arr_delay", "cancelled", "origin"] {
        assert_eq!(known_times(&ints, [feature]), known_times(&floats, [feature]), "{feature}");
    }
    assert_eq!(known_times(&ints, ["arr_delay"]), [HOUR - 600, HOUR, HOUR + 28_800]);
}

#[test]
fn a_question_about_several_features_waits_for_the_last_of_them() {
    // The first left early, the second late, the third never.
    let batch = flights(vec![("dep_delay", Column::Int(vec![-5, 10, NULL]))]);
    assert_eq!(known_times(&batch, ["origin", "dest"]), [0, 0, 0]);
    assert_eq!(known_times(&batch, ["late", "dep_time"]), [-300, 600, NULL]);
    assert_eq!(known_times(&batch, ["origin", "late"]), [0, 600, NULL]);
    assert_eq!(known_times(&batch, ["late", "cancelled", "origin"]), [DAY, DAY, NULL]);
}

#[test]
fn derived_features_take_fractions_too() {
    let batch = flights(vec![
        ("dep_delay", Column::Float(vec![15.0, 15.5, -3.0, f64::NAN, 1e300])),
        ("arr_delay", Column::Int(vec![4, 8, 1, 0, 0])),
        ("air_time", Column::Float(vec![37.5, 60.0, 0.0, f64::NAN, 120.0])),
        ("distance", Column::Int(vec![100, 400, 400, 400, NULL])),
    ]);
    assert_eq!(*cells(&batch, "late").unwrap(), Column::Int(vec![0, 1, 0, NULL, 1]));
    // 7.5 and -4 minutes, and no number that a column of whole numbers could hold.
    assert_eq!(*cells(&batch, "gained").unwrap(), Column::Int(vec![11, 8, -4, NULL, NULL]));
    let speed = cells(&batch, "speed_mph").unwrap();
    let speeds: Vec<Scalar<'_>> = (0..5).map(|row| speed.cell(row)).collect();
    let (first, second) = (Scalar::Float(160.0), Scalar::Float(400.0));
    assert_eq!(speeds, [first, second, Scalar::Null, Scalar::Null, Scalar::Null]);
}

#[test]
fn derived_features_of_whole_minutes_stay_exact() {
    let batch = flights(vec![
        ("dep_delay", Column::Int(vec![15, 16, NULL])),
        ("arr_delay", Column::Int(vec![1 << 60, -(1 << 60), 0])),
    ]);
    assert_eq!(*cells(&batch, "late").unwrap(), Column::Int(vec![0, 1, NULL]));
    let gained = vec![15 - (1 << 60), 16 + (1 << 60), NULL];
    assert_eq!(*cells(&batch, "gained").unwrap(), Column::Int(gained));
}
