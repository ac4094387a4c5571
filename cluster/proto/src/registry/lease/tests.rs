//! One situation each, by what is sent and done.

use super::*;
use crate::id::{Incarnation, NodeId};
use crate::registry::entry::Entry;
use crate::registry::id::{ClusterId, Index};
use crate::registry::state::Limits;

const SESSION: SessionId = SessionId(7);

fn host(node: u64) -> Host {
    Host { node: NodeId(node), life: Incarnation(1) }
}

fn config(id: u64, voters: &[u64]) -> Config {
    Config::uniform(ConfigId(id), voters.iter().map(|&voter| host(voter)))
}

fn at(ms: u64) -> Time {
    Time(1_000_000_000 + ms * 1_000)
}

fn outputs(call: impl FnOnce(&mut Vec<Output>)) -> Vec<Output> {
    let mut out = Vec::new();
    call(&mut out);
    out
}

fn opened(session: SessionId) -> Change {
    Change::SessionOpened { session, host: host(9) }
}

/// Node 9, with a session, and voters 1, 2 and 3.
fn lease() -> Lease {
    let mut lease = Lease::new(Settings::default(), host(9), config(0, &[1, 2, 3]));
    lease.want(true);
    lease.handle_change(at(0), &opened(SESSION), &mut Vec::new());
    lease
}

fn renew(to: u64, sequence: u64) -> Output {
    Output::Renew { to: host(to), renewal: Renewal { session: SESSION, sequence } }
}

fn ack(lease: &mut Lease, now: Time, from: u64, sequence: u64, config: u64) -> Vec<Output> {
    let ack = Ack { session: SESSION, sequence, config: ConfigId(config) };
    outputs(|out| lease.handle_ack(now, host(from), ack, out))
}

#[test]
fn a_lease_counts_from_the_sending_of_what_a_quorum_acknowledged() {
    let mut lease = lease();
    let sent = outputs(|out| lease.tick(at(0), out));
    assert_eq!(sent, [renew(1, 1), renew(2, 1), renew(3, 1)]);
    assert_eq!(ack(&mut lease, at(500), 1, 1, 0), []);
    assert!(!lease.serves(at(500)));
    // The same voter twice is one voter; a stranger is none.
    assert_eq!(ack(&mut lease, at(500), 1, 1, 0), []);
    assert_eq!(ack(&mut lease, at(500), 8, 1, 0), []);
    let until = at(4_000);
    assert_eq!(ack(&mut lease, at(900), 3, 1, 0), [Output::ServeUntil { until }]);
    assert!(lease.serves(at(3_999)) && !lease.serves(until));
    assert_eq!(lease.next_wake(), Some(at(1_000)));
    assert_eq!(outputs(|out| lease.tick(at(999), out)), []);
    outputs(|out| lease.tick(at(1_000), out));
    outputs(|out| lease.tick(at(2_000), out));
    // Of several the newest counts, also if an older one is acknowledged after it.
    ack(&mut lease, at(2_100), 2, 3, 0);
    let until = at(6_000);
    assert_eq!(ack(&mut lease, at(2_100), 1, 3, 0), [Output::ServeUntil { until }]);
    assert_eq!(ack(&mut lease, at(2_200), 1, 2, 0), []);
    assert_eq!(ack(&mut lease, at(2_200), 2, 2, 0), []);
    assert_eq!(lease.until(), until);
}

#[test]
fn actors_stop_when_the_lease_runs_out_and_may_go_on_when_it_comes_back() {
    let mut lease = lease();
    lease.tick(at(0), &mut Vec::new());
    ack(&mut lease, at(1), 1, 1, 0);
    ack(&mut lease, at(1), 2, 1, 0);
    let stopped = outputs(|out| lease.tick(at(4_000), out));
    let stop = Output::Stop { session: SESSION };
    assert_eq!(stopped, [stop, renew(1, 2), renew(2, 2), renew(3, 2)]);
    // An acknowledgement that took longer than the lease is good for nothing.
    ack(&mut lease, at(9_000), 1, 2, 0);
    assert_eq!(ack(&mut lease, at(9_000), 2, 2, 0), []);
    assert!(!lease.serves(at(9_000)));
    outputs(|out| lease.tick(at(9_000), out));
    ack(&mut lease, at(9_001), 1, 3, 0);
    let until = at(13_000);
    assert_eq!(ack(&mut lease, at(9_001), 2, 3, 0), [Output::ServeUntil { until }]);
}

#[test]
fn a_quorum_is_of_one_configuration() {
    let mut lease = lease();
    lease.tick(at(0), &mut Vec::new());
    ack(&mut lease, at(1), 1, 1, 0);
    assert_eq!(ack(&mut lease, at(1), 2, 1, 5), []);
    assert_eq!(ack(&mut lease, at(1), 4, 1, 5), []);
    // It hears of the configuration later than of the acknowledgements under it.
    let configured = Change::Configured(config(5, &[1, 2, 4]));
    let out = outputs(|out| lease.handle_change(at(2), &configured, out));
    assert_eq!(out, [Output::ServeUntil { until: at(4_000) }]);
    let sent = outputs(|out| lease.tick(at(1_000), out));
    assert_eq!(sent, [renew(1, 2), renew(2, 2), renew(4, 2)]);
    // What was acknowledged under the one before still counts.
    ack(&mut lease, at(1_001), 1, 2, 0);
    assert_eq!(ack(&mut lease, at(1_001), 3, 2, 0), [Output::ServeUntil { until: at(5_000) }]);
}

#[test]
fn a_fence_stops_the_actors_and_an_end_opens_a_new_session() {
    let mut lease = lease();
    lease.tick(at(0), &mut Vec::new());
    ack(&mut lease, at(1), 1, 1, 0);
    ack(&mut lease, at(1), 2, 1, 0);
    lease.tick(at(1_000), &mut Vec::new());
    let fenced = Change::SessionFenced { session: SESSION };
    let out = outputs(|out| lease.handle_change(at(1_100), &fenced, out));
    assert_eq!(out, [Output::Stop { session: SESSION }]);
    assert!(!lease.serves(at(1_100)));
    // Late acknowledgements do not bring it back, and it asks for none.
    ack(&mut lease, at(1_200), 1, 2, 0);
    assert_eq!(ack(&mut lease, at(1_200), 2, 2, 0), []);
    assert!(!lease.serves(at(1_200)));
    assert_eq!(outputs(|out| lease.tick(at(2_000), out)), []);
    assert_eq!(lease.next_wake(), None);
    let ended = Change::SessionEnded { session: SESSION, host: host(9) };
    assert_eq!(outputs(|out| lease.handle_change(at(5_000), &ended, out)), []);
    assert_eq!(outputs(|out| lease.tick(at(5_000), out)), [Output::OpenSession]);
    assert_eq!(outputs(|out| lease.tick(at(5_500), out)), []);
    assert_eq!(outputs(|out| lease.tick(at(6_000), out)), [Output::OpenSession]);
    lease.handle_change(at(6_001), &opened(SessionId(40)), &mut Vec::new());
    assert_eq!(lease.session(), Some(SessionId(40)));
    assert_eq!(ack(&mut lease, at(6_001), 1, 2, 0), []);
    // One that wants none does not ask.
    let mut idle = Lease::new(Settings::default(), host(9), config(0, &[1]));
    assert_eq!(outputs(|out| idle.tick(at(0), out)), []);
    assert_eq!(idle.next_wake(), None);
}

#[test]
fn a_snapshot_says_what_was_missed() {
    let mut state = State::new(ClusterId(1), Limits::default(), [host(1)]);
    let mut lease = lease();
    lease.tick(at(0), &mut Vec::new());
    ack(&mut lease, at(1), 1, 1, 0);
    ack(&mut lease, at(1), 2, 1, 0);
    // Its session is unknown there: it is over.
    let out = outputs(|out| lease.handle_snapshot(at(2), &state, out));
    assert_eq!((out, lease.session()), (vec![Output::Stop { session: SESSION }], None));
    state.apply(Index(1), &Entry::OpenSession { host: host(9) }).unwrap();
    lease.handle_snapshot(at(3), &state, &mut Vec::new());
    assert_eq!(lease.session(), Some(SessionId(1)));
    state.apply(Index(2), &Entry::Fence { session: SessionId(1) }).unwrap();
    lease.handle_snapshot(at(4), &state, &mut Vec::new());
    assert_eq!(outputs(|out| lease.tick(at(10), out)), []);
}
