//! Bytes per idle actor, each framework in a process of its own.
//!
//! Measured in one process, the second framework would reuse what the first gave back to the
//! allocator and look free. So the runner starts this program again with a hidden subcommand, and
//! the child reads its resident set before and after it starts a crowd.

use std::process::Command;

use crate::contender::{Contender, Executor, crowd};
use crate::error::BenchError;
use crate::latch::Gate;

const STATUS: &str = "/proc/self/status";
/// Messages under way at once while every actor gets its first, so that queued messages do not
/// count as actors.
const WAVE: usize = 1000;

/// Starts `actors` idle members; bytes for each before and after its first message.
///
/// The driver's own vector of references is taken out of both.
pub(crate) async fn weigh<C: Contender>(lab: &C, actors: u64) -> Result<Vec<f64>, BenchError> {
    let count = usize::try_from(actors).unwrap_or(usize::MAX);
    let warm_gate = Gate::new(100);
    let warm = crowd(lab, 100, &warm_gate).await?;
    warm_gate.expect_all();
    for member in warm {
        C::stop(member).await?;
    }
    warm_gate.wait().await;

    let gate = Gate::new(count);
    let before = resident_bytes()?;
    let members = crowd(lab, count, &gate).await?;
    let references = (size_of::<C::Member>() * count) as f64;
    let idle = resident_bytes()? - before - references;
    for wave in (0..count).step_by(WAVE) {
        let end = (wave + WAVE).min(count);
        gate.expect(wave..end);
        for member in &members[wave..end] {
            C::arrive(member, 1).await?;
        }
        gate.wait().await;
    }
    let touched = resident_bytes()? - before - references;
    Ok(vec![idle / actors as f64, touched / actors as f64])
}

/// Weighs one framework's actors in a child process.
pub(crate) fn weigh_in_child(
    framework: &'static str,
    executor: Executor,
    actors: u64,
) -> Result<Vec<f64>, BenchError> {
    let program = std::env::current_exe()?;
    let output = Command::new(program)
        .arg("memory")
        .args([framework, executor.name()])
        .arg(actors.to_string())
        .output()?;
    let figures: Option<Vec<f64>> = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(|figure| figure.parse().ok())
        .collect();
    match figures {
        Some(figures) if output.status.success() => Ok(figures),
        _ => Err(BenchError::Child {
            framework,
            text: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}

/// `VmRSS`, which unlike `statm` needs no page size.
fn resident_bytes() -> Result<f64, BenchError> {
    let unreadable = || BenchError::ResidentSet { path: STATUS };
    let status = std::fs::read_to_string(STATUS).map_err(|_absent| unreadable())?;
    let kibibytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(unreadable)?;
    Ok(kibibytes * 1024.0)
}
