//! `mobula`: what can be asked of a user's program from outside.
//!
//! A program contains its own functions; no tool beside it can know them. So this one runs the program and lets it
//! answer for itself (`MOBULA_COMMAND`), and checks that what came back is an answer: a program without
//! `#[mobula::main]` would otherwise just run, and its output would pass for a table.
//!
//! Exit codes: the program's own for `run`, 2 for a command that cannot be carried out.

mod run;
mod place;
mod ask;
mod act;
mod table;
mod trace;
mod ca;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};

use ask::{Question, Which, ask};
use place::Where;

/// Runs programs that are built with mobula, and says what they contain.
#[derive(Debug, Parser)]
#[command(name = "mobula", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a program as a cluster of nodes on this machine
    Run {
        /// The program, built with mobula; or give it after `--`
        #[arg(long, value_name = "PATH")]
        bin: Option<PathBuf>,
        /// How many nodes: one drives, the others serve
        #[arg(long, value_name = "COUNT", default_value = "1")]
        nodes: NonZeroUsize,
        /// The program, if not given by --bin, and its own arguments
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
    /// Serves as a node of a program, for clusters of several machines
    Up {
        /// The program, built with mobula
        #[arg(long, value_name = "PATH")]
        bin: PathBuf,
        /// Where to listen
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
        /// Members to join by
        #[arg(long, value_name = "HOST:PORT")]
        join: Vec<String>,
        /// A file with the cluster's secret; or the variable `MOBULA_SECRET`
        #[arg(long, value_name = "PATH")]
        secret_file: Option<PathBuf>,
        /// What others may place by, such as zone=a
        #[arg(long, value_name = "NAME=VALUE")]
        label: Vec<String>,
    },
    /// An authority for clusters whose members show certificates
    Ca {
        #[command(subcommand)]
        deed: ca::Deed,
    },
    /// Every node's summary, and their sums
    Status(List),
    /// The members, as one of them sees them
    Nodes(List),
    /// Every node's actors, tasks and services
    Actors(List),
    /// Every node's actors that have a name
    Names(List),
    /// Every node's unfinished tasks, or those that are over and remembered
    Tasks {
        /// Those that are over, the newest first: of each node the last 4096 with a result and the last 1024 without
        #[arg(long)]
        ended: bool,
        #[command(flatten)]
        list: List,
    },
    /// Every node's objects
    Objects(List),
    /// Why an actor or task waits, what it does, or how a task ended
    Why {
        /// Its id, such as a17
        id: String,
        #[command(flatten)]
        place: Where,
    },
    /// Writes when which task ran where, as a Chrome trace
    Timeline {
        /// The file to write
        #[arg(short, long, value_name = "PATH", default_value = "trace.json")]
        output: PathBuf,
        #[command(flatten)]
        place: Where,
    },
    /// Ends an actor at once
    Kill {
        /// Its name, or its id
        name: String,
        #[command(flatten)]
        place: Where,
    },
    /// Lets a node finish or move its work and leave, and waits until it has
    Drain {
        /// The node, or the beginning of its name
        node_to_drain: String,
        #[command(flatten)]
        place: Where,
    },
    /// Lists the task functions that a program contains, or all nodes of a cluster
    Functions {
        /// The program, built with mobula; without it, a running cluster is asked
        #[arg(long, value_name = "PATH")]
        bin: Option<PathBuf>,
        #[command(flatten)]
        list: List,
    },
}

/// Whom to ask, and which rows of the answer.
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("cannot run {}", bin.display())]
    CannotRun { bin: PathBuf, source: io::Error },
    #[error("{} ended with {status} instead of an answer", bin.display())]
    NoAnswer { bin: PathBuf, status: ExitStatus },
    #[error("{} did not answer with its functions; does its main carry #[mobula::main]?", bin.display())]
    OtherAnswer { bin: PathBuf, source: serde_json::Error },
    #[error("name a program: `mobula run --nodes 4 -- target/release/program arguments`")]
    NoProgram,
    #[error(
        "the program did not become a node within {limit:?}; does its main carry #[mobula::main]?"
    )]
    NoNode { limit: Duration },
    #[error("no cluster runs on this machine that `mobula run` started; name a member by --join")]
    NoRun,
    #[error("{0} clusters run on this machine; name a member of one by --join")]
    ManyRuns(usize),
    #[error("`{0}` is no id; ids look like a17")]
    NoId(String),
    #[error(
        "no node has or remembers {0}; `mobula actors` and `mobula tasks --ended` list the ids that are known"
    )]
    NobodyKnows(String),
    #[error("no living node is called `{wanted}`; there are: {known}")]
    NoSuchNode { wanted: String, known: String },
    #[error("`{wanted}` is the beginning of several nodes' names: {called}; write more of one")]
    ManyNodes { wanted: String, called: String },
    #[error("no actor is called `{name}`; `mobula names` lists those that have a name")]
    NoSuchActor { name: String },
    #[error(
        "{count} actors are called `{name}`, on nodes {nodes}: a name belongs to its node; choose one by --node"
    )]
    ManyActors { name: String, count: usize, nodes: String },
    #[error("node {node} did not do it: {why}")]
    Refused { node: String, why: String },
    #[error(
        "node {node} has not left within {limit:?}; it still finishes what it has: see `mobula tasks --node {node}`"
    )]
    StillThere { node: String, limit: Duration },
    #[error("{} was not written", output.display())]
    NoTrace { output: PathBuf, source: io::Error },
    #[error(transparent)]
    Node(#[from] mobula::NodeError),
    #[error(transparent)]
    Config(#[from] mobula::ConfigError),
    #[error(transparent)]
    Revoke(#[from] mobula::RevokeError),
    #[error("{} holds no authority; make one by `mobula ca init --dir`", _0.display())]
    NoAuthority(PathBuf),
    #[error("{} cannot be written; a key is never written over another", path.display())]
    NotWritten { path: PathBuf, source: io::Error },
    #[error("the answer cannot be written")]
    Output(#[from] io::Error),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Run { bin, nodes, args } => start(bin, nodes, args),
        Command::Up { bin, listen, join, secret_file, label } => {
            let secret = secret_file.map(std::fs::read_to_string).transpose();
            let secret = secret.map(|secret| secret.map(|text| text.trim().to_owned()));
            secret
                .map_err(CommandError::from)
                .and_then(|secret| run::up(bin, &run::settings(listen, &join, secret, &label)))
        }
        Command::Ca { deed } => ca::perform(deed),
        Command::Status(List { place, which }) => ask(Question::Status, &place, &which),
        Command::Nodes(List { place, which }) => ask(Question::Nodes, &place, &which),
        Command::Actors(List { place, which }) => ask(Question::Actors, &place, &which),
        Command::Names(List { place, which }) => ask(Question::Names, &place, &which),
        Command::Tasks { ended, list: List { place, which } } => {
            ask(Question::Tasks { ended }, &place, &which)
        }
        Command::Objects(List { place, which }) => ask(Question::Objects, &place, &which),
        Command::Why { id, place } => {
            let number = id.trim_start_matches('a').parse().ok();
            match number.and_then(mobula::ActorId::from_u64) {
                Some(id) => ask::why(id, &place),
                None => Err(CommandError::NoId(id)),
            }
        }
        Command::Timeline { output, place } => ask::timeline(output, &place),
        Command::Kill { name, place } => act::kill(&name, &place),
        Command::Drain { node_to_drain, place } => act::drain(&node_to_drain, &place),
        Command::Functions { bin: Some(bin), list } => functions(bin, list.place.is_json()),
        Command::Functions { bin: None, list: List { place, which } } => {
            ask(Question::Functions, &place, &which)
        }
    };
    match outcome {
        Ok(code) => code,
        // Whoever read us has seen enough: `mobula functions … | head`.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Nobody is left to hear that standard error is closed.
            let _ = writeln!(io::stderr(), "mobula: {}", mobula::ErrorText::new(error));
            ExitCode::from(2)
        }
    }
}

/// The program is given by `--bin`, or is the first word after `--`.
fn start(
    bin: Option<PathBuf>,
    nodes: NonZeroUsize,
    mut args: Vec<OsString>,
) -> Result<ExitCode, CommandError> {
    let bin = match bin {
        Some(bin) => bin,
        None if args.is_empty() => return Err(CommandError::NoProgram),
        None => PathBuf::from(args.remove(0)),
    };
    run::run(bin, nodes, &args)
}

/// The program's own code; 1 if a signal ended it.
pub(crate) fn code_of(status: ExitStatus) -> ExitCode {
    status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// One row of a program's table of functions.
#[derive(Debug, Deserialize, Serialize)]
struct Function {
    name: String,
    version: u32,
    signature: String,
    hash: String,
}

fn functions(bin: PathBuf, json: bool) -> Result<ExitCode, CommandError> {
    let mut question = program(&bin);
    question.env("MOBULA_COMMAND", "functions-json").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = match question.output() {
        Ok(output) => output,
        Err(source) => return Err(CommandError::CannotRun { bin, source }),
    };
    if !output.status.success() {
        return Err(CommandError::NoAnswer { bin, status: output.status });
    }
    let rows = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Function>();
    let rows: Vec<Function> = match rows.collect() {
        Ok(rows) => rows,
        Err(source) => return Err(CommandError::OtherAnswer { bin, source }),
    };
    let mut out = io::stdout().lock();
    if json {
        for row in &rows {
            serde_json::to_writer(&mut out, row).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    } else {
        write_table(&mut out, &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_table(out: &mut impl Write, rows: &[Function]) -> io::Result<()> {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("FUNCTION".len());
    writeln!(out, "{:<width$}  VERSION  {:<16}  SIGNATURE", "FUNCTION", "HASH")?;
    for Function { name, version, signature, hash } in rows {
        writeln!(out, "{name:<width$}  {version:>7}  {hash:<16}  {signature}")?;
    }
    Ok(())
}

/// A bare file name means a file here, as it does for every other command's files, not one on the search path.
pub(crate) fn program(bin: &Path) -> process::Command {
    let is_bare = bin.parent().is_some_and(|parent| parent.as_os_str().is_empty());
    let path = if is_bare { Path::new(".").join(bin) } else { bin.to_owned() };
    process::Command::new(path)
}
