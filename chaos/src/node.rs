//! One node: a process that takes part in the cluster, works when told, and says what happens.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use mobula::{ClusterConfig, Node, NodeId, Placement};
use tokio::sync::mpsc;

use crate::event::{Event, Order, Place};
use crate::process;

mod actors;
mod eyes;
mod reading;
mod relay;
mod shift;
mod streams;
mod tasks;
mod voice;
mod work;

use shift::Shift;
use voice::Voice;

pub(crate) use voice::Mutant;

/// Nodes of a run know this; it keeps out those of another on the same machine.
const SECRET: &str = "mobula-chaos, known to every node of a run";

/// How long a node tries to join: it may be started in the middle of a partition.
const JOIN_LIMIT: Duration = Duration::from_secs(60);
/// How long all may take to be there.
const EXPECT_LIMIT: Duration = Duration::from_secs(90);

/// How a node is started.
#[derive(Debug, Args)]
pub(crate) struct NodeOptions {
    #[arg(long)]
    machine: u16,
    #[arg(long)]
    life: u16,
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long, value_delimiter = ',')]
    join: Vec<String>,
    /// Threads of the executor.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Milliseconds between two looks at the members; 0 is never.
    #[arg(long, default_value_t = 0)]
    look: u64,
    /// A fault of the workload that the checker must find.
    #[arg(long)]
    mutant: Option<Mutant>,
}

/// Runs a node until it is told to leave, or nobody is there to tell it.
pub(crate) fn run(options: &NodeOptions) -> ExitCode {
    let place = Place { machine: options.machine, life: options.life };
    let voice = Voice::give(place, options.mutant);
    if let Err(why) = process::die_with_parent() {
        voice.say(Event::Failed { why });
        return ExitCode::FAILURE;
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_unset| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.worker_threads(options.threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            voice.say(Event::Failed { why: error.to_string() });
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(live(options, voice));
    // What still waits would hold up the end.
    runtime.shutdown_background();
    code
}

async fn live(options: &NodeOptions, voice: &'static Voice) -> ExitCode {
    let mut config = ClusterConfig::listen(options.listen);
    config.join.clone_from(&options.join);
    config.join_limit = JOIN_LIMIT;
    config.secret = Some(SECRET.to_owned());
    let node = match Node::builder().num_cpus(2.0).cluster(config).start().await {
        Ok(node) => node,
        Err(error) => {
            voice.say(Event::Failed { why: error.to_string() });
            return ExitCode::FAILURE;
        }
    };
    let own = node.id().map_or(0, |id| id.0);
    voice.say(Event::Ready { node: own, addresses: node.addresses() });
    if options.look > 0 {
        tokio::spawn(eyes::follow(node.clone(), voice, Duration::from_millis(options.look)));
    }
    let mut orders = listen();
    let mut working = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Expect { count } => {
                let node = node.clone();
                tokio::spawn(async move {
                    match node.wait_for_nodes(count, EXPECT_LIMIT).await {
                        Ok(()) => voice.say(Event::Joined { count }),
                        Err(found) => voice.say(Event::Joined { count: found }),
                    }
                    eyes::watch_all(&node, voice);
                });
            }
            Order::Work { seed } => {
                working.get_or_insert_with(|| Shift::begin(&node, voice, seed));
            }
            Order::Rest => {
                let ended = working.take().map(Shift::end);
                tokio::spawn(async move {
                    if let Some(ended) = ended {
                        ended.await;
                    }
                    voice.say(Event::Drained);
                });
            }
            Order::Look => {
                let rows = node.nodes().into_iter().map(|row| (row.node.0, row.status)).collect();
                voice.say(Event::View { rows });
            }
            Order::Count => {
                let (objects, tasks) = {
                    let status = node.status();
                    (status.store.objects, status.unfinished_tasks)
                };
                // For whoever looks for the reason, in this node's log.
                for object in node.objects() {
                    let place = node.store().whereabouts(object.id);
                    eprintln!("left over: {object:?} {place:?}");
                }
                for (object, state) in node.store().borrowed() {
                    eprintln!("borrowed: {object} {state}");
                }
                let is_ours = |name: &str| name.ends_with("Ledger") || name.ends_with("Depot");
                let actors = node.actors().iter().filter(|row| is_ours(&row.type_name)).count();
                voice.say(Event::Census { objects, tasks, actors });
            }
            Order::Task { on } => first_task(&node, voice, NodeId(on)).await,
            Order::Leave => break,
        }
    }
    node.shutdown().await;
    ExitCode::SUCCESS
}

/// Orders as they come; their end is the end of whoever gives them.
fn listen() -> mpsc::UnboundedReceiver<Order> {
    let (sender, receiver) = mpsc::unbounded_channel();
    drop(std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if let Ok(order) = serde_json::from_str(&line)
                && sender.send(order).is_err()
            {
                break;
            }
        }
    }));
    receiver
}

async fn first_task(node: &Node, voice: &Voice, on: NodeId) {
    let began = Instant::now();
    let there = Placement::OnNode { node: on, or_elsewhere: false };
    let number = voice.number();
    let result =
        node.enter(async { tasks::stir::options().on(there).remote(number, 1).get().await });
    let micros = result.await.ok().map(|_| began.elapsed().as_micros());
    let micros = micros.map(|micros| u64::try_from(micros).unwrap_or(u64::MAX));
    voice.say(Event::Tasked { micros });
}
