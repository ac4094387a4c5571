//! How epochs and lives begin and end, and what time does to an association.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::error::ProtocolError;
use crate::id::Incarnation;
use crate::time::Time;

use super::inbound::Inbound;
use super::mutant::Mutant;
use super::outbound::Outbound;
use super::output::{LossCause, Lost, LostMessage, Output};
use super::{Association, Lane, Link};

impl Association {
    /// Does what is due: gives up what waited too long, asks for what may be missing.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.is_closed {
            return;
        }
        if let Some(cause) = self.lanes.iter().find_map(|lane| self.overdue(lane, now)) {
            self.lose(now, cause, self.epoch, out);
        }
        for index in 0..self.lanes.len() {
            if self.probe_at(&self.lanes[index]).is_some_and(|at| at <= now) {
                self.lanes[index].asked_at = Some(now);
                self.lanes[index].greeting = Some(true);
            }
        }
    }

    /// When [`Association::tick`] or [`Association::transmit`] is next worth calling; in the past if at once.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        if self.is_closed {
            return None;
        }
        let of_lane = |lane: &Lane| {
            let ack_at = lane.inbound.ack_at().filter(|_| lane.link == Link::Open);
            let loss_at = self.loss_at(lane).map(|(at, _)| at);
            [ack_at, loss_at, self.probe_at(lane)].into_iter().flatten().min()
        };
        self.lanes.iter().filter_map(of_lane).min()
    }

    /// Ends the epoch by the driver's decision: everything unacknowledged is lost. For a lane that must not wait,
    /// such as control, when it is full.
    pub fn give_up(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.is_closed {
            self.lose(now, LossCause::GivenUp, self.epoch, out);
        }
    }

    /// The peer is down: everything unacknowledged is lost, and nothing is taken or delivered any more.
    pub fn close(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.is_closed {
            self.lose(now, LossCause::Closed, self.epoch, out);
            self.is_closed = true;
        }
    }

    fn overdue(&self, lane: &Lane, now: Time) -> Option<LossCause> {
        self.loss_at(lane).filter(|&(at, _)| at <= now).map(|(_, cause)| cause)
    }

    /// When this lane's patience ends.
    fn loss_at(&self, lane: &Lane) -> Option<(Time, LossCause)> {
        let (begin, cause) = match lane.link {
            Link::Open => (lane.out.oldest_sent_at()?, LossCause::Unacknowledged),
            Link::Silent { since, .. } if !lane.out.is_empty() => {
                (since.max(lane.out.progress_at()), LossCause::Disconnected)
            }
            Link::Silent { .. } => return None,
        };
        Some((begin + self.settings.resend_max_age, cause))
    }

    /// When to ask whether something is missing: nothing moved although something is there.
    fn probe_at(&self, lane: &Lane) -> Option<Time> {
        let is_waiting = lane.link == Link::Open && !lane.out.is_empty();
        if !is_waiting || lane.greeting.is_some() || self.mutant == Mutant::NeverProbe {
            return None;
        }
        let last = lane.asked_at.unwrap_or_default().max(lane.out.progress_at());
        Some(last + self.settings.probe_after)
    }

    /// A gap on a living connection: say once what is there, and again when that did not help.
    pub(super) fn ask_for_missing(&mut self, now: Time, number: u8) {
        let probe_after = self.settings.probe_after;
        if let Some(lane) = self.lanes.get_mut(usize::from(number))
            && lane.asked_at.is_none_or(|asked_at| now.since(asked_at) >= probe_after)
        {
            lane.asked_at = Some(now);
            lane.greeting.get_or_insert(false);
        }
    }

    /// Ends our epoch and hands back what it held; the next is at least `peer_knows` + 1.
    pub(super) fn lose(
        &mut self,
        now: Time,
        cause: LossCause,
        peer_knows: u64,
        out: &mut Vec<Output>,
    ) {
        let mut lost = Lost { epoch: self.epoch, cause, sent: Vec::new(), unsent: Vec::new() };
        for (number, lane) in (0_u8..).zip(&mut self.lanes) {
            let (sent, unsent) = std::mem::replace(&mut lane.out, Outbound::new()).take_all();
            let label = |payload| LostMessage { lane: number, payload };
            lost.sent.extend(sent.into_iter().map(label));
            lost.unsent.extend(unsent.into_iter().map(label));
            if !matches!(lane.link, Link::Silent { is_connected: false, .. }) {
                // The peer learns of the new epoch, and says what it grants in it.
                lane.greeting = Some(true);
                lane.asked_at = Some(now);
            }
        }
        if self.mutant != Mutant::KeepEpochOnLoss {
            self.epoch = self.epoch.max(peer_knows).saturating_add(1);
        }
        if self.mutant != Mutant::LoseSilently {
            out.push(Output::Lost(lost));
        }
        for (number, lane) in (0_u8..).zip(&mut self.lanes) {
            if std::mem::take(&mut lane.is_full) {
                out.push(Output::Writable { lane: number });
            }
        }
    }

    /// The peer speaks in this life.
    pub(super) fn meet_life(
        &mut self,
        now: Time,
        life: Incarnation,
        out: &mut Vec<Output>,
    ) -> Result<(), ProtocolError> {
        let Some(known) = self.peer_life else {
            self.peer_life = Some(life);
            return Ok(());
        };
        if life < known {
            return Err(ProtocolError::StaleLife { stale: life, known });
        }
        if life > known {
            self.peer_life = Some(life);
            self.peer_epoch = 0;
            self.stream += 1;
            out.push(Output::PeerRestarted { ended: known, begun: life });
            for lane in &mut self.lanes {
                lane.inbound = Inbound::new(&self.settings);
                if lane.link == Link::Open {
                    // It was open towards the last life.
                    lane.link = Link::Silent { since: now, is_connected: true };
                }
            }
            if self.mutant != Mutant::ResendToNextLife {
                self.lose(now, LossCause::PeerRestarted, self.epoch, out);
            }
        }
        Ok(())
    }

    /// The peer sends in this epoch, which is not before the one we know.
    pub(super) fn meet_epoch(&mut self, now: Time, epoch: u64, out: &mut Vec<Output>) {
        if epoch == self.peer_epoch {
            return;
        }
        if self.peer_epoch != 0 {
            out.push(Output::PeerLost { ended: self.peer_epoch, begun: epoch });
        }
        self.peer_epoch = epoch;
        self.stream += 1;
        for lane in &mut self.lanes {
            lane.inbound = Inbound::new(&self.settings);
            // The sender has no credit in this epoch until it is told.
            lane.inbound.ack_by(now);
        }
    }
}
