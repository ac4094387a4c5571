//! Dialing anew a neighbour whose connection was cut without a word.
//!
//! A process that is killed closes its connections and its listener one after the other. Whoever dials in between is taken
//! by a listener that is about to go: the dial ends by a reset, not by a refusal, which says nothing. Were the next
//! dial made at the usual pace, a death that is known after milliseconds would be known after a second; and the busier
//! the machine, the more observers dial in that gap.
//! So after a cut the dial is repeated soon, with pauses that double, until one is answered or refused, or the pause is as
//! long as the usual one.
//!
//! Invariant: only neighbours that are wanted and were cut off are dialed at this pace, at most eight times for each cut.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::NodeId;
use crate::time::Time;

use super::Membership;
use super::turn::Turn;

/// Before the second dial after a cut, up to half of it less by chance; then twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Neighbours that were cut off and have not been reached since.
pub(super) type Redials = BTreeMap<NodeId, Redial>;

/// The dials after one cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redial {
    /// When to dial next; `None` while a dial is under way.
    at: Option<Time>,
    /// Dials that came to nothing.
    failures: u32,
}

impl Membership {
    /// The connection to a wanted neighbour was cut without a word: dial at once.
    pub(super) fn cut_off(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        if self.redials.contains_key(&node) {
            return self.missed(node, turn);
        }
        self.redials.insert(node, Redial { at: None, failures: 0 });
        self.dial(node, turn);
    }

    /// A dial came to nothing, and that says nothing of the neighbour.
    pub(super) fn missed(&mut self, node: NodeId, turn: &mut Turn<'_>) {
        let Some(redial) = self.redials.get_mut(&node) else { return };
        let pause = PAUSE_MIN * 2_u32.saturating_pow(redial.failures);
        if pause >= self.config.retry_every {
            // From now on at the usual pace.
            self.redials.remove(&node);
            return;
        }
        // Not all observers at the same moment.
        let by_chance = pause.mul_f64(f64::from(turn.rng.next_u32()) / f64::from(u32::MAX) / 2.0);
        redial.failures += 1;
        redial.at = Some(turn.now + (pause - by_chance));
    }

    /// Dials whose moment has come.
    pub(super) fn redial(&mut self, turn: &mut Turn<'_>) {
        let is_due = |redial: &Redial| redial.at.is_some_and(|at| at <= turn.now);
        let due: Vec<NodeId> =
            self.redials.iter().filter(|(_, one)| is_due(one)).map(|(node, _)| *node).collect();
        for node in due {
            let is_wanted = self.edges.get(&node).is_some_and(|edge| edge.wanted_since.is_some());
            if is_wanted && self.view.is_live(node) {
                self.redials.entry(node).and_modify(|redial| redial.at = None);
                self.dial(node, turn);
            } else {
                self.redials.remove(&node);
            }
        }
    }

    /// When the next of these dials is due.
    pub(super) fn redial_at(&self) -> Option<Time> {
        self.redials.values().filter_map(|redial| redial.at).min()
    }
}
