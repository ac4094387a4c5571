//! What the run loop must know of an envelope without opening it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use crate::current::MessageContext;
use crate::id::CallerId;

/// Who sent a message, and what came along.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) caller: CallerId,
    pub(crate) context: Option<Arc<MessageContext>>,
    pub(crate) nature: Nature,
}

impl Meta {
    /// Whether the envelope's handler is called and that is all.
    #[inline]
    pub(crate) fn is_prompt(&self) -> bool {
        self.nature == Nature::Prompt && self.context.is_none()
    }
}

/// What the run loop has to expect of an envelope. Beside the message, so that it asks one thing and not three. A whole
/// word, which takes no more room here, and is written and read in the same steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Nature {
    /// Its handler never waits: `run_now` does.
    Prompt,
    /// Its handler may leave a future.
    Plain,
    /// It may wait for arguments, or be retried.
    Careful,
}
