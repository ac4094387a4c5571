//! Knowledge only grows, and two views merge to the same whichever comes first.
//!
//! Compared at every step the views of all would cost N² a step; so each host's view is compared with what it was
//! at every sixteenth event that touches it, which no lapse that lasts can escape.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use mobula_proto::id::NodeId;
use mobula_proto::member::Record;
use mobula_proto::membership::MembershipEvent;

use super::{Invariant, Scene};
use crate::protocol::Host;
use crate::rings::Node;
use crate::world::World;

const EVERY: u32 = 16;

#[derive(Debug, Clone, Default)]
struct Shadow {
    life: u32,
    events: u32,
    records: BTreeMap<NodeId, Record>,
}

/// The invariant, with each host's view as it last was.
#[derive(Debug)]
pub struct Semilattice {
    shadows: Vec<Shadow>,
}

impl Semilattice {
    /// No views yet of so many hosts.
    #[must_use]
    pub fn new(hosts: u32) -> Self {
        Self { shadows: vec![Shadow::default(); hosts as usize] }
    }
}

impl Invariant for Semilattice {
    fn name(&self) -> &'static str {
        "knowledge grows and merges"
    }

    fn step(
        &mut self,
        world: &World<Node>,
        _scene: &Scene,
        host: Host,
        _notices: &[MembershipEvent],
    ) -> Result<(), String> {
        let machine = world.machine(host);
        let Some(process) = machine.running() else { return Ok(()) };
        let shadow = &mut self.shadows[host.index()];
        if machine.life() > shadow.life {
            *shadow = Shadow { life: machine.life(), ..Shadow::default() };
        }
        shadow.events += 1;
        if !shadow.events.is_multiple_of(EVERY) {
            return Ok(());
        }
        for record in process.core().view() {
            if let Some(known) = shadow.records.get(&record.node) {
                if record.precedence(known) == Ordering::Less {
                    return Err(format!("host {host} knew {known:?}, now {record:?}"));
                }
                merges_either_way(known, record)?;
            }
            shadow.records.insert(record.node, record.clone());
        }
        Ok(())
    }
}

fn merges_either_way(one: &Record, other: &Record) -> Result<(), String> {
    let (mut forth, mut back) = (one.clone(), other.clone());
    forth.merge(other);
    back.merge(one);
    let again = forth.clone().merge(other);
    if forth != back || again {
        return Err(format!("{one:?} and {other:?} merge to {forth:?} or to {back:?}"));
    }
    Ok(())
}
