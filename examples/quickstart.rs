//! The whole tour, in order: a graph of tasks, get against wait, an actor, an actor that outlives its creator.
//!
//! `cargo run --example quickstart`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::time::Instant;

use mobula::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Matrix {
    rows: usize,
    columns: usize,
    cells: Vec<f64>,
}

#[derive(Debug, thiserror::Error)]
#[error("{left:?} times {right:?} has no meaning: columns of the left must be rows of the right")]
struct ShapeError {
    left: (usize, usize),
    right: (usize, usize),
}

// 1. Tasks: functions that run in the background. Plain ones run on compute threads; both stay callable as they are.

#[mobula::task]
fn zeros(rows: usize, columns: usize) -> Matrix {
    Matrix { rows, columns, cells: vec![0.0; rows * columns] }
}

#[mobula::task(num_cpus = 1.0)]
fn multiply(x: Matrix, y: Matrix) -> Result<Matrix, ShapeError> {
    if x.columns != y.rows {
        return Err(ShapeError { left: (x.rows, x.columns), right: (y.rows, y.columns) });
    }
    let mut product = zeros(x.rows, y.columns);
    for row in 0..x.rows {
        for column in 0..y.columns {
            let terms =
                (0..y.rows).map(|i| x.cells[row * x.columns + i] * y.cells[i * y.columns + column]);
            product.cells[row * y.columns + column] = terms.sum();
        }
    }
    Ok(product)
}

async fn a_graph_of_tasks() -> anyhow::Result<()> {
    let x = zeros::remote(60, 40); // ObjectRef<Matrix>, at once; the task runs in the background
    let y = zeros::remote(40, 50);
    let z = multiply::remote(&x, &y); // runs when x and y are there
    let z: Arc<Matrix> = z.get().await?;
    println!(
        "z = x * y is {} x {}, and its sum is {}",
        z.rows,
        z.columns,
        z.cells.iter().sum::<f64>()
    );

    let mistake = multiply::remote(&x, &x);
    let after = multiply::remote(&mistake, &y); // fails with the cause, and never runs
    if let Err(error) = after.get().await {
        println!("x * x * y: {error}");
    }
    Ok(())
}

// 2. Get waits for all; wait gives what is ready, so that work on results begins with the first.

/// Parts take different times, the first the longest.
#[mobula::task(num_cpus = 0.1)]
async fn data_processing(part: u64) -> u64 {
    tokio::time::sleep(ms(40 * (8 - part))).await;
    part * part
}

/// What is done with each result, one after another.
async fn consume(result: u64) -> u64 {
    tokio::time::sleep(ms(30)).await;
    result
}

async fn get_against_wait() -> anyhow::Result<()> {
    let began = Instant::now();
    let parts: Vec<ObjectRef<u64>> = (0..8).map(data_processing::remote).collect();
    let mut sum = 0;
    for result in mobula::get(&parts).await? {
        sum += consume(*result).await;
    }
    println!("get:  {sum} after {} ms", began.elapsed().as_millis());

    let began = Instant::now();
    let mut pending: Vec<ObjectRef<u64>> = (0..8).map(data_processing::remote).collect();
    let mut sum = 0;
    while !pending.is_empty() {
        let (ready, rest) = mobula::wait(pending).num_returns(1).timeout(secs(5)).await?;
        for result in mobula::get(&ready).await? {
            sum += consume(*result).await;
        }
        pending = rest;
    }
    println!(
        "wait: {sum} after {} ms, since no result waited for the slowest",
        began.elapsed().as_millis()
    );
    Ok(())
}

// 3. Actors: structs whose methods are handled one at a time.

struct Counter {
    count: u64,
}

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self { count: start }
    }

    pub fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

#[mobula::task]
fn squared(x: u64) -> u64 {
    x * x
}

async fn an_actor() -> anyhow::Result<()> {
    let counter = Counter::remote(0); // ActorRef<Counter>
    counter.next().tell().await?; // one way
    println!("the counter says {}", counter.next().timeout(secs(2)).await?); // ask, with a deadline
    let three: ObjectRef<u64> = counter.next().remote(); // the result as an object…
    println!("its next, squared by a task, is {}", squared::remote(&three).get().await?); // …feeds a task
    Ok(())
}

// 4. Detached: an actor that lives under its name, whoever made it, until somebody ends it.

async fn detached_by_name() -> anyhow::Result<()> {
    {
        let creators_own = Counter::options().name("clicks").detached().remote(0);
        creators_own.next().await?;
    } // the last reference goes, the actor stays
    let clicks = mobula::actor::<Counter>("clicks").await?;
    println!("clicks, found by name, says {}", clicks.next().await?);
    let end = clicks.kill().await?;
    println!("clicks {end}");
    if let Err(error) = mobula::actor::<Counter>("clicks").await {
        println!("looked up again: {error}");
    }
    Ok(())
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    a_graph_of_tasks().await?;
    get_against_wait().await?;
    an_actor().await?;
    detached_by_name().await
}
