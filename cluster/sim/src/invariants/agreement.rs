//! When it is quiet, all who live know the same, and it is the truth.
//!
//! Safety alone is kept best by a protocol that does nothing. After the last fault every process that runs must
//! be in every view, every one that died must be in none, and the fingerprints must be equal.

use std::collections::BTreeMap;

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::Status;
use mobula_proto::membership::MembershipEvent;

use super::{Invariant, Scene};
use crate::protocol::Host;
use crate::rings::{Node, host_of};
use crate::world::World;

/// The invariant.
#[derive(Debug, Default)]
pub struct Agreement;

impl Invariant for Agreement {
    fn name(&self) -> &'static str {
        "agreement when quiet"
    }

    fn step(
        &mut self,
        _world: &World<Node>,
        _scene: &Scene,
        _host: Host,
        _notices: &[MembershipEvent],
    ) -> Result<(), String> {
        Ok(())
    }

    fn quiet(&self, world: &World<Node>) -> Result<(), String> {
        let truth: BTreeMap<NodeId, Incarnation> = world
            .machines()
            .iter()
            .filter_map(|machine| machine.running())
            .map(|process| (process.core().me().node, process.core().me().incarnation))
            .collect();
        let mut fingerprint = None;
        for host in world.hosts() {
            let Some(process) = world.machine(host).running() else { continue };
            if !process.has_joined() && truth.len() > 1 {
                return Err(format!("host {host} has not joined"));
            }
            let mut live = 0;
            for record in process.core().view() {
                let of = host_of(record.node);
                match truth.get(&record.node) {
                    Some(own) if record.status != Status::Alive || record.incarnation != *own => {
                        return Err(format!(
                            "host {host} knows host {of} as {:?} in {}, it runs in {own}",
                            record.status, record.incarnation
                        ));
                    }
                    Some(_) => live += 1,
                    None if record.status.is_live() => {
                        return Err(format!(
                            "host {host} knows host {of} as {:?}, it is dead",
                            record.status
                        ));
                    }
                    None => {}
                }
            }
            if live != truth.len() {
                return Err(format!("host {host} knows {live} of {} that run", truth.len()));
            }
            let hash = process.core().view_hash();
            if *fingerprint.get_or_insert(hash) != hash {
                return Err(format!("host {host} has another fingerprint of the same view"));
            }
        }
        Ok(())
    }
}
