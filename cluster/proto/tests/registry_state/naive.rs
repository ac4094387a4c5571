//! The registry as one would write it down on paper: a list of all grants that ever were.

use mobula_proto::registry::{
    ActorId, Assign, Entry, Generation, Grant, Host, Index, LogTime, Mode, Name, Phase, Policy,
    Reply, RequestId, Restart, SessionId,
};

/// What an entry is answered; the reason of a refusal is not the model's concern.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Has,
    Leaving,
    Over,
}

#[derive(Clone, Debug)]
struct Row {
    name: Name,
    generation: Generation,
    place: Option<(Host, SessionId)>,
    actor: Option<ActorId>,
    policy: Policy,
    restarts: Vec<u64>,
    fate: Fate,
}

#[derive(Debug, Default)]
pub(crate) struct Naive {
    rows: Vec<Row>,
    /// Id, whose, fenced, over.
    sessions: Vec<(SessionId, Host, bool, bool)>,
    answers: Vec<(RequestId, Answer)>,
    clock: u64,
    pub(crate) is_blind: bool,
}

impl Naive {
    pub(crate) fn apply(&mut self, index: Index, entry: &Entry) -> Answer {
        let request = match entry {
            Entry::Claim(claim) => Some(claim.request),
            Entry::Kill { request, .. } => Some(*request),
            _ => None,
        };
        let known = self.answers.iter().find(|(known, _)| Some(*known) == request);
        if let Some((_, answer)) = known {
            return answer.clone();
        }
        let answer = self.decide(index.0, entry).map_or(Answer::Refused, Answer::Reply);
        if let Some(request) = request {
            self.answers.push((request, answer.clone()));
        }
        answer
    }

    pub(crate) fn grant(&self, name: &Name) -> Option<Grant> {
        let row = &self.rows[self.row(name, Fate::Has)?];
        let phase = match (row.place, row.actor) {
            (None, _) => Phase::Orphan,
            _ if self.row(name, Fate::Leaving).is_some() => Phase::Waiting,
            (_, Some(actor)) => Phase::Active(actor),
            (_, None) => Phase::Starting,
        };
        Some(Grant { generation: row.generation, host: row.place.map(|(host, _)| host), phase })
    }

    fn decide(&mut self, index: u64, entry: &Entry) -> Option<Reply> {
        match entry {
            Entry::OpenSession { host } => self.open(index, *host),
            Entry::Claim(claim) => {
                let has = self.grant(&claim.name);
                match (has, claim.mode) {
                    (Some(grant), Mode::GetIfExists) => return Some(Reply::Exists(grant)),
                    (Some(_), Mode::Fail) | (None, Mode::Replace(_)) => return None,
                    (Some(grant), Mode::Replace(meant)) if grant.generation != meant => {
                        return None;
                    }
                    _ => {}
                }
                let place = Some(self.place(claim.host)?);
                self.dismiss(&claim.name);
                let generation = Generation(index);
                let (actor, restarts, fate) = (None, Vec::new(), Fate::Has);
                let (name, policy) = (claim.name.clone(), claim.policy);
                self.rows.push(Row { name, generation, place, actor, policy, restarts, fate });
                Some(Reply::Granted { generation })
            }
            Entry::Started { name, generation, actor } => {
                let row = self.row(name, Fate::Has)?;
                let (_, session) = self.rows[row].place?;
                let is_open = self
                    .sessions
                    .iter()
                    .any(|&(id, _, fenced, over)| id == session && !fenced && !over);
                let waits = self.row(name, Fate::Leaving).is_some();
                if self.rows[row].generation != *generation || !is_open || waits {
                    return None;
                }
                self.rows[row].actor = Some(*actor);
                Some(Reply::Done)
            }
            Entry::Release { name, generation } => {
                let row = self.row_of(name, *generation)?;
                self.rows[row].fate = Fate::Over;
                Some(Reply::Done)
            }
            Entry::Ended { name, generation, is_failure, at } => {
                let at = self.turn(*at);
                let row = self.row_of(name, *generation)?;
                if self.rows[row].fate == Fate::Leaving {
                    self.rows[row].fate = Fate::Over;
                    return Some(Reply::Done);
                }
                self.rows[row].fate = Fate::Over;
                let next = self.follow(index, row, *is_failure, at);
                Some(next.map_or(Reply::Done, |generation| Reply::Restarting { generation }))
            }
            Entry::Kill { name, restart, at, .. } => {
                let at = self.turn(*at);
                let row = self.row(name, Fate::Has)?;
                let generation = self.rows[row].generation;
                self.dismiss(name);
                let next = if *restart { self.follow(index, row, true, at) } else { None };
                Some(match next {
                    Some(generation) => Reply::Restarting { generation },
                    None => Reply::Killed { generation },
                })
            }
            Entry::CloseSession { session } => self.end(*session, None, |_| true),
            Entry::Fence { session } => {
                let of = self.sessions.iter_mut().find(|of| of.0 == *session && !of.3)?;
                of.2 = true;
                Some(Reply::Done)
            }
            Entry::Expire { session, at, assigns, .. } => {
                let at = self.turn(*at);
                self.end(*session, Some(at), |fenced| fenced)?;
                self.assign(index, assigns);
                Some(Reply::Done)
            }
            Entry::Assign { assigns } => {
                self.assign(index, assigns);
                Some(Reply::Done)
            }
            Entry::Blank | Entry::Configure { .. } => Some(Reply::Done),
        }
    }

    fn open(&mut self, index: u64, host: Host) -> Option<Reply> {
        let of_node = |of: &&mut (SessionId, Host, bool, bool)| of.1.node == host.node && !of.3;
        if self.sessions.iter_mut().filter(of_node).any(|of| of.1.life > host.life) {
            return None;
        }
        if let Some(&mut (session, _, fenced, _)) =
            self.sessions.iter_mut().filter(of_node).find(|of| of.1 == host)
        {
            return (!fenced).then_some(Reply::Opened { session });
        }
        self.sessions.iter_mut().filter(of_node).for_each(|of| of.2 = true);
        let session = SessionId(index);
        self.sessions.push((session, host, false, false));
        Some(Reply::Opened { session })
    }

    fn end(
        &mut self,
        session: SessionId,
        lost_at: Option<u64>,
        may: impl Fn(bool) -> bool,
    ) -> Option<Reply> {
        let of = self.sessions.iter_mut().find(|of| of.0 == session && !of.3)?;
        if !may(of.2) {
            return None;
        }
        of.3 = true;
        let here = |row: &Row| row.place.is_some_and(|(_, at)| at == session);
        for row in self.rows.iter_mut().filter(|row| here(row)) {
            match (row.fate, row.policy.restart) {
                (Fate::Leaving, _) | (Fate::Has, Restart::Temporary) => row.fate = Fate::Over,
                (Fate::Has, Restart::Permanent | Restart::Transient) => {
                    if let (Some(at), Some(_)) = (lost_at, row.actor)
                        && !count(&mut row.restarts, &row.policy, at)
                    {
                        row.fate = Fate::Over;
                    }
                    (row.place, row.actor) = (None, None);
                }
                (Fate::Over, _) => {}
            }
        }
        Some(Reply::Done)
    }

    fn assign(&mut self, index: u64, assigns: &[Assign]) {
        for Assign { name, generation, host } in assigns {
            let (Some(place), Some(row)) = (self.place(*host), self.row(name, Fate::Has)) else {
                continue;
            };
            let row = &mut self.rows[row];
            if row.generation == *generation && row.place.is_none() {
                (row.generation, row.place) = (Generation(index), Some(place));
            }
        }
    }

    /// A restart of a row that is over or leaving, if its policy wants one and there is room.
    fn follow(&mut self, index: u64, row: usize, failure: bool, at: u64) -> Option<Generation> {
        let mut next = self.rows[row].clone();
        let wanted = match next.policy.restart {
            Restart::Permanent => true,
            Restart::Transient => failure,
            Restart::Temporary => false,
        };
        if !wanted || !count(&mut next.restarts, &next.policy, at) {
            return None;
        }
        (next.generation, next.actor, next.fate) = (Generation(index), None, Fate::Has);
        self.rows.push(next);
        Some(Generation(index))
    }

    /// Whoever has the name has it no more; if it may run, it is to leave first.
    fn dismiss(&mut self, name: &Name) {
        let somebody_leaves = self.row(name, Fate::Leaving).is_some();
        if let Some(row) = self.row(name, Fate::Has) {
            let may_run = self.rows[row].place.is_some() && !somebody_leaves;
            self.rows[row].fate = if may_run { Fate::Leaving } else { Fate::Over };
        }
    }

    fn row(&self, name: &Name, fate: Fate) -> Option<usize> {
        self.rows.iter().position(|row| row.name == *name && row.fate == fate)
    }

    /// The row that a report is about: who leaves, or who has the name and a place.
    fn row_of(&self, name: &Name, generation: Generation) -> Option<usize> {
        self.rows.iter().position(|row| {
            let is_live =
                row.fate == Fate::Leaving || (row.fate == Fate::Has && row.place.is_some());
            row.name == *name && row.generation == generation && is_live
        })
    }

    fn place(&self, host: Host) -> Option<(Host, SessionId)> {
        let open = self.sessions.iter().find(|of| of.1 == host && !of.2 && !of.3)?;
        Some((host, open.0))
    }

    fn turn(&mut self, at: LogTime) -> u64 {
        self.clock = self.clock.max(at.0);
        self.clock
    }
}

fn count(restarts: &mut Vec<u64>, policy: &Policy, at: u64) -> bool {
    restarts.retain(|earlier| at - earlier < policy.period_ms);
    let has_room = restarts.len() < policy.intensity as usize;
    if has_room {
        restarts.push(at);
    }
    has_room
}
