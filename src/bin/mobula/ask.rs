//! `status`, `nodes`, `actors`, `names`, `tasks`, `objects`, `functions`, `why`, `timeline`: questions to a running cluster.
//!
//! Filters go to the nodes, totals come from them: what is shown may be cut, what is counted is not.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mobula::{ActorId, Listing, Members, Node, NodeId, NodeRow, TaskRow, Wanted};
use serde::Serialize;
use serde_json::{Value, json};

use crate::CommandError;
use crate::place::{Where, members};
use crate::table::{Totals, cell, lines, table};
use crate::trace::{Bar, trace};

/// Which rows.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only rows of this kind: actor, task, supervisor, store, guest
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only rows in this state, as the list shows it
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only rows whose name, type or function contains this
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Only rows in which some value contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// At most so many rows of each node, up to 10000; the totals count all
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    limit: usize,
}

impl Which {
    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default().limit(self.limit);
        if let Some(kind) = &self.kind {
            wanted = wanted.kind(kind);
        }
        if let Some(state) = &self.state {
            wanted = wanted.state(state);
        }
        if let Some(name) = &self.name {
            wanted = wanted.name(name);
        }
        if let Some(text) = &self.filter {
            wanted = wanted.text(text);
        }
        wanted
    }

    /// The same for rows that this tool made, by the keys of kind, state and name.
    fn takes(&self, row: &Value, (kind, state, name): (&str, &str, &str)) -> bool {
        let is = |wanted: &Option<String>, key: &str| {
            wanted.as_ref().is_none_or(|wanted| cell(&row[key]).eq_ignore_ascii_case(wanted))
        };
        let has = |wanted: &str, value: &Value| cell(value).contains(wanted);
        is(&self.kind, kind)
            && is(&self.state, state)
            && self.name.as_ref().is_none_or(|wanted| has(wanted, &row[name]))
            && self.filter.as_ref().is_none_or(|wanted| {
                row.as_object().is_some_and(|row| row.values().any(|value| has(wanted, value)))
            })
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    Status,
    Nodes,
    Actors,
    Names,
    Tasks { ended: bool },
    Objects,
    Functions,
}

/// Rows with the node that said them, totals, and who said nothing.
#[derive(Debug, Default)]
struct Answer {
    rows: Vec<Value>,
    totals: Totals,
    silent: Vec<(NodeId, String)>,
}

/// Joins, asks, leaves, and prints.
pub(crate) fn ask(
    question: Question,
    place: &Where,
    which: &Which,
) -> Result<ExitCode, CommandError> {
    let answer = place.visit(async |node| Ok(answer(node, question, place, which).await))?;
    let mut out = io::stdout().lock();
    if place.is_json() {
        lines(&mut out, &answer.rows, &answer.totals)?;
    } else {
        table(&mut out, &answer.rows, &answer.totals)?;
    }
    for (node, why) in &answer.silent {
        writeln!(io::stderr(), "mobula: node {node} did not answer, its rows are missing: {why}")?;
    }
    Ok(if answer.silent.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn answer(node: &Node, question: Question, place: &Where, which: &Which) -> Answer {
    let wanted = which.wanted();
    match question {
        Question::Status => status(node, place, node.cluster_status().await, which),
        Question::Nodes => nodes(node, place, which),
        Question::Actors => listed("actors", node, place, node.cluster_actors(&wanted).await),
        Question::Names => names(node, place, which).await,
        Question::Tasks { ended: false } => {
            listed("tasks", node, place, node.cluster_tasks(&wanted).await)
        }
        Question::Tasks { ended: true } => {
            listed("ended_tasks", node, place, node.cluster_ended_tasks(&wanted).await)
        }
        Question::Objects => {
            let members = node.cluster_objects(&wanted).await;
            let bytes: u64 = of(node, place, &members).map(|(_, listing)| listing.bytes).sum();
            let mut answer = listed("objects", node, place, members);
            answer.totals.sums = vec![("bytes", json!(bytes))];
            answer
        }
        Question::Functions => {
            let members = node.cluster_functions().await;
            let keys = ("kind", "state", "name");
            let rows = of(node, place, &members)
                .flat_map(|(at, rows)| rows.iter().map(move |row| with_node(at, row)))
                .filter(|row| which.takes(row, keys));
            cut("functions", rows.collect(), node, place, members, which)
        }
    }
}

/// What the nodes said that are meant; the tool's own node never is.
fn of<'m, T>(
    node: &Node,
    place: &Where,
    members: &'m Members<T>,
) -> impl Iterator<Item = (NodeId, &'m T)> {
    let own = node.id();
    let meant = move |at: &NodeId| Some(*at) != own && place.means(*at);
    let answers = members.answers.iter().filter(move |(at, _)| meant(at));
    answers.map(|(at, answer)| (*at, answer)).collect::<Vec<_>>().into_iter()
}

fn silent<T>(place: &Where, members: Members<T>) -> Vec<(NodeId, String)> {
    members.silent.into_iter().filter(|(at, _)| place.means(*at)).collect()
}

fn listed<T: Serialize>(
    what: &'static str,
    node: &Node,
    place: &Where,
    members: Members<Listing<T>>,
) -> Answer {
    let mut answer = Answer { totals: Totals { what, ..Totals::default() }, ..Answer::default() };
    for (at, listing) in of(node, place, &members) {
        answer.totals.nodes += 1;
        answer.totals.count += listing.total;
        answer.totals.left_off += listing.left_off();
        for (state, count) in &listing.states {
            *answer.totals.states.entry(state.clone()).or_default() += count;
        }
        answer.rows.extend(listing.rows.iter().map(|row| with_node(at, row)));
    }
    answer.silent = silent(place, members);
    answer.totals.silent = answer.silent.len();
    answer
}

/// Rows that came whole and are cut here.
fn cut<T>(
    what: &'static str,
    mut rows: Vec<Value>,
    node: &Node,
    place: &Where,
    members: Members<T>,
    which: &Which,
) -> Answer {
    let count = rows.len() as u64;
    rows.truncate(which.limit);
    let nodes = of(node, place, &members).count();
    let silent = silent(place, members);
    let totals = Totals {
        what,
        count,
        left_off: count - rows.len() as u64,
        nodes,
        silent: silent.len(),
        ..Totals::default()
    };
    Answer { rows, totals, silent }
}

fn status(node: &Node, place: &Where, members: Members<NodeRow>, which: &Which) -> Answer {
    let rows: Vec<(Value, &NodeRow)> = of(node, place, &members)
        .map(|(at, row)| (with_node(at, row), row))
        .filter(|(shown, _)| which.takes(shown, ("kind", "state", "node")))
        .collect();
    let sum = |pick: fn(&NodeRow) -> u64| json!(rows.iter().map(|(_, row)| pick(row)).sum::<u64>());
    let cpus =
        |pick: fn(&NodeRow) -> f64| json!(rows.iter().map(|(_, row)| pick(row)).sum::<f64>());
    let sums = vec![
        ("citizens", sum(|row| row.citizens as u64)),
        ("unfinished_tasks", sum(|row| row.unfinished_tasks as u64)),
        ("finished_tasks", sum(|row| row.finished_tasks)),
        ("failed_tasks", sum(|row| row.failed_tasks)),
        ("dead_letters", sum(|row| row.dead_letters)),
        ("objects", sum(|row| row.objects as u64)),
        ("store_bytes", sum(|row| row.store_bytes)),
        ("store_capacity_bytes", sum(|row| row.store_capacity_bytes)),
        ("cpus", cpus(|row| row.cpus)),
        ("cpus_free", cpus(|row| row.cpus_free)),
    ];
    let shown = rows.into_iter().map(|(shown, _)| shown).collect();
    let mut answer = cut("summaries", shown, node, place, members, which);
    answer.totals.sums = sums;
    answer
}

fn nodes(node: &Node, place: &Where, which: &Which) -> Answer {
    let mut states = std::collections::BTreeMap::new();
    let rows = node.nodes().into_iter().filter(|row| !row.is_here && place.means(row.node));
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
    let rows: Vec<Value> =
        rows.filter(|row| which.takes(row, ("kind", "status", "addresses"))).collect();
    for row in &rows {
        *states.entry(cell(&row["status"])).or_default() += 1;
    }
    let asked = members(node).into_iter().map(|row| (row.node, ())).collect();
    let mut known: Members<()> = Members::default();
    known.answers = asked;
    let mut answer = cut("nodes", rows, node, place, known, which);
    answer.totals.states = states;
    answer
}

/// Actors that have a name, and nothing of what they do.
async fn names(node: &Node, place: &Where, which: &Which) -> Answer {
    // Named ones are few among many; so all are looked through, and the limit is of names.
    let members = node.cluster_actors(&which.wanted().limit(usize::MAX)).await;
    let rows = of(node, place, &members).flat_map(|(at, listing)| {
        let named = listing.rows.iter().filter(|row| row.kind != "task");
        named.filter_map(move |row| {
            let name = row.name.as_ref()?;
            let (node, id) = (at.to_string(), row.id.to_string());
            Some(json!({ "node": node, "name": name, "id": id, "type": row.type_name }))
        })
    });
    let rows = rows.collect();
    cut("names", rows, node, place, members, which)
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

/// Why a citizen waits, or how a task ended.
pub(crate) fn why(id: ActorId, place: &Where) -> Result<ExitCode, CommandError> {
    let answer = place.visit(async |node| {
        let members = node.why(id).await;
        let said = of(node, place, &members).filter_map(|(at, why)| {
            let why = why.as_ref()?;
            Some(json!({ "node": at.to_string(), "id": id.to_string(), "why": why }))
        });
        let rows: Vec<Value> = said.collect();
        if rows.is_empty() {
            return Err(CommandError::NobodyKnows(id.to_string()));
        }
        Ok(rows)
    })?;
    let mut out = io::stdout().lock();
    for row in answer {
        if place.is_json() {
            writeln!(out, "{row}")?;
        } else {
            writeln!(
                out,
                "{} on node {}: {}",
                cell(&row["id"]),
                cell(&row["node"]),
                cell(&row["why"])
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes down when which task ran where.
pub(crate) fn timeline(output: PathBuf, place: &Where) -> Result<ExitCode, CommandError> {
    let bars = place.visit(async |node| {
        let members = node.cluster_ended_tasks(&Wanted::default().limit(usize::MAX)).await;
        let bars = of(node, place, &members)
            .flat_map(|(at, listing)| listing.rows.iter().filter_map(move |row| bar(at, row)));
        Ok(bars.collect::<Vec<_>>())
    })?;
    let count = bars.len();
    std::fs::write(&output, trace(bars).to_string())
        .map_err(|source| CommandError::NoTrace { output: output.clone(), source })?;
    writeln!(
        io::stdout(),
        "{count} tasks are in {}; open it in chrome://tracing or ui.perfetto.dev",
        output.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// An attempt that went elsewhere is told by the node that ran it.
fn bar(node: NodeId, row: &TaskRow) -> Option<Bar> {
    if row.ran_on.is_some() {
        return None;
    }
    let (took, ended_ago) = (row.took_micros?, row.ended_micros_ago?);
    Some(Bar {
        node: node.to_string(),
        name: row.name.clone().unwrap_or_else(|| row.function.clone()),
        state: row.state.clone(),
        id: row.id.to_string(),
        why: row.why.clone(),
        began_ago: ended_ago + took,
        ended_ago,
    })
}
