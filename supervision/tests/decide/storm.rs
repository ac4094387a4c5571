//! Histories in which everything takes time and nothing comes when it is convenient.
//!
//! Orders stay unanswered, answers come late, out of order and about earlier lives, timers fire in
//! between, people ask for things. No model says what exactly should happen; but the invariants in
//! the core's header must hold after each event, and once the storm is over everything must settle.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use mobula_supervision::{
    backoff::Backoff,
    child_rules::ChildRules,
    children::{ChildKey, ChildState},
    decide::{
        Core,
        event::{Action, Event, Request, RequestId, TimerToken},
    },
    intensity::Intensity,
    restart::{ExitClass, Restart},
    settings::Settings,
    shutdown::{Shutdown, StopOrder},
    strategy::Strategy,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// What the world knows of an actor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Starting,
    Up,
    Asked,
    Killed,
}

struct World {
    seed: u64,
    core: Core,
    rng: SmallRng,
    now: Instant,
    lives: BTreeMap<ChildKey, (u64, Life)>,
    timers: BTreeSet<(Instant, TimerToken)>,
    unanswered: BTreeSet<u64>,
    requests: u64,
    old_events: Vec<Event>,
    giving_up: bool,
    over: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let strategy = Strategy::ALL[rng.random_range(0..3)];
        let backoff = match rng.random() {
            true => Backoff::none(),
            false => Backoff::new(Duration::from_millis(100), Duration::from_secs(3)),
        };
        let intensity = match rng.random_range(0..3) {
            0 => Intensity::new(rng.random_range(1..9), Duration::from_secs(5)),
            _ => Intensity::unlimited(),
        };
        let stop_order = if rng.random() { StopOrder::Reverse } else { StopOrder::Together };
        let settings = Settings { strategy, backoff, intensity, stop_order, ..Settings::default() };
        let mut core = Core::new(settings);
        for index in 0..rng.random_range(0..6) {
            core.declare(rules(&format!("first-{index}"), &mut rng)).unwrap();
        }
        Self {
            seed,
            core,
            rng,
            now: Instant::now(),
            lives: BTreeMap::new(),
            timers: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            requests: 0,
            old_events: Vec::new(),
            giving_up: false,
            over: false,
        }
    }

    fn feed(&mut self, event: Event) {
        let seed = self.seed;
        self.old_events.push(event.clone());
        for action in self.core.handle(event, self.now, &mut self.rng) {
            assert!(
                !self.over || matches!(action, Action::Answer { .. }),
                "seed {seed}: {action:?}"
            );
            match action {
                Action::StartChild { child, generation } => {
                    let earlier = self.lives.insert(child, (generation, Life::Starting));
                    assert_eq!(earlier, None, "seed {seed}: two lives of {child} at once");
                    assert!(!self.giving_up, "seed {seed}: a start while ending");
                }
                Action::StopChild { child, .. } => self.turn(child, Life::Asked),
                Action::KillChild { child } => self.turn(child, Life::Killed),
                Action::StartTimer { token, after } => {
                    assert!(
                        self.timers.insert((self.now + after, token)),
                        "seed {seed}: {token:?}"
                    );
                }
                Action::Release { child } | Action::Forget { child } => {
                    let life = self.lives.get(&child);
                    assert_eq!(life, None, "seed {seed}: {child} is let go alive");
                }
                Action::Answer { request, .. } => {
                    assert!(self.unanswered.remove(&request.0), "seed {seed}: {request:?}");
                }
                Action::Done(_) => {
                    assert!(self.lives.is_empty(), "seed {seed}: done, but {:?}", self.lives);
                    assert!(self.unanswered.is_empty(), "seed {seed}: {:?}", self.unanswered);
                    self.over = true;
                }
                Action::GiveUp(_) => self.giving_up = true,
                Action::Report { .. } | Action::Ready => {}
            }
        }
        self.check();
    }

    fn turn(&mut self, child: ChildKey, life: Life) {
        let seed = self.seed;
        let (_, now) = self.lives.get_mut(&child).unwrap_or_else(|| {
            panic!("seed {seed}: {life:?} ordered for {child}, which is not alive");
        });
        assert_ne!(*now, life, "seed {seed}: {life:?} ordered twice");
        *now = life;
    }

    /// The table tells the truth about the world, and groups stop backwards.
    fn check(&self) {
        let seed = self.seed;
        for (key, child) in self.core.children().iter() {
            let life =
                self.lives.get(&key).filter(|(generation, _)| *generation == child.generation);
            let agrees = match child.state {
                ChildState::Down | ChildState::Waiting | ChildState::Ended { .. } => life.is_none(),
                ChildState::Starting => life.is_some_and(|(_, life)| *life == Life::Starting),
                ChildState::Running { .. } => life.is_some_and(|(_, life)| *life == Life::Up),
                ChildState::Stopping { killed } => life.is_some_and(|(_, life)| {
                    *life == if killed { Life::Killed } else { Life::Asked }
                }),
            };
            assert!(agrees, "seed {seed}: {key} is {:?}, in truth {life:?}", child.state);
        }
        let settings = self.core.settings();
        let one_by_one = settings.stop_order == StopOrder::Reverse || self.core.ending().is_none();
        if settings.strategy.is_group() && one_by_one {
            let moving = self.core.children().iter().filter(|(_, child)| {
                matches!(child.state, ChildState::Starting | ChildState::Stopping { .. })
            });
            let ending = self.core.ending().is_some();
            assert!(ending || moving.count() <= 1, "seed {seed}: a group moves one by one");
        }
    }

    fn ask(&mut self, what: Request) {
        self.requests += 1;
        self.unanswered.insert(self.requests);
        self.feed(Event::Requested { request: RequestId(self.requests), what });
    }

    fn any_life(&mut self) -> Option<(ChildKey, u64, Life)> {
        let count = self.lives.len();
        let index = if count == 0 {
            return None;
        } else {
            self.rng.random_range(0..count)
        };
        self.lives.iter().nth(index).map(|(key, (generation, life))| (*key, *generation, *life))
    }

    /// Some actor does the next thing it would do; in a storm also what it should not.
    fn actor_moves(&mut self, stormy: bool) -> bool {
        let Some((child, generation, life)) = self.any_life() else {
            return false;
        };
        let fails = stormy && self.rng.random_bool(0.3);
        match life {
            Life::Starting if !fails => {
                self.lives.insert(child, (generation, Life::Up));
                self.feed(Event::StartSucceeded { child, generation });
            }
            Life::Starting => {
                self.lives.remove(&child);
                self.feed(Event::StartFailed { child, generation });
            }
            Life::Up if !stormy => return false,
            // An actor that had been starting when it was asked to stop may still come up first.
            Life::Asked if fails => self.feed(Event::StartSucceeded { child, generation }),
            Life::Up | Life::Asked | Life::Killed => {
                let exit = ExitClass::ALL[self.rng.random_range(0..3)];
                self.lives.remove(&child);
                self.feed(Event::ChildExited { child, generation, exit });
            }
        }
        true
    }

    fn next_timer(&mut self) -> bool {
        let Some((at, token)) = self.timers.pop_first() else {
            return false;
        };
        self.now = self.now.max(at);
        self.feed(Event::TimerFired(token));
        true
    }

    fn somebody_asks(&mut self) {
        let keys: Vec<_> = self.core.children().keys().collect();
        let chosen = keys.get(self.rng.random_range(0..keys.len().max(1))).copied();
        match (self.rng.random_range(0..4), chosen) {
            (0, Some(key)) => self.ask(Request::Terminate(key)),
            (1, Some(key)) => self.ask(Request::Restart(key)),
            (2, Some(key)) => self.ask(Request::Delete(key)),
            _ => {
                let child = self.core.next_key();
                let rules = rules(&format!("{child}"), &mut self.rng);
                self.ask(Request::Add { child, rules });
            }
        }
    }

    fn storm(&mut self) {
        match self.rng.random_range(0..20) {
            0..12 => {
                self.actor_moves(true);
            }
            12..15 => self.now += Duration::from_millis(self.rng.random_range(0..400)),
            15..17 => {
                self.next_timer();
            }
            17 if !self.old_events.is_empty() => {
                // A late copy of something that was true once.
                let index = self.rng.random_range(0..self.old_events.len());
                let event = self.old_events[index].clone();
                if let Event::ChildExited { child, generation, .. }
                | Event::StartFailed { child, generation } = &event
                    && self.lives.get(child).is_none_or(|(now, _)| now != generation)
                {
                    self.feed(event);
                }
            }
            _ => self.somebody_asks(),
        }
    }
}

fn rules(name: &str, rng: &mut SmallRng) -> ChildRules {
    let shutdown = match rng.random_range(0..4) {
        0 => Shutdown::BrutalKill,
        1 => Shutdown::Infinity,
        _ => Shutdown::Deadline(Duration::from_millis(rng.random_range(0..2000))),
    };
    let budget = rng.random_bool(0.2).then(|| rng.random_range(0..3));
    let restart = Restart::ALL[rng.random_range(0..3)];
    let forget_when_down = rng.random_bool(0.1);
    ChildRules { restart, shutdown, budget, forget_when_down, ..ChildRules::worker(name) }
}

#[test]
fn whatever_the_order_of_events_the_invariants_hold_and_the_storm_passes() {
    for seed in 0..3000 {
        let mut world = World::new(seed);
        world.feed(Event::Begin);
        for _ in 0..120 {
            if world.over {
                break;
            }
            world.storm();
        }
        // Calm: nothing fails any more. Everything that is to be up comes up.
        while !world.over && (world.actor_moves_calm() || world.next_timer()) {}
        assert!(world.unanswered.is_empty(), "seed {seed}: {:?}", world.unanswered);
        for (key, child) in world.core.children().iter() {
            let settled = matches!(child.state, ChildState::Running { .. } | ChildState::Down);
            assert!(settled, "seed {seed}: {key} is left {:?}", child.state);
        }
        // And the end is the end.
        world.feed(Event::Shutdown);
        while !world.over && (world.actor_moves_calm() || world.next_timer()) {}
        assert!(world.over, "seed {seed}: the supervisor does not end");
    }
}

impl World {
    /// Every actor that owes an answer gives it, until none does.
    fn actor_moves_calm(&mut self) -> bool {
        let owing = self.lives.iter().find(|(_, (_, life))| *life != Life::Up);
        let Some((child, (generation, life))) = owing.map(|(key, life)| (*key, *life)) else {
            return false;
        };
        match life {
            Life::Starting => {
                self.lives.insert(child, (generation, Life::Up));
                self.feed(Event::StartSucceeded { child, generation });
            }
            Life::Up | Life::Asked | Life::Killed => {
                self.lives.remove(&child);
                let exit = ExitClass::Shutdown;
                self.feed(Event::ChildExited { child, generation, exit });
            }
        }
        true
    }
}
