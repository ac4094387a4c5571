//! What this node sees of the others.

use std::collections::HashMap;
use std::time::Duration;

use mobula::Node;

use super::voice::Voice;
use crate::event::Event;

/// Says each change of a member's status that is still there when it looks.
pub(super) async fn follow(node: Node, voice: &'static Voice, every: Duration) {
    let mut known: HashMap<u64, String> = HashMap::new();
    loop {
        for row in node.nodes().into_iter().filter(|row| !row.is_here) {
            if known.get(&row.node.0) != Some(&row.status) {
                known.insert(row.node.0, row.status.clone());
                voice.say(Event::Seen { node: row.node.0, status: row.status });
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// Says for each member that lives now when it goes, at once.
pub(super) fn watch_all(node: &Node, voice: &'static Voice) {
    let lives = |status: &str| status != "down" && status != "left";
    for row in node.nodes().into_iter().filter(|row| !row.is_here && lives(&row.status)) {
        let node = node.clone();
        tokio::spawn(async move {
            node.node_gone(row.node).await;
            voice.say(Event::Gone { node: row.node.0 });
        });
    }
}
