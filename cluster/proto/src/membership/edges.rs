//! One edge of the overlay: what we have heard on it, and what its silence means by now.
//!
//! Silence is counted from the last fresh sign of life; but on a new edge, or after we ourselves were stopped, from when
//! hearing could begin. Else a busy join or a stopped laptop would accuse the world.
//! A refutation that came by detours is a sign of life, too: a bridge between two halves is no death of either.
//!
//! Invariant: a sign of life counts once: a copy or a straggler (its sequence is not above the last) is no sign.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use crate::config::{Config, Mutant};
use crate::id::Incarnation;
use crate::time::Time;

/// How often windows double on an edge whose peer refutes again and again and is never heard.
const DOUBLINGS_MAX: u32 = 2;

/// What the silence on an edge means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Silence {
    /// Nothing.
    Fresh,
    /// Ask.
    Doubtful,
    /// Suspect.
    Suspicious,
    /// Vote.
    Alarming,
}

/// A control connection, or the wish for one.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    /// Whether the driver holds a connection.
    pub(super) connected: bool,
    /// Whether the overlay wants it, and since when.
    pub(super) wanted_since: Option<Time>,
    /// When the peer last said that it wants it.
    pub(super) peer_wanted: Option<Time>,
    /// When we last heard a fresh sign of life.
    pub(super) heard: Option<Time>,
    /// Incarnation and sequence of the last heartbeat.
    pub(super) last_beat: (Incarnation, u64),
    /// Probe that waits for its answer.
    pub(super) probe: Option<u64>,
    /// When we last gave or renewed an alert that holds.
    pub(super) alerted: Option<Time>,
    /// When to ask for a connection again.
    pub(super) dial_at: Time,
    /// Heartbeats in a row whose view differed from ours.
    pub(super) mismatches: u32,
    /// When we last told the peer what is said of it.
    pub(super) told: Option<Time>,
    /// Whether the driver has been asked, or let, to keep the connection.
    pub(super) kept: bool,
    /// When the peer last refuted what was said of it, and how often in a row without being heard here.
    pub(super) refuted: Option<(Time, u32)>,
    /// When we last said that we hear it, against an alert.
    pub(super) vouched: Option<Time>,
}

impl Edge {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            connected: false,
            wanted_since: None,
            peer_wanted: None,
            heard: None,
            last_beat: (Incarnation(0), 0),
            probe: None,
            alerted: None,
            dial_at: now,
            mismatches: 0,
            told: None,
            kept: false,
            refuted: None,
            vouched: None,
        }
    }

    /// The peer is in a new life: what was heard, or not, of the old one says nothing of it.
    pub(super) const fn begin_anew(&mut self, now: Time) {
        if self.wanted_since.is_some() {
            self.wanted_since = Some(now);
        }
        self.heard = None;
        self.probe = None;
        self.refuted = None;
        self.vouched = None;
        self.alerted = None;
    }

    /// What the silence means at `now`; `restarted` is when we last distrusted ourselves, `stretch_percent` by how much still.
    pub(super) fn silence(
        &self,
        now: Time,
        restarted: Time,
        stretch_percent: u32,
        config: &Config,
    ) -> Silence {
        let Some(wanted) = self.wanted_since else { return Silence::Fresh };
        let grace =
            if config.mutant == Mutant::NoEdgeGrace { 1 } else { config.edge_grace_windows };
        let patience = config.alert_after * grace.saturating_sub(1);
        let begin = self.heard_since_wanted().unwrap_or(wanted + patience);
        // Who refutes is alive, though not for our ears; the oftener it does, the less our ears are worth.
        let (refuted, times) = self.refuted.unwrap_or((Time::ZERO, 0));
        let stretch = stretch_percent << times.saturating_sub(1).min(DOUBLINGS_MAX);
        let silent = now.since(begin.max(restarted).max(refuted));
        let beyond = |span: Duration| silent >= span * stretch / 100;
        if beyond(config.alert_after) {
            Silence::Alarming
        } else if beyond(config.suspect_after) {
            Silence::Suspicious
        } else if beyond(config.suspect_after.saturating_sub(config.heartbeat)) {
            Silence::Doubtful
        } else {
            Silence::Fresh
        }
    }

    /// When we last heard it, if that was on the edge as it is wanted now.
    pub(super) fn heard_since_wanted(&self) -> Option<Time> {
        let wanted = self.wanted_since?;
        self.heard.filter(|heard| *heard >= wanted)
    }

    /// Whether the peer has said within `span` that it wants the edge.
    pub(super) fn peer_wants(&self, now: Time, span: Duration) -> bool {
        self.peer_wanted.is_some_and(|said| now.since(said) <= span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn silence_at(edge: &Edge, seconds: f64, stretch: u32, mutant: Mutant) -> Silence {
        let config = Config { mutant, ..Config::default() };
        edge.silence(Time((seconds * SECOND as f64) as u64), Time::ZERO, stretch, &config)
    }

    #[test]
    fn silence_grows_from_fresh_to_alarming() {
        let mut edge = Edge::new(Time::ZERO);
        edge.wanted_since = Some(Time::ZERO);
        edge.heard = Some(Time(SECOND));
        let at = |seconds| silence_at(&edge, seconds, 100, Mutant::None);
        assert_eq!(
            [1.7, 1.76, 2.0, 3.49, 3.5].map(at),
            [
                Silence::Fresh,
                Silence::Doubtful,
                Silence::Suspicious,
                Silence::Suspicious,
                Silence::Alarming
            ]
        );
        assert_eq!(silence_at(&edge, 5.99, 200, Mutant::None), Silence::Suspicious, "stretched");
    }

    #[test]
    fn a_new_edge_has_two_windows_and_the_mutant_one() {
        let mut edge = Edge::new(Time::ZERO);
        edge.wanted_since = Some(Time::ZERO);
        assert_eq!(silence_at(&edge, 4.9, 100, Mutant::None), Silence::Suspicious);
        assert_eq!(silence_at(&edge, 3.4, 100, Mutant::None), Silence::Doubtful);
        assert_eq!(silence_at(&edge, 5.0, 100, Mutant::None), Silence::Alarming);
        assert_eq!(silence_at(&edge, 2.5, 100, Mutant::NoEdgeGrace), Silence::Alarming);
    }

    #[test]
    fn an_edge_that_nobody_wants_is_never_silent() {
        assert_eq!(silence_at(&Edge::new(Time::ZERO), 99.0, 100, Mutant::None), Silence::Fresh);
    }
}
