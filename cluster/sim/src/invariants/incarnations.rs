//! Incarnations only rise: a node's own, and what each observer knows of each other.

use std::collections::BTreeMap;

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::membership::MembershipEvent;

use super::{Invariant, Scene};
use crate::protocol::Host;
use crate::rings::Node;
use crate::world::World;

#[derive(Debug, Clone, Default)]
struct Seen {
    life: u32,
    own: Incarnation,
    others: BTreeMap<NodeId, Incarnation>,
}

/// The invariant, with what was seen so far.
#[derive(Debug)]
pub struct Incarnations {
    seen: Vec<Seen>,
}

impl Incarnations {
    /// Nothing seen yet of so many hosts.
    #[must_use]
    pub fn new(hosts: u32) -> Self {
        Self { seen: vec![Seen::default(); hosts as usize] }
    }
}

impl Invariant for Incarnations {
    fn name(&self) -> &'static str {
        "incarnations rise"
    }

    fn step(
        &mut self,
        world: &World<Node>,
        _scene: &Scene,
        host: Host,
        notices: &[MembershipEvent],
    ) -> Result<(), String> {
        let machine = world.machine(host);
        let seen = &mut self.seen[host.index()];
        let Some(process) = machine.running() else { return Ok(()) };
        let own = process.core().me().incarnation;
        if own < seen.own || (machine.life() > seen.life && own == seen.own) {
            return Err(format!("host {host} goes from {} to {own}", seen.own));
        }
        seen.own = own;
        if machine.life() > seen.life {
            seen.life = machine.life();
            seen.others.clear();
        }
        for notice in notices {
            let (node, incarnation) = match notice {
                MembershipEvent::Joined(member)
                | MembershipEvent::Healed(member)
                | MembershipEvent::Updated(member) => (member.node, member.incarnation),
                MembershipEvent::Down { node, incarnation, .. } => (*node, *incarnation),
                _ => continue,
            };
            let known = seen.others.entry(node).or_default();
            if incarnation < *known {
                return Err(format!("host {host} knew {node} in {known}, now in {incarnation}"));
            }
            *known = incarnation;
        }
        Ok(())
    }
}
