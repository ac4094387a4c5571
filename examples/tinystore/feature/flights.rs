//! Derived features of flights. Add yours here, or in a file beside this one.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{Derived, Kind, Known, Scalar};

inventory::submit! { Derived {
    table: "flights", name: "gained", about: "minutes made up in the air",
    kind: Kind::Int, known: Known::AtArrival, inputs: &["dep_delay", "arr_delay"],
    compute: |cells| match cells {
        [Scalar::Int(left_late), Scalar::Int(came_late)] => Scalar::Int(left_late - came_late),
        _ => Scalar::Null,
    },
} }

inventory::submit! { Derived {
    table: "flights", name: "speed_mph", about: "distance over time in the air",
    kind: Kind::Float, known: Known::AtArrival, inputs: &["distance", "air_time"],
    compute: |cells| match cells {
        [distance, Scalar::Int(minutes)] if *minutes > 0 => match distance.as_f64() {
            #[expect(clippy::cast_precision_loss, reason = "no flight takes 2^53 minutes")]
            Some(miles) => Scalar::Float(miles * 60.0 / *minutes as f64),
            None => Scalar::Null,
        },
        _ => Scalar::Null,
    },
} }

inventory::submit! { Derived {
    table: "flights", name: "late", about: "1 if it left more than 15 minutes late, else 0",
    kind: Kind::Int, known: Known::AtDeparture, inputs: &["dep_delay"],
    compute: |cells| match cells {
        [Scalar::Int(minutes)] => Scalar::Int(i64::from(*minutes > 15)),
        _ => Scalar::Null,
    },
} }

inventory::submit! { Derived {
    table: "flights", name: "cancelled", about: "1 if it never left, else 0",
    kind: Kind::Int, known: Known::NextDay, inputs: &["dep_time"],
    compute: |cells| Scalar::Int(i64::from(cells == [Scalar::Null])),
} }
