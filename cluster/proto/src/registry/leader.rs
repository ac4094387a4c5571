//! What the leader of the log proposes: fences, expiries, new hosts, other voters.
//!
//! A leader is the voter that leads now; the next one knows the log and nothing else. So it keeps no promise in its
//! memory: whatever it forgets costs time, never safety, and each proposal is checked again where it is applied.
//!
//! Invariants:
//! - a session whose host is down is fenced; one that is fenced expires when a quorum of the voters of the
//!   configuration that holds has certified it; an orphan gets a host as soon as there is one;
//! - one configuration follows another only after lease and margin, and replaces at most one voter;
//! - nothing is proposed a second time before [`Settings::propose_again`].
//!
//! - [`voters`]: who should vote, and the next step on the way there.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod voters;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::entry::{ASSIGNS_MAX, Assign, Entry};
use super::id::{ConfigId, Generation, Host, LogTime, SessionId, VoterId};
use super::mutant::Mutant;
use super::name::Name;
use super::reply::Change;
use super::settings::Settings;
use super::state::State;
use super::state::slot::Record;
use super::voter::Certificate;
use crate::id::NodeId;
use crate::time::Time;

/// A member that is up, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which life of it.
    pub host: Host,
    /// How long that life has lasted.
    pub uptime: Duration,
    /// The machine it runs on, if it says so. Voters are spread over machines.
    pub machine: Option<Arc<str>>,
    /// The zone it runs in, if it says so. Voters are spread over zones first.
    pub zone: Option<Arc<str>>,
    /// Whether it is about to leave, or must not vote.
    pub is_draining: bool,
}

/// All members that are up.
pub type Candidates = BTreeMap<NodeId, Candidate>;

/// What the leader wants done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Entries to append, in this order.
    pub entries: Vec<Entry>,
    /// Members that are to receive the log, so that they can become voters; tell [`Leader::handle_caught_up`].
    pub learners: BTreeSet<VoterId>,
}

/// What a leader has been told since it became one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    settings: Settings,
    /// Of voters of the configuration `config`.
    certificates: BTreeMap<SessionId, BTreeSet<VoterId>>,
    config: ConfigId,
    config_since: Time,
    /// Hosts that matter and are not up, and since when.
    absent: BTreeMap<Host, Time>,
    down: BTreeSet<Host>,
    caught_up: BTreeSet<VoterId>,
    proposed: BTreeMap<Proposal, Time>,
}

/// What was proposed and is not yet seen in the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Proposal {
    Open(Host),
    Fence(SessionId),
    Expire(SessionId),
    Assign(Name, Generation),
    Configure(ConfigId),
}

impl Leader {
    /// Leads from now on.
    #[must_use]
    pub const fn new(now: Time, settings: Settings, state: &State) -> Self {
        Self {
            settings,
            certificates: BTreeMap::new(),
            config: state.config().id,
            config_since: now,
            absent: BTreeMap::new(),
            down: BTreeSet::new(),
            caught_up: BTreeSet::new(),
            proposed: BTreeMap::new(),
        }
    }

    /// A voter certifies. `from`: as authenticated by the connection.
    pub fn handle_certificate(&mut self, from: VoterId, certificate: Certificate, state: &State) {
        let Certificate { session, config } = certificate;
        let is_of_now = config == state.config().id && config == self.config;
        if is_of_now && state.config().contains(from) && state.session(session).is_some() {
            self.certificates.entry(session).or_default().insert(from);
        }
    }

    /// Membership has declared a node down, in this life of it.
    pub fn handle_down(&mut self, host: Host) {
        self.down.insert(host);
    }

    /// A learner has the log.
    pub fn handle_caught_up(&mut self, voter: VoterId) {
        self.caught_up.insert(voter);
    }

    /// An entry was committed and applied.
    pub fn handle_applied(&mut self, now: Time, changes: &[Change]) {
        for change in changes {
            match change {
                Change::SessionEnded { session, .. } => {
                    self.certificates.remove(session);
                }
                Change::Configured(config) => {
                    // What voters of another configuration have certified, they may have to certify again.
                    self.certificates.clear();
                    (self.config, self.config_since) = (config.id, now);
                    self.caught_up.clear();
                }
                Change::SessionOpened { .. }
                | Change::SessionFenced { .. }
                | Change::Start { .. }
                | Change::Stop { .. }
                | Change::Active { .. }
                | Change::Orphaned { .. }
                | Change::Gone { .. } => {}
            }
        }
    }

    /// What to propose now, with `at` as the time of the log. `place` chooses a host that is up and has room for an
    /// actor, or none for now; it may be asked again for the same actor.
    pub fn plan(
        &mut self,
        now: Time,
        at: LogTime,
        state: &State,
        members: &Candidates,
        mut place: impl FnMut(&Name, &Record) -> Option<Host>,
    ) -> Plan {
        self.look(now, state, members);
        let mut entries = Vec::new();
        self.plan_fences(now, state, members, &mut entries);
        self.plan_expiries(now, at, state, &mut place, &mut entries);
        self.plan_homes(now, state, &mut place, &mut entries);
        let learners = self.plan_voters(now, state, members, &mut entries);
        Plan { entries, learners }
    }

    /// The session can expire: a quorum of the voters that count has certified it.
    #[must_use]
    pub fn is_certified(&self, session: SessionId, state: &State) -> bool {
        let Some(certified) = self.certificates.get(&session) else { return false };
        let one_is_enough = self.settings.mutant == Mutant::OneCertificate && !certified.is_empty();
        one_is_enough || state.config().is_quorum(|voter| certified.contains(&voter))
    }

    /// Keeps who matters and is not up, and drops what was proposed and has not come.
    fn look(&mut self, now: Time, state: &State, members: &Candidates) {
        let of_sessions = state.sessions().map(|(_, session)| session.host);
        let matters: BTreeSet<Host> =
            of_sessions.chain(state.config().everybody()).chain(self.caught_up.clone()).collect();
        let is_up =
            |host: &Host| members.get(&host.node).is_some_and(|member| member.host == *host);
        let absent = matters.iter().filter(|host| !is_up(host));
        self.absent =
            absent.map(|host| (*host, self.absent.get(host).copied().unwrap_or(now))).collect();
        self.down.retain(|host| self.absent.contains_key(host));
        self.caught_up.retain(is_up);
        let again = self.settings.propose_again;
        self.proposed.retain(|_, since| now < *since + again);
    }

    /// `true` once, until it is time to propose it again.
    fn is_due(&mut self, now: Time, proposal: Proposal) -> bool {
        let is_new = !self.proposed.contains_key(&proposal);
        if is_new {
            self.proposed.insert(proposal, now);
        }
        is_new
    }

    /// Long enough not to be up that a new leader, who was told nothing, takes it for down.
    fn is_given_up(&self, now: Time, host: Host) -> bool {
        let since = self.absent.get(&host);
        since.is_some_and(|&since| now >= since + self.settings.replace_after)
    }

    fn plan_fences(
        &mut self,
        now: Time,
        state: &State,
        members: &Candidates,
        out: &mut Vec<Entry>,
    ) {
        for (session, of) in state.sessions().filter(|(_, of)| !of.is_fenced) {
            let host = of.host;
            let has_later_life =
                members.get(&host.node).is_some_and(|member| member.host.life > host.life);
            let is_lost =
                self.down.contains(&host) || has_later_life || self.is_given_up(now, host);
            if is_lost && self.is_due(now, Proposal::Fence(session)) {
                out.push(Entry::Fence { session });
            }
        }
    }

    fn plan_expiries(
        &mut self,
        now: Time,
        at: LogTime,
        state: &State,
        place: &mut impl FnMut(&Name, &Record) -> Option<Host>,
        out: &mut Vec<Entry>,
    ) {
        for (session, _) in state.sessions().filter(|(_, of)| of.is_fenced) {
            if !self.is_certified(session, state) || !self.is_due(now, Proposal::Expire(session)) {
                continue;
            }
            let names = state.names_of(session).into_iter().flatten();
            let records = names.filter_map(|name| {
                let record = state.slot(name)?.record.as_ref()?;
                let is_here = record.place.is_some_and(|place| place.session == session);
                (is_here && record.policy.survives_its_node()).then_some((name, record))
            });
            let assigns = self.find_homes(now, state, records, place, out);
            out.push(Entry::Expire { session, config: self.config, at, assigns });
        }
    }

    fn plan_homes(
        &mut self,
        now: Time,
        state: &State,
        place: &mut impl FnMut(&Name, &Record) -> Option<Host>,
        out: &mut Vec<Entry>,
    ) {
        let records = state
            .orphans()
            .iter()
            .filter_map(|name| Some((name, state.slot(name)?.record.as_ref()?)));
        let waiting: Vec<_> = records
            .filter(|(name, record)| {
                let proposal = Proposal::Assign((*name).clone(), record.generation);
                !self.proposed.contains_key(&proposal)
            })
            .take(ASSIGNS_MAX)
            .collect();
        let assigns = self.find_homes(now, state, waiting.into_iter(), place, out);
        if !assigns.is_empty() {
            out.push(Entry::Assign { assigns });
        }
    }

    /// Hosts for these actors; a session is opened for whoever has none.
    fn find_homes<'a>(
        &mut self,
        now: Time,
        state: &State,
        records: impl Iterator<Item = (&'a Name, &'a Record)>,
        place: &mut impl FnMut(&Name, &Record) -> Option<Host>,
        out: &mut Vec<Entry>,
    ) -> Vec<Assign> {
        let mut assigns = Vec::new();
        for (name, record) in records.take(ASSIGNS_MAX) {
            let Some(host) = place(name, record) else { continue };
            let generation = record.generation;
            if !self.is_due(now, Proposal::Assign(name.clone(), generation)) {
                continue;
            }
            if state.open_session_of(host).is_none() && self.is_due(now, Proposal::Open(host)) {
                out.push(Entry::OpenSession { host });
            }
            assigns.push(Assign { name: name.clone(), generation, host });
        }
        assigns
    }

    fn plan_voters(
        &mut self,
        now: Time,
        state: &State,
        members: &Candidates,
        out: &mut Vec<Entry>,
    ) -> BTreeSet<VoterId> {
        if now < self.config_since + self.settings.quiet() {
            return BTreeSet::new();
        }
        let current = state.config();
        let given_up: BTreeSet<VoterId> =
            current.everybody().into_iter().filter(|&voter| self.is_given_up(now, voter)).collect();
        let target = voters::choose(current, members, &given_up);
        let Some(step) = voters::next_step(current, &target, &given_up) else {
            return BTreeSet::new();
        };
        let learners: BTreeSet<VoterId> = step
            .voters
            .iter()
            .copied()
            .filter(|voter| !current.contains(*voter) && !self.caught_up.contains(voter))
            .collect();
        if learners.is_empty() && self.is_due(now, Proposal::Configure(current.id)) {
            let voters::Step { voters, outgoing } = step;
            out.push(Entry::Configure { follows: current.id, voters, outgoing });
        }
        learners
    }
}

#[cfg(test)]
mod tests;
