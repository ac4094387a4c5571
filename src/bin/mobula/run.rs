//! `run` and `up`: a user's program as one node or as several processes on this machine.
//!
//! The program is started once as the driver, which runs its main, and for each further node as a worker, which only
//! serves. Workers hold one end of a pipe whose other end is ours: when we end, however we end, they leave.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{CommandError, code_of, program};

/// How long the driver may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long workers may take to leave before they are killed.
const LEAVE_LIMIT: Duration = Duration::from_secs(8);
/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Where a run is found by `status` and the like, as long as it lasts.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) address: String,
    pub(crate) secret: String,
}

/// Runs `bin` on `nodes` nodes; the exit code is the driver's.
pub(crate) fn run(
    bin: PathBuf,
    nodes: NonZeroUsize,
    args: &[OsString],
) -> Result<ExitCode, CommandError> {
    let cannot = |source: io::Error| CommandError::CannotRun { bin: bin.clone(), source };
    if nodes.get() == 1 {
        let status = program(&bin).args(args).status().map_err(cannot)?;
        return Ok(code_of(status));
    }
    let secret = secret()?;
    let room = Room::create()?;
    let said = room.path.join("address");
    let node = |command: &mut Command| {
        command
            .env("MOBULA_LISTEN", "127.0.0.1:0")
            .env("MOBULA_SECRET", &secret)
            .env("MOBULA_LEAVE_WITH_STDIN", "0");
    };
    let mut command = program(&bin);
    node(&mut command);
    command
        .args(args)
        .env("MOBULA_ADDRESS_FILE", &said)
        .env("MOBULA_EXPECT_NODES", nodes.to_string());
    let mut driver = command.spawn().map_err(cannot)?;
    let Some(address) = wait_for_address(&said, &mut driver)? else {
        // It ended before it was a node: a program that needs none, or one that failed.
        return Ok(code_of(driver.wait()?));
    };
    room.remember(&Run { address: address.clone(), secret: secret.clone() })?;
    let mut workers = Vec::new();
    for _ in 1..nodes.get() {
        let mut command = program(&bin);
        node(&mut command);
        command
            .args(args)
            .env("MOBULA_ROLE", "worker")
            .env("MOBULA_JOIN", &address)
            .env("MOBULA_LEAVE_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::from(io::stderr()));
        workers.push(command.spawn().map_err(cannot)?);
    }
    let status = driver.wait()?;
    leave(workers);
    Ok(code_of(status))
}

/// Becomes a worker of `bin`, which serves until it is told to end. Not a child of ours: so a signal to this process is
/// a signal to the node, and nothing is left behind.
pub(crate) fn up(bin: PathBuf, settings: &[(&str, String)]) -> Result<ExitCode, CommandError> {
    let mut command = program(&bin);
    command.env("MOBULA_ROLE", "worker").envs(settings.iter().map(|(name, value)| (name, value)));
    let source = command.exec();
    Err(CommandError::CannotRun { bin, source })
}

/// Lets workers leave, and kills those that do not.
fn leave(mut workers: Vec<Child>) {
    for worker in &mut workers {
        drop(worker.stdin.take());
    }
    let deadline = Instant::now() + LEAVE_LIMIT;
    for worker in &mut workers {
        while let Ok(None) = worker.try_wait() {
            if Instant::now() >= deadline {
                // It may have ended just now.
                let _ = worker.kill();
                let _ = worker.wait();
                break;
            }
            look_again();
        }
    }
}

fn wait_for_address(path: &Path, driver: &mut Child) -> Result<Option<String>, CommandError> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Ok(text) = fs::read_to_string(path) {
            return Ok(text.lines().next().map(Into::into));
        }
        if driver.try_wait()?.is_some() {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            let _ = driver.kill();
            let _ = driver.wait();
            return Err(CommandError::NoNode { limit: START_LIMIT });
        }
        look_again();
    }
}

/// A directory of this run's own, gone with it.
struct Room {
    path: PathBuf,
    card: PathBuf,
}

impl Room {
    fn create() -> Result<Self, CommandError> {
        let runs = runs();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&runs)?;
        let path = runs.join(std::process::id().to_string());
        // Left behind by a process of the same number that was killed.
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let card = runs.join(format!("{}.json", std::process::id()));
        Ok(Self { path, card })
    }

    fn remember(&self, run: &Run) -> Result<(), CommandError> {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&self.card)?;
        let text = serde_json::to_vec(run).map_err(io::Error::from)?;
        file.write_all(&text)?;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What cannot be removed is overwritten by a later run.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.card);
    }
}

/// A process says nothing when it ends, nor a file when it appears: they are looked at from time to time.
#[expect(clippy::disallowed_methods, reason = "there is no event to wait for")]
fn look_again() {
    std::thread::sleep(LOOK);
}

/// Where runs of this user are found.
fn runs() -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let user = std::env::var("USER").unwrap_or_else(|_| "user".to_owned());
    base.join(format!("mobula-runs-{user}"))
}

/// The runs that last.
pub(crate) fn known_runs() -> Vec<Run> {
    let Ok(cards) = fs::read_dir(runs()) else { return Vec::new() };
    let cards = cards.flatten().map(|card| card.path());
    let living = cards.filter(|card| card.extension().is_some_and(|ext| ext == "json"));
    let texts = living.filter_map(|card| {
        let run = card.file_stem()?.to_str()?.parse::<u32>().ok()?;
        Path::new(&format!("/proc/{run}")).exists().then(|| fs::read(card).ok()).flatten()
    });
    texts.filter_map(|text| serde_json::from_slice(&text).ok()).collect()
}

/// 32 random bytes as text.
fn secret() -> Result<String, CommandError> {
    let mut bytes = [0_u8; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What `up` is told, as the program's environment.
pub(crate) fn settings(
    listen: SocketAddr,
    join: &[String],
    secret: Option<String>,
    labels: &[String],
) -> Vec<(&'static str, String)> {
    let mut settings = vec![("MOBULA_LISTEN", listen.to_string())];
    if !join.is_empty() {
        settings.push(("MOBULA_JOIN", join.join(",")));
    }
    if !labels.is_empty() {
        settings.push(("MOBULA_LABELS", labels.join(",")));
    }
    settings.extend(secret.map(|secret| ("MOBULA_SECRET", secret)));
    settings
}
