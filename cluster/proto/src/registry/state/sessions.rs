//! Sessions: which lives of nodes may host named actors.
//!
//! A process that restarts is another process: what its earlier life held may, for all anybody knows, still run.
//! So a new life's session fences those of the earlier ones, and they end like any other: closed, or expired after
//! their leases.
//!
//! Invariants: of one node at most one session is not fenced; a session that is over never opens again; a session
//! expires only after a fence, on certificates of the voters of the configuration that holds.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slot::Slot;
use super::{State, Why};
use crate::error::Refusal;
use crate::id::NodeId;
use crate::registry::id::{ConfigId, Generation, Host, Index, LogTime, SessionId};
use crate::registry::name::Name;
use crate::registry::reply::{Change, Reply};

/// One session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub host: Host,
    /// Whether no voter acknowledges it any more.
    pub is_fenced: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    of_node: BTreeMap<NodeId, BTreeSet<SessionId>>,
}

impl Sessions {
    pub(super) fn get(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(&session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(&id, session)| (id, session))
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn open_of(&self, host: Host) -> Option<SessionId> {
        self.of(host.node).find(|(_, of)| of.host == host && !of.is_fenced).map(|(id, _)| id)
    }

    fn of(&self, node: NodeId) -> impl Iterator<Item = (SessionId, &Session)> {
        let ids = self.of_node.get(&node).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.sessions.get(id)?)))
    }

    /// `false` if it is there already.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) -> bool {
        self.of_node.entry(session.host.node).or_default().insert(id);
        self.sessions.insert(id, session).is_none()
    }

    fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        if let Some(ids) = self.of_node.get_mut(&session.host.node) {
            ids.remove(&id);
            if ids.is_empty() {
                self.of_node.remove(&session.host.node);
            }
        }
        Some(session)
    }
}

impl State {
    pub(super) fn open_session(
        &mut self,
        index: Index,
        host: Host,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        let of_node: Vec<(SessionId, Session)> =
            self.sessions.of(host.node).map(|(id, session)| (id, *session)).collect();
        if let Some(known) = of_node.iter().map(|(_, of)| of.host.life).max()
            && known > host.life
        {
            return Err(Refusal::StaleLife { known });
        }
        if let Some(&(session, of)) = of_node.iter().find(|(_, of)| of.host == host) {
            let opened = Reply::Opened { session };
            return if of.is_fenced { Err(Refusal::Fenced { session }) } else { Ok(opened) };
        }
        if self.sessions.len() >= self.limits.sessions_max {
            return Err(Refusal::SessionsFull { max: self.limits.sessions_max });
        }
        for (session, _) in of_node {
            self.set_fence(session, changes);
        }
        let session = SessionId(index.0);
        self.sessions.insert(session, Session { host, is_fenced: false });
        changes.push(Change::SessionOpened { session, host });
        Ok(Reply::Opened { session })
    }

    pub(super) fn fence(
        &mut self,
        session: SessionId,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        self.known(session)?;
        self.set_fence(session, changes);
        Ok(Reply::Done)
    }

    fn set_fence(&mut self, session: SessionId, changes: &mut Vec<Change>) {
        if let Some(known) = self.sessions.sessions.get_mut(&session)
            && !known.is_fenced
        {
            known.is_fenced = true;
            changes.push(Change::SessionFenced { session });
        }
    }

    /// The node says that all its named actors have stopped: nothing is left to wait for.
    pub(super) fn close_session(
        &mut self,
        session: SessionId,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        self.known(session)?;
        self.end_session(session, None, changes);
        Ok(Reply::Done)
    }

    pub(super) fn expire(
        &mut self,
        session: SessionId,
        config: ConfigId,
        at: LogTime,
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        if !self.known(session)?.is_fenced {
            return Err(Refusal::NotFenced { session });
        }
        if config != self.config.id {
            return Err(Refusal::OtherConfig { current: self.config.id });
        }
        self.end_session(session, Some(at), changes);
        Ok(())
    }

    fn known(&self, session: SessionId) -> Result<&Session, Refusal> {
        self.sessions.get(session).ok_or(Refusal::UnknownSession { session })
    }

    /// Nothing of this session runs any more. `lost_at`: its node was lost then, which counts as a failure.
    fn end_session(
        &mut self,
        session: SessionId,
        lost_at: Option<LogTime>,
        changes: &mut Vec<Change>,
    ) {
        let names: Vec<Name> =
            self.names.of_session(session).into_iter().flatten().cloned().collect();
        for name in names {
            let exhausted =
                self.names.edit(&name, changes, |slot| leave_session(slot, session, lost_at));
            if let Some(generation) = exhausted {
                self.bury(self.applied, &name, generation, Why::Exhausted);
            }
        }
        if let Some(Session { host, .. }) = self.sessions.remove(session) {
            changes.push(Change::SessionEnded { session, host });
        }
    }
}

/// The slot lets go of whatever it has at this session. The grant that was lost once too often, if it was.
fn leave_session(
    slot: &mut Slot,
    session: SessionId,
    lost_at: Option<LogTime>,
) -> Option<Generation> {
    slot.leaving.take_if(|leaving| leaving.session == session);
    let record = slot.record.as_mut()?;
    if record.place.is_none_or(|place| place.session != session) {
        return None;
    }
    if !record.policy.survives_its_node() {
        slot.record = None;
        return None;
    }
    let wait = match lost_at {
        // One that had not begun has not failed.
        Some(at) if record.actor.is_some() => record.window.count(at, &record.policy),
        Some(_) | None => Some(Duration::ZERO),
    };
    (record.place, record.actor) = (None, None);
    let Some(wait) = wait else {
        return slot.record.take().map(|record| record.generation);
    };
    record.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    None
}
