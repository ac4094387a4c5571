//! Watching the neighbours: heartbeats out, silence in, and what follows from it.
//!
//! Views differ for a while, so an edge may be wanted by one end only; the other end answers all the same, because the
//! one who watches says so in its heartbeats and would take silence for death. When neither wants it, it ends.
//!
//! Invariant: each member we want as a neighbour is heard, or accused in the end; nobody else is accused.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::config::Mutant;
use crate::id::NodeId;
use crate::member::{Record, Status};
use crate::time::Time;

use super::edges::{Edge, Silence};
use super::input::Evidence;
use super::message::{Alert, Fact, Heartbeat, Message, Reason};
use super::output::Output;
use super::turn::Turn;
use super::{Membership, Phase};

/// Edges of one node at most, wanted or not; connections beyond it go unwatched.
const EDGES_MAX: usize = 4_096;

impl Membership {
    /// Everything that is done once a period.
    pub(super) fn beat(&mut self, turn: &mut Turn<'_>) {
        // Silence is measured at the moment we meant to: what came in since waits behind this call.
        let meant = self.next_beat;
        self.next_beat = turn.now + self.config.heartbeat;
        self.remember_rings(turn.now);
        self.votes.expire(turn.now, self.config.alert_after * 2);
        self.votes.reconsider_all();
        self.release_held(turn);
        self.return_if_due(turn);
        self.draw_edges(turn);
        self.send_heartbeats(turn);
        if self.in_exile() {
            self.probe_all(turn);
        } else {
            self.listen_for_silence(meant, turn);
            self.vouch(meant, turn);
        }
        self.tend_connections(turn);
        self.keep_timetable(turn);
    }

    /// Makes the edges those of the view.
    pub(super) fn draw_edges(&mut self, turn: &mut Turn<'_>) {
        let version = Some(self.view.rings().version());
        let is_frozen = self.config.mutant == Mutant::NoRepair && self.view.live_count() > 2;
        if self.overlay_version == version || (is_frozen && self.overlay_version.is_some()) {
            return;
        }
        self.overlay_version = version;
        // Also if we are counted out: our return depends on whether those who will watch us hear us.
        let wanted = self.view.neighbours(self.me.node);
        for (node, edge) in &mut self.edges {
            if edge.wanted_since.is_some() && wanted.binary_search(node).is_err() {
                edge.wanted_since = None;
                edge.alerted = None;
                edge.probe = None;
            }
        }
        for node in wanted {
            let edge = self.edges.entry(node).or_insert_with(|| Edge::new(turn.now));
            if edge.wanted_since.is_none() {
                edge.wanted_since = Some(turn.now);
                edge.refuted = None;
                edge.kept = true;
                // One end dials at once; the other only if nothing comes of it.
                let waits = !edge.connected && self.me.node > node;
                edge.dial_at = if waits { turn.now + self.config.heartbeat } else { turn.now };
                if !waits {
                    self.dial(node, turn);
                }
            }
        }
    }

    pub(super) fn dial(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        let Some(record) = self.view.get(node) else { return };
        let details = record.details.clone();
        if let Some(edge) = self.edges.get_mut(&node) {
            edge.dial_at = turn.now + self.config.retry_every;
        }
        turn.out.push(Output::Connect { node, details });
    }

    fn send_heartbeats(&mut self, turn: &mut Turn<'_>) {
        self.sequence += 1;
        let beat = Heartbeat {
            incarnation: self.me.incarnation,
            sequence: self.sequence,
            wanted: true,
            view_hash: self.view.hash(),
            loads: self.loads.take(turn.rng),
        };
        for (node, edge) in &self.edges {
            let wanted = edge.wanted_since.is_some();
            let answers =
                edge.peer_wants(turn.now, self.config.alert_after) && self.view.is_live(*node);
            if edge.connected && (wanted || answers) {
                turn.send(*node, Message::Heartbeat(Heartbeat { wanted, ..beat.clone() }));
            }
        }
    }

    fn listen_for_silence(&mut self, meant: Time, turn: &mut Turn<'_>) {
        let stretch = self.health.stretch_percent(turn.now, self.config.self_doubt);
        let restarted = self.health.restarted;
        let measured: Vec<(NodeId, Silence)> = self
            .edges
            .iter()
            .filter(|(_, edge)| edge.wanted_since.is_some())
            .map(|(node, edge)| (*node, edge.silence(meant, restarted, stretch, &self.config)))
            .filter(|(_, silence)| *silence > Silence::Fresh)
            .collect();
        let alarming_count = measured.iter().filter(|(_, s)| *s == Silence::Alarming).count();
        let unheard_count = measured.iter().filter(|(_, s)| *s >= Silence::Suspicious).count();
        self.seek_strangers(unheard_count, turn);
        self.consider_isolation(alarming_count, stretch, turn);
        for (node, silence) in measured {
            match silence {
                Silence::Fresh => {}
                Silence::Doubtful => self.probe(node, turn),
                Silence::Suspicious => self.suspect(node, turn),
                Silence::Alarming => {
                    self.suspect(node, turn);
                    self.alert(node, Reason::Silence, turn);
                }
            }
        }
        // Alerts last as long as they are renewed.
        let window = self.config.alert_after;
        let old = |edge: &Edge| edge.alerted.is_some_and(|given| turn.now.since(given) >= window);
        let renewals = self.edges.iter().filter(|(_, edge)| old(edge)).map(|(node, _)| *node);
        for node in renewals.collect::<Vec<_>>() {
            self.give(node, Reason::Silence, true, turn);
        }
    }

    fn probe(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        let nonce = turn.rng.next_u64();
        if let Some(edge) = self.edges.get_mut(&node)
            && edge.connected
            && edge.probe.is_none()
        {
            edge.probe = Some(nonce);
            turn.send(node, Message::Probe { nonce });
        }
    }

    fn probe_all(&mut self, turn: &mut Turn<'_>) {
        let nonce = turn.rng.next_u64();
        for (node, edge) in &mut self.edges {
            if edge.connected && edge.wanted_since.is_some() {
                edge.probe = Some(nonce);
                turn.send(*node, Message::Probe { nonce });
            }
        }
    }

    fn suspect(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        let Some(record) = self.view.get(node).filter(|record| record.status == Status::Alive)
        else {
            return;
        };
        let record = Record { status: Status::Suspect, ..record.clone() };
        if self.edges.get(&node).is_some_and(|edge| edge.connected) {
            turn.send(node, Message::Facts(vec![Fact::Record(record.clone())]));
        }
        self.apply(&record, Vec::new(), turn);
        self.publish(Fact::Record(record), turn);
    }

    /// Contradicts alerts on those we hear, once a window: who says neither cannot be asked.
    fn vouch(&mut self, meant: Time, turn: &mut Turn<'_>) {
        if self.votes.is_empty() {
            return;
        }
        let (window, restarted) = (self.config.alert_after, self.health.restarted);
        let hears = |edge: &Edge| {
            edge.alerted.is_none()
                && edge.heard_since_wanted().is_some()
                && edge.silence(meant, restarted, 100, &self.config) == Silence::Fresh
                && edge.vouched.is_none_or(|said| turn.now.since(said) >= window)
        };
        let contradicted: Vec<NodeId> = self
            .edges
            .iter()
            .filter(|(node, edge)| self.votes.is_accused(**node) && hears(edge))
            .map(|(node, _)| *node)
            .collect();
        for node in contradicted {
            self.give(node, Reason::Silence, false, turn);
            if let Some(edge) = self.edges.get_mut(&node) {
                edge.vouched = Some(turn.now);
            }
        }
    }

    fn alert(&mut self, node: NodeId, reason: Reason, turn: &mut Turn<'_>) {
        if self.edges.get(&node).is_some_and(|edge| edge.alerted.is_none()) {
            self.give(node, reason, true, turn);
        }
    }

    /// Gives an alert, renews it, or takes it back.
    fn give(&mut self, accused: NodeId, reason: Reason, on: bool, turn: &mut Turn<'_>) {
        let Some(record) = self.view.get(accused).filter(|record| record.status.is_live()) else {
            return;
        };
        self.sequence += 1;
        let alert = Alert {
            accused,
            incarnation: record.incarnation,
            observer: self.me.node,
            observer_incarnation: self.me.incarnation,
            sequence: self.sequence,
            reason,
            on,
        };
        if let Some(edge) = self.edges.get_mut(&accused) {
            edge.alerted = on.then_some(turn.now);
        }
        self.votes.file(turn.now, &alert, &self.view, self.config.accused_max);
        self.publish(Fact::Alert(alert), turn);
    }

    /// Takes all our alerts back: we do not trust our ears.
    pub(super) fn withhold_alerts(&mut self, turn: &mut Turn<'_>) {
        let alerted = self.edges.iter().filter(|(_, edge)| edge.alerted.is_some());
        for node in alerted.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.give(node, Reason::Silence, false, turn);
        }
    }

    /// A fresh sign of life.
    pub(super) fn heard(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        let Some(edge) = self.edges.get_mut(&node) else { return };
        edge.heard = Some(turn.now);
        edge.probe = None;
        self.reunite(turn);
        let Some(edge) = self.edges.get_mut(&node) else { return };
        edge.refuted = None;
        if edge.alerted.is_some() && self.config.mutant != Mutant::NoRetraction {
            self.give(node, Reason::Silence, false, turn);
        }
    }

    pub(super) fn heartbeat(&mut self, from: NodeId, beat: &Heartbeat, turn: &mut Turn<'_>) {
        let is_new = !self.edges.contains_key(&from);
        if from == self.me.node || (is_new && self.edges.len() >= EDGES_MAX) {
            return;
        }
        let (now, retry) = (turn.now, self.config.retry_every);
        let edge = self.edges.entry(from).or_insert_with(|| Edge::new(now));
        edge.connected = true;
        if beat.wanted {
            edge.peer_wanted = Some(now);
            edge.kept = true;
        }
        let may_tell = edge.told.is_none_or(|told| now.since(told) >= retry);
        let record = self.view.get(from);
        let answer = record.map_or_else(
            || Some(Message::DigestRequest { hashes: self.view.hashes().to_vec() }),
            |record| correction(record, beat),
        );
        let edge = self.edges.entry(from).or_insert_with(|| Edge::new(now));
        if may_tell && let Some(answer) = answer {
            edge.told = Some(now);
            turn.send(from, answer);
        }
        let is_current =
            record.is_some_and(|r| r.status.is_live() && r.incarnation <= beat.incarnation);
        if !is_current || (beat.incarnation, beat.sequence) <= edge.last_beat {
            return;
        }
        edge.last_beat = (beat.incarnation, beat.sequence);
        self.heard(from, turn);
        for report in beat.loads.iter() {
            if report.node != self.me.node && self.view.is_live(report.node) {
                self.loads.keep(*report, self.config.loads_max, turn.rng);
            }
        }
        self.compare_hashes(from, beat.view_hash, turn);
    }

    pub(super) fn connected(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        if node == self.me.node
            || (self.edges.len() >= EDGES_MAX && !self.edges.contains_key(&node))
        {
            return;
        }
        let edge = self.edges.entry(node).or_insert_with(|| Edge::new(turn.now));
        edge.connected = true;
        edge.kept = true;
        // Whoever dialled may want it; give it time to say so.
        edge.peer_wanted = Some(turn.now);
        edge.probe = None;
        self.redials.remove(&node);
        self.greet(node, turn);
    }

    pub(super) fn disconnected(&mut self, node: NodeId, evidence: Evidence, turn: &mut Turn<'_>) {
        let Some(edge) = self.edges.get_mut(&node) else {
            self.redials.remove(&node);
            return;
        };
        edge.connected = false;
        edge.probe = None;
        edge.mismatches = 0;
        if edge.wanted_since.is_none() {
            self.edges.remove(&node);
            self.redials.remove(&node);
            return;
        }
        let is_hard = match evidence {
            Evidence::Refused => true,
            Evidence::Reset => self.config.mutant == Mutant::ResetIsHardEvidence,
            Evidence::Closed | Evidence::Unknown => false,
        };
        // Who has never been heard here may have an address that only others can reach.
        let is_proof = is_hard && edge.heard_since_wanted().is_some();
        match evidence {
            _ if is_proof => {
                self.redials.remove(&node);
                self.alert(node, Reason::Refused, turn);
            }
            Evidence::Reset => self.cut_off(node, turn),
            Evidence::Unknown => self.missed(node, turn),
            Evidence::Refused | Evidence::Closed => drop(self.redials.remove(&node)),
        }
    }

    /// Dials what is wanted and lets go what nobody wants.
    fn tend_connections(&mut self, turn: &mut Turn<'_>) {
        let span = self.config.alert_after;
        let is_joining = matches!(self.phase, Phase::Joining(_));
        let mut dials = Vec::new();
        self.edges.retain(|node, edge| {
            if edge.wanted_since.is_some() {
                if !edge.connected && turn.now >= edge.dial_at {
                    dials.push(*node);
                }
                return true;
            }
            let is_useful = edge.peer_wants(turn.now, span) || is_joining;
            if edge.kept && !is_useful {
                edge.kept = false;
                turn.out.push(Output::Disconnect { node: *node });
            }
            edge.connected || is_useful
        });
        for node in dials {
            self.dial(node, turn);
        }
    }
}

/// What to tell a peer whose heartbeat shows that it does not know how it stands.
fn correction(record: &Record, beat: &Heartbeat) -> Option<Message> {
    if record.incarnation > beat.incarnation && record.status.is_live() {
        return Some(Message::StaleIncarnation { known: record.incarnation });
    }
    let is_behind = record.incarnation >= beat.incarnation;
    let is_news = !record.status.is_live() || record.status == Status::Suspect;
    (is_behind && is_news).then(|| Message::Facts(vec![Fact::Record(record.clone())]))
}
