//! Genesis: of three seeds, never two clusters, with messages late, lost and out of order, and a seed that restarts.
//!
//! Seeds 0 and 2 propose, each as often as it is allowed; seed 1 may restart once, and then asks the others. Messages
//! are taken out when they arrive: what is lost is what stays for ever. Words that change nothing are left out: a
//! rejection (its ballot comes to nothing all the same), and whatever goes to a seed that knows the founding.

use std::collections::BTreeSet;

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::registry::genesis::{Genesis, Message, Output, Seed, Start};
use mobula_proto::registry::{ClusterId, Host, Mutant};
use stateright::{Model, Property};

use super::walk;

const SEEDS: u16 = 3;
/// The seed that may restart.
const FORGETFUL: u16 = 1;

struct Founding {
    /// How often seeds 0, 1 and 2 may begin a ballot; seed 1 does so only to make up for its restart.
    attempts: [u8; SEEDS as usize],
    restarts: u8,
    /// Whether seed 2 waits until seed 1 may vote again: a smaller world, for what shows only far into it.
    is_orderly: bool,
    mutant: Mutant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    seeds: Vec<Genesis>,
    attempts: [u8; SEEDS as usize],
    restarts: u8,
    under_way: BTreeSet<(Seed, Seed, Message)>,
    /// Clusters that anybody was ever told of.
    told: BTreeSet<ClusterId>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Attempt(u16),
    Arrive(Seed, Seed, Message),
    Restart,
}

impl Founding {
    fn seed(&self, seed: u16, life: u64, start: Start) -> Genesis {
        let voter = Host { node: NodeId(u64::from(seed)), life: Incarnation(life) };
        Genesis::new(Seed(seed), voter, SEEDS, start).with_mutant(self.mutant)
    }
}

impl World {
    fn act(&mut self, from: Seed, out: Vec<Output>) {
        for output in out {
            match output {
                // That it is founded is told at once: who hears of it later changes nothing any more.
                Output::Send {
                    message: Message::Founded { .. } | Message::Reject { .. }, ..
                } => {}
                Output::Send { to, message } => {
                    self.under_way.insert((from, to, message));
                }
                Output::Founded(founding) => {
                    self.told.insert(founding.cluster);
                }
                Output::Foreign(_) => {}
            }
        }
    }
}

impl Model for Founding {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            seeds: (0..SEEDS).map(|seed| self.seed(seed, 1, Start::First)).collect(),
            attempts: [0; SEEDS as usize],
            restarts: 0,
            under_way: BTreeSet::new(),
            told: BTreeSet::new(),
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for seed in 0..SEEDS {
            let at = usize::from(seed);
            let may_vote = world.seeds[usize::from(FORGETFUL)].may_vote();
            let is_early = world.restarts < self.restarts || !may_vote;
            let is_allowed = match seed {
                FORGETFUL => !may_vote,
                2 => !(self.is_orderly && is_early),
                _ => true,
            };
            if world.attempts[at] < self.attempts[at] && is_allowed {
                steps.push(Step::Attempt(seed));
            }
        }
        if world.restarts < self.restarts {
            steps.push(Step::Restart);
        }
        let arrivals = world.under_way.iter().cloned();
        steps.extend(arrivals.map(|(from, to, message)| Step::Arrive(from, to, message)));
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        let mut out = Vec::new();
        let at = match step {
            Step::Attempt(seed) => {
                world.attempts[usize::from(seed)] += 1;
                // Each ballot has a value of its own, so that two of them cannot be mistaken for one.
                let cluster = 10 * u64::from(seed) + u64::from(world.attempts[usize::from(seed)]);
                world.seeds[usize::from(seed)].attempt(ClusterId(cluster), &mut out);
                Seed(seed)
            }
            Step::Arrive(from, to, message) => {
                world.under_way.remove(&(from, to, message.clone()));
                world.seeds[usize::from(to.0)].handle_message(from, message, &mut out);
                to
            }
            Step::Restart => {
                world.restarts += 1;
                world.seeds[usize::from(FORGETFUL)] = self.seed(FORGETFUL, 2, Start::Again);
                Seed(FORGETFUL)
            }
        };
        world.act(at, out);
        let World { seeds, under_way, .. } = &mut world;
        under_way.retain(|(_, to, _)| seeds[usize::from(to.0)].founding().is_none());
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one cluster", |_: &Self, world: &World| world.told.len() <= 1),
            Property::sometimes("a cluster", |_: &Self, world: &World| !world.told.is_empty()),
            Property::sometimes("one founded after all restarts", |model: &Self, world: &World| {
                world.restarts == model.restarts && world.seeds[2].founding().is_some()
            }),
        ]
    }
}

#[test]
fn two_seeds_that_propose_at_once_found_one_cluster() {
    let plain =
        Founding { attempts: [1, 0, 1], restarts: 0, is_orderly: false, mutant: Mutant::None };
    assert!(walk("two proposers", plain));
}

#[test]
fn a_seed_that_restarts_in_the_midst_founds_no_second_cluster() {
    let restart =
        Founding { attempts: [1, 1, 1], restarts: 1, is_orderly: false, mutant: Mutant::None };
    assert!(walk("a restart", restart));
}

#[test]
fn every_seeded_bug_of_the_founding_is_found() {
    let plain = |mutant| Founding { attempts: [1, 0, 1], restarts: 0, is_orderly: false, mutant };
    let restart = |mutant| Founding { attempts: [1, 1, 1], restarts: 1, is_orderly: true, mutant };
    let worlds = [
        plain(Mutant::MinorityFounds),
        plain(Mutant::IgnoreAccepted),
        plain(Mutant::BreakPromise),
        restart(Mutant::VoteWithoutRecovery),
        restart(Mutant::RecoverNothing),
    ];
    for world in worlds {
        let what = format!("{:?}", world.mutant);
        assert!(!walk(&what, world), "{what} passes");
    }
}
