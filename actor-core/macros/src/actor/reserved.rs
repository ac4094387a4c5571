//! Method names that a call cannot have.
//!
//! `ActorRef<A>` derefs to the generated calls, so its own methods, and those of traits that the
//! prelude brings in, win over a call of the same name: `counter.stop()` would stop the actor instead
//! of calling the user's `stop`. A macro that kept silent would leave a call that nobody can make.

use crate::names::plain;
use crate::refusals::Refusals;

use proc_macro2::Ident;

/// Methods of `ActorRef`, by what each does.
const OF_REFERENCES: &[(&str, &str)] = &[
    ("ask", "sends a message and waits for its reply"),
    ("tell", "sends a message one way"),
    ("try_tell", "sends a message one way, without waiting for room"),
    ("kill", "ends the actor at once"),
    ("stop", "ends the actor when its mailbox is empty"),
    ("id", "is the actor's identity"),
    ("name", "is the actor's registered name"),
    ("recipient", "is a reference to one kind of message"),
    ("clone", "copies the reference"),
    ("downgrade", "makes a reference that does not keep the actor alive"),
    ("is_alive", "says whether the actor still runs"),
    ("ready", "waits until the actor has started"),
    ("closed", "waits for the actor's end"),
    ("as_handle", "is a reference without the actor's type"),
    ("eq", "compares two references"),
    ("ne", "compares two references"),
    ("calls", "would be a message of the same name as the actor's calls"),
    ("into", "converts the reference (`Into` is in every prelude)"),
    ("try_into", "converts the reference (`TryInto` is in every prelude)"),
    ("to_owned", "copies the reference (`ToOwned` is in every prelude)"),
];

/// Functions that the macro writes into the user's own `impl`.
const GENERATED: &[(&str, &str)] = &[
    ("remote", "a function `remote`, which starts the actor"),
    ("options", "a function `options`, which starts the actor with options"),
];

/// Refuses a call whose name is taken.
pub(crate) fn check_call(method: &Ident, refusals: &mut Refusals) {
    let name = plain(method);
    if let Some((_, what)) = OF_REFERENCES.iter().find(|(taken, _)| *taken == name) {
        refusals.push(
            method,
            format!("`{name}` is taken: on an `ActorRef`, `.{name}()` {what}, so this method could never be called; rename it, for example to `{name}_it` or `do_{name}`, or make it private"),
        );
    }
}

/// Refuses a function that the macro itself is going to write.
pub(crate) fn check_function(function: &Ident, refusals: &mut Refusals) {
    let name = plain(function);
    if let Some((_, what)) = GENERATED.iter().find(|(taken, _)| *taken == name) {
        refusals
            .push(function, format!("`{name}` is taken: `#[actor]` writes {what}; rename yours"));
    }
}
