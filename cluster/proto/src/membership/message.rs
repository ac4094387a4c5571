//! What members say to each other about members.
//!
//! Two kinds: talk on an edge (heartbeats, joins, digests), and facts, which hold for everybody and are broadcast.
//! A fact may arrive twice, late or never; so each names the incarnation it speaks of, and anti-entropy repairs the loss.
//!
//! Invariant: an [`Alert`] counts only if it came from the observer it names; all else merges in any order.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId};
use crate::member::{Member, Record};

/// Buckets of a digest.
pub const BUCKETS: usize = 64;
/// Records in one message at most; longer lists are cut into several messages.
pub const RECORDS_MAX: usize = 256;
/// Facts in one message at most.
pub const FACTS_MAX: usize = 256;
/// Votes that travel with one `Down` at most.
pub const VOTES_MAX: usize = 16;
/// Load reports of others in one heartbeat at most.
pub const LOADS_GOSSIPED_MAX: usize = 16;

/// How busy a node is, in twelve bytes whose meaning is the placement's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadDigest(pub [u8; 12]);

impl Serialize for LoadDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for LoadDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TwelveBytes;
        impl<'de> serde::de::Visitor<'de> for TwelveBytes {
            type Value = LoadDigest;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("twelve bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<LoadDigest, E> {
                let twelve = <[u8; 12]>::try_from(bytes);
                twelve
                    .map(LoadDigest)
                    .map_err(|_wrong_length| E::invalid_length(bytes.len(), &self))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut bytes: A,
            ) -> Result<LoadDigest, A::Error> {
                let mut twelve = [0; 12];
                for (index, byte) in twelve.iter_mut().enumerate() {
                    let missing = || serde::de::Error::invalid_length(index, &"twelve bytes");
                    *byte = bytes.next_element()?.ok_or_else(missing)?;
                }
                Ok(LoadDigest(twelve))
            }
        }
        deserializer.deserialize_bytes(TwelveBytes)
    }
}

/// A load digest on its way: whose, and the how-manieth of that node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(NodeId, u64, LoadDigest)", into = "(NodeId, u64, LoadDigest)")]
pub struct LoadReport {
    /// Whose load.
    pub node: NodeId,
    /// Counts the reports of that node; the higher is the newer. A new life starts higher.
    pub sequence: u64,
    /// The load.
    pub digest: LoadDigest,
}

impl From<(NodeId, u64, LoadDigest)> for LoadReport {
    fn from((node, sequence, digest): (NodeId, u64, LoadDigest)) -> Self {
        Self { node, sequence, digest }
    }
}

impl From<LoadReport> for (NodeId, u64, LoadDigest) {
    fn from(report: LoadReport) -> Self {
        (report.node, report.sequence, report.digest)
    }
}

/// "I am here": one-way, on every edge, each 250 ms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sender's incarnation.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// Counts the beats of the sender's life; a copy or a straggler of one incarnation is not fresh.
    #[serde(rename = "s")]
    pub sequence: u64,
    /// Whether the sender watches the receiver, and so waits for heartbeats in return.
    #[serde(rename = "w")]
    pub wanted: bool,
    /// Fingerprint of the sender's view of who is live.
    #[serde(rename = "v")]
    pub view_hash: u64,
    /// Load reports that are news to the sender, its own among them; at most [`LOADS_GOSSIPED_MAX`] + 1.
    #[serde(rename = "l")]
    pub loads: Arc<[LoadReport]>,
}

/// Why an observer votes against a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing heard for a whole window.
    Silence,
    /// The connection broke and dialling anew was refused.
    Refused,
}

/// One observer's vote on one member's incarnation, given or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Whom it accuses.
    #[serde(rename = "x")]
    pub accused: NodeId,
    /// In which incarnation.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// Who accuses; must be the author of the message.
    #[serde(rename = "o")]
    pub observer: NodeId,
    /// In which incarnation it accuses.
    #[serde(rename = "oi")]
    pub observer_incarnation: Incarnation,
    /// Counts the alerts of the observer's life; of two on one member the later incarnation, then the higher count, holds.
    #[serde(rename = "s")]
    pub sequence: u64,
    /// Why.
    #[serde(rename = "r")]
    pub reason: Reason,
    /// Given (`true`) or taken back.
    #[serde(rename = "on")]
    pub on: bool,
}

/// Something that holds for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A vote.
    #[serde(rename = "a")]
    Alert(Alert),
    /// A member joined, is suspected, refuted, leaves or left.
    #[serde(rename = "r")]
    Record(Record),
    /// A member is down; `votes` names the observers that said so, at most [`VOTES_MAX`].
    #[serde(rename = "d")]
    Down {
        /// The member, with status `Down`.
        #[serde(rename = "r")]
        record: Record,
        /// Who voted.
        #[serde(rename = "v")]
        votes: Vec<NodeId>,
    },
}

/// What travels between two members' membership cores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// I am here.
    #[serde(rename = "hb")]
    Heartbeat(Heartbeat),
    /// Are you there? Answered at once by `ProbeAck`.
    #[serde(rename = "p")]
    Probe {
        /// To be repeated in the answer: stragglers prove nothing.
        nonce: u64,
    },
    /// I am.
    #[serde(rename = "pa")]
    ProbeAck {
        /// Of the probe.
        nonce: u64,
    },
    /// Let me in.
    #[serde(rename = "j")]
    Join(Member),
    /// You are in, and this is whom I know; long views come in parts, `last` marks the end.
    #[serde(rename = "ja")]
    JoinAck {
        /// Whom I know.
        records: Vec<Record>,
        /// Whether no part follows.
        last: bool,
    },
    /// The members know you under this incarnation: go beyond it and ask again.
    #[serde(rename = "st")]
    StaleIncarnation {
        /// The highest known.
        known: Incarnation,
    },
    /// My view in [`BUCKETS`] hashes: what do you have where it differs?
    #[serde(rename = "dq")]
    DigestRequest {
        /// One hash a bucket, of who is live.
        hashes: Vec<u64>,
    },
    /// What I have in buckets that differ; send back what you have beyond.
    #[serde(rename = "dr")]
    DigestResponse {
        /// Bit `b` set: `records` holds all I know in bucket `b`.
        buckets: u64,
        /// All I know there.
        records: Vec<Record>,
    },
    /// What I know beyond your answer to my digest.
    #[serde(rename = "rs")]
    Records(Vec<Record>),
    /// Facts.
    #[serde(rename = "f")]
    Facts(Vec<Fact>),
}

impl Message {
    /// Whether all limits on lists and details are kept; a message that breaks one is dropped.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        let fits = |record: &Record| record.details.is_within_limits();
        match self {
            Self::Heartbeat(beat) => beat.loads.len() <= LOADS_GOSSIPED_MAX + 1,
            Self::Probe { .. } | Self::ProbeAck { .. } | Self::StaleIncarnation { .. } => true,
            Self::Join(member) => member.details.is_within_limits(),
            Self::JoinAck { records, .. } | Self::Records(records) => {
                records.len() <= RECORDS_MAX && records.iter().all(fits)
            }
            Self::DigestRequest { hashes } => hashes.len() == BUCKETS,
            // One bucket of a large cluster may exceed what other lists may hold.
            Self::DigestResponse { records, .. } => {
                records.len() <= RECORDS_MAX * 8 && records.iter().all(fits)
            }
            Self::Facts(facts) => {
                facts.len() <= FACTS_MAX
                    && facts.iter().all(|fact| match fact {
                        Fact::Alert(_) => true,
                        Fact::Record(record) => fits(record),
                        Fact::Down { record, votes } => fits(record) && votes.len() <= VOTES_MAX,
                    })
            }
        }
    }
}
