//! Each change is told exactly once, in an order that makes sense.
//!
//! The layers above count on it: a second `Down` would release borrows twice, a `Recovered` of somebody who was
//! never suspected would send work to the dead.

use std::collections::BTreeMap;

use mobula_proto::id::NodeId;
use mobula_proto::membership::MembershipEvent;

use super::{Invariant, Scene};
use crate::protocol::Host;
use crate::rings::Node;
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    #[default]
    Nothing,
    Member,
    Suspect,
    Leaving,
    Down,
    Left,
}

#[derive(Debug, Clone, Default)]
struct Account {
    life: u32,
    joined: bool,
    told: BTreeMap<NodeId, Told>,
}

/// The invariant, with what each host was told of each other.
#[derive(Debug)]
pub struct Transitions {
    accounts: Vec<Account>,
}

impl Transitions {
    /// Nothing told yet to so many hosts.
    #[must_use]
    pub fn new(hosts: u32) -> Self {
        Self { accounts: vec![Account::default(); hosts as usize] }
    }
}

impl Account {
    /// Takes one event; false if it cannot follow what was told before.
    fn take(&mut self, event: &MembershipEvent) -> bool {
        let (node, next) = match event {
            MembershipEvent::Joined(member) | MembershipEvent::Healed(member) => {
                (member.node, Told::Member)
            }
            MembershipEvent::Recovered(node) => (*node, Told::Member),
            MembershipEvent::Updated(member) => {
                let told = self.told.get(&member.node).copied().unwrap_or_default();
                return matches!(told, Told::Member | Told::Suspect | Told::Leaving);
            }
            MembershipEvent::Suspected(node) => (*node, Told::Suspect),
            MembershipEvent::Leaving(node) => (*node, Told::Leaving),
            MembershipEvent::Left(node) => (*node, Told::Left),
            MembershipEvent::Down { node, .. } => (*node, Told::Down),
            MembershipEvent::JoinCompleted { .. } => {
                return !std::mem::replace(&mut self.joined, true);
            }
            MembershipEvent::SelfDeclaredDown { .. }
            | MembershipEvent::SelfReturned { .. }
            | MembershipEvent::SelfStalled => return true,
        };
        let told = self.told.entry(node).or_default();
        let fits = match event {
            MembershipEvent::Joined(_) => matches!(told, Told::Nothing | Told::Down | Told::Left),
            MembershipEvent::Healed(_) => matches!(told, Told::Down | Told::Left),
            MembershipEvent::Recovered(_) => *told == Told::Suspect,
            MembershipEvent::Suspected(_) => *told == Told::Member,
            MembershipEvent::Leaving(_) => matches!(told, Told::Member | Told::Suspect),
            MembershipEvent::Left(_) | MembershipEvent::Down { .. } => {
                matches!(told, Told::Member | Told::Suspect | Told::Leaving)
            }
            _ => true,
        };
        *told = next;
        fits
    }
}

impl Invariant for Transitions {
    fn name(&self) -> &'static str {
        "each change once"
    }

    fn step(
        &mut self,
        world: &World<Node>,
        _scene: &Scene,
        host: Host,
        notices: &[MembershipEvent],
    ) -> Result<(), String> {
        let account = &mut self.accounts[host.index()];
        let life = world.machine(host).life();
        if life > account.life {
            *account = Account { life, ..Account::default() };
        }
        for notice in notices {
            let told = event_node(notice).and_then(|node| account.told.get(&node).copied());
            if !account.take(notice) {
                return Err(format!("host {host} is told {notice:?} after {told:?}"));
            }
        }
        Ok(())
    }
}

fn event_node(event: &MembershipEvent) -> Option<NodeId> {
    match event {
        MembershipEvent::Joined(member)
        | MembershipEvent::Healed(member)
        | MembershipEvent::Updated(member) => Some(member.node),
        MembershipEvent::Suspected(node)
        | MembershipEvent::Recovered(node)
        | MembershipEvent::Leaving(node)
        | MembershipEvent::Left(node)
        | MembershipEvent::Down { node, .. } => Some(*node),
        _ => None,
    }
}
