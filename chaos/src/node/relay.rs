//! Messages between two other nodes: this one asks an actor there to ask an actor elsewhere, whose reference travels.

use mobula::prelude::*;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::actors::Ledger;
use super::work::Work;
use crate::event::{Event, Outcome};

/// Opens relays, one after another, until the work ends.
pub(super) async fn drive(work: Work, mut rng: StdRng) {
    while !work.is_over() {
        match work.two(&mut rng) {
            Some((near, far)) => one(&work, near, far, &mut rng).await,
            None => work.pause().await,
        }
    }
}

async fn one(work: &Work, near: mobula::NodeId, far: mobula::NodeId, rng: &mut StdRng) {
    let voice = work.voice;
    let on = |node| Placement::OnNode { node, or_elsewhere: false };
    let stream = voice.number();
    voice.say(Event::Opened { stream, to: far.0 });
    let sender: ActorRef<Ledger> = Ledger::options().on(on(near)).remote();
    let receiver: ActorRef<Ledger> = Ledger::options().on(on(far)).remote();
    for seq in 1..=rng.random_range(5..80_u64) {
        if work.is_over() {
            break;
        }
        let operation = voice.number();
        voice.say(Event::Sent { stream, seq, operation });
        let outcome = match sender.pass_on(receiver.clone(), stream, seq).await {
            Ok(told) => told,
            Err(error @ AskError::NotDelivered { .. }) => {
                Outcome::NotDelivered { why: error.to_string() }
            }
            Err(error @ AskError::OutcomeUnknown { .. }) => {
                Outcome::Unknown { why: error.to_string() }
            }
            Err(error) => Outcome::Refused { why: error.to_string() },
        };
        let is_over = !matches!(outcome, Outcome::Acked { .. });
        voice.say(Event::Outcome { stream, seq, outcome });
        if is_over {
            break;
        }
        work.pace(rng).await;
    }
}
