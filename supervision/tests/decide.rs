//! The pure decisions: a complete table, histories against a naive model, and named cases.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken test may end as it likes")]

#[path = "decide/stage.rs"]
mod stage;

#[path = "decide/table.rs"]
mod table;

#[path = "decide/cases.rs"]
mod cases;

#[path = "decide/model.rs"]
mod model;

#[path = "decide/storm.rs"]
mod storm;
