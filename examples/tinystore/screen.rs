//! What goes where: answers to standard output, everything else beside them.
//!
//! With `--json`, standard output holds one object per line and nothing else, so that it can be
//! piped; headings then go to standard error with the notes. Both ends are passed in, so that a
//! test can read them.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};

use super::{json, query::Answer, text_table};

/// The two outputs of the program.
pub(crate) struct Screen {
    json: bool,
    out: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
}

impl Screen {
    pub(crate) fn new(
        json: bool,
        out: impl Write + Send + 'static,
        notes: impl Write + Send + 'static,
    ) -> Self {
        Self { json, out: Box::new(out), notes: Box::new(notes) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// An answer: a table, or a line for each of its rows.
    pub(crate) fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        let text = if self.json { json::lines(answer) } else { text_table::render(answer) };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Words that belong to the answers, for people.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        let out = if self.json { &mut self.notes } else { &mut self.out };
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Words beside the answers.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.notes, "{text}")
    }

    /// A bar on standard error, if that is a terminal.
    pub(crate) fn progress(total_bytes: u64) -> ProgressBar {
        let bar = ProgressBar::new(total_bytes);
        let style = "reading  {bar:40} {bytes}/{total_bytes}  {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar
    }
}
