//! How simulated nodes come into the world: alone with a seed list, or in the midst of others.
//!
//! A cluster of ten thousand that must first form by joins spends its run on that; so nodes can also be born knowing
//! all others, as if they had been together for long.
//!
//! Invariant: a later life of a node knows nothing of the earlier one, and has a higher incarnation.

use mobula_proto::config::Config;
use mobula_proto::id::Incarnation;
use mobula_proto::member::{Details, Member, Record};
use mobula_proto::membership::{Membership, View};
use rand::Rng;
use rand::rngs::SmallRng;

use super::Node;
use super::names::name_of;
use crate::protocol::Host;
use crate::world::{Birth, Factory};

/// What every wall clock shows at tick 0, in milliseconds since 1970: the first of January 2026.
const WALL_CLOCK_MS: u64 = 1_767_225_600_000;

/// What a member says of itself in the simulator: one address and no more.
fn details_of(host: Host) -> Details {
    Details {
        addresses: vec![format!(
            "/ip4/10.{}.{}.{}/tcp/7400",
            host.0 >> 16,
            host.0 >> 8 & 255,
            host.0 & 255
        )],
        ..Details::default()
    }
}

/// The member that starts on a host at a birth.
fn member_of(birth: &Birth, rng: &mut SmallRng) -> Member {
    let unix_millis = WALL_CLOCK_MS + birth.now / 1_000;
    let incarnation = Incarnation::starting_at(unix_millis, rng.random());
    Member::new(name_of(birth.host), incarnation, details_of(birth.host))
}

/// Makes nodes that join through the given seeds (the first host that boots founds the cluster).
#[must_use]
pub fn joining(config: Config, seeds: Vec<Host>) -> Factory<Node> {
    Box::new(move |birth, rng| {
        let me = member_of(&birth, rng);
        let core = Membership::new(config.clone(), me, birth.local);
        let seeds = seeds.iter().copied().filter(|seed| *seed != birth.host).collect();
        Node::new(core, seeds, birth.local)
    })
}

/// Makes nodes of which the first lives on the first `hosts` hosts all know each other from the start, as if they had
/// been together for long; whoever boots later joins through `seeds`.
#[must_use]
pub fn knowing_first(config: Config, hosts: u32, seeds: Vec<Host>) -> Factory<Node> {
    // All births at tick 0, so that everybody's record is known beforehand.
    let first = |host: Host| {
        let incarnation = Incarnation::starting_at(WALL_CLOCK_MS, 0);
        Member::new(name_of(host), incarnation, details_of(host))
    };
    let view: View = (0..hosts).map(|host| Record::alive(&first(Host(host)))).collect();
    let known_seeds = seeds.clone();
    let mut later = joining(config.clone(), seeds);
    Box::new(move |birth, rng| {
        if birth.life > 0 || birth.host.0 >= hosts {
            return later(birth, rng);
        }
        let me = first(birth.host);
        let core = Membership::with_view(config.clone(), me, view.clone(), birth.local);
        let mut node = Node::new(core, known_seeds.clone(), birth.local);
        node.joined = true;
        node
    })
}

/// Makes nodes that all know each other from the start.
#[must_use]
pub fn knowing(config: Config, hosts: u32, seeds: Vec<Host>) -> Factory<Node> {
    knowing_first(config, hosts, seeds)
}
