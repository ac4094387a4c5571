//! From CSV texts to shards: split, parse, partition, append.
//!
//! Every byte range of a file is a task, and the partition of its batch is a task that depends on
//! it, so the graph of the whole file is drawn at once and runs as wide as the machine is.
//! Batches are handed to the shards only when the whole file was read with one layout.
//!
//! On several nodes, ranges are parsed wherever there is room. Their batches are cut here: whoever
//! puts an object owns it, and what the driver owns no other node can take along when it dies.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use mobula::{StoreError, prelude::*};
use serde::{Deserialize, Serialize};

use super::{
    batch::Batch,
    csv::{BadRow, Chunk, Layout, Widening, parse as parse_range, split},
    engine::Engine,
    feature::Feature,
    gather::gather,
    source::Csv,
};

/// Long enough that a task's cost does not count, short enough that all cores get some.
const RANGE_BYTES: usize = 2 << 20;

#[mobula::task]
fn parse(
    text: ObjectRef<Vec<u8>>,
    start: usize,
    end: usize,
    layout: Layout,
) -> Result<Chunk, GetError> {
    // As a reference, so that the text itself travels at most once to each node.
    let text = text.get().blocking()?;
    Ok(parse_range(&text, start..end, &layout))
}

/// What one range holds, in parts: an object for each shard, and what there is to report.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parts {
    batches: Vec<ObjectRef<Batch>>,
    row_count: u64,
    bad_rows: Vec<BadRow>,
    line_count: u64,
    widenings: Vec<Widening>,
}

#[mobula::task]
fn partition(
    chunk: Arc<Chunk>,
    entity: Option<String>,
    shard_count: usize,
) -> Result<Parts, StoreError> {
    let parts = chunk.batch.partition(entity.as_deref(), shard_count);
    let batches = parts.into_iter().map(|part| mobula::put(part).blocking());
    Ok(Parts {
        batches: batches.collect::<Result<_, _>>()?,
        row_count: chunk.batch.row_count() as u64,
        bad_rows: chunk.bad_rows.clone(),
        line_count: chunk.line_count,
        widenings: chunk.widenings.clone(),
    })
}

/// What came of one file.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) table: String,
    pub(crate) row_count: u64,
    /// In order of their lines, which count from 1 at the top of the file.
    pub(crate) bad_rows: Vec<BadRow>,
    pub(crate) size_bytes: u64,
    pub(crate) took: Duration,
}

/// Reads one file into the shards; `progress` hears of bytes as they are done.
pub(crate) async fn ingest(
    engine: &Engine,
    csv: Csv,
    progress: impl Fn(u64),
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let mut layout = Layout::read(&csv.name, &csv.text)?;
    let size_bytes = csv.text.len() as u64;
    let ranges = split(&csv.text, layout.body, RANGE_BYTES);
    let pieces = pieces(csv.text, ranges).await?;
    let parts = loop {
        let parts = read(&pieces, &layout, engine.shards().len(), &progress).await?;
        let widenings: Vec<Widening> =
            parts.iter().flat_map(|part| part.widenings.iter().copied()).collect();
        if widenings.is_empty() {
            break parts;
        }
        layout.widen(&widenings);
    };

    let mut report = Report {
        file: csv.name,
        table: layout.table.clone(),
        row_count: 0,
        bad_rows: Vec::new(),
        size_bytes,
        took: Duration::ZERO,
    };
    let mut line = layout.first_line;
    for part in &parts {
        report.row_count += part.row_count;
        report.bad_rows.extend(
            part.bad_rows
                .iter()
                .map(|bad| BadRow { line: line + bad.line, reason: bad.reason.clone() }),
        );
        line += part.line_count;
        for (shard, batch) in engine.shards().iter().zip(&part.batches) {
            shard.append(batch).await?;
        }
    }
    let columns: Vec<_> = layout.names.iter().cloned().zip(layout.kinds.iter().copied()).collect();
    let features = Feature::of_table(&layout.table, &columns);
    engine.registry().register_features(features).await?;
    report.took = started.elapsed();
    Ok(report)
}

/// A text, and the range of it that one task parses.
type Piece = (ObjectRef<Vec<u8>>, Range<usize>);

/// One object for all ranges where they are parsed beside it; one for each where they may travel, so
/// that no node is sent what it does not parse.
async fn pieces(text: Vec<u8>, ranges: Vec<Range<usize>>) -> Result<Vec<Piece>, StoreError> {
    if Node::current().is_none_or(|node| node.nodes().len() < 2) {
        let text = mobula::put(text).await?;
        return Ok(ranges.into_iter().map(|range| (text.clone(), range)).collect());
    }
    let mut pieces = Vec::with_capacity(ranges.len());
    for range in ranges {
        let piece = text[range.clone()].to_vec();
        pieces.push((mobula::put(piece).await?, 0..range.len()));
    }
    Ok(pieces)
}

/// Parses and partitions all ranges; the parts come back in the order of the ranges.
async fn read(
    pieces: &[Piece],
    layout: &Layout,
    shard_count: usize,
    progress: &impl Fn(u64),
) -> anyhow::Result<Vec<Parts>> {
    let here = Node::current().and_then(|node| node.id());
    let submit = async |(_, (text, range)): &(usize, &Piece)| {
        let chunk = parse::remote(text.clone(), range.start, range.end, layout.clone());
        let mut cut = partition::options();
        if let Some(node) = here {
            cut = cut.on(Placement::OnNode { node, or_elsewhere: false });
        }
        Ok(cut.remote(&chunk, layout.entity.clone(), shard_count))
    };
    let mut done = BTreeMap::new();
    let take = |(index, (_, range)): &(usize, &Piece), parts: &Parts| {
        progress(range.len() as u64);
        done.insert(*index, parts.clone());
        Ok(())
    };
    gather(pieces.iter().enumerate(), submit, take).await?;
    Ok(done.into_values().collect())
}
