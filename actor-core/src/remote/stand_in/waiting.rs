//! Messages that wait in a stand-in: for late arguments, or behind one of their sender's that does.
//!
//! Sent on as they come, a message whose arguments are late would hold up all that is behind it, of other senders, too;
//! left aside alone, it would be overtaken by its own sender's next. So each sender who has such a message gets a line of its
//! own, as in an actor that lives here.
//!
//! Invariants: messages of one sender leave in the order in which they came; a line holds up nobody but its sender, as
//! long as the lines together are no longer than the mailbox.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};

use crate::actor::Actor;
use crate::arg::DependencyFailed;
use crate::envelope::BoxedEnvelope;
use crate::id::CallerId;

/// A message, and whether it still holds a slot of the mailbox.
pub(super) struct Held<A: Actor> {
    pub(super) envelope: BoxedEnvelope<A>,
    pub(super) holds_slot: bool,
}

/// What became of a message that waited.
pub(super) enum Ready<A: Actor> {
    /// Its arguments are there, and its turn has come.
    Goes(Held<A>),
    /// Its arguments cannot be made.
    Fails(Held<A>, DependencyFailed),
}

/// The lines.
pub(super) struct Waiting<A: Actor> {
    lines: HashMap<CallerId, VecDeque<Held<A>>>,
    count: usize,
}

impl<A: Actor> Waiting<A> {
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), count: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn has_line(&self, caller: CallerId) -> bool {
        self.lines.contains_key(&caller)
    }

    /// Puts a message at the end of its sender's line; whether it gives its slot of the mailbox back, of which `free` may be.
    pub(super) fn push(&mut self, envelope: BoxedEnvelope<A>, free: usize) -> bool {
        let holds_slot = self.count >= free;
        self.count += 1;
        let line = self.lines.entry(envelope.meta().caller).or_default();
        line.push_back(Held { envelope, holds_slot });
        !holds_slot
    }

    /// The first message whose turn has come, if any; whoever waits for another is woken when there is one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Ready<A>> {
        let mut found = None;
        for (caller, line) in &mut self.lines {
            let Some(first) = line.front_mut() else { continue };
            if !first.envelope.is_gated() {
                found = Some((*caller, Ok(())));
                break;
            }
            if let Poll::Ready(outcome) = first.envelope.poll_gate(cx) {
                found = Some((*caller, outcome));
                break;
            }
        }
        let (caller, outcome) = found?;
        let line = self.lines.get_mut(&caller)?;
        let held = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&caller);
        }
        self.count -= 1;
        Some(match outcome {
            Ok(()) => Ready::Goes(held),
            Err(error) => Ready::Fails(held, error),
        })
    }

    /// Everything that waits, sender by sender; for the end.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = BoxedEnvelope<A>> {
        self.count = 0;
        self.lines.drain().flat_map(|(_, line)| line).map(|held| held.envelope)
    }
}
