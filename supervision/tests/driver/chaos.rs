//! Real threads, no virtual time: crashes from many sides at once, and everybody comes back.

use std::{sync::Arc, time::Duration};

use mobula::ActorRef;
use mobula_supervision::{ChildSpec, Supervisor, SupervisorBuilder};

use crate::worker::{Log, Worker, child, node};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn patient(builder: SupervisorBuilder, log: &Log) -> SupervisorBuilder {
    NAMES.iter().fold(builder.intensity(u32::MAX, Duration::from_secs(1)), |builder, name| {
        builder.child(log.spec(name))
    })
}

/// Asks until the worker serves; a worker that is being restarted hands messages back.
async fn serves(worker: &ActorRef<Worker>) {
    while worker.count().await.is_err() {
        assert!(worker.is_alive(), "the reference does not stay good");
        tokio::task::yield_now().await;
    }
}

async fn crash_from_all_sides(supervisor: &ActorRef<Supervisor>) {
    let mut culprits = Vec::new();
    for round in 0..4 {
        for name in NAMES {
            let worker = child(supervisor, name).await;
            culprits.push(tokio::task::spawn(async move {
                for times in 0..25 {
                    match (round + times) % 3 {
                        0 => drop(worker.crash().await),
                        1 => worker.kill().restart(),
                        _ => serves(&worker).await,
                    }
                }
            }));
        }
    }
    for culprit in culprits {
        culprit.await.unwrap();
    }
    for name in NAMES {
        serves(&child(supervisor, name).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn references_stay_good_whatever_crashes_at_once() {
    for builder in
        [Supervisor::one_for_one(), Supervisor::rest_for_one(), Supervisor::one_for_all()]
    {
        let (system, log) = (node(), Log::default());
        let supervisor = patient(builder, &log).spawn_on(&system);
        // A fault during the first start would end the supervisor.
        supervisor.up().await.unwrap();
        let mut before = Vec::new();
        for name in NAMES {
            before.push(child(&supervisor, name).await.id());
        }
        crash_from_all_sides(&supervisor).await;
        for (name, id) in NAMES.into_iter().zip(before) {
            assert_eq!(child(&supervisor, name).await.id(), id, "the same actor, made anew");
        }
        supervisor.stop().await.unwrap();
        assert_eq!(system.directory().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tree_is_stopped_in_the_midst_of_crashes() {
    for _ in 0..20 {
        let (system, log) = (node(), Log::default());
        let below = patient(Supervisor::one_for_all(), &log);
        let root = Supervisor::one_for_one()
            .child(ChildSpec::supervisor("below", below))
            .spawn_on(&system);
        let below = Arc::new(root.child::<Supervisor>("below").await.unwrap());
        let culprits: Vec<_> = NAMES
            .into_iter()
            .map(|name| {
                let below = Arc::clone(&below);
                tokio::task::spawn(async move {
                    // Until there is nobody left to crash.
                    while let Ok(worker) = below.child::<Worker>(name).await {
                        drop(worker.crash().await);
                    }
                })
            })
            .collect();
        root.stop().await.unwrap();
        for culprit in culprits {
            culprit.await.unwrap();
        }
        assert_eq!(system.directory().len(), 0);
    }
}
