//! A pool of workers behind one reference: a router takes each job and hands it on, round robin. It never waits: the
//! worker answers the asker itself, so the pool is as fast as all its workers together.
//!
//! `cargo run --example 07_worker_pool`
#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::time::Instant;

use mobula::prelude::*;

struct Worker {
    number: usize,
}

/// A job, and where its answer goes.
#[derive(Message)]
struct Job {
    word: String,
    reply: Reply<String>,
}

#[mobula::actor]
impl Worker {
    pub fn new(number: usize) -> Self {
        Self { number }
    }
}

impl Handler<Job> for Worker {
    async fn handle(&mut self, Job { word, reply }: Job, _: &mut Context<Self>) {
        tokio::time::sleep(ms(20)).await;
        reply.send(format!("{} by worker {}", word.chars().rev().collect::<String>(), self.number));
    }
}

struct Router {
    workers: Vec<ActorRef<Worker>>,
    next: usize,
}

#[mobula::actor]
impl Router {
    pub fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(Worker::remote).collect(), next: 0 }
    }

    /// Hands the reply on with the job.
    pub fn reverse(&mut self, ctx: &mut Context<Self>, word: String) -> Deferred<String> {
        let (reply, deferred) = ctx.defer();
        let worker = &self.workers[self.next % self.workers.len()];
        self.next += 1;
        // A job that a full or dead worker does not take is dropped with its reply, which tells the asker.
        let _ = worker.try_tell(Job { word, reply });
        deferred
    }
}

#[mobula::main]
async fn main() -> anyhow::Result<()> {
    let words = ["mobula", "manta", "eagle", "devil", "sting", "cownose", "bat", "guitar"];
    for workers in [1, 4] {
        let pool = Router::remote(workers);
        let began = Instant::now();
        let answers: Vec<ObjectRef<String>> =
            words.iter().map(|word| pool.reverse((*word).to_owned()).remote()).collect();
        for answer in mobula::get(&answers).await? {
            println!("  {answer}");
        }
        println!("{workers} workers: {} ms", began.elapsed().as_millis() / 10 * 10);
    }
    Ok(())
}
