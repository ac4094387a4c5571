//! Every message that this program's handlers can be sent from elsewhere, for those who try to break their decoders.
//!
//! Messages are private to the rooms that handle them, and a fuzzer that reaches some says nothing about the rest. But
//! whatever can arrive has an entry in the [`Table`], so they are all found there. In builds for fuzzing alone.
//!
//! Invariant: whatever is read writes down again, and that reads and writes as the same.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::message::Message;
use crate::remote::table::Table;
use crate::wire::{Codec, check};

impl Table {
    /// Reads `bytes` as a message, an answer and a refusal of each handler; how many of them they could be. References in
    /// them are read in the current node.
    ///
    /// # Panics
    /// When something that was read does not come back as it was.
    #[must_use]
    pub fn read_all(&self, bytes: &[u8]) -> usize {
        if check(bytes).is_err() {
            return 0;
        }
        self.entries().map(|entry| (entry.read)(bytes)).sum()
    }
}

/// Reads `bytes` as what is sent to a handler of `M` and what comes back from it.
pub(crate) fn read_as<M: Message>(bytes: &[u8]) -> usize {
    let Some(wire) = M::WIRE else { return 0 };
    let refusal = wire.refusal.is_some_and(|codec| again(&codec, bytes));
    [again(&wire.message, bytes), again(&wire.value, bytes), refusal].map(usize::from).iter().sum()
}

fn again<T>(codec: &Codec<T>, bytes: &[u8]) -> bool {
    let Ok(value) = codec.decode(bytes) else { return false };
    let written = |value: &T| {
        let mut bytes = Vec::new();
        codec.encode(value, &mut bytes).map(|()| bytes)
    };
    // What was read may not be for passing on: a reference to an actor that has ended.
    let Ok(first) = written(&value) else { return true };
    match codec.decode(&first) {
        Ok(value) => assert_eq!(written(&value).as_ref(), Ok(&first), "{codec:?}: {bytes:x?}"),
        Err(error) => panic!("{codec:?} does not read what it wrote: {error}; {bytes:x?}"),
    }
    true
}
