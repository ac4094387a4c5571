//! The story that a newcomer sees: what a feature store does, on a week of real flights.

use std::{fs, path::Path};

use super::{
    aggregate::Definition,
    as_of::History,
    chaos,
    chart::{Chart, Series},
    commands::{reports_answer, speed},
    engine::Engine,
    ingest::Report,
    moment::{DAY, HOUR},
    processes::Processes,
    query::{self, Answer, Apply, Filter, Rows, Select, Window},
    screen::Screen,
    text_table::of_texts,
    value::Value,
};

/// What the story is about.
const NEEDED: [&str; 6] = ["dep_delay", "origin", "dest", "carrier", "tailnum", "flight"];

/// Tells the story, with its chart in the file `plot`. Of tables that are no flights it can only list
/// the features.
pub(crate) async fn run(
    engine: &Engine,
    reports: &[Report],
    plot: &Path,
    screen: &mut Screen,
    processes: &mut Processes,
) -> anyhow::Result<()> {
    let demo = Demo { engine, table: engine.default_table().await? };
    screen.say("\ntinystore: a feature store made of actors and tasks\n")?;
    let features = engine.registry().features().await?;
    if NEEDED.iter().any(|name| query::find(&features, &demo.table, name).is_err()) {
        screen.answer(&reports_answer(reports))?;
        screen.say("\nThe story needs flights. Of what is there you can ask:\n")?;
        let rows = features.into_iter().map(|f| [f.table, f.name, f.kind.to_string()]);
        return Ok(screen.answer(&of_texts(["table", "feature", "kind"], rows))?);
    }
    let rows = reports.iter().map(|report| report.row_count).sum();
    let took = reports.iter().map(|report| report.took).sum();
    screen.say(&format!(
        "1. Ingest. Tasks parsed the files in ranges; {} shard actors took the batches.\n   {}.\n",
        engine.shards().len(),
        speed(rows, took)
    ))?;
    screen.answer(&reports_answer(reports))?;
    demo.features(screen).await?;
    demo.delays(screen).await?;
    demo.one_plane(screen).await?;
    demo.point_in_time(screen).await?;
    demo.plot(screen, plot).await?;
    screen.say(
        "\n7. Chaos. The same questions while shards and tasks are killed: shards are placed\n   \
         anew, lost parts are made again, every answer must be equal to the undisturbed one.\n",
    )?;
    // A node takes longer to replace than a shard.
    let rounds = if processes.count() == 0 { 5 } else { 1 };
    chaos::run(engine, (1, rounds), screen, processes).await?;
    screen.say("\nNext: tinystore --help, or `tinystore fetch` for the whole year.")?;
    Ok(())
}

struct Demo<'e> {
    engine: &'e Engine,
    table: String,
}

impl Demo<'_> {
    async fn features(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let features = self.engine.registry().features().await?;
        screen.say(&format!(
            "\n2. Features: {} are registered. These change while a flight is on its way; the store\n   \
             keeps when each value becomes known.\n",
            features.len()
        ))?;
        let told = features.into_iter().filter(|feature| feature.known.is_later());
        let rows = told.map(|f| [f.name, f.kind.to_string(), f.known.to_string(), f.about]);
        screen.answer(&of_texts(["feature", "kind", "known", "about"], rows))?;
        Ok(())
    }

    async fn delays(&self, screen: &mut Screen) -> anyhow::Result<()> {
        screen.say(
            "\n3. Ten aggregations of the departure delay (minutes), by airport. Every shard folds\n   \
             its part; parts are merged as they finish.\n",
        )?;
        let words = "count,mean,stddev,min,median,p90,max,late_share,distinct,last";
        screen.answer(&self.engine.apply(&self.question(words, &["origin"]).await?).await?)?;
        // Registering is giving a name: `very_late` can be asked for from now on.
        let very_late = Definition::parse("very_late=share_above(60)")?;
        self.engine.registry().register_aggregation(very_late).await?;
        screen.say(
            "\n   By carrier, the six with most flights, with an aggregation registered just now:\n   \
             very_late = share_above(60).\n",
        )?;
        let words = "count,mean,p90,late_share,very_late";
        let by_carrier = self.question(words, &["carrier"]).await?;
        let mut answer = self.engine.apply(&by_carrier).await?;
        answer.rows.sort_by(|a, b| b[1].cmp(&a[1]));
        answer.rows.truncate(6);
        Ok(screen.answer(&answer)?)
    }

    async fn one_plane(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let question = Select {
            rows: Rows { filters: vec![filter("tailnum", "N730MQ")], ..self.rows() },
            features: ["carrier", "flight", "origin", "dest", "dep_delay", "gained", "speed_mph"]
                .map(str::to_owned)
                .to_vec(),
            limit: 5,
        };
        screen
            .say("\n4. Query: the aeroplane N730MQ, column and derived features side by side.\n")?;
        Ok(screen.answer(&self.engine.select(&question).await?)?)
    }

    async fn point_in_time(&self, screen: &mut Screen) -> anyhow::Result<()> {
        screen.say(
            "\n5. Point in time: for each flight, the mean delay of its airport and carrier in the\n   \
             last 24 hours, from flights that had left by then. A flight still waiting at the gate\n   \
             has a delay that nobody knows yet; a plain join would leak it.\n",
        )?;
        let select = Select {
            rows: Rows {
                filters: vec![filter("origin", "EWR"), filter("carrier", "UA")],
                from: Some(FIRST_OF_JANUARY_2013 + 2 * DAY + 17 * HOUR),
                ..self.rows()
            },
            features: ["flight", "dest", "dep_delay"].map(str::to_owned).to_vec(),
            limit: 6,
        };
        let history = History {
            table: self.table.clone(),
            feature: "dep_delay".to_owned(),
            by: vec!["origin".to_owned(), "carrier".to_owned()],
            definitions: self.definitions("count,mean,max").await?,
            within: DAY,
        };
        let honest = self.engine.select_with_past(&select, &history).await?;
        Ok(screen.answer(&honest)?)
    }

    async fn plot(&self, screen: &mut Screen, path: &Path) -> anyhow::Result<()> {
        let mut question = self.question("mean", &["origin"]).await?;
        let window = Window { length: DAY, every: HOUR };
        question.window = Some(window);
        let answer = self.engine.apply(&question).await?;
        let chart = Chart {
            title: "Mean departure delay at New York's airports".to_owned(),
            subtitle: "minutes, over the last 24 hours, hour by hour (UTC)".to_owned(),
            series: series(&answer, window),
        };
        fs::write(path, chart.to_svg())?;
        screen.say(&format!(
            "\n6. Sliding windows: 24 hours long, one for every hour; {} windows, drawn as {} lines in {}",
            answer.rows.len(),
            chart.series.len(),
            path.display()
        ))?;
        Ok(())
    }

    async fn question(&self, words: &str, by: &[&str]) -> anyhow::Result<Apply> {
        Ok(Apply {
            rows: self.rows(),
            feature: "dep_delay".to_owned(),
            definitions: self.definitions(words).await?,
            by: by.iter().map(ToString::to_string).collect(),
            window: None,
            as_of: None,
        })
    }

    async fn definitions(&self, words: &str) -> anyhow::Result<Vec<Definition>> {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        self.engine.definitions(&words).await
    }

    fn rows(&self) -> Rows {
        Rows { table: self.table.clone(), ..Rows::default() }
    }
}

/// 2013-01-01T00:00:00Z.
const FIRST_OF_JANUARY_2013: i64 = 1_356_998_400;

fn filter(feature: &str, text: &str) -> Filter {
    Filter { feature: feature.to_owned(), texts: vec![text.to_owned()] }
}

/// One line for each group; rows come sorted by group and time. Windows that begin before the first
/// flight or end after the last are left out: they are made of a few flights only.
fn series(answer: &Answer, window: Window) -> Vec<Series> {
    let ends = || answer.rows.iter().filter_map(|row| row.get(1)).filter_map(Value::as_time);
    let margin = window.length - window.every;
    let (first, last) = (ends().min().unwrap_or(0) + margin, ends().max().unwrap_or(0) - margin);
    let mut series: Vec<Series> = Vec::new();
    for row in &answer.rows {
        let [group, Value::Time(end), value] = row.as_slice() else {
            continue;
        };
        if !(first..=last).contains(end) {
            continue;
        }
        let name = group.to_string();
        if series.last().is_none_or(|series| series.name != name) {
            series.push(Series { name, points: Vec::new() });
        }
        if let Some(series) = series.last_mut() {
            series.points.push((*end, value.as_f64()));
        }
    }
    series
}
