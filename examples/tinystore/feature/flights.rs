//! Derived features of flights. Add yours here, or in a file beside this one.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{Derived, Kind, Known, Scalar, exact};

inventory::submit! { Derived {
    table: "flights", name: "gained", about: "minutes made up in the air, rounded to whole ones",
    kind: Kind::Int, known: Known::AtArrival, inputs: &["dep_delay", "arr_delay"],
    compute: |cells| match cells {
        [Scalar::Int(left_late), Scalar::Int(came_late)] => Scalar::Int(left_late - came_late),
        [left_late, came_late] => match (left_late.as_f64(), came_late.as_f64()) {
            (Some(left_late), Some(came_late)) => nearest_whole(left_late - came_late),
            _ => Scalar::Null,
        },
        _ => Scalar::Null,
    },
} }

inventory::submit! { Derived {
    table: "flights", name: "speed_mph", about: "distance over time in the air",
    kind: Kind::Float, known: Known::AtArrival, inputs: &["distance", "air_time"],
    compute: |cells| match cells {
        [distance, minutes] => match (distance.as_f64(), minutes.as_f64()) {
            (Some(miles), Some(minutes)) if minutes > 0.0 => Scalar::Float(miles * 60.0 / minutes),
            _ => Scalar::Null,
        },
        _ => Scalar::Null,
    },
} }

inventory::submit! { Derived {
    table: "flights", name: "late", about: "1 if it left more than 15 minutes late, else 0",
    kind: Kind::Int, known: Known::AtDeparture, inputs: &["dep_delay"],
    compute: |cells| match cells {
        [Scalar::Int(minutes)] => Scalar::Int(i64::from(*minutes > 15)),
        [Scalar::Float(minutes)] => Scalar::Int(i64::from(*minutes > 15.0)),
        _ => Scalar::Null,
    },
} }

inventory::submit! { Derived {
    table: "flights", name: "cancelled", about: "1 if it never left, else 0",
    kind: Kind::Int, known: Known::NextDay, inputs: &["dep_time"],
    compute: |cells| Scalar::Int(i64::from(cells == [Scalar::Null])),
} }

/// Halves are rounded away from 0.
fn nearest_whole(number: f64) -> Scalar<'static> {
    exact(number.round()).map_or(Scalar::Null, Scalar::Int)
}
