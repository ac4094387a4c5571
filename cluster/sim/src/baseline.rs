//! The baseline: foca, a SWIM implementation, in the same simulator.
//!
//! Figures from another simulator, with other latencies and other ways of counting bytes, compare nothing.
//! So foca runs here behind the same waist, over datagrams as it is meant to, with its own LAN profile and codec.
//!
//! Invariant: foca is used as its documentation says: every timer comes, in order of time; identities renew.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use foca::{
    Config, Foca, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime, Timer,
};
use mobula_proto::time::Time;
use rand::Rng;
use rand::rngs::SmallRng;
use rand_of_foca::SeedableRng;
use rand_of_foca::rngs::SmallRng as FocaRng;
use serde::{Deserialize, Serialize};

use crate::protocol::{Effect, Host, Input, Protocol};
use crate::world::Factory;

/// An address of six bytes and the number of the life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    ip: [u8; 4],
    port: [u8; 2],
    life: u16,
}

impl Address {
    fn new(host: Host, life: u32) -> Self {
        Self {
            ip: host.0.to_be_bytes(),
            port: 7_400_u16.to_be_bytes(),
            life: u16::try_from(life).unwrap_or(u16::MAX),
        }
    }

    /// The host of this address.
    #[must_use]
    pub fn host(&self) -> Host {
        Host(u32::from_be_bytes(self.ip))
    }
}

impl Identity for Address {
    type Addr = [u8; 4];

    fn renew(&self) -> Option<Self> {
        Some(Self { life: self.life.wrapping_add(1), ..*self })
    }

    fn addr(&self) -> [u8; 4] {
        self.ip
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

/// What a foca node tells: a member is up, or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is a member.
    Up(Host),
    /// It is declared down.
    Down(Host),
}

/// What foca wants done, collected while it runs.
#[derive(Debug, Default)]
struct Wishes {
    sends: Vec<(Host, Arc<[u8]>)>,
    timers: Vec<(Duration, Timer<Address>)>,
    changes: Vec<Change>,
}

impl Runtime<Address> for &mut Wishes {
    fn notify(&mut self, notification: Notification<'_, Address>) {
        match notification {
            Notification::MemberUp(member) => self.changes.push(Change::Up(member.host())),
            Notification::MemberDown(member) => self.changes.push(Change::Down(member.host())),
            _ => {}
        }
    }

    fn send_to(&mut self, to: Address, bytes: &[u8]) {
        self.sends.push((to.host(), Arc::from(bytes)));
    }

    fn submit_after(&mut self, event: Timer<Address>, after: Duration) {
        self.timers.push((after, event));
    }
}

/// One node that runs foca.
#[derive(Debug)]
pub struct FocaNode {
    foca: Box<Swim>,
    wishes: Wishes,
    timers: BTreeMap<(Time, u64), Timer<Address>>,
    submitted: u64,
    known: Arc<[Host]>,
    seeds: Vec<Host>,
    announce_at: Option<Time>,
    announce_until: Option<Time>,
}

struct Swim(Foca<Address, PostcardCodec, FocaRng, NoCustomBroadcast>);

impl std::fmt::Debug for Swim {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Swim").finish_non_exhaustive()
    }
}

/// Makes foca nodes with the LAN profile for so many members; the first life of each knows the hosts in `known`,
/// later ones announce themselves to `seeds`.
#[must_use]
pub fn lan(members: u32, known: Arc<[Host]>, seeds: Vec<Host>) -> Factory<FocaNode> {
    let config = Config::new_lan(NonZeroU32::new(members).unwrap_or(NonZeroU32::MIN));
    Box::new(move |birth, rng| {
        let address = Address::new(birth.host, birth.life);
        let random = FocaRng::seed_from_u64(rng.random());
        FocaNode {
            foca: Box::new(Swim(Foca::new(address, config.clone(), random, PostcardCodec))),
            wishes: Wishes::default(),
            timers: BTreeMap::new(),
            submitted: 0,
            known: if birth.life == 0 { Arc::clone(&known) } else { Arc::new([]) },
            seeds: seeds.iter().copied().filter(|seed| *seed != birth.host).collect(),
            announce_at: None,
            announce_until: None,
        }
    })
}

impl FocaNode {
    /// Hosts it takes for members, itself left out.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.foca.0.num_members()
    }

    fn carry_out(&mut self, now: Time, effects: &mut Vec<Effect<Arc<[u8]>, Change>>) {
        for (after, timer) in self.wishes.timers.drain(..) {
            self.submitted += 1;
            self.timers.insert((now + after, self.submitted), timer);
        }
        effects.extend(self.wishes.sends.drain(..).map(|(to, bytes)| Effect::Datagram(to, bytes)));
        effects.extend(self.wishes.changes.drain(..).map(Effect::Notice));
    }

    /// Asks a seed each second to be let in, for ten seconds and until somebody has answered: foca leaves that to its
    /// user, and whoever stops at the first answer can end on an island of its own.
    fn announce(&mut self, now: Time, rng: &mut SmallRng) {
        if self.announce_at.is_none_or(|at| at > now) {
            return;
        }
        self.announce_at = None;
        let until = *self.announce_until.get_or_insert(now + Duration::from_secs(10));
        let alone = self.foca.0.num_members() == 0;
        if (alone || now < until) && !self.seeds.is_empty() {
            let seed = Address::new(self.seeds[rng.random_range(0..self.seeds.len())], 0);
            Self::shrug(self.foca.0.announce(seed, &mut self.wishes));
            self.announce_at = Some(now + Duration::from_secs(1));
        }
    }

    /// What foca reports as errors (a packet from its own earlier life, say) its own examples only log.
    fn shrug<E>(result: Result<(), E>) {
        drop(result.err());
    }
}

impl Protocol for FocaNode {
    type Message = Arc<[u8]>;
    type Command = ();
    type Notice = Change;

    fn on(
        &mut self,
        now: Time,
        input: Input<Arc<[u8]>, ()>,
        rng: &mut SmallRng,
        effects: &mut Vec<Effect<Arc<[u8]>, Change>>,
    ) {
        let foca = &mut self.foca.0;
        match input {
            Input::Start => {
                let members: Vec<_> =
                    self.known.iter().map(|host| Member::alive(Address::new(*host, 0))).collect();
                let me = *foca.identity();
                let others = members.into_iter().filter(|member| *member.id() != me);
                Self::shrug(foca.apply_many(others, false, &mut self.wishes));
                self.announce_at = self.known.is_empty().then_some(now);
                self.known = Arc::new([]);
                self.announce(now, rng);
            }
            Input::Datagram(_, bytes) => {
                Self::shrug(foca.handle_data(&bytes, &mut self.wishes));
            }
            Input::Wake => {
                while let Some(entry) = self.timers.first_entry()
                    && entry.key().0 <= now
                {
                    Self::shrug(foca.handle_timer(entry.remove(), &mut self.wishes));
                }
                self.announce(now, rng);
            }
            Input::Received(..)
            | Input::Flooded(..)
            | Input::Connected(_)
            | Input::Refused(_)
            | Input::Unreachable(_)
            | Input::Ended(..)
            | Input::Command(()) => {}
        }
        self.carry_out(now, effects);
    }

    fn next_wake(&self) -> Option<Time> {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        [timer, self.announce_at].into_iter().flatten().min()
    }

    fn size_bytes(message: &Arc<[u8]>) -> u32 {
        u32::try_from(message.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Conditions;
    use crate::queue::SECOND;
    use crate::world::World;

    #[test]
    fn foca_finds_a_silent_crash_in_the_simulator() {
        let hosts = 10;
        let known: Arc<[Host]> = (0..hosts).map(Host).collect();
        let mut world =
            World::new(hosts, Conditions::default(), 7, lan(hosts, known, vec![Host(0)]));
        for host in 0..hosts {
            world.boot(Host(host));
        }
        world.run_until(5 * SECOND);
        assert_eq!(world.running(Host(1)).map(FocaNode::member_count), Some(9));
        world.crash(Host(3));
        world.run_until(30 * SECOND);
        assert_eq!(world.running(Host(1)).map(FocaNode::member_count), Some(8));
    }
}
