//! What the columns of a file are called and hold, decided once for the whole file.
//!
//! If every range guessed its own types, an answer could depend on where the file was cut. So the
//! header and the first rows decide: columns of a known table have their type, all others get the
//! narrowest type that nine tenths of the sampled cells fit. The one later change — a fraction in
//! a column of whole numbers, as pandas writes them — widens the column for the whole file:
//! parsing reports it and starts again.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        tables::{self, Table},
        value::Kind,
    },
    parse::{Number, Widening, read_number, read_time},
    records::{Field, Fields, record_end},
};

const SAMPLED_ROWS: usize = 1000;

/// The columns of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// A known table's name, or the file's.
    pub(crate) table: String,
    /// Column by which rows are spread over shards, if the file has one.
    pub(crate) entity: Option<String>,
    pub(crate) names: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    /// Where the first row begins, in bytes and in lines (the header is line 1).
    pub(crate) body: usize,
    pub(crate) first_line: u64,
}

/// Why a file cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    /// Nothing was read; give a file with a header line.
    #[error("`{file}` is empty: the first line must name the columns")]
    Empty { file: String },
    /// Nothing was read; repair the first line.
    #[error("the header of `{file}` cannot be read: {reason}")]
    Header { file: String, reason: &'static str },
}

impl Layout {
    /// Reads the header and samples the first rows. `file` names the table if its columns do not.
    pub(crate) fn read(file: &str, text: &[u8]) -> Result<Self, LayoutError> {
        let start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let body = record_end(text, start);
        let header = text.get(start..body).unwrap_or_default();
        if header.trim_ascii().is_empty() {
            return Err(LayoutError::Empty { file: file.to_owned() });
        }
        let mut names: Vec<String> = Vec::new();
        for field in Fields::new(header) {
            let field = field.map_err(|misquoted| LayoutError::Header {
                file: file.to_owned(),
                reason: misquoted.0,
            })?;
            let name = String::from_utf8_lossy(field.text().trim_ascii()).into_owned();
            names.push(unused(name, &names));
        }
        let table = tables::recognise(&names);
        let kinds = sample_kinds(&names, table, text, body);
        let stem = file.rsplit(['/', '\\']).next().unwrap_or(file).split('.').next();
        let entity = table.map(|table| table.entity.to_owned()).filter(|name| names.contains(name));
        Ok(Self {
            table: table.map_or_else(|| stem.unwrap_or(file), |table| table.name).to_owned(),
            entity,
            names,
            kinds,
            body,
            first_line: 1 + header.iter().filter(|byte| **byte == b'\n').count() as u64,
        })
    }

    /// Makes room for fractions. The whole file has to be parsed again after this.
    pub(crate) fn widen(&mut self, widenings: &[Widening]) {
        for Widening(index) in widenings {
            if let Some(kind) = self.kinds.get_mut(*index) {
                *kind = Kind::Float;
            }
        }
    }
}

/// A second column called `x` becomes `x_2`.
fn unused(name: String, taken: &[String]) -> String {
    if !taken.contains(&name) {
        return name;
    }
    let mut numbered = (2..).map(|number| format!("{name}_{number}"));
    numbered.find(|name| !taken.contains(name)).unwrap_or(name)
}

/// How many sampled cells fit each type.
#[derive(Clone, Default)]
struct Tally {
    cells: usize,
    ints: usize,
    numbers: usize,
    times: usize,
}

impl Tally {
    fn count(&mut self, field: &Field<'_>) {
        if field.is_null() {
            return;
        }
        let text = field.text();
        self.cells += 1;
        match read_number(&text) {
            Number::Int(_) => {
                self.ints += 1;
                self.numbers += 1;
            }
            Number::Float(_) => self.numbers += 1,
            Number::None => self.times += usize::from(read_time(&text).is_some()),
        }
    }

    fn kind(&self, known: Option<Kind>) -> Kind {
        let fits = |kind| match kind {
            Kind::Int => self.ints,
            Kind::Float => self.numbers,
            Kind::Time => self.times,
            Kind::Text => self.cells,
        };
        // A known column keeps its type unless most cells contradict it.
        if let Some(kind) = known.filter(|kind| fits(*kind) * 2 >= self.cells) {
            return kind;
        }
        let nine_tenths = |kind: &Kind| self.cells > 0 && fits(*kind) * 10 >= self.cells * 9;
        [Kind::Int, Kind::Float, Kind::Time].into_iter().find(nine_tenths).unwrap_or(Kind::Text)
    }
}

fn sample_kinds(names: &[String], table: Option<&Table>, text: &[u8], body: usize) -> Vec<Kind> {
    let mut tallies = vec![Tally::default(); names.len()];
    let mut at = body;
    for _ in 0..SAMPLED_ROWS {
        if at >= text.len() {
            break;
        }
        let end = record_end(text, at);
        for (field, tally) in Fields::new(&text[at..end]).zip(&mut tallies) {
            if let Ok(field) = field {
                tally.count(&field);
            }
        }
        at = end;
    }
    let kind =
        |(name, tally): (&String, &Tally)| tally.kind(table.and_then(|table| table.kind(name)));
    names.iter().zip(&tallies).map(kind).collect()
}
