//! `mobula`: what can be asked of a user's program from outside.
//!
//! A program contains its own functions; no tool beside it can know them. So this one runs the program and lets it
//! answer for itself (`MOBULA_COMMAND`), and checks that what came back is an answer: a program without
//! `#[mobula::main]` would otherwise just run, and its output would pass for a table.
//!
//! Exit codes: the program's own for `run`, 2 for a command that cannot be carried out.

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode, ExitStatus, Stdio};

use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};

/// Runs programs that are built with mobula, and says what they contain.
#[derive(Debug, Parser)]
#[command(name = "mobula", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a program as a node
    Run {
        /// The program, built with mobula
        #[arg(long, value_name = "PATH")]
        bin: PathBuf,
        /// How many nodes; more than one is not there yet
        #[arg(long, value_name = "COUNT", default_value = "1")]
        nodes: NonZeroUsize,
        /// The program's own arguments
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
    /// Lists the task functions that a program contains
    Functions {
        /// The program, built with mobula
        #[arg(long, value_name = "PATH")]
        bin: PathBuf,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("cannot run {}", bin.display())]
    CannotRun { bin: PathBuf, source: io::Error },
    #[error("{} ended with {status} instead of an answer", bin.display())]
    NoAnswer { bin: PathBuf, status: ExitStatus },
    #[error("{} did not answer with its functions; does its main carry #[mobula::main]?", bin.display())]
    OtherAnswer { bin: PathBuf, source: serde_json::Error },
    #[error("{0} nodes: clusters are not there yet, use --nodes 1")]
    ManyNodes(NonZeroUsize),
    #[error("the answer cannot be written")]
    Output(#[from] io::Error),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Run { bin, nodes, args } => run(bin, nodes, &args),
        Command::Functions { bin, json } => functions(bin, json),
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

fn run(bin: PathBuf, nodes: NonZeroUsize, args: &[OsString]) -> Result<ExitCode, CommandError> {
    if nodes.get() > 1 {
        return Err(CommandError::ManyNodes(nodes));
    }
    match program(&bin).args(args).status() {
        Ok(status) => Ok(code_of(status)),
        Err(source) => Err(CommandError::CannotRun { bin, source }),
    }
}

/// The program's own code; 1 if a signal ended it.
fn code_of(status: ExitStatus) -> ExitCode {
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
fn program(bin: &Path) -> process::Command {
    let is_bare = bin.parent().is_some_and(|parent| parent.as_os_str().is_empty());
    let path = if is_bare { Path::new(".").join(bin) } else { bin.to_owned() };
    process::Command::new(path)
}
