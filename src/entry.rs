//! What `#[mobula::main]` and `#[mobula::test]` call: a runtime, a node on it, the user's code inside.

use std::fmt;
use std::future::Future;
use std::io::{self, Write};

use crate::config::NodeConfig;
use crate::node::Node;
use crate::telemetry;
use crate::wiring::commands;

/// Threads that plain functions may block at once: how deep they can nest that wait for each other. More than the
/// scheduler's own bound, as it demands.
const BLOCKING_THREADS_MAX: usize = 4096;

/// The options of `#[mobula::main]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MainOptions {
    workers: Option<usize>,
    arbiters: Option<usize>,
}

impl MainOptions {
    /// No options: as many workers as the machine has cores.
    #[must_use]
    pub const fn new() -> Self {
        Self { workers: None, arbiters: None }
    }

    /// Threads that actors and async tasks run on.
    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Threads for pinned actors.
    #[must_use]
    pub const fn arbiters(mut self, count: usize) -> Self {
        self.arbiters = Some(count);
        self
    }
}

/// Starts logging, a runtime and a node by `options` and the environment, and runs `body` as its driver.
///
/// With `MOBULA_COMMAND=functions` (or `functions-json`) in the environment it prints the table of functions instead
/// and ends: that is how `mobula functions` asks a program what it contains. Asked for what it does not know it ends
/// with a sentence and exit code 2, and does not run: nobody asked it to.
///
/// Settings that make no sense end the process with a sentence and exit code 2.
pub fn run_main<F, Fut>(options: MainOptions, body: F) -> Fut::Output
where
    F: FnOnce(Node) -> Fut,
    Fut: Future,
{
    match std::env::var("MOBULA_COMMAND") {
        Ok(command) if !command.is_empty() => answer(&command),
        Ok(_) | Err(_) => {}
    }
    telemetry::init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().max_blocking_threads(BLOCKING_THREADS_MAX);
    if let Some(workers) = options.workers {
        runtime.worker_threads(workers.max(1));
    }
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => refuse(&format!("the runtime did not start: {error}")),
    };
    let output = runtime.block_on(async {
        let mut config = match NodeConfig::from_environment(|variable| std::env::var(variable).ok())
        {
            Ok(config) => config,
            Err(error) => refuse(&error),
        };
        if let Some(arbiters) = options.arbiters {
            config.arbiters = arbiters;
        }
        let builder = Node::builder().config(config).compute_threads_max(BLOCKING_THREADS_MAX - 96);
        let node = match builder.start().await {
            Ok(node) => node,
            Err(error) => refuse(&error),
        };
        #[cfg(feature = "cluster")]
        match crate::service::begin(&node).await {
            Ok(crate::service::Part::Driver) => {}
            Ok(crate::service::Part::Worker) => {
                crate::service::serve(&node).await;
                finish();
            }
            Err(error) => refuse(&error),
        }
        let output = node.enter(body(node.clone())).await;
        node.shutdown().await;
        output
    });
    // A plain function that still runs on a compute thread would hold up the end of the program.
    runtime.shutdown_background();
    output
}

/// Answers a question about the program, and ends it.
#[expect(clippy::exit, reason = "the answer is the program's whole output")]
fn answer(command: &str) -> ! {
    let Some(lines) = commands::answer(command) else {
        refuse(&format!(
            "this program does not know MOBULA_COMMAND={command}; it knows {}, and runs without",
            commands::KNOWN
        ))
    };
    let mut out = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    match written.and_then(|()| out.flush()) {
        // Whoever asked may have read enough and left.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            refuse(&format!("the answer was not written: {error}"))
        }
        Ok(()) | Err(_) => std::process::exit(0),
    }
}

/// A worker is over: it has no main to return from.
#[cfg(feature = "cluster")]
#[expect(clippy::exit, reason = "the user's main is the driver's, so there is nothing to return")]
fn finish() -> ! {
    std::process::exit(0)
}

/// A program that cannot start says why and ends.
#[expect(clippy::print_stderr, clippy::exit, reason = "there is no program yet that could be told")]
fn refuse(error: &dyn fmt::Display) -> ! {
    eprintln!("mobula: {error}");
    std::process::exit(2)
}

/// Runs `body` as the driver of a node under virtual time, on one thread: time stands still while anything can run and
/// jumps to the next timer when nothing can. Needs the feature `testkit`.
///
/// # Panics
/// When the node does not start, and when `body` does.
#[cfg(feature = "testkit")]
pub fn run_test<F, Fut>(body: F) -> Fut::Output
where
    F: FnOnce(Node) -> Fut,
    Fut: Future,
{
    crate::testkit::run(body)
}

/// Without the feature `testkit` there is no virtual time: enable it in `[dev-dependencies]`.
#[cfg(not(feature = "testkit"))]
pub fn run_test<F, Fut>(_body: F) -> Fut::Output
where
    F: FnOnce(Node) -> Fut,
    Fut: Future,
{
    panic!("#[mobula::test] needs the feature `testkit`: add it to mobula in [dev-dependencies]")
}
