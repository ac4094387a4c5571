//! Where records end and fields begin (RFC 4180, with both kinds of line ends).
//!
//! A quoted field may contain line ends, so "cut at the next newline" is wrong for some files and
//! "scan everything in order" too slow for all others. Files without a single quote — most — are
//! cut by looking for a newline; files with quotes are walked record by record, with the rule that
//! the parser uses too, so both always agree on what a record is. A quote that is never closed
//! would swallow the rest of the file: then the record ends at its first line end, and the parser
//! reports it as bad.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{borrow::Cow, ops::Range};

use memchr::{memchr, memchr2};

/// Cuts `bytes[start..]` into ranges of about `target_len` bytes that end where records end.
pub(crate) fn split(bytes: &[u8], start: usize, target_len: usize) -> Vec<Range<usize>> {
    let quoted = memchr(b'"', &bytes[start..]).is_some();
    let mut ranges = Vec::new();
    let mut from = start;
    while from < bytes.len() {
        let target = from.saturating_add(target_len.max(1));
        let to = if target >= bytes.len() {
            bytes.len()
        } else if quoted {
            let mut end = from;
            while end < target {
                end = record_end(bytes, end);
            }
            end
        } else {
            // Look from the byte before, so that a target just behind a line end stays there.
            line_end(bytes, target - 1)
        };
        ranges.push(from..to);
        from = to;
    }
    ranges
}

/// The position behind the line end at or after `start`, or the end of the text.
fn line_end(bytes: &[u8], start: usize) -> usize {
    memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at + 1)
}

/// The position behind the record that begins at `start`.
pub(super) fn record_end(bytes: &[u8], start: usize) -> usize {
    let first_line_end = line_end(bytes, start);
    if memchr(b'"', &bytes[start..first_line_end]).is_none() {
        return first_line_end;
    }
    let mut at = start;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let Some(behind) = quoted_end(bytes, at) else {
                return first_line_end;
            };
            at = behind;
        }
        match memchr2(b',', b'\n', &bytes[at..]) {
            Some(found) if bytes[at + found] == b',' => at += found + 1,
            Some(found) => return at + found + 1,
            None => return bytes.len(),
        }
    }
}

/// The position behind the closing quote of the field whose opening quote is at `start`.
fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr(b'"', &bytes[at..])? + 1;
        if bytes.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// One field of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    bytes: &'a [u8],
    quoted: bool,
}

impl<'a> Field<'a> {
    /// The content, with doubled quotes made single again.
    pub(super) fn text(&self) -> Cow<'a, [u8]> {
        if !self.quoted || memchr(b'"', self.bytes).is_none() {
            return Cow::Borrowed(self.bytes);
        }
        let mut text = Vec::with_capacity(self.bytes.len());
        let mut quote_before = false;
        for byte in self.bytes {
            // Inside quotes, quotes come in pairs only; keep the first of each.
            quote_before = *byte == b'"' && !quote_before;
            if *byte != b'"' || quote_before {
                text.push(*byte);
            }
        }
        Cow::Owned(text)
    }

    /// Whether the file says that there is no value: `NA` or nothing at all, without quotes.
    pub(super) fn is_null(&self) -> bool {
        !self.quoted && matches!(self.bytes, b"" | b"NA")
    }
}

/// Why a record has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misquoted(pub(super) &'static str);

/// The fields of one record, which may still carry its line end.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// What is left; `None` when the last field has been given out.
    rest: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(record: &'a [u8]) -> Self {
        Self { rest: Some(without_line_end(record)) }
    }
}

pub(super) fn without_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Misquoted>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        if rest.first() != Some(&b'"') {
            // Fields are a few bytes long: a plain loop beats memchr's set-up.
            let end = rest.iter().position(|byte| *byte == b',');
            let (bytes, behind) = match end {
                Some(end) => (&rest[..end], Some(&rest[end + 1..])),
                None => (rest, None),
            };
            self.rest = behind;
            return Some(Ok(Field { bytes, quoted: false }));
        }
        let Some(end) = quoted_end(rest, 0) else {
            return Some(Err(Misquoted("a quote is never closed")));
        };
        self.rest = match rest.get(end) {
            None => None,
            Some(b',') => Some(&rest[end + 1..]),
            Some(_) => return Some(Err(Misquoted("text follows a closing quote"))),
        };
        Some(Ok(Field { bytes: &rest[1..end - 1], quoted: true }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(record: &str) -> Vec<String> {
        Fields::new(record.as_bytes())
            .map(|field| match field {
                Ok(field) => String::from_utf8(field.text().into_owned()).unwrap(),
                Err(Misquoted(reason)) => format!("! {reason}"),
            })
            .collect()
    }

    #[test]
    fn fields_are_those_of_rfc_4180() {
        assert_eq!(fields("a,,c\r\n"), ["a", "", "c"]);
        assert_eq!(fields("a,b,\n"), ["a", "b", ""]);
        assert_eq!(
            fields("\"a,\"\"b\"\"\",\"\"\"\"\"\",\"two\nlines\"\n"),
            ["a,\"b\"", "\"\"", "two\nlines"]
        );
        assert_eq!(fields("5\" pipe,x"), ["5\" pipe", "x"]);
        assert_eq!(fields("\"a\"b,c"), ["! text follows a closing quote"]);
        assert_eq!(fields("\"a,c"), ["! a quote is never closed"]);
    }

    #[test]
    fn an_open_quote_costs_its_own_line_only() {
        let text = b"a,b\n\"open,2\nc,d\n";
        assert_eq!(record_end(text, 4), 12);
    }

    #[test]
    fn a_quoted_line_end_is_not_a_place_to_cut() {
        let text = b"a,\"1\n2\n3\"\nb,c\n";
        let ranges = split(text, 0, 3);
        assert_eq!(ranges, [0..10, 10..14]);
    }

    proptest! {
        #[test]
        fn every_cut_gives_the_same_records(text in "[ab\",\n]{0,60}", target in 1usize..20) {
            let bytes = text.as_bytes();
            let records = |range: Range<usize>| {
                let (mut at, mut ends) = (range.start, Vec::new());
                while at < range.end {
                    at = record_end(bytes, at);
                    ends.push(at);
                }
                ends
            };
            let whole = records(0..bytes.len());
            let parts: Vec<usize> = split(bytes, 0, target).into_iter().flat_map(records).collect();
            prop_assert_eq!(whole, parts);
        }
    }
}
