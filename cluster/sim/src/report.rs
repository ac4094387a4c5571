//! The report: the goals, what was measured, and from which seeds.
//!
//! A sentence like "detects in three seconds" is worth the conditions it was measured under.
//! So each row names its goal, the figures, the seeds, and whether the goal was met; foca's rows stand beside.
//!
//! - [`measure`]: who knew what when.
//! - [`crashes`], [`starts`], [`partitions`], [`calm`]: the rows.
//!
//! Invariant: the figures depend on the seeds alone (but for the column of wall time).

pub mod measure;
pub mod crashes;
pub mod starts;
pub mod partitions;
pub mod calm;

use std::fmt::Write;

use serde::Serialize;

use crate::queue::{MILLISECOND, SECOND, Tick};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Cluster sizes for the rows about crashes and idle traffic.
    pub nodes: Vec<u32>,
    /// Runs a row, from seed 1.
    pub seeds: u64,
    /// Node-hours for the row about false alarms.
    pub node_hours: u64,
    /// Nodes for the rows about starts and mass failure.
    pub large: u32,
    /// Only rows whose name contains this.
    pub only: Option<String>,
}

impl Plan {
    /// The report of the issue: minutes on one core.
    #[must_use]
    pub fn full() -> Self {
        Self {
            nodes: vec![10, 100, 1_000, 10_000],
            seeds: 5,
            node_hours: 10_000,
            large: 1_000,
            only: None,
        }
    }

    /// The same rows, smaller.
    #[must_use]
    pub fn quick() -> Self {
        Self { nodes: vec![10, 100, 1_000], seeds: 2, node_hours: 50, large: 300, only: None }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }

    /// Seeds for a cluster of that size: a large one takes long and says much in one run.
    fn seeds_for(&self, hosts: u32) -> std::ops::RangeInclusive<u64> {
        1..=if hosts >= 5_000 { self.seeds.min(2) } else { self.seeds }
    }
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was done to how many nodes.
    pub scenario: String,
    /// What was asked for, if anything.
    pub goal: String,
    /// What came out.
    pub measured: String,
    /// From which seeds.
    pub seeds: String,
    /// Whether the goal was met; `None` for rows that only compare.
    pub passed: Option<bool>,
}

/// A group of rows.
type Part = fn(&Plan) -> Vec<Row>;

/// Measures all rows of the plan; `row` is called with each as soon as it is there.
pub fn measure_all(plan: &Plan, mut row: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |new: Vec<Row>| {
        for line in new {
            row(&line);
            rows.push(line);
        }
    };
    let parts: [(&str, Part); 11] = [
        ("silent crash", crashes::silent),
        ("kill", crashes::killed),
        ("mass failure", crashes::mass),
        ("idle traffic", calm::idle),
        ("cold start", starts::cold),
        ("join storm", starts::storm),
        ("leave", starts::leave),
        ("partition", partitions::all),
        ("false downs", calm::false_downs),
        ("foca", crashes::baseline),
        ("foca start", starts::baseline),
    ];
    for (name, part) in parts {
        if plan.wants(name) {
            add(part(plan));
        }
    }
    rows
}

/// Rows as a table for the eye, and for Markdown.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("| scenario | goal | measured | seeds | |\n|---|---|---|---|---|\n");
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

/// One row as a line of the table.
#[must_use]
pub fn line(row: &Row) -> String {
    let mark = match row.passed {
        Some(true) => "pass",
        Some(false) => "FAIL",
        None => "",
    };
    let Row { scenario, goal, measured, seeds, .. } = row;
    let mut text = String::new();
    let _ = writeln!(text, "| {scenario} | {goal} | {measured} | {seeds} | {mark} |");
    text
}

/// A span for the eye: 24 ms, 2.53 s.
#[must_use]
pub fn span(ticks: Tick) -> String {
    if ticks < SECOND {
        format!("{} ms", (ticks + MILLISECOND / 2) / MILLISECOND)
    } else {
        format!("{}.{:02} s", ticks / SECOND, ticks % SECOND / 10_000)
    }
}

fn seeds_text(seeds: std::ops::RangeInclusive<u64>) -> String {
    format!("{}–{}", seeds.start(), seeds.end())
}
