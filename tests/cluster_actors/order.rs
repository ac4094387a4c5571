//! Rows about order, and about values on their way: T3, A3, A4, deadlines, timers, streams, stop, circles.

use std::time::Duration;

use mobula::prelude::*;
use mobula::{AskError, ExitReason, UnknownOutcome};

use crate::cast::{Counter, Gate, LIMIT, Log, SIZES, behind, id, nodes, on, stop};

#[mobula::task]
fn make(size: usize) -> Vec<u8> {
    vec![7; size]
}

#[mobula::task]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

#[mobula::task]
async fn nested_length(nested: Vec<ObjectRef<Vec<u8>>>) -> usize {
    nested[0].get().await.unwrap().len()
}

pub struct Worker;

#[mobula::actor]
impl Worker {
    pub fn new() -> Self {
        Self
    }
    pub fn make(&mut self, size: usize) -> Vec<u8> {
        vec![7; size]
    }
    pub fn length(&mut self, bytes: Vec<u8>) -> usize {
        bytes.len()
    }
    pub async fn nested_length(&mut self, nested: Vec<ObjectRef<Vec<u8>>>) -> usize {
        nested[0].get().await.unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_every_producer_feeds_every_consumer_over_nodes_small_and_large_plain_and_nested() {
    for size in SIZES {
        let nodes = nodes(size).await;
        // The producer and the consumer never sit together, and with five nodes neither sits with who submits.
        let (there, further) = (id(&nodes[1]), id(&nodes[size - 2]));
        nodes[0]
            .enter(async {
                let producer = Worker::options().on(on(there)).remote();
                let consumer = Worker::options().on(on(further)).remote();
                let mut combinations = 0;
                for from_actor in [false, true] {
                    for size in [10, 1_000_000] {
                        let produce = || {
                            if from_actor {
                                producer.make(size).remote()
                            } else {
                                make::options().on(on(there)).remote(size)
                            }
                        };
                        let lengths = [
                            length::options().on(on(further)).remote(produce()),
                            nested_length::options().on(on(further)).remote(vec![produce()]),
                            consumer.length(produce()).remote(),
                            consumer.nested_length(vec![produce()]).remote(),
                        ];
                        for length in &lengths {
                            let found = tokio::time::timeout(LIMIT, length.get()).await;
                            assert_eq!(*found.expect("in time").unwrap(), size, "{from_actor}");
                            combinations += 1;
                        }
                    }
                }
                assert_eq!(combinations, 16);
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_order_holds_for_each_of_five_callers_on_as_many_nodes() {
    for size in SIZES {
        let nodes = nodes(size).await;
        nodes[0]
            .enter(async {
                let log = Log::narrow(id(&nodes[1]));
                let callers: Vec<_> = (0..5)
                    .map(|caller| {
                        let place = on(id(&nodes[caller % size]));
                        Counter::options().on(place).remote(0)
                    })
                    .collect();
                let runs = callers.iter().zip(0_u64..);
                let runs: Vec<ObjectRef<()>> = runs
                    .map(|(one, caller)| one.repeat(log.clone(), caller, 100).remote())
                    .collect();
                tokio::time::timeout(LIMIT, mobula::get(&runs)).await.expect("in time").unwrap();
                // To have sent is not to have arrived.
                let arrived = async {
                    loop {
                        let entries = log.entries().await.unwrap();
                        if entries.len() == 500 {
                            return entries;
                        }
                        tokio::task::yield_now().await;
                    }
                };
                let entries = tokio::time::timeout(LIMIT, arrived).await.expect("all arrive");
                for caller in 0..5 {
                    let of_caller = entries.iter().filter(|entry| entry.0 == caller);
                    assert!(of_caller.map(|entry| entry.1).eq(0..100), "caller {caller}");
                }
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_a_caller_stuck_on_an_unready_argument_does_not_hold_up_another_of_its_node() {
    for size in SIZES {
        let nodes = nodes(size).await;
        let (log, gate) = nodes[0]
            .enter(async {
                let log = Log::narrow(id(&nodes[1]));
                (log, Gate::options().on(on(id(&nodes[size - 1]))).remote())
            })
            .await;
        let (stuck, behind_it) = nodes[0]
            .enter(async {
                let late = behind::remote(gate.clone(), 0);
                let stuck = log.note(1, &late).remote();
                (stuck, log.note(1, 1).remote())
            })
            .await;
        nodes[0].enter(async { log.note(2, 0).timeout(LIMIT).await.unwrap() }).await;
        assert!(!stuck.is_ready() && !behind_it.is_ready());
        nodes[0]
            .enter(async {
                assert_eq!(log.entries().await.unwrap(), [(2, 0)], "another caller's question");
                gate.open().await.unwrap();
                behind_it.get().await.unwrap();
                let entries = log.entries().await.unwrap();
                assert_eq!(entries, [(2, 0), (1, 0), (1, 1)]);
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_late_arguments_and_a_deadline_ends_an_ask_on_another_node() {
    let nodes = nodes(2).await;
    let there = id(&nodes[1]);
    nodes[0]
        .enter(async {
            let (log, gate) = (Log::narrow(there), Gate::remote());
            let late = behind::remote(gate.clone(), 0);
            let stuck = log.note(1, &late).remote();
            let closing = log.stop();
            gate.open().await.unwrap();
            stuck.get().await.expect("what was sent before the stop is handled before it");
            assert!(matches!(closing.await, Ok(ExitReason::Shutdown)));
            assert!(log.note(1, 9).await.is_err(), "what comes after it is not");

            let counter = Counter::options().on(on(there)).remote(0);
            counter.ready().await.unwrap();
            let error = counter.hang().timeout(Duration::from_millis(50)).await.unwrap_err();
            assert!(
                matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::Deadline(_), .. }),
                "{error}"
            );
            assert!(matches!(counter.kill().await, Ok(ExitReason::Killed)));
        })
        .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_and_streams_of_an_actor_run_where_it_lives() {
    let nodes = nodes(2).await;
    nodes[0]
        .enter(async {
            let counter = Counter::options().on(on(id(&nodes[1]))).remote(0);
            assert_eq!(counter.place().await.unwrap(), nodes[1].id());
            counter.drink(100).await.unwrap();
            counter.tick_soon().await.unwrap();
            let until = async {
                while counter.ticks().await.unwrap() < 3
                    || counter.items().await.unwrap().len() < 100
                {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(LIMIT, until).await.expect("in time");
            assert!(counter.items().await.unwrap().into_iter().eq(0..100));
            assert_eq!(counter.ticks().await.unwrap(), 3, "cancelled after the third");
        })
        .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_asks_over_nodes_ends_with_its_path() {
    for size in SIZES {
        let nodes = nodes(size).await;
        nodes[0]
            .enter(async {
                let mut circle: Vec<_> = nodes
                    .iter()
                    .map(|node| Counter::options().on(on(id(node))).remote(0))
                    .collect();
                let first = circle.remove(0);
                circle.push(first.clone());
                let asked = first.circle(circle).timeout(LIMIT);
                let outcome = asked.await;
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains("Deadlock("), "{error}");
                assert_eq!(error.matches(" asks ").count(), size, "the whole path: {error}");
            })
            .await;
        stop(nodes).await;
    }
}
