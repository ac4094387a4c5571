//! A stage for the pure core: actors that are nothing but a word, time that is a number.
//!
//! Every order is answered at once (a start succeeds, a stop ends the child) unless the test says
//! otherwise with `hold` or `fail_starts`. The log is what a reader of the tests compares.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use mobula_supervision::{
    child_rules::ChildRules,
    children::{ChildKey, ChildState},
    decide::{
        Core,
        event::{Action, Ending, Event, Incident, Request, RequestId, TimerToken},
    },
    error::Refusal,
    restart::{ExitClass, Restart},
    settings::Settings,
};
use rand::{SeedableRng, rngs::SmallRng};

pub(crate) struct Stage {
    pub(crate) core: Core,
    pub(crate) log: Vec<String>,
    pub(crate) answers: BTreeMap<u64, Result<String, Refusal>>,
    names: BTreeMap<ChildKey, String>,
    generations: BTreeMap<ChildKey, u64>,
    timers: Vec<(Instant, TimerToken)>,
    held: BTreeSet<String>,
    failing: BTreeMap<String, u32>,
    now: Instant,
    rng: SmallRng,
    next_request: u64,
}

impl Stage {
    pub(crate) fn new(settings: Settings, children: Vec<ChildRules>) -> Self {
        let mut core = Core::new(settings);
        let mut names = BTreeMap::new();
        for rules in children {
            let name = rules.name.to_string();
            names.insert(core.declare(rules).unwrap(), name);
        }
        Self {
            core,
            names,
            log: Vec::new(),
            answers: BTreeMap::new(),
            generations: BTreeMap::new(),
            timers: Vec::new(),
            held: BTreeSet::new(),
            failing: BTreeMap::new(),
            now: Instant::now(),
            rng: SmallRng::seed_from_u64(1),
            next_request: 0,
        }
    }

    /// Begun, with an empty log.
    pub(crate) fn begun(settings: Settings, children: Vec<ChildRules>) -> Self {
        let mut stage = Self::new(settings, children);
        stage.feed(Event::Begin);
        stage.log.clear();
        stage
    }

    /// This child does not answer orders until it is let go.
    pub(crate) fn hold(&mut self, name: &str) {
        self.held.insert(name.to_owned());
    }

    pub(crate) fn let_go(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// The next so many starts of this child fail.
    pub(crate) fn fail_starts(&mut self, name: &str, times: u32) {
        self.failing.insert(name.to_owned(), times);
    }

    pub(crate) fn key(&self, name: &str) -> ChildKey {
        self.core.children().by_name(name).expect("a known child")
    }

    pub(crate) fn exit(&mut self, name: &str, exit: ExitClass) {
        let child = self.key(name);
        let generation = self.generations[&child];
        self.feed(Event::ChildExited { child, generation, exit });
    }

    pub(crate) fn crash(&mut self, name: &str) {
        self.exit(name, ExitClass::Abnormal);
    }

    pub(crate) fn started(&mut self, name: &str) {
        let child = self.key(name);
        let generation = self.generations[&child];
        self.feed(Event::StartSucceeded { child, generation });
    }

    /// Sends a request and gives its answer, if it came at once.
    pub(crate) fn ask(&mut self, what: Request) -> Option<Result<String, Refusal>> {
        self.next_request += 1;
        let request = self.next_request;
        self.feed(Event::Requested { request: RequestId(request), what });
        self.answers.get(&request).cloned()
    }

    pub(crate) fn add(&mut self, rules: ChildRules) -> Option<Result<String, Refusal>> {
        let child = self.core.next_key();
        self.names.insert(child, rules.name.to_string());
        self.ask(Request::Add { child, rules })
    }

    /// Lets time pass; timers fire in order.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.timers.iter().map(|(at, _)| *at).min().filter(|at| *at <= until) {
            let index = self.timers.iter().position(|(other, _)| *other == at).unwrap();
            let (_, token) = self.timers.remove(index);
            self.now = at;
            self.feed(Event::TimerFired(token));
        }
        self.now = until;
    }

    pub(crate) fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.core.handle(event, self.now, &mut self.rng) {
                events.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        let (line, event) = match action {
            Action::StartChild { child, generation } => {
                self.generations.insert(child, generation);
                (format!("+{}", self.names[&child]), self.start(child, generation))
            }
            Action::StopChild { child, .. } => {
                (format!("-{}", self.names[&child]), self.end(child, ExitClass::Shutdown))
            }
            Action::KillChild { child } => {
                (format!("!{}", self.names[&child]), self.end(child, ExitClass::Abnormal))
            }
            Action::StartTimer { token, after } => {
                self.timers.push((self.now + after, token));
                return None;
            }
            Action::Answer { request, result } => {
                let answer = result.map(|child| self.names[&child].clone());
                assert!(self.answers.insert(request.0, answer).is_none(), "answered twice");
                return None;
            }
            Action::Report { child, what } => {
                let line = describe(what)?;
                (format!("{line}:{}", self.names[&child]), None)
            }
            Action::Done(ending) => (self.describe_ending(ending), None),
            Action::Ready => ("ready".to_owned(), None),
            Action::Release { .. } | Action::Forget { .. } | Action::GiveUp(_) => return None,
        };
        self.log.push(line);
        event
    }

    fn start(&mut self, child: ChildKey, generation: u64) -> Option<Event> {
        let name = &self.names[&child];
        if self.held.contains(name) {
            return None;
        }
        match self.failing.get_mut(name) {
            Some(times) if *times > 0 => {
                *times -= 1;
                Some(Event::StartFailed { child, generation })
            }
            _ => Some(Event::StartSucceeded { child, generation }),
        }
    }

    fn end(&mut self, child: ChildKey, exit: ExitClass) -> Option<Event> {
        let generation = self.generations[&child];
        let held = self.held.contains(&self.names[&child]);
        (!held).then_some(Event::ChildExited { child, generation, exit })
    }

    fn describe_ending(&self, ending: Ending) -> String {
        match ending {
            Ending::Shutdown => "done".to_owned(),
            Ending::AutoShutdown => "auto-shutdown".to_owned(),
            Ending::GaveUp(child) => format!("gave-up:{}", self.names[&child]),
            Ending::StartFailed(child) => format!("not-started:{}", self.names[&child]),
        }
    }

    pub(crate) fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }

    /// The table in words: `a=running b=down`.
    pub(crate) fn states(&self) -> String {
        let line = |child: &mobula_supervision::children::Child| {
            format!("{}={}", child.rules.name, child.state.as_str())
        };
        self.core.children().iter().map(|(_, child)| line(child)).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn all_down(&self) -> bool {
        self.core.children().iter().all(|(_, child)| child.state == ChildState::Down)
    }
}

/// Incidents worth a word in the log; a restart shows in what follows.
fn describe(what: Incident) -> Option<&'static str> {
    match what {
        Incident::Restarting { .. } | Incident::IntensityExceeded => None,
        Incident::StaysDown => Some("lost"),
        Incident::BudgetUsedUp => Some("used-up"),
        Incident::StartFailed => Some("unstartable"),
        Incident::EndedBadly => Some("bad-end"),
        Incident::DeadlineMissed => Some("late"),
    }
}

pub(crate) fn child(name: &str, restart: Restart) -> ChildRules {
    ChildRules { restart, ..ChildRules::worker(name) }
}

pub(crate) fn permanent(names: &str) -> Vec<ChildRules> {
    names.split(' ').map(|name| child(name, Restart::Permanent)).collect()
}
