//! `kill` and `drain`: the two commands that change something.
//!
//! An observer may not: so here the tool is a client, with what its papers allow.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use mobula::{ActorRow, Node, NodeId, Role, Wanted};

use crate::CommandError;
use crate::place::{Where, member};

/// How long `drain` waits for the node to leave: as long as it may take, and a little.
const GONE_LIMIT: Duration = Duration::from_secs(30);

/// Ends the one actor of this name at once.
pub(crate) fn kill(name: &str, place: &Where) -> Result<ExitCode, CommandError> {
    let killed = place.visit_as(Role::Client, async |node| {
        let (at, actor) = the_one(node, name, place).await?;
        let refused = |why| CommandError::Refused { node: at.to_string(), why };
        if node.end_on(at, actor.id).await.map_err(refused)? {
            Ok(format!("{name}, {} {} on node {at}, was killed", actor.type_name, actor.id))
        } else {
            Ok(format!("{name} on node {at} was gone already"))
        }
    })?;
    writeln!(io::stdout(), "{killed}")?;
    Ok(ExitCode::SUCCESS)
}

/// The one actor that is called so, by its name or its id.
async fn the_one(
    node: &Node,
    name: &str,
    place: &Where,
) -> Result<(NodeId, ActorRow), CommandError> {
    // The filter finds what contains the name; the name itself is compared here.
    let members = node.cluster_actors(&Wanted::default().text(name).limit(usize::MAX)).await;
    let own = node.id();
    let nodes = members.answers.into_iter();
    let nodes = nodes.filter(|(at, _)| Some(*at) != own && place.means(*at));
    let mut found: Vec<(NodeId, ActorRow)> = nodes
        .flat_map(|(at, listing)| listing.rows.into_iter().map(move |row| (at, row)))
        .filter(|(_, row)| row.name.as_deref() == Some(name) || row.id.to_string() == name)
        .collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(CommandError::NoSuchActor { name: name.to_owned() }),
        (Some(last), others) => Err(CommandError::ManyActors {
            name: name.to_owned(),
            count: others + 1,
            nodes: found
                .iter()
                .chain([&last])
                .map(|(at, _)| at.to_string())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// Lets a node finish or move its work, and waits until it has left.
pub(crate) fn drain(wanted: &str, place: &Where) -> Result<ExitCode, CommandError> {
    let left = place.visit_as(Role::Client, async |node| {
        let at = member(node, wanted)?;
        let refused = |why| CommandError::Refused { node: at.to_string(), why };
        node.drain_node(at).await.map_err(refused)?;
        match tokio::time::timeout(GONE_LIMIT, node.node_gone(at)).await {
            Ok(()) => Ok(at),
            Err(_elapsed) => {
                Err(CommandError::StillThere { node: at.to_string(), limit: GONE_LIMIT })
            }
        }
    })?;
    writeln!(io::stdout(), "node {left} has finished or moved its work, and has left")?;
    Ok(ExitCode::SUCCESS)
}
