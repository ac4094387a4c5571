//! What stores say to each other.
//!
//! Every message says a fact about one object or one pin, and saying it twice does no harm: whoever needs an
//! answer repeats itself until it comes, and whoever hears a thing of the past ignores it. So the protocol
//! stands on any channel between two stores, also on one that loses, doubles and reorders.
//!
//! The receiver is told by the channel which store a message comes from; no message claims that itself.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

mod pieces;

pub use self::pieces::Pieces;

use crate::object_id::{ObjectId, StoreId};

/// Counts what one store says about an object's needs, so that the newest word wins. Never used twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// Names one sent message with references in it, at its sender. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PinId(pub u64);

/// A reference on its way, and what its sender knows of the object's keepers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The object.
    pub object: ObjectId,
    /// Who counts its needs now: its owner, unless that was handed over.
    pub keeper: StoreId,
    /// Who takes over when the keeper is lost, if anybody.
    pub backup: Option<StoreId>,
}

/// The references in one message, which the sender keeps alive until they have arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// What the receiver names when they have.
    pub pin: PinId,
    /// The references, each object once.
    pub carried: Vec<Carried>,
}

/// Why an object will never have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum LossReason {
    /// Its keeper does not know it: the last reference was gone.
    #[error("its last reference was gone; keep one while another travels")]
    Unknown,
    /// Somebody freed it by hand.
    #[error("it was freed by hand")]
    Freed,
    /// Its last copy is gone, and it was not made by a task that could make it again.
    #[error("its last copy is gone, and {text}")]
    NotRebuildable {
        /// What stands in the way.
        text: String,
    },
    /// Its last copy is gone, and making it again failed too often.
    #[error(
        "its last copy is gone, and its task was run again {attempts} times, which is the limit"
    )]
    AttemptsUsed {
        /// How often it was tried.
        attempts: u32,
    },
    /// Its last copy is gone, and the recipe was given up for lack of room.
    #[error("its last copy is gone, and its recipe was given up for lack of room")]
    LineageEvicted,
    /// It was durable, and its keeper died before there was a value to keep.
    #[error("its keeper died before it was made")]
    Unmade,
    /// It is there and cannot leave its node: the type's `Serialize` refused.
    #[error("it cannot leave its node: {text}")]
    Encode {
        /// The encoder's reason.
        text: String,
    },
}

/// A failure of the task that was to make an object, as text and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure, by its variant's name.
    pub kind: String,
    /// The task.
    pub task: String,
    /// What happened, with the causes.
    pub text: String,
    /// Which attempt it was, counted from 1; 0 where that means nothing.
    pub attempt: u32,
}

/// The keeper's answer to who wants a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// Here it is.
    Inline {
        /// The encoded value.
        #[serde(with = "raw")]
        bytes: Vec<u8>,
        /// The references in it.
        parcel: Option<Parcel>,
    },
    /// Pull it from these stores; more are told of as there are more.
    At {
        /// What the value is charged with, about the length of its encoding.
        bytes: u64,
        /// Who has a copy and room to serve it.
        sources: Vec<StoreId>,
    },
    /// To who is content with that: it is made, and there.
    Made {
        /// What the value is charged with.
        bytes: u64,
        /// Who has a copy, or the first few who have.
        copies: Vec<StoreId>,
    },
    /// Its task failed; there will be no value.
    Failed(Failure),
    /// There is no value, and there will be none.
    Lost(LossReason),
}

/// What is wanted of an object that somebody else keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Its value.
    Value,
    /// Whether it is made, and where it is if it is large.
    Place,
}

/// What stores say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Message {
    // To the keeper of an object.
    /// The sender needs the object.
    Borrow {
        /// The object.
        object: ObjectId,
        /// The newest word wins.
        sequence: Sequence,
    },
    /// The sender needs the object no longer, and has no copy of it unless it hosts one.
    Release {
        /// The object.
        object: ObjectId,
        /// The newest word wins.
        sequence: Sequence,
    },
    /// The sender wants the value, and waits for it if it is not there yet.
    Want {
        /// The object.
        object: ObjectId,
        /// Of a value that is too large for the answer, its place will do: [`Answer::Made`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        or_place: bool,
    },
    /// The sender has a sealed copy.
    Located {
        /// The object.
        object: ObjectId,
        /// Its size as charged there.
        bytes: u64,
        /// Whether it stays there until [`Message::Evict`], also when the sender needs the object no longer.
        hosted: bool,
    },
    /// The sender was to pull from `source` and cannot.
    Missing {
        /// The object.
        object: ObjectId,
        /// Who did not have it, or was too slow.
        source: StoreId,
    },

    // From the keeper of an object.
    /// Heard: the need of the receiver is counted, or counted no longer.
    Counted {
        /// The object.
        object: ObjectId,
        /// The word that was heard.
        sequence: Sequence,
        /// Whether the receiver counts as a borrower now.
        held: bool,
        /// Who takes over when the sender is lost.
        backup: Option<StoreId>,
    },
    /// The object is gone.
    Gone {
        /// The object.
        object: ObjectId,
        /// How it went.
        reason: LossReason,
    },
    /// Where the value is, or why there is none.
    Answer {
        /// The object.
        object: ObjectId,
        /// The answer.
        answer: Answer,
    },
    /// Nobody needs the object any more: let go of the copy.
    Evict {
        /// The object.
        object: ObjectId,
    },
    /// Somebody else keeps the object now.
    Moved {
        /// The object.
        object: ObjectId,
        /// The new keeper.
        keeper: StoreId,
        /// How often the object was handed over, up to this keeper.
        term: u64,
    },

    /// The sender took the receiver for gone, and it was not: say again what you need of what the sender keeps, what copies
    /// you have of it, and what you count of the sender's needs.
    Reunite,
    /// Done.
    Reunited,

    // Between the sender and the receiver of references.
    /// What came under this pin is counted where it belongs.
    Unpin {
        /// The pin.
        pin: PinId,
    },
    /// Heard.
    Unpinned {
        /// The pin.
        pin: PinId,
    },
    /// Did the message under this pin arrive? If not, refuse it should it still come.
    Close {
        /// The pin.
        pin: PinId,
    },

    // Between who has a copy and who pulls it.
    /// Send this part of the encoded value.
    Pull {
        /// The object.
        object: ObjectId,
        /// Where the part begins.
        offset: u64,
        /// How long it is at most.
        length: u64,
    },
    /// A part of the encoded value.
    Chunk {
        /// The object.
        object: ObjectId,
        /// Where the part begins.
        offset: u64,
        /// How long the whole is.
        total: u64,
        /// The part.
        bytes: Pieces,
        /// The references in the whole, with the first part.
        parcel: Option<Parcel>,
    },
    /// There is no copy here, or it cannot be encoded.
    NoCopy {
        /// The object.
        object: ObjectId,
        /// What an encoder said, if one was asked.
        text: Option<String>,
    },

    // Between a keeper and its backup, and between an old keeper and a new one.
    /// What the backup must know of a durable object. The newest version wins.
    Mirror {
        /// The object.
        object: ObjectId,
        /// Counts the versions.
        version: u64,
        /// What to remember; `None` when the object is gone.
        record: Option<Record>,
    },
    /// Heard.
    Mirrored {
        /// The object.
        object: ObjectId,
        /// Which version.
        version: u64,
    },
    /// Keep this object from now on.
    Adopt {
        /// The object.
        object: ObjectId,
        /// What is known of it.
        record: Record,
    },
    /// The sender keeps it from now on.
    Adopted {
        /// The object.
        object: ObjectId,
        /// Of the offer that is accepted.
        term: u64,
    },
}

/// What a keeper knows of one object, as it travels to a backup or to a new keeper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How often it was handed over.
    pub term: u64,
    /// Its size, once it is sealed.
    pub bytes: Option<u64>,
    /// Who has a sealed copy.
    pub locations: Vec<StoreId>,
    /// Who needs it, and the newest word of each.
    pub borrowers: Vec<(StoreId, Sequence)>,
}

impl Message {
    /// Whether the message carries a value's bytes, and belongs on a connection of its own.
    #[must_use]
    pub const fn is_bulk(&self) -> bool {
        matches!(self, Self::Chunk { .. })
    }
}

/// Bytes as bytes: element by element they would double in size and take a hundred times as long.
mod raw {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Raw)
    }

    struct Raw;

    impl<'de> de::Visitor<'de> for Raw {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            // A length that somebody claims is no reason to take that much memory.
            let mut bytes = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
            while let Some(byte) = seq.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}
