//! tinystore, a distributed feature store in the small: register features, register aggregation
//! functions, query features, apply aggregation functions.
//!
//! Read in this order. What the store knows: `value`, `column`, `batch`, `tables`, `feature`.
//! What it computes: `aggregate`, `groups`, `query`, `fold`, `as_of`. How text comes in: `csv`,
//! `source`. All of these are plain Rust without a clock or a task, apart from the last.
//! How it becomes distributed: `registry`, `shard` and `steward` (actors), `ingest` (tasks), `gather`
//! (the wait loop), `engine` (the driver), `processes` (many nodes), `chaos`.
//!
//! `cargo run --release --example tinystore` tells the story; `-- --help` lists the commands.

mod value;
mod moment;
mod column;
mod batch;
mod tables;
mod feature;
mod aggregate;
mod groups;
mod query;
mod fold;
mod as_of;
mod csv;
mod source;
mod standard;
mod registry;
mod shard;
mod steward;
mod gather;
mod ingest;
mod engine;
mod processes;
mod chaos;
mod json;
mod text_table;
mod chart;
mod screen;
mod cli;
mod fetch;
mod commands;
mod demo;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use processes::Processes;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Chaos kills on purpose, and reports of each crash and lost node would bury the answers: RUST_LOG=warn
    // brings them back. The first subscriber stays, so this must come before the node.
    let quiet = EnvFilter::new("warn,mobula::supervision=off,mobula_cluster=error");
    let filter = EnvFilter::try_from_default_env().unwrap_or(quiet);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let cli = cli::Cli::parse();
    let told = if cli.nodes > 1 && !processes::are_given() { tell_over_nodes(cli) } else { tell() };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "tinystore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[mobula::main]
async fn tell() -> anyhow::Result<()> {
    let cli = cli::Cli::parse();
    let mut screen = screen::Screen::new(cli.json, io::stdout(), io::stderr());
    commands::run(cli, &mut screen, &mut Processes::default()).await
}

/// The same with `--nodes`: what `#[mobula::main]` does, and a process for each further node.
#[tokio::main]
async fn tell_over_nodes(cli: cli::Cli) -> anyhow::Result<()> {
    let mut screen = screen::Screen::new(cli.json, io::stdout(), io::stderr());
    let (node, mut processes) = Processes::start(cli.nodes).await?;
    let told = node.enter(commands::run(cli, &mut screen, &mut processes)).await;
    processes.end().await;
    node.shutdown().await;
    told
}
