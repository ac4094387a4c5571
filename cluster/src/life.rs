//! Chance and the wall clock, where a node begins.

use mobula_proto::id::Incarnation;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::admission::clock::wall_time_millis;

/// A life that starts now: greater than any earlier one of this node, if its clock was not set back.
#[must_use]
pub fn new_life() -> Incarnation {
    Incarnation::starting_at(wall_time_millis(), rng(None).random())
}

/// A generator: repeatable from a seed, otherwise from the operating system.
pub(crate) fn rng(seed: Option<u64>) -> SmallRng {
    seed.map_or_else(SmallRng::from_os_rng, SmallRng::seed_from_u64)
}
