//! Logs: tracing-subscriber, set up once by `#[mobula::main]`.
//!
//! `RUST_LOG` filters, in tracing's syntax (default `warn`); `MOBULA_LOG_FORMAT=json` writes one object a line instead of
//! readable text. Everything goes to standard error: standard output is the program's.

use std::io::IsTerminal;

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets logging up, unless the program has done so itself.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let wanted = std::env::var("MOBULA_LOG_FORMAT").ok();
    let format = Format::of(wanted.as_deref(), std::io::stderr().is_terminal());
    // An error means that the program has a subscriber of its own: that one stays.
    let _ = subscriber(filter, format, std::io::stderr).try_init();
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One object a line.
    Json,
    /// A line for people.
    Text { has_colours: bool },
}

impl Format {
    /// By the variable and where the lines go: colours are for terminals.
    fn of(wanted: Option<&str>, is_terminal: bool) -> Self {
        match wanted {
            Some("json") => Self::Json,
            Some(_) | None => Self::Text { has_colours: is_terminal },
        }
    }
}

/// Writes what `filter` lets through to `writer`. It belongs to nobody yet.
fn subscriber<W>(filter: EnvFilter, format: Format, writer: W) -> Dispatch
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Json => Dispatch::new(builder.json().finish()),
        Format::Text { has_colours } => Dispatch::new(builder.with_ansi(has_colours).finish()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::dispatcher::with_default;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// One event that is let through and one that is not, as they are written on this thread alone.
    fn written(format: Format) -> String {
        let page = Page::default();
        let pages = page.clone();
        let subscriber = subscriber(EnvFilter::new("info"), format, move || pages.clone());
        with_default(&subscriber, || {
            tracing::info!(shard = 3, "moved");
            tracing::debug!("not wanted");
        });
        let bytes = page.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_variable_chooses_json_and_a_terminal_colours() {
        assert_eq!(Format::of(Some("json"), true), Format::Json);
        assert_eq!(Format::of(Some("text"), false), Format::Text { has_colours: false });
        assert_eq!(Format::of(None, true), Format::Text { has_colours: true });
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(Format::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO", "{text}");
        assert_eq!(line["target"], module_path!(), "{text}");
        assert_eq!(line["fields"]["message"], "moved", "{text}");
        assert_eq!(line["fields"]["shard"], 3, "{text}");
    }

    #[test]
    fn text_is_a_line_for_people() {
        let text = written(Format::Text { has_colours: false });
        assert_eq!(text.lines().count(), 1, "{text}");
        let rest = text.trim_end().strip_suffix("moved shard=3").unwrap();
        assert!(rest.contains(" INFO ") && rest.contains(module_path!()), "{text}");
        assert!(!text.contains('\u{1b}'), "no colours where nobody asked for them: {text}");
    }
}
