//! One situation each, by what is answered and what is to be done.

use std::time::Duration;

use super::snapshot::Snapshot;
use super::*;
use crate::error::RestoreError;
use crate::id::{Incarnation, NodeId};
use crate::registry::entry::{Assign, Claim, Mode};
use crate::registry::id::ActorId;
use crate::registry::reply::Phase;
use crate::registry::spec::{Policy, Restart, Spec};
use crate::wire::codec;

const AT: LogTime = LogTime(1_000);
const ACTOR: ActorId = ActorId(77);

fn host(node: u64) -> Host {
    Host { node: NodeId(node), life: Incarnation(1) }
}

fn name(name: &str) -> Name {
    Name::try_new("default", name).unwrap()
}

fn request(sequence: u64) -> RequestId {
    RequestId { client: host(9), sequence }
}

const PERMANENT: Policy = Policy {
    restart: Restart::Permanent,
    intensity: 2,
    period_ms: 10_000,
    backoff_ms: 100,
    backoff_ms_max: 1_000,
};

/// A log that is written as it is applied.
struct Log {
    state: State,
    sequence: u64,
}

impl Log {
    /// Nodes 1 and 2 have sessions s1 and s2.
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let state = State::new(ClusterId(5), limits, [host(1), host(2), host(3)]);
        let mut log = Self { state, sequence: 0 };
        for node in [1, 2] {
            let reply = log.push(Entry::OpenSession { host: host(node) }).reply;
            assert_eq!(reply, Reply::Opened { session: SessionId(node) });
        }
        log
    }

    fn push(&mut self, entry: Entry) -> Applied {
        self.state.apply(self.state.applied().next(), &entry).unwrap()
    }

    fn claim_with(&mut self, of: &str, node: u64, mode: Mode, policy: Policy) -> Applied {
        self.sequence += 1;
        self.push(Entry::Claim(Box::new(Claim {
            request: request(self.sequence),
            name: name(of),
            spec: Spec::try_new(b"12345").unwrap(),
            policy,
            host: host(node),
            mode,
        })))
    }

    fn claim(&mut self, of: &str, node: u64, mode: Mode) -> Applied {
        self.claim_with(of, node, mode, PERMANENT)
    }

    fn kill(&mut self, of: &str, restart: bool) -> Applied {
        self.sequence += 1;
        self.push(Entry::Kill { request: request(self.sequence), name: name(of), restart, at: AT })
    }

    fn start(&mut self, of: &str, generation: u64) -> Applied {
        self.push(Entry::Started {
            name: name(of),
            generation: Generation(generation),
            actor: ACTOR,
        })
    }

    fn release(&mut self, of: &str, generation: u64) -> Applied {
        self.push(Entry::Release { name: name(of), generation: Generation(generation) })
    }

    fn fail(&mut self, of: &str, generation: u64, at: LogTime) -> Applied {
        let generation = Generation(generation);
        self.push(Entry::Ended { name: name(of), generation, is_failure: true, at })
    }

    fn expire(&mut self, session: u64, assigns: Vec<Assign>) -> Applied {
        let (session, config) = (SessionId(session), self.state.config().id);
        self.push(Entry::Expire { session, config, at: AT, assigns })
    }

    /// `clicks` runs at node 1 as g3.
    fn with_clicks() -> Self {
        let mut log = Self::new();
        assert_eq!(log.claim("clicks", 1, Mode::Fail).reply, granted(3));
        log.start("clicks", 3);
        log
    }
}

fn granted(generation: u64) -> Reply {
    Reply::Granted { generation: Generation(generation) }
}

fn start_after(of: &str, generation: u64, node: u64, wait_ms: u64) -> Change {
    Change::Start {
        name: name(of),
        generation: Generation(generation),
        host: host(node),
        session: SessionId(node),
        wait: Duration::from_millis(wait_ms),
    }
}

fn start(of: &str, generation: u64, node: u64) -> Change {
    start_after(of, generation, node, 0)
}

fn stop(of: &str, generation: u64, session: u64) -> Change {
    let (generation, session) = (Generation(generation), SessionId(session));
    Change::Stop { name: name(of), generation, session }
}

fn gone(of: &str, generation: u64) -> Change {
    Change::Gone { name: name(of), generation: Generation(generation) }
}

fn orphaned(of: &str, generation: u64) -> Change {
    Change::Orphaned { name: name(of), generation: Generation(generation) }
}

fn assign(of: &str, generation: u64, node: u64) -> Assign {
    Assign { name: name(of), generation: Generation(generation), host: host(node) }
}

fn refused(refusal: Refusal) -> Applied {
    Applied { reply: Reply::Refused(refusal), changes: Vec::new() }
}

fn applied(reply: Reply, changes: impl Into<Vec<Change>>) -> Applied {
    Applied { reply, changes: changes.into() }
}

fn stale(current: impl Into<Option<u64>>) -> Applied {
    refused(Refusal::Stale { current: current.into().map(Generation) })
}

#[test]
fn the_first_claim_in_the_log_wins() {
    let mut log = Log::new();
    assert_eq!(log.claim("clicks", 1, Mode::Fail), applied(granted(3), [start("clicks", 3, 1)]));
    let taken = Refusal::Taken { generation: Generation(3) };
    assert_eq!(log.claim("clicks", 2, Mode::Fail), refused(taken));
    let (generation, host) = (Generation(3), Some(host(1)));
    let starting = Grant { generation, host, phase: Phase::Starting };
    assert_eq!(log.claim("clicks", 2, Mode::GetIfExists).reply, Reply::Exists(starting));
    let started = log.start("clicks", 3);
    let active =
        Change::Active { name: name("clicks"), generation, host: host.unwrap(), actor: ACTOR };
    assert_eq!(started, applied(Reply::Done, [active]));
    assert_eq!(log.start("clicks", 3), applied(Reply::Done, []));
    assert_eq!(log.start("clicks", 2), stale(3));
    let grant = log.state.grant(&name("clicks")).unwrap();
    assert_eq!(grant, Grant { generation, host, phase: Phase::Active(ACTOR) });
}

#[test]
fn a_request_that_comes_twice_is_done_once() {
    let mut log = Log::new();
    assert_eq!(log.claim("clicks", 1, Mode::Fail).reply, granted(3));
    log.sequence -= 1;
    assert_eq!(log.claim("clicks", 1, Mode::Fail), applied(granted(3), []));
    log.start("clicks", 3);
    let killed = Reply::Killed { generation: Generation(3) };
    assert_eq!(
        log.kill("clicks", false),
        applied(killed.clone(), [stop("clicks", 3, 1), gone("clicks", 3)])
    );
    log.claim("clicks", 2, Mode::Fail);
    log.sequence = 1;
    // The kill again, as a client does that has heard nothing: the new actor is not meant.
    assert_eq!(log.kill("clicks", false), applied(killed, []));
    assert!(log.state.grant(&name("clicks")).is_some());
}

#[test]
fn a_killed_name_is_given_on_when_its_holder_has_stopped() {
    let mut log = Log::with_clicks();
    log.kill("clicks", false);
    assert!(log.state.may_run(&name("clicks"), Generation(3)));
    // It can be claimed at once, but the new one waits.
    assert_eq!(log.claim("clicks", 2, Mode::Fail), applied(granted(6), []));
    assert_eq!(log.state.grant(&name("clicks")).unwrap().phase, Phase::Waiting);
    assert_eq!(log.start("clicks", 6), refused(Refusal::NotYet));
    assert_eq!(log.release("clicks", 3), applied(Reply::Done, [start("clicks", 6, 2)]));
    assert_eq!(log.release("clicks", 3), stale(6));
    assert!(log.state.may_run(&name("clicks"), Generation(6)));
}

#[test]
fn a_killed_actor_does_not_come_back_with_a_lost_node_or_by_its_supervisor() {
    let mut log = Log::with_clicks();
    log.kill("clicks", false);
    log.push(Entry::Fence { session: SessionId(1) });
    let ended = Change::SessionEnded { session: SessionId(1), host: host(1) };
    assert_eq!(log.expire(1, vec![assign("clicks", 3, 2)]), applied(Reply::Done, [ended]));
    assert_eq!(log.state.slots().count(), 0);
    let killed = Refusal::Killed { generation: Generation(3) };
    assert_eq!(log.claim("clicks", 2, Mode::Replace(Generation(3))), refused(killed.clone()));
    assert_eq!(log.kill("clicks", true), refused(killed));
    // Anybody may use the name for something new; then the old story is over.
    assert_eq!(log.claim("clicks", 2, Mode::Fail).reply, granted(10));
    assert_eq!(log.state.tombstone(&name("clicks")), None);
    assert_eq!(log.kill("nobody", false), refused(Refusal::NotFound));
}

#[test]
fn a_replacement_waits_and_takes_the_place_of_one_grant_alone() {
    let mut log = Log::with_clicks();
    assert_eq!(log.claim("clicks", 2, Mode::Replace(Generation(2))), stale(3));
    assert_eq!(log.claim("nobody", 2, Mode::Replace(Generation(2))), stale(None));
    let replaced = log.claim("clicks", 2, Mode::Replace(Generation(3)));
    assert_eq!(replaced, applied(granted(7), [stop("clicks", 3, 1)]));
    // Replaced again before it began: it never runs, and the first is waited for still.
    assert_eq!(log.claim("clicks", 1, Mode::Replace(Generation(7))), applied(granted(8), []));
    assert_eq!(log.release("clicks", 7), stale(8));
    // A late report of the first is about the first.
    assert_eq!(log.fail("clicks", 3, AT), applied(Reply::Done, [start("clicks", 8, 1)]));
}

#[test]
fn a_failure_is_followed_by_restarts_with_pauses_up_to_the_intensity() {
    let mut log = Log::with_clicks();
    let restarting = |generation| Reply::Restarting { generation: Generation(generation) };
    assert_eq!(log.fail("clicks", 3, AT), applied(restarting(5), [start("clicks", 5, 1)]));
    assert_eq!(log.fail("clicks", 3, AT), stale(5));
    // A leader whose clock is behind does not turn time back.
    let again = applied(restarting(7), [start_after("clicks", 7, 1, 100)]);
    assert_eq!(log.fail("clicks", 5, LogTime(1)), again);
    assert_eq!(log.fail("clicks", 7, AT), applied(Reply::Done, [gone("clicks", 7)]));
    let exhausted = Refusal::Exhausted { generation: Generation(7) };
    assert_eq!(log.start("clicks", 7), refused(exhausted));
    // One that nobody wants back.
    log.claim_with("once", 1, Mode::Fail, Policy::default());
    assert_eq!(log.fail("once", 10, AT), applied(Reply::Done, [gone("once", 10)]));
    assert_eq!(log.state.tombstone(&name("once")), None);
}

#[test]
fn a_kill_with_restart_stops_the_old_one_first() {
    let mut log = Log::with_clicks();
    let restarting = Reply::Restarting { generation: Generation(5) };
    assert_eq!(log.kill("clicks", true), applied(restarting, [stop("clicks", 3, 1)]));
    assert_eq!(log.release("clicks", 3), applied(Reply::Done, [start("clicks", 5, 1)]));
}

#[test]
fn a_lost_node_is_fenced_then_expired_and_its_actors_move() {
    let mut log = Log::with_clicks();
    log.claim_with("once", 1, Mode::Fail, Policy::default());
    log.claim("stays", 1, Mode::Fail);
    let not_fenced = Refusal::NotFenced { session: SessionId(1) };
    assert_eq!(log.expire(1, Vec::new()), refused(not_fenced));
    let fenced = Change::SessionFenced { session: SessionId(1) };
    assert_eq!(log.push(Entry::Fence { session: SessionId(1) }), applied(Reply::Done, [fenced]));
    assert_eq!(log.push(Entry::Fence { session: SessionId(1) }), applied(Reply::Done, []));
    // The lost node can neither take anything nor open a session until it is over.
    assert_eq!(log.claim("new", 1, Mode::Fail), refused(Refusal::NoSession { node: NodeId(1) }));
    assert_eq!(log.start("stays", 6), refused(Refusal::Fenced { session: SessionId(1) }));
    let open = Entry::OpenSession { host: host(1) };
    assert_eq!(log.push(open.clone()), refused(Refusal::Fenced { session: SessionId(1) }));
    let index = log.state.applied().next().0;
    let expired =
        log.expire(1, vec![assign("clicks", 3, 2), assign("once", 5, 2), assign("stays", 6, 8)]);
    let changes = [
        orphaned("clicks", 3),
        gone("once", 5),
        orphaned("stays", 6),
        Change::SessionEnded { session: SessionId(1), host: host(1) },
        start("clicks", index, 2),
    ];
    assert_eq!(expired, applied(Reply::Done, changes));
    assert_eq!(log.state.orphans().iter().collect::<Vec<_>>(), [&name("stays")]);
    let unknown = Refusal::UnknownSession { session: SessionId(1) };
    assert_eq!(log.expire(1, Vec::new()), refused(unknown));
    // It comes back under a new session, and may be given what waits.
    let session = SessionId(log.state.applied().next().0);
    assert_eq!(log.push(open).reply, Reply::Opened { session });
    let index = log.state.applied().next().0;
    let assigned = log.push(Entry::Assign { assigns: vec![assign("stays", 6, 1)] });
    let generation = Generation(index);
    let wait = Duration::ZERO;
    let again = Change::Start { name: name("stays"), generation, host: host(1), session, wait };
    assert_eq!(assigned, applied(Reply::Done, [again]));
    let late = log.push(Entry::Assign { assigns: vec![assign("stays", 6, 2)] });
    assert_eq!(late, applied(Reply::Done, []));
}

#[test]
fn what_waits_for_a_lost_node_goes_on_and_what_waits_on_it_waits_elsewhere() {
    let mut log = Log::with_clicks();
    log.claim("clicks", 2, Mode::Replace(Generation(3)));
    log.push(Entry::Fence { session: SessionId(2) });
    // The new host is lost before the old one has stopped.
    let ended = |node| Change::SessionEnded { session: SessionId(node), host: host(node) };
    assert_eq!(log.expire(2, Vec::new()).changes, [orphaned("clicks", 5), ended(2)]);
    assert!(log.state.may_run(&name("clicks"), Generation(3)));
    let assigned = log.push(Entry::Assign { assigns: vec![assign("clicks", 5, 1)] });
    assert_eq!(assigned.changes, []);
    assert_eq!(log.state.grant(&name("clicks")).unwrap().phase, Phase::Waiting);
    // And then the old one: both its holds end with it.
    log.push(Entry::CloseSession { session: SessionId(1) });
    assert!(!log.state.may_run(&name("clicks"), Generation(3)));
    assert_eq!(log.state.grant(&name("clicks")).unwrap().phase, Phase::Orphan);
    assert_eq!(log.release("clicks", 8), stale(8));
}

#[test]
fn a_node_that_leaves_gives_its_actors_back_at_once() {
    let mut log = Log::with_clicks();
    let closed = log.push(Entry::CloseSession { session: SessionId(1) });
    let ended = Change::SessionEnded { session: SessionId(1), host: host(1) };
    assert_eq!(closed, applied(Reply::Done, [orphaned("clicks", 3), ended]));
    assert_eq!(log.kill("clicks", false).changes, [gone("clicks", 3)]);
}

#[test]
fn a_new_life_fences_the_one_before() {
    let mut log = Log::with_clicks();
    let again = Host { node: NodeId(1), life: Incarnation(2) };
    let opened = log.push(Entry::OpenSession { host: again });
    let session = SessionId(5);
    let fenced = Change::SessionFenced { session: SessionId(1) };
    let open = Change::SessionOpened { session, host: again };
    assert_eq!(opened, applied(Reply::Opened { session }, [fenced, open]));
    let stale = Refusal::StaleLife { known: Incarnation(2) };
    assert_eq!(log.push(Entry::OpenSession { host: host(1) }), refused(stale));
    assert_eq!(
        log.push(Entry::OpenSession { host: again }),
        applied(Reply::Opened { session }, [])
    );
    assert!(log.state.may_run(&name("clicks"), Generation(3)));
}

#[test]
fn voters_change_in_steps_whose_quorums_meet() {
    let mut log = Log::new();
    let set = |nodes: &[u64]| nodes.iter().map(|&node| host(node)).collect::<BTreeSet<_>>();
    let mut configure = |follows, voters: &[u64], outgoing: &[u64]| {
        let (voters, outgoing) = (set(voters), set(outgoing));
        log.push(Entry::Configure { follows: ConfigId(follows), voters, outgoing }).reply
    };
    assert_eq!(configure(0, &[1, 2, 4], &[]), Reply::Refused(Refusal::QuorumsDoNotMeet));
    assert_eq!(configure(0, &[1, 2, 4], &[1, 2, 3]), Reply::Done);
    let other = Refusal::OtherConfig { current: ConfigId(4) };
    assert_eq!(configure(0, &[1, 2, 4], &[]), Reply::Refused(other));
    assert_eq!(configure(4, &[1, 2, 4], &[]), Reply::Done);
    let nobody = Refusal::BeyondLimit { field: "voters".into(), value: 0 };
    assert_eq!(configure(6, &[], &[]), Reply::Refused(nobody));
    // Certificates of voters that vote no more count no more.
    log.push(Entry::Fence { session: SessionId(1) });
    let old =
        Entry::Expire { session: SessionId(1), config: ConfigId(4), at: AT, assigns: Vec::new() };
    assert_eq!(log.push(old), refused(Refusal::OtherConfig { current: ConfigId(6) }));
    assert_eq!(log.expire(1, Vec::new()).reply, Reply::Done);
}

#[test]
fn what_is_beyond_a_limit_is_refused_by_type_or_forgotten_in_order() {
    let limits = Limits {
        names_max: 2,
        spec_bytes_max: 12,
        sessions_max: 2,
        tombstones_max: 1,
        ..Limits::default()
    };
    let mut log = Log::with(limits);
    let full = Refusal::SessionsFull { max: 2 };
    assert_eq!(log.push(Entry::OpenSession { host: host(3) }), refused(full));
    log.claim("a", 1, Mode::Fail);
    log.claim("b", 1, Mode::Fail);
    assert_eq!(log.claim("c", 1, Mode::Fail), refused(Refusal::NamesFull { max: 2 }));
    // A name that has not been let go of counts, its spec does not.
    log.kill("a", false);
    assert_eq!(log.claim("c", 1, Mode::Fail), refused(Refusal::NamesFull { max: 2 }));
    log.release("a", 4);
    assert_eq!(log.claim("c", 1, Mode::Fail).reply, granted(10));
    log.kill("b", false);
    log.release("b", 5);
    assert_eq!(log.state.tombstone(&name("a")), None);
    let b = Tombstone { generation: Generation(5), why: Why::Killed, since: Index(11) };
    assert_eq!(log.state.tombstone(&name("b")), Some(b));

    let mut log = Log::with(Limits { spec_bytes_max: 12, ..Limits::default() });
    log.claim("a", 1, Mode::Fail);
    log.claim("b", 1, Mode::Fail);
    assert_eq!(log.claim("c", 1, Mode::Fail), refused(Refusal::SpecsFull { limit_bytes: 12 }));
    // One that takes the place of another needs no room of its own.
    assert_eq!(log.claim("b", 1, Mode::Replace(Generation(4))).reply, granted(6));
    let many = Policy { intensity: 65, ..PERMANENT };
    let beyond = Refusal::BeyondLimit { field: "intensity".into(), value: 65 };
    assert_eq!(log.claim_with("d", 1, Mode::Fail, many), refused(beyond));
}

#[test]
fn entries_are_applied_in_order_and_once() {
    let mut log = Log::new();
    let (index, expected) = (Index(5), Index(3));
    assert_eq!(log.state.apply(index, &Entry::Blank), Err(ApplyError::Gap { index, expected }));
    let old = Index(2);
    assert_eq!(log.state.apply(old, &Entry::Blank), Err(ApplyError::Old { index: old }));
    assert_eq!(log.state.applied(), Index(2));
}

#[test]
fn a_state_comes_back_from_its_snapshot_and_a_torn_one_does_not() {
    let mut log = Log::with_clicks();
    log.claim("gone", 2, Mode::Fail);
    log.kill("gone", false);
    log.claim("gone", 1, Mode::Fail);
    log.push(Entry::Fence { session: SessionId(2) });
    log.claim("other", 1, Mode::Fail);
    log.kill("other", false);
    log.push(Entry::CloseSession { session: SessionId(1) });
    let bytes = codec::encode(&log.state.snapshot()).unwrap();
    let snapshot: Snapshot = codec::decode(&bytes).unwrap();
    assert_eq!((snapshot.cluster(), snapshot.applied()), (ClusterId(5), log.state.applied()));
    assert_eq!(State::restore(snapshot), Ok(log.state));

    // One that says less than it names, and one beyond its own limits.
    let log = Log::with_clicks();
    let mut snapshot = log.state.snapshot();
    snapshot.clear_sessions();
    assert_eq!(State::restore(snapshot), Err(RestoreError::Torn("a name at no session")));
    let mut snapshot = log.state.snapshot();
    snapshot.allow_no_names();
    assert_eq!(State::restore(snapshot), Err(RestoreError::BeyondLimit("names")));
}
