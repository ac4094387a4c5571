//! Reading: what is a row, what is a bad row, and that cutting the file changes neither.

use proptest::prelude::*;

use super::{
    super::{super::value::Scalar, split},
    *,
};

fn read(text: &str, target_len: usize) -> (Layout, Vec<Chunk>) {
    let bytes = text.as_bytes();
    let layout = Layout::read("test.csv", bytes).unwrap();
    let ranges = split(bytes, layout.body, target_len);
    let chunks = ranges.into_iter().map(|range| parse(bytes, range, &layout)).collect();
    (layout, chunks)
}

fn one(text: &str) -> Chunk {
    let (_, mut chunks) = read(text, usize::MAX);
    chunks.pop().unwrap()
}

fn cells(chunk: &Chunk, name: &str) -> Vec<String> {
    let column = chunk.batch.column(name).unwrap();
    (0..column.len()).map(|row| column.cell(row).to_value().to_string()).collect()
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let chunk = one("origin,extra,dep_delay\nEWR,1.5,2\nJFK,NA,NA\n");
    assert_eq!(chunk.batch.table, "flights");
    assert_eq!(cells(&chunk, "origin"), ["EWR", "JFK"]);
    assert_eq!(cells(&chunk, "dep_delay"), ["2", "-"]);
    assert_eq!(cells(&chunk, "extra"), ["1.500", "-"]);
}

#[test]
fn bad_rows_are_reported_with_line_and_reason_and_cost_nothing_else() {
    let text = "origin,dep_delay,dest\nEWR,1,IAH\nEWR,x,IAH\nEWR,3\n\nEWR,4,\"IAH\"\nEWR,5,IAH,6\nJFK,\"7\nEWR,8,\"\"\n";
    let chunk = one(text);
    let reasons: Vec<String> = chunk.bad_rows.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "line 1: dep_delay: `x` is not a whole number",
            "line 2: 2 fields instead of 3",
            "line 5: 4 fields instead of 3",
            "line 6: a quote is never closed",
        ]
    );
    assert_eq!(cells(&chunk, "dep_delay"), ["1", "4", "8"]);
    assert_eq!(cells(&chunk, "dest"), ["IAH", "IAH", ""], "a quoted nothing is text");
}

#[test]
fn text_that_is_not_utf8_makes_a_bad_row() {
    let bytes = b"origin,dep_delay\nEWR,1\n\xff\xfe,2\nJFK,3\n";
    let layout = Layout::read("x", bytes).unwrap();
    let chunk = parse(bytes, layout.body..bytes.len(), &layout);
    assert_eq!(chunk.batch.row_count(), 2);
    assert!(chunk.bad_rows[0].reason.contains("is not UTF-8 text"));
}

#[test]
fn whole_numbers_may_be_written_as_pandas_does() {
    let chunk = one("origin,dep_delay\nEWR,2.0\nJFK,-3.0\nLGA,\n");
    assert_eq!(cells(&chunk, "dep_delay"), ["2", "-3", "-"]);
    assert!(chunk.widenings.is_empty());
}

#[test]
fn a_fraction_among_whole_numbers_widens_the_column() {
    let text = "origin,dep_delay\nEWR,2\nJFK,3\nLGA,2.5\nLGA,4\n";
    let (mut layout, chunks) = read(text, usize::MAX);
    assert_eq!(chunks[0].widenings, [Widening(1)]);
    layout.widen(&chunks[0].widenings);
    let chunk = parse(text.as_bytes(), layout.body..text.len(), &layout);
    assert_eq!(chunk.batch.column("dep_delay").unwrap().cell(2), Scalar::Float(2.5));
    assert!(chunk.widenings.is_empty());
}

#[test]
fn unusual_files_are_read() {
    let chunk = one("\u{feff}origin,dep_delay\r\nEWR,5\r\n\r\nJFK,6");
    assert_eq!(cells(&chunk, "origin"), ["EWR", "JFK"]);
    let chunk = one("dep_delay,dep_delay,time_hour\n1,2,01/02/2013 5:00\n");
    assert_eq!(cells(&chunk, "dep_delay_2"), ["2"]);
    assert_eq!(cells(&chunk, "time_hour"), ["01/02/2013 5:00"], "unreadable times stay text");
    assert_eq!(
        Layout::read("a.csv", b""),
        Err(super::super::layout::LayoutError::Empty { file: "a.csv".into() })
    );
    let (_, chunks) = read("dep_delay\n", 10);
    assert!(chunks.is_empty());
}

#[test]
fn numbers_are_whole_when_they_can_be() {
    assert_eq!(read_number(b"-17"), Number::Int(-17));
    assert_eq!(read_number(b"9223372036854775807"), Number::Int(i64::MAX));
    assert_eq!(read_number(b"-9223372036854775808"), Number::Float(-9_223_372_036_854_775_808.0));
    assert_eq!(read_number(b"1e3"), Number::Int(1000));
    assert_eq!(read_number(b"-0.0"), Number::Int(0));
    assert_eq!(read_number(b"0.5"), Number::Float(0.5));
    for text in [&b""[..], b"-", b"inf", b"nan", b"1,5", b"0x10"] {
        assert_eq!(read_number(text), Number::None);
    }
}

proptest! {
    /// However a file is cut: the same rows, and the same bad rows on the same lines.
    #[test]
    fn cutting_changes_nothing(
        rows in prop::collection::vec("(EWR|\"J,F\nK\"|\"x|),(-?[0-9]{1,3}|NA|[0-9]x)(,)?", 0..40),
        target_len in 1usize..80,
    ) {
        let text = format!("origin,dep_delay\n{}\n", rows.join("\n"));
        let merged = |chunks: &[Chunk], name: &str| -> Vec<String> {
            chunks.iter().flat_map(|chunk| cells(chunk, name)).collect()
        };
        let bad = |chunks: &[Chunk]| {
            let (mut before, mut bad) = (0, Vec::new());
            for chunk in chunks {
                bad.extend(chunk.bad_rows.iter().map(|row| (before + row.line, row.reason.clone())));
                before += chunk.line_count;
            }
            bad
        };
        let (_, whole) = read(&text, usize::MAX);
        let (_, parts) = read(&text, target_len);
        prop_assert_eq!(merged(&whole, "dep_delay"), merged(&parts, "dep_delay"));
        prop_assert_eq!(merged(&whole, "origin"), merged(&parts, "origin"));
        prop_assert_eq!(bad(&whole), bad(&parts));
    }
}
