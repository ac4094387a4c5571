//! From CSV texts to shards: split, parse, partition, append.
//!
//! Every byte range of a file is a task, and the partition of its batch is a task that depends on
//! it, so the graph of the whole file is drawn at once and runs as wide as the machine is.
//! Batches are handed to the shards only when the whole file was read with one layout.

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
fn parse(text: Arc<Vec<u8>>, start: usize, end: usize, layout: Layout) -> Chunk {
    parse_range(&text, start..end, &layout)
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
    let text = mobula::put(csv.text).await?;
    let parts = loop {
        let parts = read(&text, &ranges, &layout, engine.shards().len(), &progress).await?;
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

/// Parses and partitions all ranges; the parts come back in the order of the ranges.
async fn read(
    text: &ObjectRef<Vec<u8>>,
    ranges: &[Range<usize>],
    layout: &Layout,
    shard_count: usize,
    progress: &impl Fn(u64),
) -> anyhow::Result<Vec<Parts>> {
    let submit = async |(_, range): &(usize, &Range<usize>)| {
        let chunk = parse::remote(text, range.start, range.end, layout.clone());
        Ok(partition::remote(&chunk, layout.entity.clone(), shard_count))
    };
    let mut done = BTreeMap::new();
    let take = |(index, range): &(usize, &Range<usize>), parts: &Parts| {
        progress(range.len() as u64);
        done.insert(*index, parts.clone());
        Ok(())
    };
    gather(ranges.iter().enumerate(), submit, take).await?;
    Ok(done.into_values().collect())
}
