//! The driver's part in postings: it tells their core who is there and carries its messages.

use mobula_actor_core::postings::Posting;
use mobula_proto::id::NodeId;
use mobula_proto::membership::MembershipEvent;
use mobula_proto::postings::{Input, Message};
use mobula_proto::wire::codec;

use super::Driver;
use crate::neighbours::POSTINGS;

impl Driver {
    pub(super) fn tell_postings(&mut self, input: Input<Posting>) {
        for (to, message) in self.board.on(input, &mut self.rng) {
            match codec::encode(&message) {
                Ok(body) => {
                    // If nobody listens there any more, the core hears of it.
                    self.neighbours.send(to, POSTINGS, &body);
                }
                Err(error) => tracing::error!(%error, "postings not encoded"),
            }
        }
    }

    pub(super) fn on_postings(&mut self, from: NodeId, body: &[u8]) {
        match codec::decode::<Message<Posting>>(body) {
            Ok(message) => self.tell_postings(Input::Received { from, message }),
            Err(error) => tracing::debug!(%from, %error, "unreadable postings"),
        }
    }

    pub(super) fn tell_postings_of(&mut self, event: &MembershipEvent) {
        match event {
            MembershipEvent::Joined(member)
            | MembershipEvent::Healed(member)
            | MembershipEvent::Updated(member) => {
                let (node, life) = (member.node, member.details.life);
                self.tell_postings(Input::Member { node, life });
            }
            MembershipEvent::Down { node, .. } | MembershipEvent::Left(node) => {
                self.tell_postings(Input::Lost { node: *node });
            }
            MembershipEvent::Suspected(_)
            | MembershipEvent::Recovered(_)
            | MembershipEvent::Leaving(_)
            | MembershipEvent::SelfDeclaredDown { .. }
            | MembershipEvent::SelfReturned { .. }
            | MembershipEvent::SelfStalled
            | MembershipEvent::JoinCompleted { .. } => {}
        }
    }
}
