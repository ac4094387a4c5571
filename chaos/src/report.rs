//! The long run: what was measured on real processes, each beside its goal.
//!
//! Rows are printed as they come, so that a run that is cut short has told what it knew.

use std::time::Duration;

use crate::measure::{MeasureError, Meeting};
use crate::script::{Plan, Script};
use crate::trial::Trial;
use crate::verdict::Counts;

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Deaths a row.
    pub(crate) repetitions: u64,
    /// Nodes of the large cluster.
    pub(crate) crowd: u16,
    /// How long false downs are waited for.
    pub(crate) siege: Duration,
    /// Scripts that are checked, and how long each is.
    pub(crate) seeds: u64,
    pub(crate) script: Duration,
    pub(crate) has_network: bool,
}

impl Extent {
    pub(crate) const fn of(is_quick: bool, has_network: bool) -> Self {
        let (repetitions, crowd, siege, seeds) =
            if is_quick { (5, 30, 30, 3) } else { (20, 100, 180, 20) };
        let (siege, script) = (Duration::from_secs(siege), Duration::from_secs(15));
        Self { repetitions, crowd, siege, seeds, script, has_network }
    }
}

/// A row: what, the goal, what was measured, and whether that reaches it.
struct Row {
    what: String,
    goal: String,
    measured: String,
    is_reached: bool,
}

/// The nodes of the small cluster: one and ten others.
const COMPANY: u16 = 11;
/// What idles is watched for so long.
const IDLE: Duration = Duration::from_secs(20);

/// Measures all, printing as it goes; how many goals were not reached.
pub(crate) fn run(extent: Extent, print: &mut dyn FnMut(&str)) -> usize {
    print("| What | Goal | Measured | |\n|---|---|---|---|\n");
    let mut missed = 0;
    let mut show = |rows: Result<Vec<Row>, MeasureError>| match rows {
        Ok(rows) => rows.iter().for_each(|row| {
            missed += usize::from(!row.is_reached);
            let sign = if row.is_reached { "yes" } else { "NO" };
            print(&format!("| {} | {} | {} | {sign} |\n", row.what, row.goal, row.measured));
        }),
        Err(error) => {
            missed += 1;
            print(&format!("| not measured | | {error} | NO |\n"));
        }
    };
    show(arrivals(extent));
    show(company(extent));
    show(crowd(extent));
    let (rows, complaints) = scripts(extent);
    show(Ok(rows));
    complaints.iter().for_each(|complaint| print(&format!("{complaint}\n")));
    missed
}

fn arrivals(extent: Extent) -> Result<Vec<Row>, MeasureError> {
    let alone = (0..extent.repetitions).map(|_| Meeting::alone(2));
    let alone = alone.collect::<Result<Vec<_>, _>>()?;
    let (mut meeting, _) = Meeting::of(3, 2)?;
    let (mut joined, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..extent.repetitions {
        let arrival = meeting.arrival()?;
        joined.push(arrival.joined.max(arrival.ready));
        tasks.push(arrival.first_task.unwrap_or(Duration::MAX));
    }
    Ok(vec![
        within("a node listens after its start", Duration::from_millis(150), alone),
        within("it has joined three others", Duration::from_millis(500), joined),
        within("its first task elsewhere, after that", Duration::from_millis(20), tasks),
    ])
}

fn company(extent: Extent) -> Result<Vec<Row>, MeasureError> {
    let (mut meeting, _) = Meeting::of(COMPANY, 2)?;
    let others = COMPANY - 1;
    let mut rows = Vec::new();
    let cost = meeting.idle(IDLE)?;
    let mebibytes = cost.resident_bytes.div_ceil(1 << 20);
    rows.push(Row {
        what: format!("memory of an idle node with {others} others, the largest"),
        goal: "≤ 30 MB".to_owned(),
        measured: format!("{mebibytes} MiB resident"),
        is_reached: cost.resident_bytes <= 30_000_000,
    });
    rows.push(Row {
        what: "its CPU, the busiest".to_owned(),
        goal: "≤ 1 % of a core".to_owned(),
        measured: format!("{:.2} %", cost.cpu_share * 100.0),
        is_reached: cost.cpu_share <= 0.01,
    });
    rows.extend(deaths(&mut meeting, others, extent.repetitions)?);
    let hogs = hogs();
    let gone = meeting.false_downs(extent.siege, hogs)?;
    rows.push(Row {
        what: format!(
            "false downs: {COMPANY} nodes, {hogs} hogs, a stall of 1.5 s every 6.5 s, for {} s",
            extent.siege.as_secs()
        ),
        goal: "0".to_owned(),
        measured: gone.to_string(),
        is_reached: gone == 0,
    });
    Ok(rows)
}

/// Three for each core.
fn hogs() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u16::try_from(cores * 3).unwrap_or(u16::MAX).min(48)
}

fn crowd(extent: Extent) -> Result<Vec<Row>, MeasureError> {
    let (mut meeting, joined) = Meeting::of(extent.crowd, 1)?;
    let what = format!("{} processes start and all see all", extent.crowd);
    let mut rows = vec![within(&what, Duration::from_secs(5), vec![joined])];
    rows.extend(deaths(&mut meeting, extent.crowd - 1, extent.repetitions.div_ceil(4))?);
    Ok(rows)
}

fn deaths(meeting: &mut Meeting, others: u16, repetitions: u64) -> Result<Vec<Row>, MeasureError> {
    let killed = (0..repetitions).map(|_| meeting.kill()).collect::<Result<Vec<_>, _>>()?;
    let frozen = (0..repetitions.div_ceil(2)).map(|_| meeting.freeze());
    let frozen = frozen.collect::<Result<Vec<_>, _>>()?;
    let what = |how: &str| format!("{how}, known to {others} others");
    Ok(vec![
        within(&what("kill -9"), Duration::from_millis(150), killed),
        within(&what("SIGSTOP"), Duration::from_millis(3500), frozen),
    ])
}

fn scripts(extent: Extent) -> (Vec<Row>, Vec<String>) {
    let plan = Plan {
        machines: 5,
        length: extent.script,
        has_network: extent.has_network,
        has_outages: true,
    };
    let (mut counts, mut passed, mut slowest) = (Counts::default(), 0, Duration::ZERO);
    let mut complaints = Vec::new();
    for seed in 1..=extent.seeds {
        match (Trial { seed, plan, mutant: None }).run(&Script::draw(seed, plan)) {
            Ok(finding) => {
                passed += u64::from(finding.verdict.violations.is_empty());
                slowest = slowest.max(finding.settled_after.unwrap_or(Duration::MAX));
                counts += &finding.verdict.counts;
                let violations = finding.verdict.violations.iter();
                complaints.extend(violations.map(|violation| format!("seed {seed}: {violation}")));
            }
            Err(error) => complaints.push(format!("seed {seed}: {error}")),
        }
    }
    let faults = if extent.has_network { "processes and network" } else { "processes only" };
    let row = Row {
        what: format!(
            "scripts of drawn faults ({faults}), 5 nodes, {} s each",
            extent.script.as_secs()
        ),
        goal: "all promises kept".to_owned(),
        measured: format!(
            "{passed} of {} passed; {counts}; all agreed {:.1} s after the last fault at most",
            extent.seeds,
            slowest.min(Duration::from_secs(9999)).as_secs_f64()
        ),
        is_reached: passed == extent.seeds,
    };
    (vec![row], complaints)
}

/// A row of times that should all be within a goal.
fn within(what: &str, goal: Duration, mut times: Vec<Duration>) -> Row {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or(Duration::MAX);
    let last = times.last().copied().unwrap_or(Duration::MAX);
    let measured = match times.len() {
        0 | 1 => format!("{:.0?}", rounded(last)),
        count => format!("median {:?}, at most {:?}, of {count}", rounded(median), rounded(last)),
    };
    Row { what: what.to_owned(), goal: format!("≤ {goal:?}"), measured, is_reached: last <= goal }
}

/// Times below a tenth of a millisecond are of no interest here.
fn rounded(time: Duration) -> Duration {
    let tenths = time.as_micros() / 100;
    Duration::from_micros(u64::try_from(tenths).unwrap_or(u64::MAX).saturating_mul(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_reached_only_if_its_worst_time_is() {
        let times = |slowest| vec![Duration::from_millis(3), Duration::from_millis(slowest)];
        let goal = Duration::from_millis(10);
        assert!(within("x", goal, times(10)).is_reached);
        assert!(!within("x", goal, times(11)).is_reached);
        assert!(!within("x", goal, Vec::new()).is_reached, "what was not measured is not reached");
        assert_eq!(within("x", goal, times(10)).measured, "median 10ms, at most 10ms, of 2");
    }
}
