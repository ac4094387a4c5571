//! Builder methods that a generated options type forwards to ours.
//!
//! `CounterOptions` must be a type of the user's crate, because its `remote` has the constructor's own
//! parameters; so it wraps `ActorOptions` and repeats the builders. The tables here are that
//! repetition: one row for each builder, to be kept equal to the wrapped type. A row that is wrong
//! fails to compile in the first program that uses the macro.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Type, parse_str};

/// One forwarded method: name, parameters, documentation.
pub(crate) struct Builder {
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    doc: &'static str,
}

const fn row(
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    doc: &'static str,
) -> Builder {
    Builder { name, parameters, doc }
}

/// Of `ActorOptions`. `max_restarts` is not here: it changes the type; nor is `supervised_by`, which is for
/// supervisors, who take `ActorOptions` itself.
pub(crate) const ACTOR: &[Builder] = &[
    row(
        "name",
        &[("name", "impl ::core::convert::Into<::std::string::String>")],
        "Registers the actor under a name.",
    ),
    row(
        "namespace",
        &[("namespace", "impl ::core::convert::Into<::std::string::String>")],
        "The namespace of the name.",
    ),
    row(
        "detached",
        &[],
        "Lets the actor live on when its creator and the last reference are gone.",
    ),
    row(
        "mailbox",
        &[("mailbox", "::mobula::__macro::Mailbox")],
        "Sets the mailbox's bound and what happens when it is full.",
    ),
    row("pinned", &[], "Runs the actor on one thread of its own choice, always the same."),
    row(
        "group",
        &[("group", "impl ::core::convert::Into<::std::string::String>")],
        "Pins the actor to the thread of a group, so that those who talk much sit together.",
    ),
    row("get_if_exists", &[], "Returns the actor that has the name already, if there is one."),
    row(
        "flight_recorder",
        &[("events", "usize")],
        "Keeps the last events of the actor for its post-mortem.",
    ),
    row(
        "num_cpus",
        &[("num_cpus", "f64")],
        "CPUs that the actor holds while it lives; none otherwise. It starts when they are free.",
    ),
    row(
        "resource",
        &[("name", "impl ::core::convert::AsRef<str>"), ("amount", "f64")],
        "An amount of a named resource that the actor holds while it lives.",
    ),
    row("on", &[("placement", "::mobula::__macro::Placement")], "Where the actor should run."),
    row(
        "in_group",
        &[("group", "&impl ::mobula::__macro::Grouped")],
        "Runs the actor in a placement group that is ready, and ends it with the group.",
    ),
    row("bundle", &[("index", "u32")], "Which bundle of its placement group, chosen before."),
];

/// Of `TaskOptions`.
pub(crate) const TASK: &[Builder] = &[
    row(
        "num_cpus",
        &[("num_cpus", "f64")],
        "CPUs that the task takes while it runs; fractions count.",
    ),
    row(
        "resource",
        &[("name", "impl ::core::convert::AsRef<str>"), ("amount", "f64")],
        "An amount of a named resource that the task takes while it runs.",
    ),
    row(
        "memory",
        &[("size_bytes", "u64")],
        "Bytes of memory that the task reserves while it runs.",
    ),
    row(
        "max_retries",
        &[("max_retries", "u32")],
        "How often the task is repeated when its worker was lost or it panicked.",
    ),
    row("retry_errors", &[], "Repeats the task after its own errors, too."),
    row(
        "retry_if",
        &[(
            "is_retried",
            "impl ::core::ops::Fn(&::mobula::__macro::TaskError) -> bool + ::core::marker::Send + ::core::marker::Sync + 'static",
        )],
        "Repeats the task after the errors that the predicate picks.",
    ),
    row("durable", &[], "The results outlive the node that the task was submitted on."),
    row(
        "backoff",
        &[("range", "::core::ops::Range<::core::time::Duration>")],
        "The delay before the first repetition, and the one it grows to.",
    ),
    row(
        "timeout",
        &[("after", "::core::time::Duration")],
        "How long the task may take, waiting and repetitions included.",
    ),
    row(
        "name",
        &[("name", "impl ::core::convert::Into<::std::string::String>")],
        "The task's name in listings and traces.",
    ),
    row(
        "on",
        &[("placement", "::mobula::__macro::Placement")],
        "Where the task should run; on one node there is one place.",
    ),
    row(
        "in_group",
        &[("group", "&impl ::mobula::__macro::Grouped")],
        "Runs the task in the room of a placement group, once that is formed.",
    ),
    row("bundle", &[("index", "u32")], "Which bundle of its placement group; any otherwise."),
];

/// The builders as methods of a type with a field `options`; `rest` are its other fields.
pub(crate) fn forwarded(builders: &[Builder], rest: &TokenStream) -> TokenStream {
    builders.iter().map(|builder| forward(builder, rest)).collect()
}

fn forward(builder: &Builder, rest: &TokenStream) -> TokenStream {
    let ident = |text: &str| Ident::new(text, Span::call_site());
    let name = ident(builder.name);
    let doc = builder.doc;
    let names = builder.parameters.iter().map(|(name, _)| ident(name)).collect::<Vec<_>>();
    let types = builder.parameters.iter().filter_map(|(_, ty)| parse_str::<Type>(ty).ok());
    quote! {
        #[doc = #doc]
        #[must_use]
        pub fn #name(self #(, #names: #types)*) -> Self {
            Self { options: self.options.#name(#(#names),*) #rest }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_type_parses() {
        for builder in ACTOR.iter().chain(TASK) {
            for (_, ty) in builder.parameters {
                parse_str::<Type>(ty).unwrap();
            }
        }
    }
}
