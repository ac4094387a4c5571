//! Answers as JSON lines: one object per line, members in the order of the columns.
//!
//! Whole numbers print as whole numbers however large, floats in the shortest form that reads back
//! to the same bits, times as text. `serde_json`'s map would sort the members by name.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{moment, query::Answer, value::Value};

/// One object, without a line end.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let mut line = String::from("{");
    for (name, value) in members {
        if line.len() > 1 {
            line.push(',');
        }
        push_text(&mut line, name);
        line.push(':');
        match value {
            Value::Int(int) => line.push_str(&int.to_string()),
            Value::Float(float) if float.is_finite() => line.push_str(&format!("{float:?}")),
            Value::Float(_) | Value::Null => line.push_str("null"),
            Value::Text(text) => push_text(&mut line, &text),
            Value::Time(time) => push_text(&mut line, &moment::format_time(time)),
        }
    }
    line.push('}');
    line
}

/// One line for each row.
pub(crate) fn lines(answer: &Answer) -> String {
    let mut lines = String::new();
    for row in &answer.rows {
        let members = answer.columns.iter().map(String::as_str).zip(row.iter().cloned());
        lines.push_str(&object(members));
        lines.push('\n');
    }
    lines
}

fn push_text(line: &mut String, text: &str) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            control if control < ' ' => line.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => line.push(other),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_their_type() {
        let line = object([
            ("origin", Value::Text("E\"W\n\u{1}".into())),
            ("count", Value::Int(3)),
            ("mean", Value::Float(0.1)),
            ("whole", Value::Float(12.0)),
            ("tiny", Value::Float(1e-7)),
            ("last", Value::Null),
            ("at", Value::Time(0)),
        ]);
        assert_eq!(
            line,
            r#"{"origin":"E\"W\n\u0001","count":3,"mean":0.1,"whole":12.0,"tiny":1e-7,"last":null,"at":"1970-01-01T00:00:00Z"}"#
        );
    }
}
