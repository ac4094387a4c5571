//! The command line.
//!
//! Options that mean the same everywhere (`--data`, `--shards`, `--json`) may stand before or
//! after the subcommand. What an option's text means is decided here, so that a typing error is
//! answered by usage help and everything behind this file works on checked values.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    aggregate::Definition,
    as_of::History,
    moment,
    query::{Apply, Filter, Rows, Select, Window},
};

/// A feature store in the small: actors keep the rows, tasks read and aggregate them.
///
/// Without a command it shows what it can do, on the first week of 2013's flights from New York.
#[derive(Debug, Parser)]
#[command(name = "tinystore", max_term_width = 100)]
pub(crate) struct Cli {
    /// What to read: a .csv, .csv.gz, .zip or .tar.gz file, or a folder of them
    /// [default: the week that comes with the example]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,

    /// How many shard actors share the rows
    #[arg(long, global = true, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: u16,

    /// Run on so many nodes, each a process on this machine; under `mobula run`, on those it started
    #[arg(long, global = true, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: u16,

    /// Print one JSON object per line on standard output, and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Where to draw the chart that is shown without a command
    #[arg(long, value_name = "PATH", default_value = "tinystore-plot.svg")]
    pub(crate) plot: PathBuf,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read the files and report rows, bad rows and speed
    Ingest,
    /// List the features: columns, derived ones, and when each is known
    Features,
    /// List the aggregation functions
    Aggregations,
    /// Show features of rows, also as they were known at each row's own time
    Query(QueryArgs),
    /// Apply aggregation functions to a feature
    Apply(ApplyArgs),
    /// Kill shards, tasks and, with --nodes, node processes at random while aggregations run, and compare every answer
    Chaos(ChaosArgs),
    /// Fetch the whole year (8.7 MB, needs pip) into a folder, for --data
    Fetch(FetchArgs),
}

/// Which rows.
#[derive(Debug, Args)]
pub(crate) struct RowArgs {
    /// The table to ask [default: flights, or the first there is]
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,

    /// Only rows whose feature has this value, `a|b` for either, NA for null; may be repeated
    #[arg(long = "where", value_name = "FEATURE=VALUE", value_parser = parse_filter)]
    filters: Vec<Filter>,

    /// Only rows at or after this event time, such as 2013-01-02 or 2013-01-02T15:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<i64>,

    /// Only rows before this event time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<i64>,
}

/// Options of `query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Features to show, separated by commas
    #[arg(long, visible_alias = "feature", value_delimiter = ',', required = true)]
    features: Vec<String>,

    #[command(flatten)]
    rows: RowArgs,

    /// At most so many rows, the earliest first; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Add the past of a feature, [TABLE.]FEATURE, as it was known at each row's own time
    #[arg(long, value_name = "FEATURE", requires = "agg")]
    past: Option<String>,

    /// How to aggregate the past
    #[arg(long, value_name = "AGG", value_delimiter = ',', requires = "past")]
    pub(crate) agg: Vec<String>,

    /// Only past rows with the same values in these features
    #[arg(long, value_name = "FEATURE", value_delimiter = ',', requires = "past")]
    by: Vec<String>,

    /// How far back the past reaches, such as 24h or 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = parse_span)]
    within: i64,
}

/// Options of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The feature to aggregate
    #[arg(long)]
    feature: String,

    /// Aggregations, separated by commas: `mean`, `p90`, `quantile(0.25)`, `low=quantile(0.1)`
    #[arg(long, value_name = "AGG", required = true, value_delimiter = ',')]
    pub(crate) agg: Vec<String>,

    /// One line for each combination of these features
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    by: Vec<String>,

    #[command(flatten)]
    rows: RowArgs,

    /// Only values that were known at this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    as_of: Option<i64>,

    /// One line for each window of this length over event time, such as 6h
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    window: Option<i64>,

    /// How far a window slides [default: its length]
    #[arg(long, value_name = "SPAN", value_parser = parse_span, requires = "window")]
    every: Option<i64>,
}

/// Options of `chaos`.
#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// The same seed kills in the same order
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many times to ask each question while things die
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
}

/// Options of `fetch`.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The folder to put the archive in
    #[arg(long, value_name = "DIR", default_value = "tinystore-data")]
    pub(crate) into: PathBuf,
}

impl RowArgs {
    fn rows(&self, default_table: &str) -> Rows {
        Rows {
            table: self.table.clone().unwrap_or_else(|| default_table.to_owned()),
            filters: self.filters.clone(),
            from: self.from,
            to: self.to,
        }
    }
}

impl QueryArgs {
    /// The rows to show and, if asked for, the past to add to them.
    pub(crate) fn questions(
        &self,
        default_table: &str,
        definitions: Vec<Definition>,
    ) -> (Select, Option<History>) {
        let rows = self.rows.rows(default_table);
        let history = self.past.as_ref().map(|past| {
            let (table, feature) = past.split_once('.').unwrap_or((&rows.table, past));
            History {
                table: table.to_owned(),
                feature: feature.to_owned(),
                by: self.by.clone(),
                definitions,
                within: self.within,
            }
        });
        let select = Select {
            rows,
            features: self.features.clone(),
            limit: if self.limit == 0 { usize::MAX } else { self.limit },
        };
        (select, history)
    }
}

impl ApplyArgs {
    /// The question that is asked.
    pub(crate) fn question(&self, default_table: &str, definitions: Vec<Definition>) -> Apply {
        Apply {
            rows: self.rows.rows(default_table),
            feature: self.feature.clone(),
            definitions,
            by: self.by.clone(),
            window: self
                .window
                .map(|length| Window { length, every: self.every.unwrap_or(length) }),
            as_of: self.as_of,
        }
    }
}

fn parse_filter(text: &str) -> Result<Filter, String> {
    let (feature, values) =
        text.split_once('=').ok_or("write FEATURE=VALUE, such as origin=EWR")?;
    Ok(Filter {
        feature: feature.to_owned(),
        texts: values.split('|').map(str::to_owned).collect(),
    })
}

fn parse_time(text: &str) -> Result<i64, String> {
    let expected = "write a time such as 2013-01-02 or 2013-01-02T15:00:00Z (UTC)";
    moment::parse_time(text.as_bytes()).ok_or_else(|| expected.to_owned())
}

fn parse_span(text: &str) -> Result<i64, String> {
    let expected = "write a span such as 30m, 24h or 7d";
    moment::parse_span(text).ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_line_from_the_readme_is_understood() {
        let line = "tinystore --data flights.csv --json apply --feature dep_delay \
                    --agg count,sum,mean,max --by origin";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        assert!(cli.json);
        let Some(Command::Apply(args)) = cli.command else { panic!("not an apply") };
        let definitions = args.agg.iter().map(|word| Definition::parse(word).unwrap()).collect();
        let question = args.question("flights", definitions);
        assert_eq!((question.definitions.len(), question.by), (4, vec!["origin".to_owned()]));
        assert_eq!(question.rows.table, "flights");
    }

    #[test]
    fn a_wrong_word_is_refused_before_anything_is_read() {
        let refused = |line: &str| Cli::try_parse_from(line.split_whitespace()).unwrap_err();
        refused("tinystore apply --feature x");
        refused("tinystore --shards 0");
        refused("tinystore chaos --rounds 0");
        refused("tinystore query --features x --agg mean");
    }
}
