//! The wire form of what actors exchange, for messages whose types have one.
//!
//! A program on one machine must not be asked for `Serialize` on every argument; one on many machines must be able
//! to send any message whose types can travel. Bounds on every method would force the first to pay for the
//! second. So a message *may* have a wire form, found where its types are concrete, in code that the macros write:
//! [`Probe<T>`](Probe) has an inherent `CODEC` where `T` can travel, and the trait [`NoCodec`] gives `None` elsewhere.
//!
//! Values are MessagePack with named fields (both sides may add fields), read with a limit on nesting.
//! Two builds mean the same by a message exactly when its [`key`] is the same.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::marker::PhantomData;

use mobula_proto::wire::shape;
use serde::{Deserialize, Serialize};

use crate::message::Message;

pub mod baggage;
pub mod packed;
pub mod raw;

/// How deep values may be nested: deeper ones are refused before they exhaust the stack.
pub const NESTING_MAX: usize = shape::DEPTH_MAX;

/// A value could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {text}")]
#[non_exhaustive]
pub struct CodecError {
    /// The value's type.
    pub what: &'static str,
    /// What was wrong with it.
    pub text: String,
}

/// How values of one type are written and read.
pub struct Codec<T> {
    encode: fn(&T, &mut Vec<u8>) -> Result<(), CodecError>,
    decode: fn(&[u8]) -> Result<T, CodecError>,
}

impl<T> Codec<T> {
    /// Appends the wire form of `value` to `into`.
    ///
    /// # Errors
    /// [`CodecError`]: the value's own `Serialize` failed.
    pub fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<(), CodecError> {
        (self.encode)(value, into)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`CodecError`]: the bytes are no such value, or nested deeper than [`NESTING_MAX`].
    pub fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        (self.decode)(bytes)
    }
}

// Not `DeserializeOwned`: whoever asks a probe about a type that borrows for ever (`&'static str` behind an alias, say)
// would get an error of the compiler instead of an answer, because it is chosen without regard to lifetimes. Such a
// type has a codec, then, with which nothing of it can be read: its reader asks for input that stays.
impl<T: Serialize + Deserialize<'static>> Codec<T> {
    /// The codec of a type that can travel.
    #[must_use]
    pub const fn serde() -> Self {
        Self { encode: write::<T>, decode: read::<T> }
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codec<{}>", std::any::type_name::<T>())
    }
}

fn write<T: Serialize>(value: &T, into: &mut Vec<u8>) -> Result<(), CodecError> {
    rmp_serde::encode::write_named(into, value)
        .map_err(|error| CodecError { what: std::any::type_name::<T>(), text: error.to_string() })
}

/// Checks that bytes from elsewhere are one well-formed value, no deeper than [`NESTING_MAX`] and with no length that
/// lies. A reader that follows the type alone believes the lengths, and does not count the depth of enums.
///
/// # Errors
/// [`CodecError`] says what is wrong.
pub fn check(bytes: &[u8]) -> Result<(), CodecError> {
    shape::check(bytes)
        .map_err(|error| CodecError { what: "a value from elsewhere", text: error.to_string() })
}

fn read<T: Deserialize<'static>>(bytes: &[u8]) -> Result<T, CodecError> {
    check(bytes)?;
    let mut reader = rmp_serde::Deserializer::new(bytes);
    reader.set_max_depth(NESTING_MAX);
    T::deserialize(&mut reader)
        .map_err(|error| CodecError { what: std::any::type_name::<T>(), text: error.to_string() })
}

/// Asks whether a concrete type can travel: `Probe::<T>::CODEC`, with [`NoCodec`] in scope.
pub struct Probe<T>(PhantomData<T>);

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

impl<T: Serialize + Deserialize<'static>> Probe<T> {
    /// It can.
    pub const CODEC: Option<Codec<T>> = Some(Codec::serde());
}

/// The other answer of [`Probe`].
pub trait NoCodec<T> {
    /// It cannot.
    const CODEC: Option<Codec<T>> = None;
}

impl<T> NoCodec<T> for Probe<T> {}

/// How a message travels, and what comes back.
pub struct Wire<M: Message> {
    /// The message itself.
    pub message: Codec<M>,
    /// What the asker gets.
    pub value: Codec<M::Value>,
    /// What the handler refuses with; where it cannot travel, its text does.
    pub refusal: Option<Codec<M::Refusal>>,
}

impl<M: Message> Wire<M> {
    /// The wire form of a message, if both message and value have one.
    #[must_use]
    pub const fn of(
        message: Option<Codec<M>>,
        value: Option<Codec<M::Value>>,
        refusal: Option<Codec<M::Refusal>>,
    ) -> Option<Self> {
        match (message, value) {
            (Some(message), Some(value)) => Some(Self { message, value, refusal }),
            (Some(_), None) | (None, _) => None,
        }
    }
}

impl<M: Message> fmt::Debug for Wire<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", M::NAME)
    }
}

/// The same number for the same text, on every build and machine: 64 bits of FNV-1a.
#[must_use]
pub const fn key(text: &str) -> u64 {
    keyed(0xcbf2_9ce4_8422_2325, text)
}

/// [`key`] of a text that follows another one. The separator keeps `ab` + `c` apart from `a` + `bc`.
#[must_use]
pub const fn keyed(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    (hash ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The key of a message at an actor.
#[must_use]
pub const fn paired(actor: u64, message: u64) -> u64 {
    actor.rotate_left(17) ^ message.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Local;

    #[test]
    fn a_probe_finds_the_codec_of_a_type_that_can_travel_and_of_no_other() {
        assert!(Probe::<(u64, String)>::CODEC.is_some());
        assert!(<Probe<Local> as NoCodec<Local>>::CODEC.is_none());
        assert!(Probe::<Local>::CODEC.is_none());
    }

    #[test]
    fn values_come_back_and_deep_ones_are_refused() {
        let codec = Codec::<Vec<String>>::serde();
        let mut bytes = Vec::new();
        codec.encode(&vec!["a".into(), "b".into()], &mut bytes).unwrap();
        assert_eq!(codec.decode(&bytes).unwrap(), ["a", "b"]);
        assert!(codec.decode(&bytes[..2]).is_err());

        let deep = [vec![0x91; NESTING_MAX + 8], vec![0xc0]].concat();
        let codec = Codec::<serde_json::Value>::serde();
        assert!(codec.decode(&deep).unwrap_err().to_string().contains("deeper"));
    }

    #[derive(Debug, Serialize, Deserialize)]
    enum Chain {
        End,
        More(Box<Self>),
    }

    #[test]
    fn a_chain_of_enums_cannot_end_the_stack() {
        // To the reader each of these is a map of one, which it does not count.
        let bytes = [b"\x81\xa4More".repeat(1_000_000), b"\xa3End".to_vec()].concat();
        let error = Codec::<Chain>::serde().decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("deeper"), "{error}");
        let mut short = Vec::new();
        let chain = Chain::More(Box::new(Chain::End));
        Codec::<Chain>::serde().encode(&chain, &mut short).unwrap();
        assert!(matches!(Codec::<Chain>::serde().decode(&short), Ok(Chain::More(_))));
    }

    #[test]
    fn what_borrows_for_ever_is_written_and_never_read() {
        let codec = Probe::<Vec<&'static str>>::CODEC.unwrap();
        let mut bytes = Vec::new();
        codec.encode(&vec!["a"], &mut bytes).unwrap();
        assert!(codec.decode(&bytes).unwrap_err().to_string().contains("borrowed"));
    }

    #[test]
    fn keys_tell_texts_and_their_borders_apart() {
        assert_ne!(key("ab"), key("ba"));
        assert_ne!(keyed(key("ab"), "c"), keyed(key("a"), "bc"));
        assert_ne!(paired(key("A"), key("m")), paired(key("m"), key("A")));
    }
}
