//! One situation each, by what is proposed.

use super::*;
use crate::id::Incarnation;
use crate::registry::entry::{Claim, Mode};
use crate::registry::id::{ActorId, ClusterId, RequestId};
use crate::registry::spec::{Policy, Restart, Spec};
use crate::registry::state::Limits;

const AT: LogTime = LogTime(5);

fn host(node: u64) -> Host {
    Host { node: NodeId(node), life: Incarnation(1) }
}

fn at(ms: u64) -> Time {
    Time(1_000_000_000 + ms * 1_000)
}

fn name(name: &str) -> Name {
    Name::try_new("default", name).unwrap()
}

/// Nodes 1, 2 and 3 vote; 4 and 5 are members, too, and host actors.
struct World {
    state: State,
    leader: Leader,
    members: Candidates,
    home: Option<Host>,
}

impl World {
    fn new() -> Self {
        let state = State::new(ClusterId(1), Limits::default(), [1, 2, 3].map(host));
        let leader = Leader::new(at(0), Settings::default(), &state);
        let mut world = Self { state, leader, members: Candidates::new(), home: None };
        (1..=5).for_each(|node| world.join(host(node)));
        world.apply(at(0), &Entry::OpenSession { host: host(4) });
        world.claim("clicks", Restart::Permanent);
        world.claim("once", Restart::Temporary);
        world
    }

    fn join(&mut self, host: Host) {
        let uptime = Duration::from_secs(100 - host.node.0);
        let (machine, zone, is_draining) = (None, None, false);
        let candidate = Candidate { host, uptime, machine, zone, is_draining };
        self.members.insert(host.node, candidate);
    }

    fn lose(&mut self, node: u64) {
        self.members.remove(&NodeId(node));
        self.leader.handle_down(host(node));
    }

    fn claim(&mut self, of: &str, restart: Restart) {
        let index = self.state.applied().next();
        let claim = Claim {
            request: RequestId { client: host(5), sequence: index.0 },
            name: name(of),
            spec: Spec::try_new(b"").unwrap(),
            policy: Policy { restart, intensity: 3, period_ms: 1_000, ..Policy::default() },
            host: host(4),
            mode: Mode::Fail,
        };
        self.apply(at(0), &Entry::Claim(Box::new(claim)));
        let generation = Generation(index.0);
        self.apply(at(0), &Entry::Started { name: name(of), generation, actor: ActorId(1) });
    }

    fn apply(&mut self, now: Time, entry: &Entry) {
        let index = self.state.applied().next();
        let applied = self.state.apply(index, entry).unwrap();
        self.leader.handle_applied(now, &applied.changes);
    }

    fn certify(&mut self, voter: u64) {
        let certificate = Certificate { session: SessionId(1), config: self.state.config().id };
        self.leader.handle_certificate(host(voter), certificate, &self.state);
    }

    fn plan(&mut self, now: Time) -> Plan {
        let home = self.home;
        self.leader.plan(now, AT, &self.state, &self.members, |_, _| home)
    }

    fn entries(&mut self, now: Time) -> Vec<Entry> {
        self.plan(now).entries
    }

    fn all_applied(&mut self, now: Time) -> Vec<Entry> {
        let entries = self.entries(now);
        entries.iter().for_each(|entry| self.apply(now, entry));
        entries
    }
}

fn fence() -> Entry {
    Entry::Fence { session: SessionId(1) }
}

fn expire(assigns: Vec<Assign>) -> Entry {
    Entry::Expire { session: SessionId(1), config: ConfigId(0), at: AT, assigns }
}

fn assign(node: u64, generation: u64) -> Assign {
    Assign { name: name("clicks"), generation: Generation(generation), host: host(node) }
}

#[test]
fn a_node_that_is_down_is_fenced_and_expires_on_a_majority_of_certificates() {
    let mut world = World::new();
    assert_eq!(world.entries(at(1)), []);
    world.lose(4);
    assert_eq!(world.entries(at(2)), [fence()]);
    // Not again at once, but when it has not come.
    assert_eq!(world.entries(at(900)), []);
    assert_eq!(world.entries(at(1_002)), [fence()]);
    world.apply(at(1_003), &fence());
    world.certify(1);
    world.certify(1);
    world.certify(9);
    assert_eq!(world.entries(at(4_600)), []);
    world.certify(3);
    world.home = Some(host(5));
    let open = Entry::OpenSession { host: host(5) };
    assert_eq!(world.all_applied(at(4_601)), [open, expire(vec![assign(5, 2)])]);
    assert!(world.state.open_session_of(host(5)).is_some());
    assert_eq!(world.state.grant(&name("clicks")).unwrap().host, Some(host(5)));
    assert_eq!(world.state.grant(&name("once")), None);
    assert_eq!(world.entries(at(4_602)), []);
}

#[test]
fn an_orphan_gets_a_host_when_there_is_one() {
    let mut world = World::new();
    world.lose(4);
    world.apply(at(1), &fence());
    world.certify(1);
    world.certify(2);
    assert_eq!(world.all_applied(at(2)), [expire(Vec::new())]);
    assert_eq!(world.entries(at(3)), []);
    world.home = Some(host(5));
    let assigns = vec![assign(5, 2)];
    assert_eq!(
        world.all_applied(at(4)),
        [Entry::OpenSession { host: host(5) }, Entry::Assign { assigns }]
    );
    assert_eq!(world.state.orphans().len(), 0);
    assert_eq!(world.entries(at(5)), []);
}

#[test]
fn a_node_that_comes_back_before_the_fence_is_not_fenced_but_a_later_life_fences() {
    let mut world = World::new();
    world.lose(4);
    world.join(host(4));
    assert_eq!(world.entries(at(1)), []);
    world.join(Host { node: NodeId(4), life: Incarnation(2) });
    assert_eq!(world.entries(at(2)), [fence()]);
}

#[test]
fn a_new_leader_that_was_told_nothing_waits_before_it_believes_that_a_host_is_gone() {
    let mut world = World::new();
    world.members.remove(&NodeId(4));
    assert_eq!(world.entries(at(0)), []);
    assert_eq!(world.entries(at(9_999)), []);
    assert_eq!(world.entries(at(10_000)), [fence()]);
}

#[test]
fn certificates_of_an_earlier_configuration_are_dropped() {
    let mut world = World::new();
    world.apply(at(1), &fence());
    world.certify(1);
    let late = Certificate { session: SessionId(1), config: ConfigId(0) };
    let voters = [1, 2, 3, 5].map(host).into();
    let grown = Entry::Configure { follows: ConfigId(0), voters, outgoing: BTreeSet::new() };
    world.apply(at(2), &grown);
    world.leader.handle_certificate(host(2), late, &world.state);
    world.certify(5);
    world.certify(3);
    assert!(!world.leader.is_certified(SessionId(1), &world.state));
    world.certify(2);
    assert!(world.leader.is_certified(SessionId(1), &world.state));
}

#[test]
fn a_voter_that_is_long_down_is_replaced_in_two_steps_with_quiet_between() {
    let mut world = World::new();
    world.lose(3);
    assert_eq!(world.plan(at(100)), Plan::default());
    // The configuration has not been quiet for long enough in this leader's eyes, then the learner has no log yet.
    assert_eq!(world.plan(at(10_099)), Plan::default());
    let learners = Plan { entries: Vec::new(), learners: [host(4)].into() };
    assert_eq!(world.plan(at(10_100)), learners);
    world.leader.handle_caught_up(host(4));
    let (voters, outgoing) = ([1, 2, 4].map(host).into(), [1, 2, 3].map(host).into());
    let joint = Entry::Configure { follows: ConfigId(0), voters, outgoing };
    assert_eq!(world.all_applied(at(10_200)), [joint]);
    assert_eq!(world.entries(at(14_699)), []);
    let id = world.state.config().id;
    let voters = [1, 2, 4].map(host).into();
    let uniform = Entry::Configure { follows: id, voters, outgoing: BTreeSet::new() };
    assert_eq!(world.all_applied(at(14_700)), [uniform]);
    assert_eq!(world.plan(at(60_000)), Plan::default());
}
