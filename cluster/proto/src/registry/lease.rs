//! A node's lease: how long its named actors may go on without hearing from the voters.
//!
//! A heartbeat says that a node was alive when it was sent; a lease must say until when nobody else may have the
//! node's names. Counted from the arrival of the acknowledgement it would be too long by the time the renewal was
//! under way, which nobody knows; so it counts from the sending.
//!
//! Invariants:
//! - [`Lease::serves`] is true only within `lease` of the sending of a renewal that a quorum of one configuration has
//!   acknowledged: `lease_until` = (sending of the newest such renewal) + lease;
//! - it is false as soon as the node knows that its session is fenced or over, and never true again for that session;
//! - when it turns false, the named actors are told to stop, once.
//!
//! What clocks cannot cover: a handler that was running when the process was paused goes on after it. Its effects are
//! turned away by their generation, at our own receivers and wherever the fencing token is checked.
//!
//! The clock must go on while the machine is suspended (`CLOCK_BOOTTIME`), or a lease would outlast its time.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::Config;
use super::id::{ConfigId, Host, SessionId, VoterId};
use super::mutant::Mutant;
use super::reply::Change;
use super::settings::Settings;
use super::state::State;
use super::voter::{Ack, Renewal};
use crate::time::Time;

/// Renewals that are kept in mind at most; older ones could hardly be acknowledged in time.
pub const OUTSTANDING_MAX: usize = 16;

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send it; if it is lost, the next one will do.
    Renew {
        /// To whom.
        to: VoterId,
        /// What.
        renewal: Renewal,
    },
    /// Have the log open a session for this life. Said again until there is one.
    OpenSession,
    /// Named actors may start to handle messages until then; later, if it is said again.
    ServeUntil {
        /// By this node's clock.
        until: Time,
    },
    /// The lease is over: stop all named actors and drop their state. What they were doing must have no effect.
    Stop {
        /// Which session they were under.
        session: SessionId,
    },
}

/// The lease of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    settings: Settings,
    host: Host,
    /// Whether the node hosts named actors or is about to.
    is_wanted: bool,
    session: Option<Session>,
    /// The newest known, and the one before it: what was acknowledged under that still counts.
    config: Config,
    previous: Option<Config>,
    /// When the next renewal, or the next call for a session, is due.
    due: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    id: SessionId,
    is_fenced: bool,
    until: Time,
    /// Whether actors run, as far as the driver was told.
    is_serving: bool,
    /// The number of the last renewal.
    sequence: u64,
    sent: BTreeMap<u64, Sent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sent {
    at: Time,
    acks: BTreeSet<(ConfigId, VoterId)>,
}

impl Lease {
    /// No lease yet, and none wanted.
    #[must_use]
    pub const fn new(settings: Settings, host: Host, config: Config) -> Self {
        let (is_wanted, session, previous, due) = (false, None, None, Time::ZERO);
        Self { settings, host, is_wanted, session, config, previous, due }
    }

    /// Whether named actors may start to handle a message, and messages of theirs may leave, now.
    #[must_use]
    pub fn serves(&self, now: Time) -> bool {
        now < self.until()
    }

    /// Until when they may: for a driver that keeps it in an atomic. [`Time::ZERO`] if not at all.
    #[must_use]
    pub fn until(&self) -> Time {
        let session = self.session.as_ref().filter(|session| !session.is_fenced);
        session.map_or(Time::ZERO, |session| session.until)
    }

    /// The session of this node, if it has one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    /// Whether the node hosts named actors, or is about to. A node that leaves wants none, and then closes its session.
    pub const fn want(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// When [`Lease::tick`] is next worth calling.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        match &self.session {
            None => self.is_wanted.then_some(self.due),
            Some(session) if session.is_fenced => None,
            Some(session) if session.is_serving => Some(self.due.min(session.until)),
            Some(_) => Some(self.due),
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(session) = &mut self.session
            && session.is_serving
            && now >= session.until
        {
            session.stop(out);
        }
        if now < self.due {
            return;
        }
        match &mut self.session {
            None if self.is_wanted => out.push(Output::OpenSession),
            Some(session) if !session.is_fenced => {
                let renewal = session.next_renewal(now, self.settings.lease);
                let voters = self.config.everybody().into_iter();
                out.extend(voters.map(|to| Output::Renew { to, renewal }));
            }
            None | Some(_) => return,
        }
        self.due = now + self.settings.renew_every;
    }

    /// A voter has acknowledged a renewal. `from`: as authenticated by the connection.
    pub fn handle_ack(&mut self, now: Time, from: VoterId, ack: Ack, out: &mut Vec<Output>) {
        let Some(session) = self.session.as_mut().filter(|session| session.id == ack.session)
        else {
            return;
        };
        let Some(sent) = session.sent.get_mut(&ack.sequence) else { return };
        sent.acks.insert((ack.config, from));
        self.count(now, out);
    }

    /// Something in the log has changed, as far as this node knows it.
    pub fn handle_change(&mut self, now: Time, change: &Change, out: &mut Vec<Output>) {
        match change {
            Change::SessionOpened { session, host } if *host == self.host => {
                self.begin(now, *session, out);
            }
            Change::SessionFenced { session } => {
                if let Some(ours) = self.session.as_mut().filter(|ours| ours.id == *session) {
                    ours.stop(out);
                    ours.is_fenced = true;
                }
            }
            Change::SessionEnded { session, .. } => {
                if let Some(ours) = self.session.as_mut().filter(|ours| ours.id == *session) {
                    ours.stop(out);
                    self.session = None;
                    self.due = now;
                }
            }
            Change::Configured(config) => {
                self.previous = Some(std::mem::replace(&mut self.config, config.clone()));
                self.count(now, out);
            }
            Change::SessionOpened { .. }
            | Change::Start { .. }
            | Change::Stop { .. }
            | Change::Active { .. }
            | Change::Orphaned { .. }
            | Change::Gone { .. } => {}
        }
    }

    /// The node took the state over as a whole: changes were not told one by one.
    pub fn handle_snapshot(&mut self, now: Time, state: &State, out: &mut Vec<Output>) {
        if state.config().id != self.config.id {
            self.handle_change(now, &Change::Configured(state.config().clone()), out);
        }
        if let Some(ours) = &self.session {
            let (session, host) = (ours.id, self.host);
            match state.session(session) {
                None => self.handle_change(now, &Change::SessionEnded { session, host }, out),
                Some(known) if known.is_fenced => {
                    self.handle_change(now, &Change::SessionFenced { session }, out);
                }
                Some(_) => {}
            }
        }
        if let Some(session) = state.open_session_of(self.host) {
            self.begin(now, session, out);
        }
    }

    fn begin(&mut self, now: Time, id: SessionId, out: &mut Vec<Output>) {
        match &mut self.session {
            Some(ours) if ours.id == id => return,
            Some(ours) => ours.stop(out),
            None => {}
        }
        self.session = Some(Session {
            id,
            is_fenced: false,
            until: Time::ZERO,
            is_serving: false,
            sequence: 0,
            sent: BTreeMap::new(),
        });
        self.due = now;
    }

    /// Whether the newest renewal of which a quorum has been heard moves the lease.
    fn count(&mut self, now: Time, out: &mut Vec<Output>) {
        let configs = [Some(&self.config), self.previous.as_ref()];
        let (lease, mutant) = (self.settings.lease, self.settings.mutant);
        let Some(session) = self.session.as_mut().filter(|session| !session.is_fenced) else {
            return;
        };
        let is_acked = |sent: &Sent| {
            configs.into_iter().flatten().any(|config| is_quorum_of(config, &sent.acks, mutant))
        };
        let newest = session.sent.iter().rev().find(|(_, sent)| is_acked(sent));
        let Some((&sequence, Sent { at, .. })) = newest else { return };
        let until = if mutant == Mutant::LeaseFromAck { now + lease } else { *at + lease };
        // What is older than it can add nothing.
        session.sent.retain(|&other, _| other >= sequence);
        if until > session.until {
            session.until = until;
            if now < until {
                session.is_serving = true;
                out.push(Output::ServeUntil { until });
            }
        }
    }

    /// For models: as if so much time had passed while the clock stood still at `now`. What is so old that nobody can
    /// tell how old is made alike.
    #[doc(hidden)]
    pub fn age_by(&mut self, now: Time, span: Duration) {
        let lease = self.settings.lease;
        let older = |at: Time| Some(at.before(span)).filter(|&at| now < at).unwrap_or_default();
        self.due = older(self.due);
        if let Some(session) = &mut self.session {
            session.until = older(session.until);
            session.sent.values_mut().for_each(|sent| sent.at = sent.at.before(span));
            session.sent.retain(|_, sent| now < sent.at + lease);
        }
    }

    /// For models: what was sent last.
    #[doc(hidden)]
    #[must_use]
    pub fn newest_renewal(&self) -> Option<Renewal> {
        let session = self.session.as_ref().filter(|session| session.sequence > 0)?;
        Some(Renewal { session: session.id, sequence: session.sequence })
    }

    /// For models: the numbers of renewals, lowered so that the oldest in mind, or the next, is number 1; by how much.
    #[doc(hidden)]
    pub fn renumber(&mut self) -> u64 {
        let Some(session) = &mut self.session else { return 0 };
        let first = session.sent.keys().next().map_or(session.sequence + 1, |&first| first);
        let by = first - 1;
        let sent = std::mem::take(&mut session.sent).into_iter();
        session.sent = sent.map(|(sequence, sent)| (sequence - by, sent)).collect();
        session.sequence -= by;
        by
    }
}

fn is_quorum_of(config: &Config, acks: &BTreeSet<(ConfigId, VoterId)>, mutant: Mutant) -> bool {
    match mutant {
        Mutant::OneAck => !acks.is_empty(),
        Mutant::MixConfigs => config.is_quorum(|voter| acks.iter().any(|&(_, by)| by == voter)),
        _ => config.is_quorum(|voter| acks.contains(&(config.id, voter))),
    }
}

impl Session {
    fn next_renewal(&mut self, now: Time, lease: Duration) -> Renewal {
        self.sent.retain(|_, sent| now < sent.at + lease);
        while self.sent.len() >= OUTSTANDING_MAX {
            self.sent.pop_first();
        }
        self.sequence += 1;
        self.sent.insert(self.sequence, Sent { at: now, acks: BTreeSet::new() });
        Renewal { session: self.id, sequence: self.sequence }
    }

    fn stop(&mut self, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.is_serving) {
            out.push(Output::Stop { session: self.id });
        }
    }
}

#[cfg(test)]
mod tests;
