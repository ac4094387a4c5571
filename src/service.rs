//! What a process of a cluster does beside its node: says where it listens, waits for others, serves until told to end.
//!
//! | variable | meaning |
//! |---|---|
//! | `MOBULA_ROLE=worker` | the node serves; the program's main does not run |
//! | `MOBULA_ADDRESS_FILE` | where to write the addresses, once the node listens |
//! | `MOBULA_EXPECT_NODES` | how many members main waits for |
//! | `MOBULA_LEAVE_WITH_STDIN=1` | a worker ends with its standard input, too |

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::leaving::{DRAIN_LIMIT, Role};
use crate::node::Node;

/// How long a driver waits for the others.
const OTHERS_LIMIT: Duration = Duration::from_secs(20);

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It runs the program's main.
    Driver,
    /// It only serves.
    Worker,
}

/// Says where the node listens, and waits for those it expects.
///
/// # Errors
/// What a person can do something about, as a sentence.
pub(crate) async fn begin(node: &Node) -> Result<Part, String> {
    let read = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
    if let Some(path) = read("MOBULA_ADDRESS_FILE") {
        write_whole(Path::new(&path), &node.addresses().join("\n"))
            .map_err(|error| format!("the addresses were not written to {path}: {error}"))?;
    }
    if let Some(id) = node.id() {
        tracing::info!(node = %id, "node {id} listens on {}", node.addresses().join(", "));
    }
    let is_worker = read("MOBULA_ROLE").is_some_and(|role| role == "worker");
    if is_worker {
        node.leave().set_role(Role::Serves);
        return if node.id().is_some() {
            Ok(Part::Worker)
        } else {
            Err("a worker needs MOBULA_LISTEN or MOBULA_JOIN".to_owned())
        };
    }
    node.leave().set_role(Role::Drives);
    if let Some(text) = read("MOBULA_EXPECT_NODES") {
        let count: usize = text.parse().map_err(|_unreadable| {
            format!("MOBULA_EXPECT_NODES is `{text}`, but must be a count")
        })?;
        node.wait_for_nodes(count, OTHERS_LIMIT).await.map_err(|found| {
            format!(
                "{found} of {count} nodes were there after {OTHERS_LIMIT:?}; see their messages"
            )
        })?;
    }
    Ok(Part::Driver)
}

/// So that whoever waits for the file never reads half of it.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text)?;
    std::fs::rename(draft, path)
}

/// Until somebody says that it is enough, and until the node has left.
///
/// SIGTERM, or `mobula drain`, lets it finish or move its work first, within [`DRAIN_LIMIT`]; a second signal cuts that
/// short. SIGINT, and the end of standard input where that was asked for, end it at once: then whoever started it is
/// gone, or wants it gone.
pub(crate) async fn serve(node: &Node) {
    let with_stdin = std::env::var("MOBULA_LEAVE_WITH_STDIN").is_ok_and(|value| value == "1");
    let (ended, end) = oneshot::channel();
    if with_stdin {
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            // Whatever comes, and however it ends: it has ended.
            let _ = std::io::stdin().lock().read_to_end(&mut rest);
            let _ = ended.send(());
        });
    } else {
        drop(ended);
    }
    let stdin = async {
        if !with_stdin || end.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let told = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_none) => std::future::pending().await,
        }
    };
    let enough = async {
        tokio::select! {
            () = stdin => {}
            () = told(SignalKind::interrupt()) => {}
        }
    };
    tokio::pin!(enough);
    tokio::select! {
        () = &mut enough => return node.shutdown().await,
        () = told(SignalKind::terminate()) => {}
        () = node.leave().asked() => {}
    }
    let again = told(SignalKind::terminate());
    tokio::select! {
        left = node.drain(DRAIN_LIMIT) => tracing::info!(?left, "the node was drained and has left"),
        () = &mut enough => node.shutdown().await,
        () = again => node.shutdown().await,
    }
}
