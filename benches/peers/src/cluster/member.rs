//! One node of a fleet: says when it is ready, and does what it is told, a word a line.
//!
//! The referee takes the time, from outside; so a word is answered as soon as what it asks for has happened.

use std::io::Write as _;

use mobula::{Node, NodeId, Placement};

use super::entrants::mobula::{MEET_LIMIT, node};
use crate::error::BenchError;

/// How long a node that was killed may stay unnoticed.
const GONE_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

#[mobula::task]
fn somewhere() -> u64 {
    std::process::id().into()
}

fn refused(error: impl std::fmt::Display) -> BenchError {
    BenchError::refused("member")(error.to_string())
}

fn say(line: &str) -> Result<(), BenchError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Lives until standard input ends.
pub(crate) fn live(join: Vec<String>) -> Result<(), BenchError> {
    super::ground::on_workers(async move {
        let node = node(join).await?;
        let id = node.id().map_or(0, |id| id.0);
        let address = node.addresses().into_iter().next().unwrap_or_default();
        say(&format!("ready {id} {address}"))?;
        let (words_in, mut words) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if words_in.send(line).is_err() {
                    break;
                }
            }
        });
        while let Some(word) = words.recv().await {
            tokio::spawn(obey(node.clone(), word));
        }
        Ok(())
    })
}

async fn obey(node: Node, word: String) {
    let said = match done(&node, &word).await {
        Ok(()) => say(&format!("done {word}")),
        Err(error) => say(&format!("failed {word}: {error}")),
    };
    // Without the referee there is nothing left to do.
    drop(said);
}

async fn done(node: &Node, word: &str) -> Result<(), BenchError> {
    let unreadable = || refused("unknown word");
    let (verb, number) = word.split_once(' ').ok_or_else(unreadable)?;
    let number: u64 = number.parse().map_err(|_no_number| unreadable())?;
    match verb {
        // As many members are alive as this.
        "meet" => {
            let count = usize::try_from(number).unwrap_or(usize::MAX);
            let met = node.wait_for_nodes(count, MEET_LIMIT).await;
            met.map_err(|count| refused(format!("{count} nodes")))
        }
        // That node runs a task.
        "task" => {
            let there = Placement::OnNode { node: NodeId(number), or_elsewhere: false };
            let result = node.enter(async { somewhere::options().on(there).remote().get().await });
            let ran = result.await.map_err(refused)?;
            if *ran == u64::from(std::process::id()) { Err(refused("it ran here")) } else { Ok(()) }
        }
        // That node is known to be down.
        "gone" => {
            let gone = tokio::time::timeout(GONE_LIMIT, node.node_gone(NodeId(number))).await;
            gone.map_err(|_elapsed| refused("still there"))
        }
        _ => Err(unreadable()),
    }
}
