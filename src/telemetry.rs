//! Logs: tracing-subscriber, set up once by `#[mobula::main]`.
//!
//! `RUST_LOG` filters, in tracing's syntax (default `warn`); `MOBULA_LOG_FORMAT=json` writes one object a line instead of
//! readable text. Everything goes to standard error: standard output is the program's.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sets logging up, unless the program has done so itself.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_json = std::env::var("MOBULA_LOG_FORMAT").is_ok_and(|format| format == "json");
    // An error means that the program has a subscriber of its own: that one stays.
    let _ = if is_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
}
