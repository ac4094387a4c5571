//! What to start, and when to start it again.
//!
//! The registry does not know what an actor is: what its host needs to start it is bytes to everybody else.
//! How often it is started again must survive the node, the leader and the supervisor alike, so it is data.
//!
//! Invariants: a [`Spec`] is at most [`SPEC_BYTES_MAX`] long, and is measured before it is copied; a window holds at
//! most [`INTENSITY_MAX`] restarts.
//! (Intensity and period: OTP's supervisors.)
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::LogTime;
use crate::error::Refusal;

/// The longest spec: 64 KiB. What is larger belongs in an object that the spec names.
pub const SPEC_BYTES_MAX: usize = 64 << 10;
/// The most restarts that a policy may allow within a period.
pub const INTENSITY_MAX: u32 = 64;

/// The bytes from which a host starts an actor. Copies are cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Spec(Arc<[u8]>);

impl Spec {
    /// Takes the bytes, if they are not too many.
    ///
    /// # Errors
    /// [`Refusal::SpecTooLong`]: put what is large into an object, and its name into the spec.
    pub fn try_new(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > SPEC_BYTES_MAX {
            return Err(Refusal::SpecTooLong {
                size_bytes: bytes.len(),
                limit_bytes: SPEC_BYTES_MAX,
            });
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spec({} bytes)", self.0.len())
    }
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Spec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {SPEC_BYTES_MAX} bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Spec, E> {
                Spec::try_new(bytes).map_err(E::custom)
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

/// Which ends of an actor are followed by a restart, as in OTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Restart {
    /// Every end.
    Permanent,
    /// An end by failure, or with its node.
    Transient,
    /// None: the name is free again.
    #[default]
    Temporary,
}

/// When a named actor is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// After which ends.
    pub restart: Restart,
    /// More than this many restarts within the period, and it stays down. At most [`INTENSITY_MAX`].
    pub intensity: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// The wait before the second restart within a period, in milliseconds; the first is at once. It doubles.
    pub backoff_ms: u64,
    /// The longest wait, in milliseconds.
    pub backoff_ms_max: u64,
}

impl Policy {
    /// Whether an actor with this policy comes back when its node is lost.
    #[must_use]
    pub const fn survives_its_node(&self) -> bool {
        matches!(self.restart, Restart::Permanent | Restart::Transient)
    }

    /// Whether an end by itself, after a failure or without one, is followed by a restart.
    #[must_use]
    pub const fn restarts_after(&self, is_failure: bool) -> bool {
        match self.restart {
            Restart::Permanent => true,
            Restart::Transient => is_failure,
            Restart::Temporary => false,
        }
    }
}

/// The restarts of an actor within its period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window(Vec<LogTime>);

impl Window {
    /// Counts a restart: how long to wait before it, or `None` if it would be one too many.
    #[must_use]
    pub fn count(&mut self, at: LogTime, policy: &Policy) -> Option<Duration> {
        let period = Duration::from_millis(policy.period_ms);
        self.0.retain(|&earlier| at.since(earlier) < period);
        let allowed = policy.intensity.min(INTENSITY_MAX) as usize;
        if self.0.len() >= allowed {
            return None;
        }
        let earlier = self.0.len() as u32;
        self.0.push(at);
        let wait = match earlier {
            0 => 0,
            _ => policy.backoff_ms.saturating_mul(1 << (earlier - 1).min(32)),
        };
        Some(Duration::from_millis(wait.min(policy.backoff_ms_max)))
    }

    /// How many restarts it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;

    #[test]
    fn a_window_counts_waits_and_gives_up() {
        let restart = Restart::Permanent;
        let policy = Policy {
            restart,
            intensity: 4,
            period_ms: 1_000,
            backoff_ms: 100,
            backoff_ms_max: 250,
        };
        let mut window = Window::default();
        let mut at = |ms| window.count(LogTime(ms), &policy).map(|wait| wait.as_millis());
        let waits = [at(10), at(20), at(30), at(40), at(50), at(1_009), at(1_010)];
        assert_eq!(waits, [Some(0), Some(100), Some(200), Some(250), None, None, Some(250)]);
    }

    #[test]
    fn a_spec_is_measured_before_it_is_copied() {
        let spec = Spec::try_new(&[7; 300]).unwrap();
        let bytes = codec::encode(&spec).unwrap();
        assert_eq!(bytes.len(), 303);
        assert_eq!(codec::decode::<Spec>(&bytes), Ok(spec));
        let too_long = [&[0xc6, 0x00, 0x01, 0x00, 0x01][..], &[0; SPEC_BYTES_MAX + 1]].concat();
        assert!(codec::decode::<Spec>(&too_long).is_err());
    }
}
