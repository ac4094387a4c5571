//! How answers look: a table for people, a JSON object per line for programs, and under either the totals.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

/// What is known of all that was asked for, shown or not.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// What is counted, as `tasks`.
    pub(crate) what: &'static str,
    pub(crate) count: u64,
    pub(crate) left_off: u64,
    /// More sums, by name, in the order to show them.
    pub(crate) sums: Vec<(&'static str, Value)>,
    /// How many are in which state.
    pub(crate) states: std::collections::BTreeMap<String, u64>,
    /// Nodes that answered.
    pub(crate) nodes: usize,
    /// Nodes that did not.
    pub(crate) silent: usize,
}

/// One object a line, the totals last, under the key `totals`.
pub(crate) fn lines(out: &mut impl Write, rows: &[Value], totals: &Totals) -> io::Result<()> {
    for row in rows {
        writeln!(out, "{row}")?;
    }
    let mut fields = Map::new();
    fields.insert(totals.what.to_owned(), json!(totals.count));
    fields.insert("left_off".to_owned(), json!(totals.left_off));
    fields.extend(totals.sums.iter().map(|(name, sum)| ((*name).to_owned(), sum.clone())));
    if !totals.states.is_empty() {
        fields.insert("states".to_owned(), json!(totals.states));
    }
    fields.insert("nodes".to_owned(), json!(totals.nodes));
    fields.insert("silent_nodes".to_owned(), json!(totals.silent));
    writeln!(out, "{}", json!({ "totals": fields }))
}

/// Columns under their names, the node first, and a sentence.
pub(crate) fn table(out: &mut impl Write, rows: &[Value], totals: &Totals) -> io::Result<()> {
    columns(out, rows)?;
    let mut text = format!("{} {} on {} nodes", totals.count, totals.what, totals.nodes);
    let states: Vec<String> =
        totals.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if !states.is_empty() {
        text = format!("{text} ({})", states.join(", "));
    }
    for (name, sum) in &totals.sums {
        text = format!("{text}, {} {}", cell(sum), name.replace('_', " "));
    }
    if totals.left_off > 0 {
        text = format!(
            "{text}; {} left off: raise --limit, or filter by --kind, --state, --name or --filter",
            totals.left_off
        );
    }
    writeln!(out, "{text}")
}

fn columns(out: &mut impl Write, rows: &[Value]) -> io::Result<()> {
    let Some(first) = rows.first().and_then(Value::as_object) else { return Ok(()) };
    let mut names: Vec<&String> = first.keys().collect();
    names.sort_by_key(|name| *name != "node");
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| names.iter().map(|name| cell(&row[name.as_str()])).collect())
        .collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| lines.iter().map(|line| line[at].len()).chain([name.len()]).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut write = |cells: &mut dyn Iterator<Item = String>| {
        let padded: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    write(&mut names.iter().map(|name| name.to_uppercase()))?;
    for line in lines {
        write(&mut line.into_iter())?;
    }
    Ok(())
}

/// A value without quotes.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        Totals {
            what: "objects",
            count: 12,
            left_off: 10,
            sums: vec![("bytes", json!(300))],
            states: [("sealed".to_owned(), 12)].into(),
            nodes: 2,
            silent: 0,
        }
    }

    #[test]
    fn a_cut_table_says_how_many_were_left_off_and_what_to_do() {
        let rows = [
            json!({"id": "o1", "node": "n1", "bytes": 7}),
            json!({"id": "o22", "node": "n1", "bytes": null}),
        ];
        let mut out = Vec::new();
        table(&mut out, &rows, &totals()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["NODE", "BYTES", "ID"]);
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["n1", "-", "o22"]);
        assert!(lines[3].starts_with("12 objects on 2 nodes (12 sealed), 300 bytes; 10 left off"));
        assert!(lines[3].contains("--limit"));
    }

    #[test]
    fn json_ends_with_the_totals() {
        let mut out = Vec::new();
        lines(&mut out, &[json!({"node": "n1"})], &totals()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["totals"]["objects"], 12);
        assert_eq!(last["totals"]["left_off"], 10);
        assert_eq!(last["totals"]["bytes"], 300);
    }
}
