//! The floor of mobula: actors, their mailboxes, references, timers, streams and names.
//!
//! Start at [`actor`], then [`message`] and [`actor_ref`]; how an actor runs is in `run_loop`.
//! Users take all of this through the facade crate `mobula`.

pub mod id;
pub mod exit;
pub mod message;
pub mod arg;
pub mod directory;
pub mod names;
pub mod dead_letters;
pub mod current;
pub mod system;
pub mod handle;
pub mod panic_capture;
mod arbiters;
mod signal;

pub use arbiters::Pin;
pub use arg::{Arg, Args, DependencyFailed, IntoArg, Resolve};
pub use current::{CallChain, Current, MessageContext, current_system, scope, sync_scope};
pub use dead_letters::{DeadLetter, DeadLetterReason, DeadLetterTap, DeadLetters};
pub use directory::{ActorListing, Citizen, Directory, Kind};
pub use exit::{ErrorText, ExitReason, PanicReport, chain_text};
pub use handle::ActorHandle;
pub use id::{ActorId, CallerId, MonitorRef};
pub use message::{Message, Method, MethodTag};
pub use names::{FullName, Names};
pub use signal::ChildExited;
pub use system::{System, SystemBuilder};
