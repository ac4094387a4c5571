//! Streams: one sender here, one receiver of its own on another node, a monitor between them, and messages by ask and
//! tell until one of the three ends.
//!
//! A stream is over when its monitor fires: whatever comes after a lost contact begins a new one, so that within a
//! stream nothing at all may be missing before that.

use mobula::NodeId;
use mobula::prelude::*;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::actors::{Ledger, outcome};
use super::work::Work;
use crate::event::{End, Event, Outcome, Wait};

/// Opens streams to `there`, one after another, until the work ends or the node is gone for good.
pub(super) async fn drive(work: Work, there: NodeId, mut rng: StdRng) {
    while !work.is_over() && work.may_return(there) {
        if work.is_alive(there) {
            one(&work, there, &mut rng).await;
        } else {
            work.pause().await;
        }
    }
}

async fn one(work: &Work, there: NodeId, rng: &mut StdRng) {
    let voice = work.voice;
    let stream = voice.number();
    voice.say(Event::Opened { stream, to: there.0 });
    let ledger: ActorRef<Ledger> =
        Ledger::options().on(Placement::OnNode { node: there, or_elsewhere: false }).remote();
    let mut fired = work.watch(stream, &ledger).await;
    let mut has_fired = false;
    let length = rng.random_range(20..300_u64);
    // An operation goes on in the next message if the last one was certainly not delivered.
    let mut operation = voice.number();
    let mut seq = 0;
    while seq < length && !work.is_over() {
        has_fired = fired.try_recv().is_ok();
        if has_fired {
            break;
        }
        seq += 1;
        voice.say(Event::Sent { stream, seq, operation });
        let told = if rng.random_bool(0.5) {
            tell(&ledger, stream, seq).await
        } else {
            let limit = rng.random_bool(0.5).then(|| ms(rng.random_range(50..3000)));
            ask(&ledger, stream, seq, limit).await
        };
        if !matches!(told, Outcome::NotDelivered { .. }) {
            operation = voice.number();
        }
        voice.say(Event::Outcome { stream, seq, outcome: told });
        if rng.random_bool(0.3) {
            work.pace(rng).await;
        }
    }
    close(work, stream, ledger, rng).await;
    // It fires for whatever reason it was that this ended; if it never does, this never ends.
    if !has_fired {
        let _ = fired.await;
    }
}

async fn tell(ledger: &ActorRef<Ledger>, stream: u64, seq: u64) -> Outcome {
    match ledger.post(stream, seq).tell().await {
        Ok(()) => Outcome::Taken,
        Err(error) => Outcome::NotDelivered { why: error.to_string() },
    }
}

async fn ask(ledger: &ActorRef<Ledger>, stream: u64, seq: u64, limit: Option<Duration>) -> Outcome {
    let call = ledger.post(stream, seq);
    match limit {
        Some(limit) => outcome(call.timeout(limit).await),
        None => outcome(call.await),
    }
}

/// Asks the receiver for its last word, and ends it in one way or another.
async fn close(work: &Work, stream: u64, ledger: ActorRef<Ledger>, rng: &mut StdRng) {
    let wait = work.voice.number();
    work.voice.say(Event::Begun { wait, what: Wait::Question });
    let end = match ledger.count(stream).await {
        Ok(count) => {
            work.voice.say(Event::Closed { stream, count });
            End::Value { is_right: true }
        }
        Err(error) => End::Error { why: error.to_string() },
    };
    work.voice.say(Event::Ended { wait, end });
    let wait = work.voice.number();
    work.voice.say(Event::Begun { wait, what: Wait::Ending });
    let end = match rng.random_range(0..3) {
        0 => ledger.kill().await,
        1 => ledger.stop().await,
        _ => {
            // The last reference goes, and with it the actor.
            drop(ledger);
            work.voice.say(Event::Ended { wait, end: End::Value { is_right: true } });
            return;
        }
    };
    let end = match end {
        Ok(_) => End::Value { is_right: true },
        Err(denied) => End::Error { why: denied.to_string() },
    };
    work.voice.say(Event::Ended { wait, end });
}
