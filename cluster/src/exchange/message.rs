//! What travels beside the message of a call: the extension of a parcel, and signals.
//!
//! Pure: no clock, no I/O, no tasks.

use bytes::Bytes;
use mobula_actor_core::remote::{Control, Home, SpawnRequest, WireAnswer};
use mobula_actor_core::{ActorId, Denied, ExitReason};
use mobula_proto::wire::codec;
use mobula_proto::wire::parcel::{Parcel, Verb};
use serde::{Deserialize, Serialize};

/// What few calls have.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// The asks that led here, newest first: node and actor. Longer chains are cut at [`CHAIN_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<(u64, ActorId)>,
    /// The sender keeps references for this message until told under this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<u64>,
}

/// Asks in one chain that travel: a deeper deadlock is found by its deadline.
pub const CHAIN_MAX: usize = 256;

impl Extension {
    /// Whether there is nothing to say.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.chain.is_empty() && self.pin.is_none()
    }
}

/// What two exchanges say to each other that is no call.
#[derive(Debug, Serialize, Deserialize)]
pub enum Signal {
    /// A reference to this actor is here now: keep it, and tell of its ends.
    Hold {
        /// Which.
        actor: ActorId,
        /// In which life of its node.
        life: u64,
    },
    /// References to these actors are here, each as often as it is named, and to no others: what was held for this node
    /// before is over. Said when there is contact again, which only one of the two may have missed.
    HoldAll {
        /// Which.
        actors: Vec<ActorId>,
        /// In which life of their node.
        life: u64,
        /// Say yours, too.
        again: bool,
        /// Spawns that were asked for and not answered: what they start, or have started, is held besides, since the answer
        /// may be on its way.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        starting: Vec<u64>,
    },
    /// The actor is held. If it has ended, an [`Ended`](Self::Ended) follows.
    Held {
        /// Which.
        actor: ActorId,
        /// Where it lives, if that is not here: it had not been spawned yet when a reference to it was passed on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        elsewhere: Option<Home>,
    },
    /// No reference is here any more: one hold goes.
    Release {
        /// Which.
        actor: ActorId,
        /// Whether its ends are still of interest.
        watches: bool,
    },
    /// An actor that you hold ended.
    Ended {
        /// Which.
        actor: ActorId,
        /// Why.
        reason: ExitReason,
        /// Or will start again.
        for_good: bool,
    },
    /// Everything in the message with this pin is held: let yours go.
    Unpin {
        /// Which message.
        pin: u64,
    },
    /// Calls to this actor stand in line: send it no more for now.
    Pause {
        /// Which.
        actor: ActorId,
    },
    /// Go on.
    Resume {
        /// Which.
        actor: ActorId,
    },
    /// Do this to an actor.
    Control {
        /// Which.
        actor: ActorId,
        /// What.
        control: Control,
    },
    /// Start an actor, and hold it for the one who asks.
    Spawn {
        /// The asker's number for it.
        number: u64,
        /// What to start. Boxed: it is the largest by far, and the rarest.
        request: Box<SpawnRequest>,
        /// References in the arguments.
        pin: Option<u64>,
    },
    /// You have not the right to what you sent or asked for.
    Denied {
        /// To which actor.
        actor: ActorId,
        /// What is missing.
        why: Denied,
        /// Whether you wanted it to end, and not to hear a message.
        was_end: bool,
    },
    /// It has started, or never will.
    Spawned {
        /// The asker's number for it.
        number: u64,
        /// Its id, or why not.
        outcome: Result<ActorId, ExitReason>,
        /// Whether it was begun.
        #[serde(default)]
        was_begun: bool,
    },
}

/// A signal as a parcel.
#[must_use]
pub fn signal_parcel(signal: &Signal) -> Bytes {
    // Of our own types, which can always be written.
    let payload = codec::encode(signal).unwrap_or_default();
    encoded(&Parcel { payload: &payload, ..empty(Verb::SIGNAL) })
}

/// An answer as a parcel; values, the many, without a wrapper.
#[must_use]
pub fn answer_parcel(correlation: u64, answer: &WireAnswer, extension: &[u8]) -> Bytes {
    match answer {
        WireAnswer::Value(value) => {
            encoded(&Parcel { correlation, extension, payload: value, ..empty(Verb::REPLY) })
        }
        other => {
            let payload = codec::encode(other).unwrap_or_default();
            encoded(&Parcel { correlation, extension, payload: &payload, ..empty(Verb::REFUSE) })
        }
    }
}

/// The parcel as bytes of its own.
#[must_use]
pub fn encoded(parcel: &Parcel<'_>) -> Bytes {
    let size = Parcel::HEADER_MAX + parcel.extension.len() + parcel.payload.len();
    let mut bytes = Vec::with_capacity(size);
    parcel.encode_into(&mut bytes);
    bytes.into()
}

/// What comes before the payload of a parcel without an extension; written into `space`.
#[must_use]
pub fn head<'s>(parcel: &Parcel<'_>, space: &'s mut [u8; Parcel::HEADER_MAX]) -> &'s [u8] {
    let mut rest = space.as_mut_slice();
    Parcel { extension: &[], payload: &[], ..*parcel }.encode_into(&mut rest);
    let left = rest.len();
    &space[..Parcel::HEADER_MAX - left]
}

/// A parcel with nothing in it.
#[must_use]
pub const fn empty(verb: Verb) -> Parcel<'static> {
    Parcel {
        verb,
        to: 0,
        generation: 0,
        from: 0,
        message_type: 0,
        correlation: 0,
        deadline: None,
        extension: &[],
        payload: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_comes_back_from_its_parcel() {
        let actor = ActorId::from_u64(7).unwrap();
        let signal = Signal::Ended { actor, reason: ExitReason::Killed, for_good: true };
        let bytes = signal_parcel(&signal);
        let parcel = Parcel::parse(&bytes).unwrap();
        assert_eq!(parcel.verb, Verb::SIGNAL);
        let read: Signal = codec::decode(parcel.payload).unwrap();
        assert_eq!(format!("{read:?}"), format!("{signal:?}"));
    }

    #[test]
    fn a_head_and_a_payload_are_the_parcel() {
        let long = Parcel {
            to: u64::MAX,
            generation: u64::MAX,
            from: u64::MAX,
            message_type: u64::MAX,
            correlation: u64::MAX,
            deadline: Some(std::time::Duration::from_micros(u64::MAX - 1)),
            payload: b"hello",
            ..empty(Verb::ASK)
        };
        for parcel in [long, Parcel { payload: b"hello", ..empty(Verb::TELL) }] {
            let mut space = [0; Parcel::HEADER_MAX];
            let parts = [head(&parcel, &mut space), parcel.payload].concat();
            assert_eq!(parts, encoded(&parcel));
        }
    }

    #[test]
    fn an_extension_that_says_nothing_is_empty_and_a_newer_one_can_be_read() {
        assert!(Extension::default().is_empty());
        let newer = codec::encode(&serde_json_like()).unwrap();
        let read: Extension = codec::decode(&newer).unwrap();
        assert_eq!(read.pin, Some(3));
    }

    #[derive(Serialize)]
    struct Newer {
        pin: Option<u64>,
        trace: &'static str,
    }

    const fn serde_json_like() -> Newer {
        Newer { pin: Some(3), trace: "later" }
    }
}
