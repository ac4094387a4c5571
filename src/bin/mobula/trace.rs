//! Tasks that are over, as a Chrome trace: open it in `chrome://tracing` or Perfetto.
//!
//! Each node tells how long ago its tasks ended, by its own clock; laid side by side they are right to within the time of
//! an answer. In a trace, bars of one row must nest, and tasks of one node overlap: so each goes to the first row
//! that is free.

use serde_json::{Value, json};

/// A task that ran: where, and when, in microseconds before now.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) node: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) id: String,
    pub(crate) why: Option<String>,
    pub(crate) began_ago: u64,
    pub(crate) ended_ago: u64,
}

/// The trace as JSON.
pub(crate) fn trace(mut bars: Vec<Bar>) -> Value {
    let origin = bars.iter().map(|bar| bar.began_ago).max().unwrap_or(0);
    // The earliest first: what began longer ago.
    bars.sort_by_key(|bar| (std::cmp::Reverse(bar.began_ago), bar.ended_ago));
    let mut nodes: Vec<String> = bars.iter().map(|bar| bar.node.clone()).collect();
    nodes.sort();
    nodes.dedup();
    // For each node, when each row is free again.
    let mut rows: Vec<Vec<u64>> = vec![Vec::new(); nodes.len()];
    let mut events: Vec<Value> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        events.push(json!({
            "ph": "M", "name": "process_name", "pid": at, "tid": 0,
            "args": { "name": format!("node {node}") },
        }));
    }
    for bar in &bars {
        let Ok(at) = nodes.binary_search(&bar.node) else { continue };
        let (begin, end) = (origin - bar.began_ago, origin.saturating_sub(bar.ended_ago));
        let free = rows[at].iter().position(|until| *until <= begin);
        let row = free.unwrap_or(rows[at].len());
        match free {
            Some(row) => rows[at][row] = end,
            None => rows[at].push(end),
        }
        events.push(json!({
            "ph": "X", "name": bar.name, "cat": bar.state, "pid": at, "tid": row,
            "ts": begin, "dur": end.saturating_sub(begin),
            "args": { "id": bar.id, "state": bar.state, "why": bar.why },
        }));
    }
    json!({ "traceEvents": events, "displayTimeUnit": "ms" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(node: &str, began_ago: u64, ended_ago: u64) -> Bar {
        Bar {
            node: node.into(),
            name: "work".into(),
            state: "finished".into(),
            id: "a1".into(),
            why: None,
            began_ago,
            ended_ago,
        }
    }

    #[test]
    fn what_overlaps_lies_in_rows_and_time_begins_with_the_first() {
        let trace =
            trace(vec![bar("n2", 100, 10), bar("n1", 90, 50), bar("n2", 60, 5), bar("n2", 9, 2)]);
        let events = trace["traceEvents"].as_array().unwrap();
        let bars: Vec<[u64; 4]> = events
            .iter()
            .filter(|event| event["ph"] == "X")
            .map(|event| ["pid", "tid", "ts", "dur"].map(|key| event[key].as_u64().unwrap()))
            .collect();
        assert_eq!(bars, [[1, 0, 0, 90], [0, 0, 10, 40], [1, 1, 40, 55], [1, 0, 91, 7]]);
        assert_eq!(events.iter().filter(|event| event["ph"] == "M").count(), 2);
    }
}
