//! Nobody keeps more links than the rings ask for; in the end the overlay is symmetric and stands.
//!
//! Links cost memory and heartbeats; an overlay that only grows is a full mesh by the end of the week.
//! While views differ a node answers whoever watches it, and links of the last overlay end with some delay; so the bound
//! on links is asked for when it is quiet, that on whom a node watches always.

use std::collections::BTreeSet;

use mobula_proto::membership::MembershipEvent;

use super::{Invariant, Scene};
use crate::protocol::Host;
use crate::rings::{Node, host_of, name_of};
use crate::world::World;

/// Neighbours on four rings, or all of nine.
const NEIGHBOURS_MAX: usize = 8;
/// Links kept beside the neighbours when it is quiet: a dial of somebody who is down, an exchange.
const BESIDE_MAX: usize = 2;

/// The invariant.
#[derive(Debug, Default)]
pub struct Overlay;

impl Invariant for Overlay {
    fn name(&self) -> &'static str {
        "overlay degree"
    }

    fn step(
        &mut self,
        world: &World<Node>,
        _scene: &Scene,
        host: Host,
        _notices: &[MembershipEvent],
    ) -> Result<(), String> {
        let Some(process) = world.machine(host).running() else { return Ok(()) };
        let neighbours = process.core().neighbours().len();
        if neighbours > NEIGHBOURS_MAX {
            return Err(format!("host {host} watches {neighbours} others"));
        }
        Ok(())
    }

    fn quiet(&self, world: &World<Node>) -> Result<(), String> {
        let running: Vec<Host> =
            world.hosts().filter(|host| world.machine(*host).running().is_some()).collect();
        for &host in &running {
            let Some(process) = world.machine(host).running() else { continue };
            let wanted: BTreeSet<Host> =
                process.core().neighbours().into_iter().map(host_of).collect();
            let kept = process.wanted().count();
            if kept > NEIGHBOURS_MAX + BESIDE_MAX {
                return Err(format!("host {host} keeps {kept} links"));
            }
            let expected = NEIGHBOURS_MAX.min(running.len() - 1);
            if running.len() <= 9 && wanted.len() < expected {
                return Err(format!(
                    "host {host} wants {wanted:?} of {} others",
                    running.len() - 1
                ));
            }
            for &peer in &wanted {
                let other = world.machine(peer).running();
                if !other.is_some_and(|other| other.core().neighbours().contains(&name_of(host))) {
                    return Err(format!(
                        "host {host} wants {peer}, but {peer} does not want {host}"
                    ));
                }
                if !process.linked().any(|linked| linked == peer) {
                    return Err(format!("host {host} wants {peer}, but no link stands"));
                }
            }
        }
        Ok(())
    }
}
