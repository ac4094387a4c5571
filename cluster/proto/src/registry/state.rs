//! The state that the log makes: who has which name, which nodes have a session, who votes.
//!
//! To give a killed or replaced name on at once would be simple, and wrong: its holder may not have heard yet and
//! goes on handling messages. So a slot keeps the one who has the name and, beside it, the one who must let go first;
//! the new one may start when the old one says that it has stopped, or when its session is over.
//!
//! Invariants:
//! - the state is a function of the entries in their order: no clock, no chance, no order of hash tables;
//! - of one name at most one grant may run: the change `Start` comes only when every earlier grant has been released,
//!   has ended or had its session closed or expired;
//! - of one name generations only grow, and what is said of an earlier one changes nothing of a later one;
//! - a request that comes twice is done once, as long as its answer is remembered;
//! - an actor that was killed is not started again, whoever wants it;
//! - each table has a limit, and what is beyond it is refused by type or forgotten by a stated rule.
//!
//! - [`slot`], `names`: one name, and all of them with what is looked up by session.
//! - `sessions`, `grants`, `ends`: what each entry does.
//! - `dedupe`, `tombstones`: what is remembered of what is over.
//! - [`snapshot`]: the whole of it as one value.
//!
//! Pure: no clock, no I/O, no tasks.

mod dedupe;
mod ends;
mod grants;
mod names;
mod sessions;
pub mod slot;
pub mod snapshot;
mod tombstones;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::dedupe::{Dedupe, Seen};
use self::names::Names;
use self::sessions::Sessions;
use self::slot::Slot;
use self::tombstones::Tombstones;
use super::config::Config;
use super::entry::{self, Entry};
use super::id::{
    ClusterId, ConfigId, Generation, Host, Index, LogTime, RequestId, SessionId, VoterId,
};
use super::mutant::Mutant;
use super::name::Name;
use super::reply::{Applied, Change, Grant, Reply};
use crate::error::{ApplyError, Refusal, WireError};

pub use self::sessions::Session;
pub use self::tombstones::{Tombstone, Why};

/// How much a registry holds. Part of the replicated state, for it decides what is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Names that are taken at most; a name that is killed and has not stopped yet counts.
    pub names_max: usize,
    /// Bytes of all specs together at most.
    pub spec_bytes_max: usize,
    /// Sessions at most.
    pub sessions_max: usize,
    /// Killed and exhausted actors that are remembered; the oldest are forgotten first.
    pub tombstones_max: usize,
    /// Answers to requests that are remembered; the oldest are forgotten first.
    pub replies_max: usize,
    /// Answers of one client that are remembered; the oldest are forgotten first.
    pub replies_per_client_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            names_max: 200_000,
            spec_bytes_max: 64 << 20,
            sessions_max: 65_536,
            tombstones_max: 16_384,
            replies_max: 65_536,
            replies_per_client_max: 64,
        }
    }
}

/// The state after all entries up to [`State::applied`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    cluster: ClusterId,
    limits: Limits,
    applied: Index,
    /// The latest time that an entry has carried.
    clock: LogTime,
    config: Config,
    sessions: Sessions,
    names: Names,
    tombstones: Tombstones,
    dedupe: Dedupe,
    mutant: Mutant,
}

impl State {
    /// The state of a cluster that was just founded, before its first entry.
    #[must_use]
    pub fn new(
        cluster: ClusterId,
        limits: Limits,
        founders: impl IntoIterator<Item = VoterId>,
    ) -> Self {
        Self {
            cluster,
            limits,
            applied: Index(0),
            clock: LogTime(0),
            config: Config::uniform(ConfigId(0), founders),
            sessions: Sessions::default(),
            names: Names::default(),
            tombstones: Tombstones::default(),
            dedupe: Dedupe::default(),
            mutant: Mutant::None,
        }
    }

    /// With a bug on purpose: for the mutation gate.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = mutant;
        self
    }

    /// Applies the next committed entry.
    ///
    /// # Errors
    /// [`ApplyError::Old`]: it was applied before. [`ApplyError::Gap`]: another one comes first. Nothing was changed.
    pub fn apply(&mut self, index: Index, entry: &Entry) -> Result<Applied, ApplyError> {
        let expected = self.applied.next();
        if index < expected {
            return Err(ApplyError::Old { index });
        }
        if index > expected {
            return Err(ApplyError::Gap { index, expected });
        }
        self.applied = index;
        let mut changes = Vec::new();
        let outcome = match request_of(entry).map(|request| (request, self.dedupe.look(request))) {
            Some((_, Seen::Before(reply))) if self.mutant != Mutant::NoDedupe => Ok(reply),
            Some((_, Seen::Forgotten)) if self.mutant != Mutant::NoDedupe => {
                Err(Refusal::OldRequest)
            }
            Some((request, _)) => {
                let outcome = self.decide(index, entry, &mut changes);
                let reply = outcome.unwrap_or_else(Reply::Refused);
                self.dedupe.note(index, request, reply.clone(), &self.limits);
                Ok(reply)
            }
            None => self.decide(index, entry, &mut changes),
        };
        Ok(Applied { reply: outcome.unwrap_or_else(Reply::Refused), changes })
    }

    fn decide(
        &mut self,
        index: Index,
        entry: &Entry,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        entry::check(entry).map_err(beyond_limit)?;
        match entry {
            Entry::Blank => Ok(Reply::Done),
            Entry::OpenSession { host } => self.open_session(index, *host, changes),
            Entry::Claim(claim) => self.claim(index, claim, changes),
            Entry::Started { name, generation, actor } => {
                self.started(name, *generation, *actor, changes)
            }
            Entry::Release { name, generation } => self.release(name, *generation, changes),
            Entry::Ended { name, generation, is_failure, at } => {
                let at = self.turn_clock(*at);
                self.ended(index, (name, *generation), *is_failure, at, changes)
            }
            Entry::Kill { name, restart, at, .. } => {
                let at = self.turn_clock(*at);
                self.kill(index, name, *restart, at, changes)
            }
            Entry::CloseSession { session } => self.close_session(*session, changes),
            Entry::Fence { session } => self.fence(*session, changes),
            Entry::Expire { session, config, at, assigns } => {
                let at = self.turn_clock(*at);
                self.expire(*session, *config, at, changes)?;
                self.assign(index, assigns, changes);
                Ok(Reply::Done)
            }
            Entry::Assign { assigns } => {
                self.assign(index, assigns, changes);
                Ok(Reply::Done)
            }
            Entry::Configure { follows, voters, outgoing } => {
                let (voters, outgoing) = (voters.clone(), outgoing.clone());
                let next = Config { id: ConfigId(index.0), voters, outgoing };
                self.configure(*follows, next, changes)
            }
        }
    }

    fn configure(
        &mut self,
        follows: ConfigId,
        next: Config,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        if follows != self.config.id {
            return Err(Refusal::OtherConfig { current: self.config.id });
        }
        if !next.is_within_limits() {
            return Err(Refusal::BeyondLimit { field: "voters".into(), value: 0 });
        }
        if !next.meets(&self.config) && self.mutant != Mutant::AnyConfigFollows {
            return Err(Refusal::QuorumsDoNotMeet);
        }
        self.config = next;
        changes.push(Change::Configured(self.config.clone()));
        Ok(Reply::Done)
    }

    /// The log's time, which never runs backwards.
    fn turn_clock(&mut self, at: LogTime) -> LogTime {
        self.clock = self.clock.max(at);
        self.clock
    }

    /// Which cluster it is the state of.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The last entry that it contains.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.applied
    }

    /// Who votes.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The limits of this cluster.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who has a name.
    #[must_use]
    pub fn grant(&self, name: &Name) -> Option<Grant> {
        self.names.get(name)?.grant()
    }

    /// All of what is known of a name.
    #[must_use]
    pub fn slot(&self, name: &Name) -> Option<&Slot> {
        self.names.get(name)
    }

    /// All names that are taken or not yet let go, in order.
    pub fn slots(&self) -> impl Iterator<Item = (&Name, &Slot)> {
        self.names.iter()
    }

    /// A session that is open or fenced.
    #[must_use]
    pub fn session(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(session)
    }

    /// All sessions, in order.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter()
    }

    /// The session under which this life of a node may take new actors.
    #[must_use]
    pub fn open_session_of(&self, host: Host) -> Option<SessionId> {
        self.sessions.open_of(host)
    }

    /// The names that a session holds or has not let go yet.
    #[must_use]
    pub fn names_of(&self, session: SessionId) -> Option<&BTreeSet<Name>> {
        self.names.of_session(session)
    }

    /// The names that wait for a host.
    #[must_use]
    pub const fn orphans(&self) -> &BTreeSet<Name> {
        self.names.orphans()
    }

    /// Why the last actor of a name must not come back, if that is so and not forgotten.
    #[must_use]
    pub fn tombstone(&self, name: &Name) -> Option<Tombstone> {
        self.tombstones.get(name)
    }

    /// Whether `generation` may still be the one that runs.
    #[must_use]
    pub fn may_run(&self, name: &Name, generation: Generation) -> bool {
        self.names.get(name).is_some_and(|slot| slot.runner() == Some(generation))
    }
}

const fn request_of(entry: &Entry) -> Option<RequestId> {
    match entry {
        Entry::Claim(claim) => Some(claim.request),
        Entry::Kill { request, .. } => Some(*request),
        Entry::Blank
        | Entry::OpenSession { .. }
        | Entry::Started { .. }
        | Entry::Release { .. }
        | Entry::Ended { .. }
        | Entry::CloseSession { .. }
        | Entry::Fence { .. }
        | Entry::Expire { .. }
        | Entry::Assign { .. }
        | Entry::Configure { .. } => None,
    }
}

fn beyond_limit(error: WireError) -> Refusal {
    match error {
        WireError::BadField { field, value } => Refusal::BeyondLimit { field: field.into(), value },
        other => Refusal::BeyondLimit { field: other.to_string(), value: 0 },
    }
}

#[cfg(test)]
mod tests;
