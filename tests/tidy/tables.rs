//! The law: who may use what, and which exceptions were granted.
//!
//! Kept apart from the judges so that a change of law is seen as one in review.
//! Every exception carries its reason; a row without need fails as loudly as a breach, so the tables only shrink.

/// Our crates, top of the house last, with what each may depend on.
/// A crate that is not listed may not exist; an edge that is not listed may not be drawn.
pub(crate) const HOUSE: &[(&str, &[&str])] = &[
    ("mobula-macros", &[]),
    // For the walk over what came from elsewhere, before any type sees it.
    ("mobula-actor-core", &["mobula-macros", "mobula-proto"]),
    ("mobula-supervision", &["mobula-actor-core"]),
    ("mobula-store", &["mobula-actor-core"]),
    ("mobula-tasks", &["mobula-actor-core", "mobula-store"]),
    ("mobula-proto", &[]),
    ("mobula-sim", &["mobula-proto"]),
    ("mobula-cluster", &["mobula-actor-core", "mobula-proto"]),
    (
        "mobula",
        &[
            "mobula-actor-core",
            "mobula-supervision",
            "mobula-store",
            "mobula-tasks",
            "mobula-cluster",
        ],
    ),
    ("mobula-peers", &["mobula", "mobula-cluster", "mobula-proto"]),
    ("mobula-chaos", &["mobula"]),
    // Decoders of every room, some of which only the rooms themselves can name.
    (
        "mobula-fuzz",
        &[
            "mobula",
            "mobula-actor-core",
            "mobula-cluster",
            "mobula-proto",
            "mobula-store",
            "mobula-tasks",
        ],
    ),
];

/// Edges that only tests draw: (from, to, why).
pub(crate) const TEST_EDGES: &[(&str, &str, &str)] = &[
    (
        "mobula-macros",
        "mobula",
        "what a macro writes names the facade, so its compile-fail tests need it",
    ),
    ("mobula", "mobula", "the facade's own tests switch the testkit on"),
];

/// A foreign crate: name, its role here, and the only places for it: path prefixes, or [`TEST_CODE`].
pub(crate) const FOREIGN: &[(&str, &str, &[&str])] = &[
    (
        "actix",
        "the framework whose actors we host",
        &["actor-core/src/actix_guest", "examples/", "tests/actix_guest", "benches/peers/"],
    ),
    (
        "actix-rt",
        "single-threaded arbiters",
        &[
            "actor-core/src/arbiter",
            "actor-core/src/actix_guest",
            "actor-core/src/testkit",
            "benches/peers/",
            TEST_CODE,
        ],
    ),
    ("anyhow", "errors of programs, never of libraries", &["examples/", "tests/", "bindings/"]),
    ("arc-swap", "read-mostly tables with one writer each", &["actor-core/src/", "cluster/src/"]),
    (
        "bytes",
        "shared slices of frames and values",
        &["cluster/", "src/wiring/", "store/", "benches/peers/", "fuzz/"],
    ),
    (
        "clap",
        "command lines",
        &["src/bin/", "examples/", "benches/peers/", "cluster/sim/", "chaos/"],
    ),
    ("foca", "the baseline that the simulator runs beside our membership", &["cluster/sim/"]),
    ("flate2", "reads compressed input", &["examples/tinystore/"]),
    (
        "foldhash",
        "hashing for tables that are asked for each message",
        &["actor-core/src/directory/pages", "actor-core/src/remote/table", "cluster/src/exchange"],
    ),
    ("futures-util", "streams and the select of run loops", EVERY_DRIVER),
    ("hmac", "proves that a node knows the cluster's secret", &["cluster/src/admission"]),
    ("indicatif", "a progress bar", &["examples/tinystore/"]),
    (
        "inventory",
        "read-only tables that macros fill at link time",
        &["actor-core/src/", "tasks/src/", "src/", "examples/"],
    ),
    ("kameo", "a peer to measure beside", &["benches/peers/"]),
    (
        "libp2p",
        "identity, encrypted connections, gossip: the control plane",
        &[
            "cluster/src/transport/libp2p",
            "cluster/src/identity",
            "cluster/src/admission",
            "cluster/tests/admission",
        ],
    ),
    ("libp2p_of_kameo", "kameo's own version of it, to start a node of kameo", &["benches/peers/"]),
    ("libfuzzer-sys", "what drives a fuzz target", &["fuzz/"]),
    ("libp2p-stream", "long-lived control streams", &["cluster/src/transport/libp2p"]),
    ("loom", "the model checker of the mailbox", &["actor-core/"]),
    ("memchr", "splits lines and fields", &["examples/tinystore/"]),
    ("parking_lot", "short locks without poisoning", EVERY_DRIVER),
    (
        "prettyplease",
        "shows what macros write, in their tests",
        &["actor-core/macros/src/expansion"],
    ),
    ("pin-project-lite", "pinned fields without `unsafe` of ours", EVERY_DRIVER),
    ("proc-macro2", "tokens", &["actor-core/macros/"]),
    ("proptest", "random histories against naive models", TESTS),
    ("quote", "tokens", &["actor-core/macros/"]),
    ("ractor", "a peer to measure beside", &["benches/peers/"]),
    ("ractor_cluster", "a peer to measure beside", &["benches/peers/"]),
    ("rand", "generators: pure code is handed one, drivers seed it", EVERYWHERE),
    (
        "rand_core",
        "the trait of the generators that protocol cores are handed",
        &["cluster/proto/"],
    ),
    ("rand_of_foca", "the older generator that foca is handed", &["cluster/sim/"]),
    ("rustix", "passes a signal on to a process", &["src/launch", "chaos/"]),
    (
        "ring-channel",
        "lossy taps: flight recorder, dead letters, telemetry",
        &[
            "actor-core/src/flight_recorder",
            "actor-core/src/dead_letters",
            "actor-core/src/mailbox/",
        ],
    ),
    (
        "rmp-serde",
        "the wire format, with named fields",
        &["actor-core/src/", "store/src/", "cluster/", "examples/", "fuzz/", TEST_CODE],
    ),
    ("serde", "every message, argument and result", EVERYWHERE),
    (
        "serde_json",
        "output of command lines",
        &["src/", "examples/", "benches/peers/", "cluster/sim/", "chaos/", "tests/", TEST_CODE],
    ),
    (
        "sha2",
        "checks what was fetched; names nodes by their keys",
        &["examples/tinystore/", "cluster/proto/src/id", "cluster/src/admission"],
    ),
    ("smallbox", "envelopes in place", &["actor-core/src/"]),
    (
        "spin",
        "the mailbox's lock: held for tens of nanoseconds, given back by a plain store",
        &["actor-core/src/sync"],
    ),
    ("stateright", "the model checker of the registry's cores", TESTS),
    ("syn", "tokens", &["actor-core/macros/"]),
    ("sync_wrapper", "futures that are sent, never shared", &["actor-core/src/"]),
    ("tappers", "wires between machines that are namespaces", &["chaos/src/lab"]),
    ("tar", "reads archives", &["examples/tinystore/"]),
    ("thiserror", "one enum per family of errors", EVERYWHERE),
    ("tokio", "the executor: drivers only, pure modules are barred from it", EVERY_DRIVER),
    ("tokio-util", "joins the two kinds of byte streams", &["cluster/"]),
    ("tracing", "spans and events", EVERY_DRIVER),
    (
        "tracing-subscriber",
        "what `#[mobula::main]` sets up; a room only emits",
        &["src/", "examples/", "tests/tracing", "tests/crash_log", "chaos/"],
    ),
    ("trybuild", "pins the error messages of macros", TESTS),
    ("zip", "reads archives", &["examples/tinystore/"]),
];

const EVERYWHERE: &[&str] = &[""];
/// Any line of a test, wherever the test stands.
pub(crate) const TEST_CODE: &str = "#[cfg(test)]";
const TESTS: &[&str] = &[TEST_CODE];
const EVERY_DRIVER: &[&str] = &[
    "actor-core/src/",
    "actor-core/tests/",
    "supervision/src/",
    "supervision/tests/",
    "store/src/",
    "store/tests/",
    "tasks/src/",
    "tasks/tests/",
    "tasks/benches/",
    "cluster/src/",
    "cluster/tests/",
    "cluster/examples/",
    "chaos/",
    "src/",
    "tests/",
    "examples/",
    "benches/",
    "fuzz/",
];

/// Files that may hold more than 400 lines outside tests: path, lines now, why it is one concept.
/// A listed file may shrink, never grow.
pub(crate) const LONG_FILES: &[(&str, usize, &str)] = &[];

/// The only homes of `unsafe`.
pub(crate) const UNSAFE_FILES: &[&str] =
    &["store/src/shm/segment.rs", "actor-core/src/mailbox/lane.rs"];

/// Statics that can change: file, name, and why two nodes may share it.
pub(crate) const GRANTED_GLOBALS: &[(&str, &str, &str)] = &[
    (
        "actor-core/src/panic_capture.rs",
        "INSTALL",
        "a process has one panic hook; it is installed once and holds nothing of a node",
    ),
    (
        "chaos/src/node/voice.rs",
        "VOICE",
        "there a process is one node, and says what happens on its one standard output",
    ),
    (
        "fuzz/fuzz_targets/messages.rs",
        "NODE",
        "there a process has one node, and nothing hands a fuzz target anything but bytes",
    ),
];

/// Parts that the plan of the house calls pure, so that nobody drops the marker by accident.
/// A folder, ending with a slash, stands for every file in it but its tests and its `lib.rs`.
pub(crate) const PURE_FILES: &[&str] = &[
    "actor-core/src/lifecycle.rs",
    "actor-core/src/timers.rs",
    "actor-core/src/wire.rs",
    "actor-core/src/groups/routing.rs",
    "supervision/src/restart.rs",
    "supervision/src/strategy.rs",
    "supervision/src/intensity.rs",
    "supervision/src/backoff.rs",
    "supervision/src/children.rs",
    "supervision/src/decide.rs",
    "supervision/src/decide/",
    "store/src/table.rs",
    "store/src/refcount.rs",
    "store/src/budget.rs",
    "store/src/owner.rs",
    "store/src/owner/",
    "store/src/borrower.rs",
    "store/src/borrower/",
    "store/src/ownership.rs",
    "store/src/pins.rs",
    "store/src/spread.rs",
    "store/src/transfer.rs",
    "store/src/lineage.rs",
    "store/src/backup.rs",
    "store/src/effect.rs",
    "store/src/message.rs",
    "store/src/dead.rs",
    "store/src/time.rs",
    "store/src/object_id.rs",
    "tasks/src/resources.rs",
    "tasks/src/graph.rs",
    "tasks/src/retry.rs",
    "tasks/src/admission.rs",
    "tasks/src/queue.rs",
    "tasks/src/history.rs",
    "tasks/src/ledger.rs",
    "tasks/src/ledger/",
    "cluster/proto/src/",
    "cluster/src/admission/rules.rs",
    "cluster/src/admission/certificate.rs",
    "cluster/src/admission/ledger.rs",
    "cluster/src/exchange/message.rs",
    "chaos/src/event.rs",
    "chaos/src/script.rs",
    "chaos/src/shape.rs",
    "chaos/src/checker.rs",
    "chaos/src/verdict.rs",
];

/// Modules of one crate (each with the files below it) that import each other in a circle, and why that is one
/// concept in several files.
pub(crate) const KNOWN_CYCLES: &[(&[&str], &str)] = &[
    (
        &[
            "actor-core/src/actor",
            "actor-core/src/actor_ref",
            "actor-core/src/ask",
            "actor-core/src/cell",
            "actor-core/src/closing",
            "actor-core/src/context",
            "actor-core/src/current",
            "actor-core/src/directory",
            "actor-core/src/drive",
            "actor-core/src/envelope",
            "actor-core/src/extras",
            "actor-core/src/factory",
            "actor-core/src/groups",
            "actor-core/src/handle",
            "actor-core/src/names",
            "actor-core/src/postings",
            "actor-core/src/recipient",
            "actor-core/src/remote",
            "actor-core/src/run_loop",
            "actor-core/src/send",
            "actor-core/src/signal",
            "actor-core/src/spawn",
            "actor-core/src/system",
            "actor-core/src/tell",
        ],
        "one family of types: an actor's handlers take its context, a context gives references, a reference \
         points to the cell, the cell runs the actor, or stands in for one on another node, which the system reaches, \
         and the system keeps names and groups of references",
    ),
    (
        &["actor-core/src/message", "actor-core/src/wire"],
        "a message says how it travels, and how it travels is a property of a message",
    ),
    (
        &[
            "cluster/src/admission/certificate",
            "cluster/src/admission/ledger",
            "cluster/src/admission/rules",
            "cluster/src/error",
            "cluster/src/identity",
        ],
        "a refusal names the rule and the certificate, which name identities",
    ),
    (
        &[
            "src/inspector",
            "src/leaving",
            "src/node",
            "src/warden",
            "src/wiring/cluster",
            "src/wiring/bundles",
            "src/wiring/placement",
            "src/wiring/postings",
            "src/wiring/stores",
            "src/wiring/tasks",
        ],
        "the composition root and the services of a node, which answer for it",
    ),
];

/// The behaviours users were promised; see `behaviours.rs`. A row may be added, never struck.
#[rustfmt::skip]
pub(crate) const BEHAVIOURS: &[&str] = &[
    "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t12", "t24",
    "o1", "o3", "o4", "o5", "o6", "o7", "o9", "o10", "o13", "o14", "o16", "o17", "o20",
    "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "w10", "w11",
    "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a9", "a10", "a11", "a12", "a16", "a17", "a18", "a20", "a25",
    "n1", "n2", "n3", "n4", "n6", "n7", "n8", "n9", "n10", "n11", "n12", "n15",
    "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
    "c1", "c2", "c3", "c4", "c7", "c8", "c9", "c10", "c12",
    "r1", "r2", "r3", "r4", "r7", "r8", "r9", "r10", "r11", "r13",
    "f15", "f16", "f17", "f30",
    // Held by the store; a node's tasks do not leave it their recipes yet, so that users see f20 alone.
    "f18", "f19", "f20", "f22", "f23", "f30",
];
