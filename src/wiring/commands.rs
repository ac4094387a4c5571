//! What a program can say of itself when it is asked instead of being run.
//!
//! Only the program knows which functions were linked into it: no tool beside it could tell.

use mobula_tasks::{FunctionEntry, functions};

/// What a program can be asked.
pub(crate) const KNOWN: &str = "functions, functions-json";

/// The lines of the answer; `None` for a question that this program does not know.
pub(crate) fn answer(command: &str) -> Option<Vec<String>> {
    let rows = || functions().into_iter();
    match command {
        "functions" => Some(rows().map(ToString::to_string).collect()),
        "functions-json" => Some(rows().map(json).collect()),
        _ => None,
    }
}

fn json(entry: &FunctionEntry) -> String {
    serde_json::json!({
        "name": entry.name,
        "version": entry.version,
        "signature": entry.signature,
        "hash": format!("{:016x}", entry.hash),
    })
    .to_string()
}
