//! How fast trivial tasks are: batches, single ones in a row, chains. `cargo bench -p mobula-tasks`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that prints numbers")]

use std::time::{Duration, Instant};

use mobula_store::StoreConfig;
use mobula_tasks::{SchedulerConfig, TaskOptions};

#[path = "../tests/support/node.rs"]
mod node;

task! {
    fn increment(x: u64) -> u64 { x + 1 }
}
task! {
    async fn increment_later(x: u64) -> u64 { x + 1 }
}

const REPETITIONS: usize = 9;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn batch(size: u64, plain: bool) -> Duration {
    let began = Instant::now();
    let refs: Vec<_> = (0..size)
        .map(|n| if plain { increment::remote(n) } else { increment_later::remote(n) })
        .collect();
    let values = mobula_store::get(&refs).await.unwrap();
    let took = began.elapsed();
    assert_eq!(*values[9], 10);
    took
}

async fn chain(length: u64) -> Duration {
    let began = Instant::now();
    let mut last = increment::remote(0);
    for _ in 1..length {
        last = increment::remote(last);
    }
    assert_eq!(*last.get().await.unwrap(), length);
    began.elapsed()
}

async fn in_a_row(count: u64) -> Duration {
    let mut times = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        assert_eq!(*increment::remote(n).get().await.unwrap(), n + 1);
        times.push(began.elapsed());
    }
    median(times)
}

/// What a task weighs that waits for a resource, in bytes of resident memory; `None` off Linux.
fn weight() -> Option<usize> {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        text.split_whitespace().nth(1)?.parse::<usize>().ok()
    };
    let before = resident()?;
    let refs: Vec<_> = (0..100_000)
        .map(|n| increment::with(TaskOptions::new().resource("missing", 1.0), n))
        .collect();
    let after = resident()?;
    for object in &refs {
        object.cancel();
    }
    Some((after - before) * 4096 / 100_000)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let spin = std::env::var("SPIN_US").ok().and_then(|us| us.parse().ok()).unwrap_or(50);
        let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
        let config = SchedulerConfig::default().spin(Duration::from_micros(spin));
        let node = node::Node::with_store(config, StoreConfig::default().spin_rounds(rounds));
        node.enter(async {
            let (mut plain, mut asynchronous, mut chains, mut singles) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for _ in 0..REPETITIONS {
                plain.push(batch(10_000, true).await);
                asynchronous.push(batch(10_000, false).await);
                chains.push(chain(1000).await);
                singles.push(in_a_row(1000).await);
            }
            let rate = |took: Duration| 10_000.0 / took.as_secs_f64();
            println!("batch of 10 000, plain:  {:>9.0} tasks/s", rate(median(plain)));
            println!("batch of 10 000, async:  {:>9.0} tasks/s", rate(median(asynchronous)));
            println!("chain of 1000:           {:>9.3} ms", median(chains).as_secs_f64() * 1e3);
            println!("one task, then get:      {:>9.2} us", median(singles).as_secs_f64() * 1e6);
            if let Some(bytes) = weight() {
                println!("one task in the queue:    {bytes:>9} bytes");
            }
        })
        .await;
    });
}
