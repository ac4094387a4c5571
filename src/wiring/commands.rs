//! What a program answers when it is asked about itself instead of being run.

/// Answers the command and ends the process; returns for one that it does not know, so that the program runs.
#[expect(clippy::print_stdout, clippy::exit, reason = "the answer is the program's whole output")]
pub(crate) fn answer(command: &str) {
    let lines: Vec<String> = match command {
        "functions" => mobula_tasks::functions().iter().map(|entry| entry.to_string()).collect(),
        "functions-json" => {
            mobula_tasks::functions().iter().map(|entry| json(entry)).collect()
        }
        _ => return,
    };
    for line in lines {
        println!("{line}");
    }
    std::process::exit(0)
}

fn json(entry: &mobula_tasks::FunctionEntry) -> String {
    serde_json::json!({
        "name": entry.name,
        "version": entry.version,
        "signature": entry.signature,
        "hash": format!("{:016x}", entry.hash),
    })
    .to_string()
}
