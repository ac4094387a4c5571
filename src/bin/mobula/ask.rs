//! `status`, `nodes`, `actors`, `tasks`, `objects`, `why`: questions to a running cluster.
//!
//! The tool joins for a moment, as a node on which nothing is placed, asks every node's inspector at once, and leaves.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use mobula::{ActorId, AuthorityConfig, ClusterConfig, Members, Node, NodeId, Role};
use serde::Serialize;
use serde_json::{Value, json};

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
    /// Only what this node says
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only rows in which some value contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

impl Where {
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    Status,
    Nodes,
    Actors,
    Tasks,
    Objects,
    Functions,
    Why(u64),
}

/// Joins, asks, leaves, and prints.
pub(crate) fn ask(question: Question, place: &Where) -> Result<ExitCode, CommandError> {
    let (address, secret) = target(place)?;
    let authority = AuthorityConfig::from_environment(|name| std::env::var(name).ok())?;
    let secret = secret.filter(|_| authority.is_none());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (rows, silent) = runtime.block_on(async {
        let mut config = ClusterConfig::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.join = vec![address];
        config.join_limit = JOIN_LIMIT;
        config.secret = secret;
        config.role = Role::Observer;
        config.authority = authority;
        let node = Node::builder().num_cpus(0.0).cluster(config).start().await?;
        let answer = answer(&node, question).await;
        node.shutdown().await;
        Ok::<_, CommandError>(answer)
    })?;
    let rows: Vec<Value> = rows.into_iter().filter(|row| is_wanted(row, place)).collect();
    let mut out = io::stdout().lock();
    if place.json {
        for row in &rows {
            writeln!(out, "{row}")?;
        }
    } else {
        table(&mut out, &rows)?;
    }
    for (node, why) in &silent {
        writeln!(io::stderr(), "mobula: node {node} did not answer: {why}")?;
    }
    Ok(if silent.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Rows = (Vec<Value>, Vec<(NodeId, String)>);

async fn answer(node: &Node, question: Question) -> Rows {
    match question {
        Question::Nodes => {
            let rows = node.nodes().into_iter().filter(|row| !row.is_here);
            let rows = rows.map(|row| {
                json!({
                    "node": row.node.to_string(),
                    "status": row.status,
                    "addresses": row.addresses.join(","),
                    "labels": row.labels,
                    "observer": row.observer,
                    "client": row.client,
                    "key": row.key,
                })
            });
            (rows.collect(), Vec::new())
        }
        Question::Status => one_each(node, node.cluster_status().await),
        Question::Actors => many_each(node, node.cluster_actors().await, |_| true),
        Question::Tasks => {
            many_each(node, node.cluster_actors().await, |row| row["kind"] == "task")
        }
        Question::Objects => many_each(node, node.cluster_objects().await, |_| true),
        Question::Functions => many_each(node, node.cluster_functions().await, |_| true),
        Question::Why(id) => match ActorId::from_u64(id) {
            Some(id) => {
                let Members { answers, silent, .. } = node.why(id).await;
                let said = answers.into_iter().filter_map(|(at, why)| {
                    Some(json!({ "node": at.to_string(), "id": id, "why": why? }))
                });
                (said.collect(), silent)
            }
            None => (Vec::new(), Vec::new()),
        },
    }
}

fn one_each<T: Serialize>(node: &Node, members: Members<T>) -> Rows {
    let answers = members.answers.into_iter().filter(|(at, _)| Some(*at) != node.id());
    (answers.map(|(at, row)| with_node(at, &row)).collect(), members.silent)
}

fn many_each<T: Serialize>(
    node: &Node,
    members: Members<Vec<T>>,
    is_one: impl Fn(&Value) -> bool,
) -> Rows {
    let answers = members.answers.into_iter().filter(|(at, _)| Some(*at) != node.id());
    let rows = answers
        .flat_map(|(at, rows)| rows.iter().map(|row| with_node(at, row)).collect::<Vec<_>>());
    (rows.filter(is_one).collect(), members.silent)
}

fn with_node(node: NodeId, row: &impl Serialize) -> Value {
    let mut value = json!({ "node": node.to_string() });
    if let (Some(fields), Ok(Value::Object(row))) =
        (value.as_object_mut(), serde_json::to_value(row))
    {
        fields.extend(row);
    }
    value
}

fn is_wanted(row: &Value, place: &Where) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), Into::into);
    let of_node = place.node.as_ref().is_none_or(|node| text(&row["node"]).contains(node.as_str()));
    let fields = row.as_object();
    let filtered = place.filter.as_ref().is_none_or(|filter| {
        fields.is_some_and(|fields| {
            fields.values().any(|value| text(value).contains(filter.as_str()))
        })
    });
    of_node && filtered
}

/// The member to join by and the secret.
fn target(place: &Where) -> Result<(String, Option<String>), CommandError> {
    let secret = match &place.secret_file {
        Some(path) => Some(std::fs::read_to_string(path)?.trim().to_owned()),
        None => std::env::var("MOBULA_SECRET").ok(),
    };
    if let Some(address) = &place.join {
        return Ok((address.clone(), secret));
    }
    let mut runs = known_runs();
    match (runs.pop(), runs.len()) {
        (Some(run), 0) => Ok((run.address, Some(run.secret))),
        (None, _) => Err(CommandError::NoRun),
        (Some(_), others) => Err(CommandError::ManyRuns(others + 1)),
    }
}

fn table(out: &mut impl Write, rows: &[Value]) -> io::Result<()> {
    let Some(Value::Object(first)) = rows.first() else {
        return writeln!(out, "nothing");
    };
    let mut names: Vec<&String> = first.keys().collect();
    names.sort_by_key(|name| *name != "node");
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| names.iter().map(|name| cell(&row[name.as_str()])).collect())
        .collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| lines.iter().map(|line| line[at].len()).chain([name.len()]).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut write = |cells: &mut dyn Iterator<Item = String>| {
        let padded: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    write(&mut names.iter().map(|name| name.to_uppercase()))?;
    for line in lines {
        write(&mut line.into_iter())?;
    }
    writeln!(out, "{} in all", rows.len())
}
