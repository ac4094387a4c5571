//! Random histories against a naive model.
//!
//! The model is OTP's `supervisor.erl` written down as plainly as it goes: it blocks, starts and
//! stops on the spot, keeps every restart time for ever and scans lists. Played with actors that
//! answer at once, the core must order the same starts and stops in the same order, answer the
//! same, and end for the same reason.

use std::time::Duration;

use mobula_supervision::{
    auto_shutdown::AutoShutdown,
    child_rules::ChildRules,
    decide::event::Request,
    error::Refusal,
    intensity::Intensity,
    restart::{ExitClass, Restart},
    settings::Settings,
    strategy::Strategy,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::stage::Stage;

/// `pid` as in OTP: up or undefined. (`restarting` never outlives a step when actors answer at once.)
struct Row {
    name: String,
    restart: Restart,
    significant: bool,
    up: bool,
}

struct Model {
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    intensity: usize,
    period: Duration,
    rows: Vec<Row>,
    restarts: Vec<Duration>,
    now: Duration,
    failing: Vec<String>,
    log: Vec<String>,
    over: bool,
}

impl Model {
    fn start(&mut self, name: &str) -> bool {
        self.log.push(format!("+{name}"));
        if let Some(index) = self.failing.iter().position(|failing| failing == name) {
            self.failing.remove(index);
            return false;
        }
        self.row(name).up = true;
        true
    }

    fn row(&mut self, name: &str) -> &mut Row {
        self.rows.iter_mut().find(|row| row.name == name).expect("a known child")
    }

    /// `terminate_children`: backwards; `keep` decides whether temporary ones stay listed.
    fn stop(&mut self, names: &[String]) {
        for name in names.iter().rev() {
            if self.row(name).up {
                self.row(name).up = false;
                self.log.push(format!("-{name}"));
            }
        }
    }

    fn exit(&mut self, name: &str, exit: ExitClass) {
        let row = self.row(name);
        row.up = false;
        let (restart, significant) = (row.restart, row.significant);
        match (restart, exit) {
            (Restart::Permanent, _) | (Restart::Transient, ExitClass::Abnormal) => {
                return self.restart(name);
            }
            (Restart::Temporary, _) => {
                if exit == ExitClass::Abnormal {
                    self.log.push(format!("lost:{name}"));
                }
                self.rows.retain(|row| row.name != name);
            }
            (Restart::Transient, _) => {}
        }
        let others = self.rows.iter().any(|row| row.significant && row.up);
        let due = match self.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => significant,
            AutoShutdown::AllSignificant => significant && !others,
        };
        if due {
            self.end("auto-shutdown");
        }
    }

    fn restart(&mut self, name: &str) {
        self.restarts.push(self.now);
        let recent = self.restarts.iter().filter(|then| **then + self.period >= self.now).count();
        if recent > self.intensity {
            return self.end(&format!("gave-up:{name}"));
        }
        let position = self.rows.iter().position(|row| row.name == name).unwrap();
        let scope: Vec<String> = match self.strategy {
            Strategy::OneForOne => vec![name.to_owned()],
            Strategy::OneForAll => self.rows.iter().map(|row| row.name.clone()).collect(),
            Strategy::RestForOne => {
                self.rows[position..].iter().map(|row| row.name.clone()).collect()
            }
        };
        self.stop(&scope);
        self.rows.retain(|row| !(scope.contains(&row.name) && row.restart == Restart::Temporary));
        for member in scope {
            let listed = self.rows.iter().any(|row| row.name == member);
            if listed && !self.start(&member) {
                // OTP casts `try_again_restart` to itself; nothing else is in the mailbox.
                return self.restart(&member);
            }
        }
    }

    fn end(&mut self, reason: &str) {
        let all: Vec<String> = self.rows.iter().map(|row| row.name.clone()).collect();
        self.stop(&all);
        self.log.push(reason.to_owned());
        self.over = true;
    }

    fn add(&mut self, rules: &ChildRules) -> Result<String, Refusal> {
        let name = rules.name.to_string();
        if let Some(row) = self.rows.iter().find(|row| row.name == name) {
            return Err(if row.up { Refusal::Running } else { Refusal::AlreadyPresent });
        }
        let (restart, significant) = (rules.restart, rules.significant);
        self.rows.push(Row { name: name.clone(), restart, significant, up: false });
        if self.start(&name) {
            return Ok(name);
        }
        self.rows.pop();
        self.log.push(format!("unstartable:{name}"));
        Err(Refusal::StartFailed)
    }

    fn revive(&mut self, name: &str) -> Result<String, Refusal> {
        if self.row(name).up {
            return Err(Refusal::Running);
        }
        if self.start(name) {
            return Ok(name.to_owned());
        }
        self.log.push(format!("unstartable:{name}"));
        Err(Refusal::StartFailed)
    }

    fn terminate(&mut self, name: &str) -> Result<String, Refusal> {
        self.stop(&[name.to_owned()]);
        self.rows.retain(|row| row.name != name || row.restart != Restart::Temporary);
        Ok(name.to_owned())
    }

    fn delete(&mut self, name: &str) -> Result<String, Refusal> {
        if self.row(name).up {
            return Err(Refusal::Running);
        }
        self.rows.retain(|row| row.name != name);
        Ok(name.to_owned())
    }
}

fn pick<T: Copy>(from: &[T], rng: &mut SmallRng) -> T {
    from[rng.random_range(0..from.len())]
}

fn rules(name: &str, auto_shutdown: AutoShutdown, rng: &mut SmallRng) -> ChildRules {
    let restart = pick(&Restart::ALL, rng);
    let may = restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never;
    ChildRules { restart, significant: may && rng.random(), ..ChildRules::worker(name) }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The same supervisor twice, begun.
fn begin(rng: &mut SmallRng) -> (Model, Stage) {
    let strategy = pick(&Strategy::ALL, rng);
    let auto_shutdown = pick(
        &[AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant],
        rng,
    );
    let (intensity, period) = (rng.random_range(0..6), Duration::from_secs(5));
    let limit = Intensity::new(intensity, period);
    let settings = Settings { strategy, auto_shutdown, intensity: limit, ..Settings::default() };
    let count = rng.random_range(0..5);
    let begun: Vec<_> = NAMES[..count].iter().map(|name| rules(name, auto_shutdown, rng)).collect();
    let mut model = Model {
        strategy,
        auto_shutdown,
        intensity: intensity as usize,
        period,
        rows: Vec::new(),
        restarts: Vec::new(),
        now: Duration::ZERO,
        failing: Vec::new(),
        log: Vec::new(),
        over: false,
    };
    for child in &begun {
        model.add(child).unwrap();
    }
    model.log.clear();
    (model, Stage::begun(settings, begun))
}

/// One event for both. Gives the answers, if it was a request.
fn step(model: &mut Model, stage: &mut Stage, rng: &mut SmallRng) -> Option<[Answer; 2]> {
    let name = pick(&NAMES, rng);
    let up = model.rows.iter().find(|row| row.name == name).map(|row| row.up);
    let (what, expected) = match (rng.random_range(0..10), up) {
        (0..4, Some(true)) => {
            let exit = pick(&ExitClass::ALL, rng);
            model.exit(name, exit);
            stage.exit(name, exit);
            return None;
        }
        (4, _) => {
            let times = rng.random_range(0..4);
            model.failing.retain(|failing| failing != name);
            model.failing.extend((0..times).map(|_| name.to_owned()));
            stage.fail_starts(name, times);
            return None;
        }
        (5, _) => {
            let time = Duration::from_millis(rng.random_range(0..12) * 500);
            model.now += time;
            stage.pass(time);
            return None;
        }
        (6, Some(_)) => (Request::Terminate(stage.key(name)), model.terminate(name)),
        (7, Some(_)) => (Request::Restart(stage.key(name)), model.revive(name)),
        (8, Some(_)) => (Request::Delete(stage.key(name)), model.delete(name)),
        (9, _) => {
            let rules = rules(name, model.auto_shutdown, rng);
            let expected = model.add(&rules);
            return Some([stage.add(rules).expect("answered at once"), expected]);
        }
        _ => return None,
    };
    Some([stage.ask(what).expect("answered at once"), expected])
}

type Answer = Result<String, Refusal>;

fn play(seed: u64) {
    let rng = &mut SmallRng::seed_from_u64(seed);
    let (mut model, mut stage) = begin(rng);
    for at in 0..60 {
        if let Some([answer, expected]) = step(&mut model, &mut stage, rng) {
            assert_eq!(answer, expected, "seed {seed} step {at}");
        }
        assert_eq!(stage.take_log(), model.log.join(" "), "seed {seed} step {at}");
        model.log.clear();
        if model.over {
            return;
        }
        let state = |row: &Row| format!("{}={}", row.name, if row.up { "running" } else { "down" });
        let states: Vec<_> = model.rows.iter().map(state).collect();
        assert_eq!(stage.states(), states.join(" "), "seed {seed} step {at}");
    }
}

#[test]
fn random_histories_agree_with_a_plain_transcription_of_otp() {
    for seed in 0..5000 {
        play(seed);
    }
}
