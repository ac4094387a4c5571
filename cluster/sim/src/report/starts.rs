//! Rows about coming and going: a cold start, a join storm, good-bye.
//!
//! Invariant: a start is over when every node that runs counts every node that runs.

use mobula_proto::config::Config;
use mobula_proto::membership::MembershipEvent;
use rand::Rng;

use super::measure::{Subject, most, seeds_of, until_all_count, until_most_count};
use super::{Plan, Row, seeds_text, span};
use crate::baseline::{self, FocaNode};
use crate::network::Conditions;
use crate::protocol::{Host, Protocol};
use crate::queue::{MILLISECOND, SECOND, Tick};
use crate::rings::{self, Node, host_of};
use crate::world::World;

const LOOK_EVERY: Tick = 20 * MILLISECOND;

/// Boots hosts spread over 100 ms from now.
fn boot_within_100_ms<P: Protocol>(world: &mut World<P>, hosts: impl Iterator<Item = Host>) {
    let from = world.now();
    let mut boots: Vec<(Tick, Host)> =
        hosts.map(|host| (from + world.rng().random_range(0..100 * MILLISECOND), host)).collect();
    boots.sort_unstable();
    for (at, host) in boots {
        world.run_until(at);
        world.boot(host);
    }
}

fn judged(
    scenario: String,
    goal: Option<Tick>,
    spans: &[Option<Tick>],
    extra: &str,
    seeds: u64,
) -> Row {
    let known: Vec<Tick> = spans.iter().copied().flatten().collect();
    let unfinished = spans.len() - known.len();
    let mut measured = format!("all know all after {} at most{extra}", span(most(&known)));
    if unfinished > 0 {
        measured = format!("{unfinished} of {} runs did not finish; {measured}", spans.len());
    }
    Row {
        scenario,
        goal: goal.map_or_else(String::new, |goal| format!("≤ {}", span(goal))),
        measured,
        seeds: seeds_text(1..=seeds),
        passed: goal.map(|goal| unfinished == 0 && most(&known) <= goal),
    }
}

/// Everybody starts within 100 ms and knows only the seed list.
#[must_use]
pub fn cold(plan: &Plan) -> Vec<Row> {
    let hosts = plan.large;
    let seeds = plan.seeds.min(3);
    let mut spans = Vec::new();
    let mut bytes = 0;
    for seed in 1..=seeds {
        let factory = rings::joining(Config::default(), seeds_of(hosts));
        let mut world = World::new(hosts, Conditions::default(), seed, factory);
        let all = world.hosts();
        boot_within_100_ms(&mut world, all);
        let from = 100 * MILLISECOND;
        let took = until_all_count(&mut world, hosts as usize, LOOK_EVERY, 60 * SECOND);
        spans.push(took.map(|took| took + from));
        bytes = bytes.max(world.network.traffic.total().bytes() / u64::from(hosts));
    }
    let extra = format!("; {} KB sent a node", bytes / 1_000);
    vec![judged(format!("cold start, N = {hosts}"), Some(10 * SECOND), &spans, &extra, seeds)]
}

/// As many join within 100 ms as there are.
#[must_use]
pub fn storm(plan: &Plan) -> Vec<Row> {
    let hosts = plan.large;
    let half = hosts / 2;
    let seeds = plan.seeds.min(3);
    let mut spans = Vec::new();
    for seed in 1..=seeds {
        let factory = rings::knowing_first(Config::default(), half, seeds_of(hosts));
        let mut world = World::new(hosts, Conditions::default(), seed, factory);
        (0..half).for_each(|host| world.boot(Host(host)));
        world.run_until(Node::WARM_UP);
        boot_within_100_ms(&mut world, (half..hosts).map(Host));
        let took = until_all_count(&mut world, hosts as usize, LOOK_EVERY, 60 * SECOND);
        spans.push(took.map(|took| took + 100 * MILLISECOND));
    }
    let scenario = format!("join storm, {half} join {half}");
    vec![judged(scenario, Some(10 * SECOND), &spans, "", seeds)]
}

/// One in ten leaves in order at once.
#[must_use]
pub fn leave(plan: &Plan) -> Vec<Row> {
    let hosts = plan.large;
    let seeds = plan.seeds.min(3);
    let mut spans = Vec::new();
    let (mut downs, mut suspicions) = (0_u64, 0_u64);
    for seed in 1..=seeds {
        let mut world = Node::steady(hosts, Conditions::default(), seed);
        world.run_until(Node::WARM_UP);
        world.take_notices().for_each(drop);
        let leavers = hosts / 10;
        for host in 0..leavers {
            world.leave(Host(host));
        }
        let from = world.now();
        let mut left = 0_u64;
        let wanted = u64::from(leavers) * u64::from(hosts - leavers);
        while left < wanted && world.step(from + 30 * SECOND).is_some() {
            let told: Vec<_> = world.take_notices().collect();
            for (host, notice) in told.into_iter().filter(|(host, _)| host.0 >= leavers) {
                match notice {
                    MembershipEvent::Left(node) if host_of(node) != host => left += 1,
                    MembershipEvent::Down { .. } => downs += 1,
                    MembershipEvent::Suspected(_) => suspicions += 1,
                    _ => {}
                }
            }
        }
        spans.push((left >= wanted).then(|| world.now() - from));
    }
    let extra = format!("; {downs} downs, {suspicions} suspicions");
    let mut row =
        judged(format!("leave, N = {hosts}, 10 % at once"), Some(SECOND), &spans, &extra, seeds);
    row.passed = row.passed.map(|passed| passed && downs == 0);
    vec![row]
}

/// The cold start with foca.
#[must_use]
pub fn baseline(plan: &Plan) -> Vec<Row> {
    let hosts = plan.large.min(300);
    let factory = baseline::lan(hosts, std::sync::Arc::new([]), seeds_of(hosts));
    let mut world = World::new(hosts, Conditions::default(), 1, factory);
    let all = world.hosts();
    boot_within_100_ms(&mut world, all);
    let most = until_most_count::<FocaNode>(&mut world, hosts as usize, LOOK_EVERY, 600 * SECOND);
    let rest = until_all_count(&mut world, hosts as usize, LOOK_EVERY, 600 * SECOND);
    let took = most.zip(rest).map(|(most, rest)| most + rest);
    let extra = format!("; 99 % of pairs after {}", span(most.unwrap_or_default()));
    vec![judged(format!("foca LAN: cold start, N = {hosts}"), None, &[took], &extra, 1)]
}
