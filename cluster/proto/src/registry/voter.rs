//! A voter: it acknowledges renewals, and certifies that the lease of a fenced session is over.
//!
//! What it acknowledged, and when, is its own memory on its own clock; to write that into the log would cost the log
//! one entry for each node and second. So it forgets it when it restarts, and a restarted voter is another one:
//! [`super::id::VoterId`] contains the life.
//!
//! Why certificates of a quorum are enough. A lease rests on acknowledgements by a quorum of one configuration.
//! - *The same configuration as the certificates'*: the quorums share a voter. It acknowledges nothing after it has
//!   applied the fence, and certifies only when its last acknowledgement is older than lease and margin.
//! - *A later one*: a voter acknowledges under it only when it has applied it, and so everything before it, the fence
//!   too. (`Expire` names the configuration of its certificates and is refused once another one holds.)
//! - *An earlier one*: the next configuration was committed by a quorum of voters that have it, and these acknowledge
//!   nothing any more under the earlier one, whose every quorum has one of them ([`super::config::Config::meets`]).
//!   So no lease under it was acknowledged in whole after that commit, and a voter certifies only when lease and
//!   margin have passed since it applied the configuration it certifies under.
//!
//! The last rule does what the spacing of configuration changes was meant to do, at each voter and without a leader
//! that remembers; the leader keeps the spacing all the same. It covers the voter that has never acknowledged, too: the
//! start of a voter counts as a change of configuration.
//!
//! A proof of death needs no waiting: who is dead does not serve.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::entry::Entry;
use super::id::{ConfigId, Host, Index, SessionId, VoterId};
use super::mutant::Mutant;
use super::reply::Change;
use super::settings::Settings;
use super::state::State;
use crate::time::Time;

/// Node to voter: my session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Renewal {
    /// Which session.
    pub session: SessionId,
    /// Which renewal of it.
    pub sequence: u64,
}

/// Voter to node: noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ack {
    /// Which session.
    pub session: SessionId,
    /// Which renewal of it.
    pub sequence: u64,
    /// As a voter of which configuration.
    pub config: ConfigId,
}

/// Voter to leader: by my knowledge this session has no lease and will have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Certificate {
    /// Which session.
    pub session: SessionId,
    /// As a voter of which configuration.
    pub config: ConfigId,
}

/// To voters and leader: the process of this life has certainly ended, for another process of its machine has taken the
/// lock that it held. (A reset connection is no such proof: a machine between may have sent it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeathProof {
    /// Which life of which node.
    pub host: Host,
}

/// What one voter knows of leases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Voter {
    settings: Settings,
    me: VoterId,
    /// As applied, and when.
    config: Config,
    config_since: Time,
    /// Configurations that stand in this voter's log and are not applied.
    pending: BTreeSet<Index>,
    sessions: BTreeMap<SessionId, Watched>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Watched {
    host: Host,
    is_fenced: bool,
    last_ack: Option<Time>,
    is_proven_dead: bool,
}

impl Voter {
    /// A voter that starts now, from this state.
    #[must_use]
    pub fn new(now: Time, settings: Settings, me: VoterId, state: &State) -> Self {
        let mut voter = Self {
            settings,
            me,
            config: state.config().clone(),
            config_since: now,
            pending: BTreeSet::new(),
            sessions: BTreeMap::new(),
        };
        voter.handle_snapshot(now, state);
        voter
    }

    /// The state was taken over as a whole. What was acknowledged is kept for sessions that go on.
    pub fn handle_snapshot(&mut self, now: Time, state: &State) {
        if state.config().id != self.config.id {
            (self.config, self.config_since) = (state.config().clone(), now);
        }
        let applied = state.applied();
        self.pending.retain(|&index| index > applied);
        self.sessions.retain(|&session, _| state.session(session).is_some());
        for (session, known) in state.sessions() {
            self.watch(session, known.host).is_fenced = known.is_fenced;
        }
    }

    /// An entry stands in this voter's log, committed or not.
    pub fn handle_appended(&mut self, index: Index, entry: &Entry) {
        if matches!(entry, Entry::Configure { .. }) {
            self.pending.insert(index);
        }
    }

    /// The entries from `from` on were taken out of this voter's log again.
    pub fn handle_truncated(&mut self, from: Index) {
        self.pending.split_off(&from);
    }

    /// An entry was committed and applied.
    pub fn handle_applied(&mut self, now: Time, index: Index, changes: &[Change]) {
        self.pending.retain(|&pending| pending > index);
        for change in changes {
            match change {
                Change::SessionOpened { session, host } => {
                    self.watch(*session, *host);
                }
                Change::SessionFenced { session } => {
                    if let Some(watched) = self.sessions.get_mut(session) {
                        watched.is_fenced = true;
                    }
                }
                Change::SessionEnded { session, .. } => {
                    self.sessions.remove(session);
                }
                Change::Configured(config) => {
                    (self.config, self.config_since) = (config.clone(), now);
                }
                Change::Start { .. }
                | Change::Stop { .. }
                | Change::Active { .. }
                | Change::Orphaned { .. }
                | Change::Gone { .. } => {}
            }
        }
    }

    /// A node renews. `None`: this voter does not acknowledge it; the node may ask again.
    pub fn handle_renewal(&mut self, now: Time, renewal: Renewal) -> Option<Ack> {
        let Renewal { session, sequence } = renewal;
        let mutant = self.settings.mutant;
        let is_behind = !self.pending.is_empty() && mutant != Mutant::AckUnderOldConfig;
        if is_behind || !self.config.contains(self.me) {
            return None;
        }
        let watched = self.sessions.get_mut(&session)?;
        if watched.is_fenced && mutant != Mutant::AckAfterFence {
            return None;
        }
        watched.last_ack = Some(now);
        Some(Ack { session, sequence, config: self.config.id })
    }

    /// A process has certainly ended. Counts for sessions that are known; the sender repeats it until they are over.
    pub fn handle_proof(&mut self, proof: DeathProof) {
        let any_life = self.settings.mutant == Mutant::ProofForAnyLife;
        for watched in self.sessions.values_mut() {
            let is_meant =
                watched.host == proof.host || (any_life && watched.host.node == proof.host.node);
            watched.is_proven_dead |= is_meant;
        }
    }

    /// What this voter can certify now. Send it to the leader, again and again until the sessions are over.
    #[must_use]
    pub fn certificates(&self, now: Time) -> Vec<Certificate> {
        let due = self.due().filter(|&(_, due)| due <= now);
        due.map(|(session, _)| Certificate { session, config: self.config.id }).collect()
    }

    /// When there may be more to certify than now.
    #[must_use]
    pub fn next_wake(&self, now: Time) -> Option<Time> {
        self.due().map(|(_, due)| due).filter(|&due| due > now).min()
    }

    /// Which fenced sessions can be certified, and from when on.
    fn due(&self) -> impl Iterator<Item = (SessionId, Time)> {
        let mutant = self.settings.mutant;
        let fenced = self
            .sessions
            .iter()
            .filter(move |(_, watched)| watched.is_fenced || mutant == Mutant::CertifyUnfenced);
        let is_voter = self.config.contains(self.me);
        fenced
            .filter(move |_| is_voter)
            .map(|(&session, watched)| (session, self.quiet_from(watched)))
    }

    fn quiet_from(&self, watched: &Watched) -> Time {
        let mutant = self.settings.mutant;
        if watched.is_proven_dead || mutant == Mutant::CertifyAtOnce {
            return Time::ZERO;
        }
        let quiet = self.settings.quiet();
        let after_ack = watched.last_ack.map_or(Time::ZERO, |ack| ack + quiet);
        if mutant == Mutant::NoWaitAfterConfig {
            return after_ack;
        }
        after_ack.max(self.config_since + quiet)
    }

    fn watch(&mut self, session: SessionId, host: Host) -> &mut Watched {
        let unseen = Watched { host, is_fenced: false, last_ack: None, is_proven_dead: false };
        self.sessions.entry(session).or_insert(unseen)
    }

    /// For models: as if so much time had passed while the clock stood still at `now`. What is so old that nobody can
    /// tell how old is made alike.
    #[doc(hidden)]
    pub fn age_by(&mut self, now: Time, span: Duration) {
        let quiet = self.settings.quiet();
        let older = |at: Time| Some(at.before(span)).filter(|&at| now < at + quiet);
        self.config_since = older(self.config_since).unwrap_or_default();
        for watched in self.sessions.values_mut() {
            watched.last_ack = watched.last_ack.and_then(older);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, NodeId};
    use crate::registry::id::ClusterId;
    use crate::registry::state::Limits;

    const SESSION: SessionId = SessionId(1);
    const RENEWAL: Renewal = Renewal { session: SESSION, sequence: 4 };

    fn life(node: u64, life: u64) -> Host {
        Host { node: NodeId(node), life: Incarnation(life) }
    }

    fn at(ms: u64) -> Time {
        Time(1_000_000_000 + ms * 1_000)
    }

    /// Voter 1 of three; node 9 has a session; all applied at 0 ms.
    struct World {
        state: State,
        voter: Voter,
    }

    impl World {
        fn new() -> Self {
            let founders = [life(1, 1), life(2, 1), life(3, 1)];
            let state = State::new(ClusterId(1), Limits::default(), founders);
            let voter = Voter::new(at(0), Settings::default(), life(1, 1), &state);
            let mut world = Self { state, voter };
            world.apply(at(0), Entry::OpenSession { host: life(9, 1) });
            world
        }

        fn apply(&mut self, now: Time, entry: Entry) {
            let index = self.state.applied().next();
            self.voter.handle_appended(index, &entry);
            let applied = self.state.apply(index, &entry).unwrap();
            self.voter.handle_applied(now, index, &applied.changes);
        }

        fn configure(&self, voters: &[u64]) -> Entry {
            let voters = voters.iter().map(|&node| life(node, 1)).collect();
            Entry::Configure { follows: self.state.config().id, voters, outgoing: BTreeSet::new() }
        }
    }

    fn ack(config: u64) -> Option<Ack> {
        Some(Ack { session: SESSION, sequence: 4, config: ConfigId(config) })
    }

    fn certificate(config: u64) -> Certificate {
        Certificate { session: SESSION, config: ConfigId(config) }
    }

    #[test]
    fn it_certifies_when_nothing_was_acknowledged_for_lease_and_margin() {
        let World { mut state, mut voter } = World::new();
        assert_eq!(voter.handle_renewal(at(6_000), RENEWAL), ack(0));
        assert_eq!(voter.certificates(at(60_000)), []);
        let fence = Entry::Fence { session: SESSION };
        let changes = state.apply(Index(2), &fence).unwrap().changes;
        voter.handle_applied(at(7_000), Index(2), &changes);
        assert_eq!(voter.handle_renewal(at(7_001), RENEWAL), None);
        assert_eq!(voter.next_wake(at(7_001)), Some(at(10_500)));
        assert_eq!(voter.certificates(at(10_499)), []);
        assert_eq!(voter.certificates(at(10_500)), [certificate(0)]);
        let expire = Entry::Expire {
            session: SESSION,
            config: ConfigId(0),
            at: crate::registry::id::LogTime(0),
            assigns: Vec::new(),
        };
        let changes = state.apply(Index(3), &expire).unwrap().changes;
        voter.handle_applied(at(10_501), Index(3), &changes);
        assert_eq!(voter.certificates(at(10_501)), []);
        assert_eq!(voter.handle_renewal(at(10_501), RENEWAL), None);
    }

    #[test]
    fn one_that_has_just_started_waits_like_one_that_has_just_acknowledged() {
        let mut world = World::new();
        world.apply(at(1), Entry::Fence { session: SESSION });
        assert_eq!(world.voter.certificates(at(4_499)), []);
        assert_eq!(world.voter.certificates(at(4_500)), [certificate(0)]);
        // The same life of the node is the same voter, another life is none.
        let reborn = Voter::new(at(0), Settings::default(), life(1, 2), &world.state);
        assert_eq!(reborn.certificates(at(99_000)), []);
    }

    #[test]
    fn it_waits_after_a_change_of_configuration_and_says_nothing_in_its_midst() {
        let mut world = World::new();
        world.apply(at(1), Entry::Fence { session: SESSION });
        world.apply(at(2), Entry::OpenSession { host: life(8, 1) });
        let other = Renewal { session: SessionId(3), sequence: 4 };
        let configure = world.configure(&[1, 2, 3, 4]);
        world.voter.handle_appended(Index(4), &configure);
        assert_eq!(world.voter.handle_renewal(at(3), other), None);
        // It was not committed, and another leader overwrote it.
        world.voter.handle_truncated(Index(4));
        assert!(world.voter.handle_renewal(at(4), other).is_some());
        assert_eq!(world.voter.certificates(at(4_500)), [certificate(0)]);
        world.apply(at(4_500), configure);
        assert_eq!(world.voter.certificates(at(8_999)), []);
        assert_eq!(world.voter.certificates(at(9_000)), [certificate(4)]);
        let acked = world.voter.handle_renewal(at(9_000), other);
        assert_eq!(acked.map(|ack| ack.config), Some(ConfigId(4)));
        world.apply(at(9_000), world.configure(&[2, 3, 4]));
        assert_eq!(world.voter.handle_renewal(at(9_001), other), None);
        assert_eq!(world.voter.certificates(at(99_000)), []);
    }

    #[test]
    fn a_proof_of_death_needs_no_waiting_but_a_fence() {
        let mut world = World::new();
        assert_eq!(world.voter.handle_renewal(at(1), RENEWAL), ack(0));
        world.voter.handle_proof(DeathProof { host: life(9, 1) });
        assert_eq!(world.voter.certificates(at(1)), []);
        world.apply(at(1), Entry::Fence { session: SESSION });
        assert_eq!(world.voter.certificates(at(1)), [certificate(0)]);
        // The death of an earlier life proves nothing of a later one.
        world.apply(at(2), Entry::OpenSession { host: life(8, 2) });
        world.apply(at(2), Entry::Fence { session: SessionId(3) });
        world.voter.handle_proof(DeathProof { host: life(8, 1) });
        assert_eq!(world.voter.certificates(at(2)), [certificate(0)]);
    }

    #[test]
    fn a_snapshot_keeps_what_was_acknowledged() {
        let mut world = World::new();
        world.voter.handle_renewal(at(6_000), RENEWAL);
        world.state.apply(Index(2), &Entry::Fence { session: SESSION }).unwrap();
        world.voter.handle_snapshot(at(6_001), &world.state);
        assert_eq!(world.voter.certificates(at(10_499)), []);
        assert_eq!(world.voter.certificates(at(10_500)), [certificate(0)]);
    }
}
