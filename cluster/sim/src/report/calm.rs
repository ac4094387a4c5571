//! Rows about peace: what an idle node sends, and whether anybody cries wolf.
//!
//! Invariant: the false-alarm row counts every declaration of a node that ran, by anybody, suspicion apart.

use rand::Rng;

use super::measure::Subject;
use super::{Plan, Row, seeds_text};
use crate::baseline::FocaNode;
use crate::invariants::false_down::STALL_EXCUSED;
use crate::network::Conditions;
use crate::network::traffic::Sent;
use crate::protocol::Host;
use crate::queue::{MILLISECOND, SECOND, Tick};
use crate::rings::Node;

/// Time over which idle traffic is weighed: two rounds of anti-entropy.
const WEIGHED: Tick = 20 * SECOND;
/// Nodes in one world of the false-alarm row, and hours it runs.
const CALM_HOSTS: u32 = 100;
/// Share of nodes that stall in each second.
const STALLS_A_SECOND: f64 = 0.02;

fn idle_of<S: Subject>(hosts: u32) -> Sent {
    let mut world = S::steady(hosts, Conditions::default(), 1);
    world.run_until(S::WARM_UP);
    world.network.traffic.reset();
    let until = world.now() + WEIGHED;
    world.run_until(until);
    world.network.traffic.total()
}

fn rate(bytes: u64, hosts: u32) -> u64 {
    bytes / u64::from(hosts) / (WEIGHED / SECOND)
}

/// Bytes that an idle node sends in a second, framing included; bare acknowledgements apart.
#[must_use]
pub fn idle(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for &hosts in &plan.nodes {
        let sent = idle_of::<Node>(hosts);
        let bytes = rate(sent.bytes(), hosts);
        rows.push(Row {
            scenario: format!("idle traffic, N = {hosts}"),
            goal: "≤ 5000 B/s a node".to_owned(),
            measured: format!(
                "{bytes} B/s (links {}, floods {}; {} messages/s; acknowledgements {} B/s more)",
                rate(sent.stream_bytes, hosts),
                rate(sent.flood_bytes, hosts),
                rate(sent.stream_messages, hosts),
                rate(sent.acknowledgement_bytes, hosts),
            ),
            seeds: "1".to_owned(),
            passed: Some(bytes <= 5_000),
        });
    }
    for &hosts in plan.nodes.iter().filter(|hosts| **hosts <= 1_000) {
        let sent = idle_of::<FocaNode>(hosts);
        rows.push(Row {
            scenario: format!("foca LAN: idle traffic, N = {hosts}"),
            goal: String::new(),
            measured: format!("{} B/s", rate(sent.bytes(), hosts)),
            seeds: "1".to_owned(),
            passed: None,
        });
    }
    rows
}

/// Declarations of running nodes, and all events, in one world of that many hours.
fn calm_hours(seed: u64, hours: u64) -> (u64, u64) {
    let conditions = Conditions::lossy(0.05);
    let mut world = Node::steady(CALM_HOSTS, conditions, seed);
    let end = hours * 3_600 * SECOND;
    let mut false_downs = 0;
    while world.now() < end {
        for host in (0..CALM_HOSTS).map(Host) {
            if world.rng().random_bool(STALLS_A_SECOND / 10.0) {
                let span = world.rng().random_range(50 * MILLISECOND..STALL_EXCUSED);
                world.stall(host, span);
            }
        }
        let next = world.now() + SECOND / 10;
        while world.step(next).is_some() {
            let downs = world.take_notices().filter_map(|(_, notice)| Node::down(&notice));
            false_downs += downs.count() as u64;
        }
    }
    (false_downs, world.events())
}

/// No false alarm at 5 % loss, clocks ±10 % and stalls of up to 1.99 s (the window is 2.5 s).
#[must_use]
pub fn false_downs(plan: &Plan) -> Vec<Row> {
    let worlds = plan.node_hours.div_ceil(u64::from(CALM_HOSTS)).max(1);
    let hours = 1;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let (downs, events) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (1..=worlds).filter(move |seed| seed % threads == worker);
                    mine.map(|seed| calm_hours(seed, hours))
                        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
                })
            })
            .collect();
        let sums = workers.into_iter().filter_map(|worker| worker.join().ok());
        sums.fold((0, 0), |sum: (u64, u64), one| (sum.0 + one.0, sum.1 + one.1))
    });
    vec![Row {
        scenario: format!(
            "false downs, {} node-hours, 5 % loss, clocks ±10 %, stalls of 0.05–1.99 s",
            worlds * u64::from(CALM_HOSTS) * hours
        ),
        goal: "0".to_owned(),
        measured: format!("{downs} ({} M events)", events / 1_000_000),
        seeds: seeds_text(1..=worlds),
        passed: Some(downs == 0),
    }]
}
