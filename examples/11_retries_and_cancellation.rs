//! Tasks that fail and tasks nobody needs any more: retries with a predicate, the user's own error at the end of it,
//! and cancellation of what is queued, waits, or computes.
//!
//! `cargo run --example 11_retries_and_cancellation`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use mobula::prelude::*;
use mobula::task;

#[derive(Debug, thiserror::Error, PartialEq)]
enum FetchError {
    #[error("the line is busy")]
    Busy,
    #[error("there is no page {0}")]
    NoPage(u32),
}

/// Busy twice, then it works; a page beyond the last never does.
#[mobula::task(max_retries = 5)]
fn fetch(page: u32) -> Result<String, FetchError> {
    let attempt = task::current().map_or(0, |task| task.attempt());
    println!("  fetch({page}), attempt {attempt}");
    match (page, attempt) {
        (10.., _) => Err(FetchError::NoPage(page)),
        (_, ..3) => Err(FetchError::Busy),
        _ => Ok(format!("page {page}")),
    }
}

fn is_busy(error: &TaskError) -> bool {
    error.user::<FetchError>() == Some(&FetchError::Busy)
}

/// A plain function cannot be interrupted; it asks now and then.
#[mobula::task]
fn search() -> u64 {
    let task = task::current();
    let is_cancelled = || task.as_ref().is_some_and(task::CurrentTask::is_cancelled);
    (0..u64::MAX).find(|_| is_cancelled()).unwrap_or_default()
}

#[mobula::task]
async fn sleep_for_an_hour() {
    tokio::time::sleep(secs(3600)).await;
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    println!("{}", fetch::options().retry_if(is_busy).remote(1).get().await?);
    match fetch::options().retry_if(is_busy).remote(99).get().await {
        Ok(page) => println!("{page}"),
        Err(error) => println!("not tried again: {error}"),
    }

    let searching = search::remote();
    let sleeping = sleep_for_an_hour::remote();
    tokio::time::sleep(ms(50)).await;
    println!("cancelled: {} {}", searching.cancel(), sleeping.cancel());
    for error in [searching.get().await.err(), sleeping.get().await.err()] {
        println!(
            "{}",
            error.map_or_else(|| "finished first".to_owned(), |error| error.to_string())
        );
    }
    Ok(())
}
