//! Joining, comparing views, and finding the lost again.
//!
//! Broadcasts get lost, and a newcomer has heard none. Sending whole views around would cost O(N) each time; so two nodes
//! compare 64 hashes and exchange only the buckets that differ: with a random neighbour now and then, and with a
//! neighbour whose heartbeats keep showing another hash. Who is down is dialled at random, because after a cut has
//! healed nobody has a reason to talk across it.
//!
//! Invariant: two live members that stay connected come to know the same, whatever was lost.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::config::{Config, Mutant};
use crate::id::NodeId;
use crate::member::{Member, Record, Status};
use crate::time::Time;

use super::learn::Road;
use super::message::{BUCKETS, Fact, Message, RECORDS_MAX};
use super::output::{MembershipEvent, Output};
use super::spread::scramble;
use super::turn::Turn;
use super::{Membership, Phase};

/// Buckets in one answer at most: a healed cut is repaired in some steps, not in one flood.
const BUCKETS_ANSWERED_MAX: usize = 16;

/// When to do next what is done now and then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timetable {
    digest_at: Time,
    repair_at: Time,
    heal_at: Time,
    forget_at: Time,
}

impl Timetable {
    pub(super) fn new(config: &Config, node: NodeId, now: Time) -> Self {
        // Not all at once.
        let share = u32::try_from(scramble(!node.0) >> 32).unwrap_or(0);
        let first = |period: std::time::Duration| {
            now + period.mul_f64(f64::from(share) / f64::from(u32::MAX))
        };
        Self {
            digest_at: first(config.digest_every),
            repair_at: now,
            heal_at: first(config.heal_every),
            forget_at: now + config.heal_every,
        }
    }
}

impl Membership {
    pub(super) fn keep_timetable(&mut self, turn: &mut Turn<'_>) {
        if let Phase::Joining(at) = self.phase
            && at <= turn.now
        {
            self.ask_to_join(turn);
        }
        if self.timetable.digest_at <= turn.now {
            self.timetable.digest_at = turn.now + self.config.digest_every;
            let neighbours: Vec<NodeId> = self
                .edges
                .iter()
                .filter(|(_, edge)| edge.connected && edge.wanted_since.is_some())
                .map(|(node, _)| *node)
                .collect();
            if let Some(node) = pick(&neighbours, turn) {
                self.ask_digest(node, turn);
            }
        }
        if self.timetable.heal_at <= turn.now {
            self.timetable.heal_at = turn.now + self.config.heal_every;
            self.dial_somebody_down(turn);
        }
        if self.timetable.forget_at <= turn.now {
            self.timetable.forget_at = turn.now + self.config.heal_every;
            self.forget_departed(turn.now);
        }
    }

    fn dial_somebody_down(&mut self, turn: &mut Turn<'_>) {
        if self.config.mutant == Mutant::NoHealDial {
            return;
        }
        let down = self.departed.iter().filter(|(_, departed)| departed.is_down);
        // We are among them ourselves after we were declared down.
        let down: Vec<NodeId> =
            down.map(|(node, _)| *node).filter(|node| *node != self.me.node).collect();
        let Some(node) = pick(&down, turn) else { return };
        // Dialed although it stands, a connection would never be given back.
        if self.edges.get(&node).is_some_and(|edge| edge.connected) {
            return self.greet(node, turn);
        }
        if let Some(record) = self.view.get(node) {
            let details = record.details.clone();
            turn.out.push(Output::Connect { node, details });
        }
    }

    /// The first words on a new connection.
    pub(super) fn greet(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Joining(_)) {
            turn.send(node, Message::Join(self.me.clone()));
            return;
        }
        // A stranger may be of an island that formed apart: what it knows joins the two.
        let Some(record) = self.view.get(node) else { return self.ask_digest(node, turn) };
        if record.status == Status::Down {
            turn.send(node, Message::Facts(vec![Fact::Record(record.clone())]));
            self.ask_digest(node, turn);
        }
    }

    pub(super) fn ask_to_join(&mut self, turn: &mut Turn<'_>) {
        self.phase = Phase::Joining(turn.now + self.config.retry_every);
        let connected = self.edges.iter().filter(|(_, edge)| edge.connected);
        let contacts: Vec<NodeId> = connected.map(|(node, _)| *node).collect();
        if let Some(contact) = pick(&contacts, turn) {
            turn.send(contact, Message::Join(self.me.clone()));
        }
    }

    /// Somebody wants in.
    pub(super) fn admit(&mut self, from: NodeId, member: &Member, turn: &mut Turn<'_>) {
        if member.node != from || from == self.me.node {
            return;
        }
        if let Some(edge) = self.edges.get_mut(&from) {
            edge.peer_wanted = Some(turn.now);
        }
        let record = Record::alive(member);
        if let Some(known) = self.view.get(from) {
            let same = known.details.life == member.details.life && known.status.is_live();
            let is_stale = known.incarnation > member.incarnation
                || (known.incarnation == member.incarnation && !same);
            if is_stale {
                turn.send(from, Message::StaleIncarnation { known: known.incarnation });
                return;
            }
        }
        let known_before = self.view.get(from).map(|known| known.incarnation);
        self.learn(record.clone(), Vec::new(), Road::Broadcast, turn);
        if !self.view.is_live(from) {
            // No room.
            return;
        }
        if known_before != Some(record.incarnation) {
            self.publish(Fact::Record(record), turn);
        }
        let live: Vec<Record> =
            self.view.iter().filter(|record| record.status.is_live()).cloned().collect();
        let parts = live.chunks(RECORDS_MAX).count();
        for (index, part) in live.chunks(RECORDS_MAX).enumerate() {
            let last = index + 1 == parts;
            turn.send(from, Message::JoinAck { records: part.to_vec(), last });
        }
    }

    /// Somebody lets us in, and tells whom it knows.
    pub(super) fn admitted(
        &mut self,
        from: NodeId,
        records: Vec<Record>,
        last: bool,
        turn: &mut Turn<'_>,
    ) {
        for record in records {
            self.learn(record, Vec::new(), Road::Exchange, turn);
        }
        if last && matches!(self.phase, Phase::Joining(_)) {
            self.phase = Phase::In;
            turn.event(MembershipEvent::JoinCompleted { member_count: self.view.live_count() });
            self.ask_digest(from, turn);
        }
    }

    fn ask_digest(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        if self.config.mutant != Mutant::NoAntiEntropy {
            turn.send(node, Message::DigestRequest { hashes: self.view.hashes().to_vec() });
        }
    }

    /// A neighbour's heartbeat showed its fingerprint. Broadcasts in flight differ for a moment, lost ones for long.
    pub(super) fn compare_hashes(&mut self, from: NodeId, hash: u64, turn: &mut Turn<'_>) {
        let differs = hash != self.view.hash();
        let Some(edge) = self.edges.get_mut(&from) else { return };
        edge.mismatches = if differs { edge.mismatches + 1 } else { 0 };
        // One end asks; the other only if nothing comes of it.
        let patience = if self.me.node < from { 2 } else { 4 };
        if edge.mismatches >= patience && turn.now >= self.timetable.repair_at {
            edge.mismatches = 0;
            self.timetable.repair_at = turn.now + self.config.repair_every;
            self.ask_digest(from, turn);
        }
    }

    pub(super) fn answer_digest(&mut self, from: NodeId, hashes: &[u64], turn: &mut Turn<'_>) {
        let ours = self.view.hashes();
        let first = (turn.rng.next_u64() % BUCKETS as u64) as usize;
        let around = (0..BUCKETS).map(|step| (first + step) % BUCKETS);
        let mut buckets = 0_u64;
        let mut records: Vec<Record> = Vec::new();
        for bucket in
            around.filter(|b| hashes.get(*b) != Some(&ours[*b])).take(BUCKETS_ANSWERED_MAX)
        {
            let content: Vec<Record> = self.view.bucket(bucket).cloned().collect();
            if buckets != 0 && records.len() + content.len() > RECORDS_MAX * 8 {
                break;
            }
            buckets |= 1 << bucket;
            records.extend(content);
        }
        if buckets != 0 {
            turn.send(from, Message::DigestResponse { buckets, records });
        }
    }

    /// Learns what the other has, and sends back what it lacks.
    pub(super) fn compare(
        &mut self,
        from: NodeId,
        buckets: u64,
        mut records: Vec<Record>,
        turn: &mut Turn<'_>,
    ) {
        records.sort_by_key(|record| record.node);
        let theirs = |node: NodeId| {
            records.binary_search_by_key(&node, |record| record.node).ok().map(|at| &records[at])
        };
        let beyond: Vec<Record> = (0..BUCKETS)
            .filter(|bucket| buckets & (1 << bucket) != 0)
            .flat_map(|bucket| self.view.bucket(bucket))
            .filter(|ours| {
                theirs(ours.node)
                    .map_or(ours.status.is_live(), |theirs| ours.precedence(theirs).is_gt())
            })
            .cloned()
            .collect();
        for part in beyond.chunks(RECORDS_MAX) {
            turn.send(from, Message::Records(part.to_vec()));
        }
        for record in records {
            self.learn(record, Vec::new(), Road::Exchange, turn);
        }
    }
}

fn pick(nodes: &[NodeId], turn: &mut Turn<'_>) -> Option<NodeId> {
    if nodes.is_empty() {
        return None;
    }
    nodes.get((turn.rng.next_u64() % nodes.len() as u64) as usize).copied()
}
