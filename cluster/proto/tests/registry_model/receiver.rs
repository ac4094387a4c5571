//! Receivers: nothing is taken from an earlier holder after something from a later one, whatever the table forgets.
//!
//! Two names pass on from holder to holder; each holder says something now and then, and it arrives any time later,
//! also after the holder is over, and before this node has heard of the grant. The table has room for one name. When
//! it does not know, the state on the node is asked, which is late, too.

use std::collections::BTreeSet;

use mobula_proto::registry::freshness::{Freshness, Verdict};
use mobula_proto::registry::{Generation, Mutant, Name};
use stateright::{Model, Property};

use super::walk;

const NAMES: usize = 2;
const GRANTS_MAX: usize = 5;

fn name(number: usize) -> Name {
    Name::try_new("n", &number.to_string()).unwrap()
}

struct Receiver {
    mutant: Mutant,
    /// Whether a state that is behind is believed, too.
    is_hasty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    /// The log: which name was granted. Generations count from 1.
    grants: Vec<usize>,
    /// How much of it this node has applied.
    applied: usize,
    /// Generations of which a message is under way.
    under_way: BTreeSet<usize>,
    seen: Freshness,
    /// The highest generation of each name of which something was taken.
    taken: [usize; NAMES],
    is_broken: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Grant(usize),
    Say(usize),
    Arrive(usize),
    Apply,
}

impl World {
    /// Who has the name by the state on this node.
    fn known(&self, of: usize) -> Option<usize> {
        self.grants[..self.applied].iter().rposition(|&granted| granted == of).map(|at| at + 1)
    }
}

impl Model for Receiver {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            grants: Vec::new(),
            applied: 0,
            under_way: BTreeSet::new(),
            seen: Freshness::new(1).with_mutant(self.mutant),
            taken: [0; NAMES],
            is_broken: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.grants.len() < GRANTS_MAX {
            steps.extend((0..NAMES).map(Step::Grant));
        }
        let quiet = (1..=world.grants.len()).filter(|said| !world.under_way.contains(said));
        steps.extend(quiet.map(Step::Say));
        steps.extend(world.under_way.iter().map(|&generation| Step::Arrive(generation)));
        if world.applied < world.grants.len() {
            steps.push(Step::Apply);
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Grant(of) => world.grants.push(of),
            Step::Say(generation) => {
                world.under_way.insert(generation);
            }
            Step::Apply => {
                let granted = name(world.grants[world.applied]);
                world.applied += 1;
                world.seen.learn(&granted, Generation(world.applied as u64));
            }
            Step::Arrive(generation) => {
                world.under_way.remove(&generation);
                let of = world.grants[generation - 1];
                let is_taken = match world.seen.check(&name(of), Generation(generation as u64)) {
                    Verdict::Fresh => true,
                    Verdict::Stale { .. } => false,
                    Verdict::Unknown { ask_from } => {
                        let is_behind = (world.applied as u64) < ask_from.0;
                        (self.is_hasty || !is_behind) && world.known(of) == Some(generation)
                    }
                };
                world.is_broken |= is_taken && generation < world.taken[of];
                if is_taken {
                    world.taken[of] = generation;
                }
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing older is taken", |_: &Self, world: &World| !world.is_broken),
            Property::sometimes("something later is taken", |_: &Self, world: &World| {
                world.taken.iter().any(|&taken| taken > NAMES)
            }),
        ]
    }
}

#[test]
fn nothing_is_taken_from_an_earlier_holder_after_a_later_one() {
    assert!(walk("receiver", Receiver { mutant: Mutant::None, is_hasty: false }));
}

#[test]
fn every_seeded_bug_of_receivers_is_found() {
    for mutant in [Mutant::NoCheck, Mutant::TrustForgotten] {
        let what = format!("{mutant:?}");
        assert!(!walk(&what, Receiver { mutant, is_hasty: false }), "{what} passes");
    }
    // Nor may the driver ask a state that is behind.
    assert!(!walk("hasty", Receiver { mutant: Mutant::None, is_hasty: true }), "haste passes");
}
