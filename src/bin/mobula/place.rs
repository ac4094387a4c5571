//! Which cluster is meant, which nodes of it, and being a member of it for a moment.
//!
//! The tool joins as a node on which nothing is placed, asks, and leaves: so it needs what any node needs, a member's
//! address and proof that it belongs, and every node answers it as it would answer another.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use mobula::{AuthorityConfig, ClusterConfig, MemberRow, Node, NodeId, Role};

use crate::CommandError;
use crate::run::known_runs;

/// How long the tool tries to join.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// Whom to ask, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// A member's address; without it, the only run on this machine
    #[arg(long, value_name = "HOST:PORT", env = "MOBULA_JOIN")]
    join: Option<String>,
    /// A file with the cluster's secret; or the variable `MOBULA_SECRET`
    #[arg(long, value_name = "PATH")]
    secret_file: Option<std::path::PathBuf>,
    /// Only this node; the beginning of its name is enough
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// One JSON object per line, the totals last
    #[arg(long)]
    json: bool,
}

impl Where {
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether this node is among those that are meant.
    pub(crate) fn means(&self, node: NodeId) -> bool {
        self.node.as_ref().is_none_or(|wanted| is_called(node, wanted))
    }

    /// Runs `ask` as a member that only looks.
    pub(crate) fn visit<T>(
        &self,
        ask: impl AsyncFnOnce(&Node) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        self.visit_as(Role::Observer, ask)
    }

    /// Runs `ask` as a member of the cluster.
    pub(crate) fn visit_as<T>(
        &self,
        role: Role,
        ask: impl AsyncFnOnce(&Node) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let (address, secret) = self.target()?;
        let authority = AuthorityConfig::from_environment(|name| std::env::var(name).ok())?;
        let secret = secret.filter(|_| authority.is_none());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let mut config = ClusterConfig::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.join = vec![address];
            config.join_limit = JOIN_LIMIT;
            config.secret = secret;
            config.role = role;
            config.authority = authority;
            let node = Node::builder().num_cpus(0.0).cluster(config).start().await?;
            // What cannot be reached by then is named in the answer.
            let alive = node.nodes().iter().filter(|row| row.status == "alive").count();
            let _ = node.wait_for_nodes(alive, JOIN_LIMIT).await;
            let answer = match &self.node {
                Some(wanted) => {
                    let found = member(&node, wanted);
                    match found {
                        Ok(_) => ask(&node).await,
                        Err(error) => Err(error),
                    }
                }
                None => ask(&node).await,
            };
            node.shutdown().await;
            answer
        })
    }

    /// The member to join by and the secret.
    fn target(&self) -> Result<(String, Option<String>), CommandError> {
        let secret = match &self.secret_file {
            Some(path) => Some(std::fs::read_to_string(path)?.trim().to_owned()),
            None => std::env::var("MOBULA_SECRET").ok(),
        };
        if let Some(address) = &self.join {
            return Ok((address.clone(), secret));
        }
        let mut runs = known_runs();
        match (runs.pop(), runs.len()) {
            (Some(run), 0) => Ok((run.address, Some(run.secret))),
            (None, _) => Err(CommandError::NoRun),
            (Some(_), others) => Err(CommandError::ManyRuns(others + 1)),
        }
    }
}

fn is_called(node: NodeId, wanted: &str) -> bool {
    let name = node.to_string();
    name.starts_with(wanted) || name.trim_start_matches('n').starts_with(wanted)
}

/// The living members other than the tool itself.
pub(crate) fn members(node: &Node) -> Vec<MemberRow> {
    let is_living =
        |row: &MemberRow| matches!(row.status.as_str(), "alive" | "suspect" | "leaving");
    let mut rows = node.nodes();
    rows.retain(|row| !row.is_here && is_living(row));
    rows
}

/// The one living member that is called so.
pub(crate) fn member(node: &Node, wanted: &str) -> Result<NodeId, CommandError> {
    let all = members(node);
    let called: Vec<NodeId> =
        all.iter().map(|row| row.node).filter(|node| is_called(*node, wanted)).collect();
    let list = |nodes: &mut dyn Iterator<Item = NodeId>| {
        nodes.map(|node| node.to_string()).collect::<Vec<_>>().join(", ")
    };
    match called.as_slice() {
        [one] => Ok(*one),
        [] => Err(CommandError::NoSuchNode {
            wanted: wanted.to_owned(),
            known: list(&mut all.iter().map(|row| row.node)),
        }),
        several => Err(CommandError::ManyNodes {
            wanted: wanted.to_owned(),
            called: list(&mut several.iter().copied()),
        }),
    }
}
