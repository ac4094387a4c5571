//! What becomes of the frames that arrive.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::error::ProtocolError;
use crate::time::Time;
use crate::wire::segment::{Ack, Message, Resume};

use super::inbound::Verdict;
use super::mutant::Mutant;
use super::output::{LossCause, Output};
use super::{Association, Delivery, Link, Receipt};

impl Association {
    #[inline]
    pub(super) fn on_message<'a>(
        &mut self,
        now: Time,
        message: Message<'a>,
        wire_bytes: u64,
        out: &mut Vec<Output>,
    ) -> Result<Option<Delivery<'a>>, ProtocolError> {
        let Message { epoch, lane: number, sequence, payload } = message;
        let link = self.lane(number)?.link;
        if link != Link::Open {
            self.dropped.early += 1;
            return Ok(None);
        }
        if epoch < self.peer_epoch && self.mutant != Mutant::AcceptOldEpoch {
            self.dropped.stale += 1;
            return Ok(None);
        }
        self.meet_epoch(now, epoch, out);
        let (settings, mutant, stream) = (self.settings, self.mutant, self.stream);
        let lane = self.lane(number)?;
        match lane.inbound.accept(now, sequence, wire_bytes, &settings, mutant) {
            Verdict::Deliver => {
                let receipt = Receipt { stream, lane: number, messages: 1, wire_bytes };
                Ok(Some(Delivery { payload, receipt }))
            }
            Verdict::Duplicate => {
                self.dropped.duplicates += 1;
                Ok(None)
            }
            Verdict::Gap => {
                self.dropped.gaps += 1;
                self.ask_for_missing(now, number);
                Ok(None)
            }
            Verdict::CreditExceeded => Err(ProtocolError::CreditExceeded { lane: number }),
        }
    }

    pub(super) fn on_ack(
        &mut self,
        now: Time,
        ack: &Ack,
        out: &mut Vec<Output>,
    ) -> Result<(), ProtocolError> {
        let epoch = self.epoch;
        let resend_max_bytes = self.settings.resend_max_bytes;
        let lane = self.lane(ack.lane)?;
        if ack.epoch != epoch {
            return Ok(());
        }
        let sent = lane.out.sent();
        lane.out.acknowledge(now, ack).map_err(|()| ProtocolError::AckBeyondSent {
            lane: ack.lane,
            next: ack.next,
            sent,
        })?;
        if lane.is_full && lane.out.buffered_bytes() <= resend_max_bytes / 2 {
            lane.is_full = false;
            out.push(Output::Writable { lane: ack.lane });
        }
        Ok(())
    }

    pub(super) fn on_resume(
        &mut self,
        now: Time,
        resume: &Resume,
        out: &mut Vec<Output>,
    ) -> Result<(), ProtocolError> {
        let number = resume.received.lane;
        self.lane(number)?;
        self.meet_life(now, resume.from_life, out)?;
        let is_greeting = matches!(self.lane(number)?.link, Link::Silent { .. });
        let known = if resume.to_life == self.own_life { resume.received.epoch } else { 0 };
        if is_greeting && known < self.epoch && self.lane(number)?.out.has_progressed() {
            self.lose(now, LossCause::PeerForgot, self.epoch, out);
        }
        // What the peer knows of an earlier life of ours says nothing about this one.
        if resume.to_life == self.own_life {
            if resume.received.epoch > self.epoch {
                self.lose(now, LossCause::EpochBehind, resume.received.epoch, out);
            }
            self.on_ack(now, &resume.received, out)?;
        }
        if resume.epoch >= self.peer_epoch {
            self.meet_epoch(now, resume.epoch, out);
        }
        let keeps_cursor = self.mutant == Mutant::ForgetUnackedOnResume;
        let lane = self.lane(number)?;
        // A question on a living connection says nothing of what is under way; everything else does.
        let is_question = lane.link == Link::Open && resume.wants_answer;
        if !keeps_cursor && !is_question {
            lane.out.rewind();
        }
        if let Link::Silent { is_connected, .. } = lane.link {
            // The peer may have greeted before the driver told us of the connection; ours is due all the same.
            if !is_connected {
                lane.greeting = Some(false);
            }
            lane.link = Link::Open;
            out.push(Output::Resumed { lane: number });
        }
        if resume.wants_answer {
            lane.greeting.get_or_insert(false);
        }
        Ok(())
    }
}
