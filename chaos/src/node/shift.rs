//! The workload of a node: everything it does to the others at once, until it is told to rest.

use std::collections::HashSet;
use std::future::Future;

use mobula::Node;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::voice::Voice;
use super::work::Work;
use super::{reading, relay, streams, tasks};

/// Work that can be told to end.
pub(super) struct Shift {
    over: watch::Sender<bool>,
    all: JoinHandle<()>,
}

impl Shift {
    /// Begins, and follows the members: each new one is sent to.
    pub(super) fn begin(node: &Node, voice: &'static Voice, seed: u64) -> Self {
        let (over, is_over) = watch::channel(false);
        let work = Work::new(node, voice, is_over);
        let all = tokio::spawn(node.enter(Box::pin(follow(work, StdRng::seed_from_u64(seed)))));
        Self { over, all }
    }

    /// Ends when everything that was begun has ended.
    pub(super) async fn end(self) {
        // Nobody hears it only if all has ended.
        let _ = self.over.send(true);
        let _ = self.all.await;
    }
}

async fn follow(work: Work, mut rng: StdRng) {
    let mut drives = JoinSet::new();
    start(&work, &mut drives, relay::drive(work.clone(), fork(&mut rng)));
    start(&work, &mut drives, reading::drive(work.clone(), fork(&mut rng)));
    start(&work, &mut drives, tasks::drive(work.clone(), fork(&mut rng)));
    let mut known = HashSet::new();
    while !work.is_over() {
        for node in work.alive() {
            if known.insert(node) {
                start(&work, &mut drives, streams::drive(work.clone(), node, fork(&mut rng)));
            }
        }
        work.pause().await;
    }
    while drives.join_next().await.is_some() {}
}

/// Each is a caller of its own.
fn start(work: &Work, drives: &mut JoinSet<()>, drive: impl Future<Output = ()> + Send + 'static) {
    drives.spawn(work.node.enter(Box::pin(drive)));
}

fn fork(rng: &mut StdRng) -> StdRng {
    StdRng::seed_from_u64(rng.random())
}
