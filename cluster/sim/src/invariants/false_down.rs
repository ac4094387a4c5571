//! Nobody who lives and answers is declared down.
//!
//! The price of a fast detector is the false alarm, and a false alarm kills work that was going well.
//! Excused is only what no detector can tell from death: a stall that lasts almost a window or longer, a
//! partition, and for a while what a partition leaves behind in the retransmission timers.
//! Loss up to 10 % excuses nothing, nor do stalls of the observers.

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::membership::MembershipEvent;

use super::{Invariant, Scene};
use crate::protocol::Host;
use crate::queue::{MILLISECOND, SECOND, Tick};
use crate::rings::{Node, host_of};
use crate::world::World;

/// A stall from this length on may look like death: the window of 2.5 s on a clock that runs 10 % fast,
/// less one heartbeat.
pub const STALL_EXCUSED: Tick = 1_990 * MILLISECOND;
/// For how long a stall is an excuse after its end.
const STALL_AFTERMATH: Tick = 10 * SECOND;

/// The invariant.
#[derive(Debug, Default)]
pub struct FalseDown;

impl Invariant for FalseDown {
    fn name(&self) -> &'static str {
        "no false down"
    }

    fn step(
        &mut self,
        world: &World<Node>,
        scene: &Scene,
        host: Host,
        notices: &[MembershipEvent],
    ) -> Result<(), String> {
        for notice in notices {
            let (node, incarnation, observers) = match notice {
                MembershipEvent::Down { node, incarnation, observers } => {
                    (*node, *incarnation, observers.as_slice())
                }
                MembershipEvent::SelfDeclaredDown { incarnation } => {
                    let Some(process) = world.machine(host).running() else { continue };
                    (process.core().me().node, *incarnation, [].as_slice())
                }
                _ => continue,
            };
            if !is_excused(world, scene, node, incarnation) {
                let accused = host_of(node);
                let record = world.machine(accused).record();
                let observers: Vec<Host> = observers.iter().copied().map(host_of).collect();
                return Err(format!(
                    "host {host} declares host {accused} ({incarnation}) down; it runs ({record:?}); \
                     votes of {observers:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a down of that node in that incarnation is right, or no detector could have known better.
#[must_use]
pub fn is_excused(
    world: &World<Node>,
    scene: &Scene,
    node: NodeId,
    incarnation: Incarnation,
) -> bool {
    let machine = world.machine(host_of(node));
    let Some(process) = machine.running() else { return true };
    let earlier_life = incarnation < process.core().me().details.life;
    let record = machine.record();
    let long_stall = record.stall.is_some_and(|(from, until)| {
        until - from >= STALL_EXCUSED && world.now() < until + STALL_AFTERMATH
    });
    earlier_life
        || record.leaving
        || process.is_leaving()
        || long_stall
        || scene.is_disturbed(world.now())
}
