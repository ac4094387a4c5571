//! Values that are made on one node and read on another, of some bytes to some megabytes.

use mobula::NodeId;
use mobula::prelude::*;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::actors::{Depot, bytes, digest};
use super::voice::Mutant;
use super::work::Work;
use crate::event::{End, Event, Wait};

/// Reads there and here in turn, until the work ends.
pub(super) async fn drive(work: Work, mut rng: StdRng) {
    while !work.is_over() {
        let Some(there) = work.somebody(&mut rng) else {
            work.pause().await;
            continue;
        };
        // Mostly small, as most values are; a large one keeps lanes and stores busy for a while.
        let size = if rng.random_bool(0.1) { 1 << 20 } else { 1 << rng.random_range(4..=15_u32) };
        let (seed, wait) = (rng.random(), work.voice.number());
        let right = digest(&bytes(seed, size));
        let is_here = rng.random_bool(0.5);
        let what =
            if is_here { Wait::ReadHere { bytes: size } } else { Wait::ReadThere { bytes: size } };
        work.voice.say(Event::Begun { wait, what });
        let read = if is_here {
            read_here(there, seed, size).await
        } else {
            read_there(there, seed, size).await
        };
        let end = match read {
            Ok(found) => {
                End::Value { is_right: found == right && !work.voice.strikes(Mutant::Misread) }
            }
            Err(why) => End::Error { why },
        };
        work.voice.say(Event::Ended { wait, end });
        work.pace(&mut rng).await;
    }
}

fn depot(node: NodeId) -> ActorRef<Depot> {
    Depot::options().on(Placement::OnNode { node, or_elsewhere: false }).remote()
}

async fn read_there(there: NodeId, seed: u64, size: usize) -> Result<u64, String> {
    let object = mobula::put(bytes(seed, size)).await.map_err(|error| error.to_string())?;
    // The reference travels, not the value.
    depot(there).digest(object.clone()).await.map_err(|error| error.to_string())
}

async fn read_here(there: NodeId, seed: u64, size: usize) -> Result<u64, String> {
    let object = depot(there).make(seed, size).await.map_err(|error| error.to_string())?;
    object.get().await.map(|bytes| digest(&bytes)).map_err(|error| error.to_string())
}
