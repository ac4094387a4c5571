//! The borrow core over the association core: who holds references, when links break and nodes die.
//!
//! Each core's own tests replace the other by a model. What they promise each other (order on a lane, a word when an
//! epoch ended, nothing of a former life) is only tested where both are real; so here they are.
//! Nobody is declared down who lives: that is membership's part, and its mistakes are another test.
//!
//! - [`ledger`]: where references really are, and what must not happen to them.
//!
//! Invariant: what an association told of an end is handed to the borrows before what was delivered after it.

pub mod ledger;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mobula_proto::association::{Association, Output as Link, Settings};
use mobula_proto::borrow::{Borrows, Message, Mutant, Output};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::time::Time;
use mobula_proto::wire::frame;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::protocol::{Effect, Host, Input, Protocol};
use crate::rings::{host_of, name_of};
use crate::world::{Birth, Factory};

/// Between two dials of a peer that is gone.
const REDIAL: Duration = Duration::from_millis(100);
const BATCH_BYTES: usize = 16 << 10;
/// Lanes on which references travel, beside the control lane 0.
const REFERENCE_LANES: u8 = 2;

/// A thing that is owned: by whom, in which life, the how-manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Thing {
    /// The owner's host.
    pub host: u32,
    /// Its life.
    pub life: u32,
    /// Which.
    pub number: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Parcel {
    Reference { thing: Thing, pin: u64 },
    Word(Message<Thing>),
}

/// What a workload wants of a node.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    /// Make a thing and hold its first reference.
    Own(u64),
    /// Send a copy of a reference that is held here.
    Pass(Thing, Host),
    /// Give one reference up.
    Drop(Thing),
    /// Membership says that the node there is down.
    Down(Host),
}

/// What a node tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It has one reference more.
    Holds(Thing),
    /// It has one reference less.
    Dropped(Thing),
    /// Its own thing is freed.
    Freed(Thing),
    /// It holds references to a thing that is gone.
    Dangling(Thing),
    /// A core found fault with a peer.
    Fault(String),
}

#[derive(Debug)]
struct Peer {
    association: Option<Association>,
    linked: bool,
    redial_at: Option<Time>,
}

/// One node: its borrows, and an association with each other node.
#[derive(Debug)]
pub struct Holder {
    host: Host,
    life: u32,
    borrows: Borrows<Thing>,
    peers: BTreeMap<Host, Peer>,
    epochs: u64,
    links: Vec<Link>,
    words: Vec<Output<Thing>>,
}

/// Makes `hosts` nodes that all talk with each other.
#[must_use]
pub fn holders(hosts: u32, mutant: Mutant) -> Factory<Holder> {
    Box::new(move |birth: Birth, _rng| {
        let peers = (0..hosts).map(Host).filter(|peer| *peer != birth.host);
        let peer = |peer: Host| {
            let redial_at = (birth.host < peer).then_some(birth.local);
            (peer, Peer { association: None, linked: false, redial_at })
        };
        Holder {
            host: birth.host,
            life: birth.life,
            borrows: Borrows::new(name_of(birth.host)).with_mutant(mutant),
            peers: peers.map(peer).collect(),
            epochs: 0,
            links: Vec::new(),
            words: Vec::new(),
        }
    })
}

type Effects = Vec<Effect<Arc<[u8]>, Told>>;

impl Holder {
    /// Whether it owns, borrows and sends nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.borrows.is_empty()
    }

    /// Which process on its host it is.
    #[must_use]
    pub fn life(&self) -> u32 {
        self.life
    }

    fn wish(&mut self, now: Time, wish: Wish, effects: &mut Effects) {
        match wish {
            Wish::Own(number) => {
                let thing = Thing { host: self.host.0, life: self.life, number };
                self.borrows.own(thing);
                effects.push(Effect::Notice(Told::Holds(thing)));
            }
            Wish::Pass(thing, to) => {
                let lane = 1 + (thing.number % u64::from(REFERENCE_LANES)) as u8;
                if let Some(pin) = self.borrows.pin(thing, name_of(to), lane)
                    && !self.post(now, to, lane, &Parcel::Reference { thing, pin }, effects)
                {
                    self.borrows.unpin(pin, &mut self.words);
                }
            }
            Wish::Drop(thing) => {
                effects.push(Effect::Notice(Told::Dropped(thing)));
                self.borrows.release(thing, &mut self.words);
            }
            Wish::Down(host) => {
                self.borrows.node_down(name_of(host), &mut self.words);
                if let Some(peer) = self.peers.get_mut(&host)
                    && let Some(mut association) = peer.association.take()
                {
                    association.close(now, &mut self.links);
                    self.links.clear();
                }
            }
        }
        self.settle(now, effects);
    }

    /// Hands a parcel to the association; false if there is none and it was not sent.
    fn post(
        &mut self,
        now: Time,
        to: Host,
        lane: u8,
        parcel: &Parcel,
        effects: &mut Effects,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&to) else { return false };
        let Some(association) = &mut peer.association else { return false };
        let sent =
            rmp_serde::to_vec_named(parcel).map_err(|error| error.to_string()).and_then(|bytes| {
                association.send(now, lane, &bytes).map_err(|error| error.to_string())
            });
        if let Err(error) = sent {
            effects.push(Effect::Notice(Told::Fault(error)));
        }
        true
    }

    /// Carries out what the borrows want until they want nothing more.
    fn settle(&mut self, now: Time, effects: &mut Effects) {
        while !self.words.is_empty() {
            for word in std::mem::take(&mut self.words) {
                match word {
                    Output::Send { to, lane, message } => {
                        let parcel = Parcel::Word(message);
                        self.post(now, host_of(to), lane.unwrap_or(0), &parcel, effects);
                    }
                    Output::Free { thing } => effects.push(Effect::Notice(Told::Freed(thing))),
                    Output::Lost { thing } => effects.push(Effect::Notice(Told::Dangling(thing))),
                }
            }
        }
    }

    /// Hands on what the association with `peer` told of ends.
    fn ends(&mut self, now: Time, peer: Host, effects: &mut Effects) {
        for link in std::mem::take(&mut self.links) {
            match link {
                Link::PeerRestarted { .. } => {
                    self.borrows.node_down(name_of(peer), &mut self.words);
                }
                Link::PeerLost { .. } => self.borrows.associated(name_of(peer), &mut self.words),
                Link::Lost(lost) => {
                    for message in &lost.unsent {
                        if let Ok(Parcel::Reference { pin, .. }) =
                            rmp_serde::from_slice(&message.payload)
                        {
                            self.borrows.unpin(pin, &mut self.words);
                        }
                    }
                    self.borrows.associated(name_of(peer), &mut self.words);
                }
                Link::Resumed { .. } | Link::Writable { .. } => {}
            }
        }
        self.settle(now, effects);
    }

    fn hear(&mut self, now: Time, from: Host, bytes: &[u8], effects: &mut Effects) {
        let mut rest = bytes;
        while let Ok(Some((frame, length))) = frame::cut(rest, frame::DATA_FRAME_MAX) {
            rest = &rest[length..];
            let Some(peer) = self.peers.get_mut(&from) else { return };
            let Some(association) = &mut peer.association else { return };
            let delivery = association.receive(now, frame, &mut self.links);
            self.ends(now, from, effects);
            match delivery {
                Ok(Some(delivery)) => {
                    let association =
                        self.peers.get_mut(&from).and_then(|peer| peer.association.as_mut());
                    if let Some(association) = association {
                        association.taken(now, delivery.receipt);
                    }
                    self.open(now, name_of(from), delivery.payload, effects);
                }
                Ok(None) => {}
                Err(error) => effects.push(Effect::Notice(Told::Fault(error.to_string()))),
            }
        }
    }

    fn open(&mut self, now: Time, from: NodeId, payload: &[u8], effects: &mut Effects) {
        match rmp_serde::from_slice(payload) {
            Ok(Parcel::Reference { thing, pin }) => {
                effects.push(Effect::Notice(Told::Holds(thing)));
                let owner = name_of(Host(thing.host));
                self.borrows.receive(thing, owner, from, pin, &mut self.words);
            }
            Ok(Parcel::Word(message)) => {
                self.borrows.handle_message(from, message, &mut self.words);
            }
            Err(error) => effects.push(Effect::Notice(Told::Fault(error.to_string()))),
        }
        self.settle(now, effects);
    }

    fn connected(&mut self, now: Time, host: Host) {
        self.unlink(now, host);
        let Some(peer) = self.peers.get_mut(&host) else { return };
        peer.linked = true;
        peer.redial_at = None;
        self.epochs += 1;
        let (life, epochs) = (Incarnation(u64::from(self.life) + 1), self.epochs * 1_000);
        let association = peer.association.get_or_insert_with(|| {
            let settings = Settings { lanes: 1 + REFERENCE_LANES, ..Settings::default() };
            Association::new(settings, name_of(host), life, epochs, now)
        });
        (0..=REFERENCE_LANES).for_each(|lane| association.connected(now, lane));
    }

    fn unlink(&mut self, now: Time, host: Host) {
        let dials = self.host < host;
        let Some(peer) = self.peers.get_mut(&host) else { return };
        if std::mem::take(&mut peer.linked)
            && let Some(association) = &mut peer.association
        {
            (0..=REFERENCE_LANES).for_each(|lane| association.cut(now, lane));
        }
        peer.redial_at = dials.then(|| now + REDIAL);
    }

    fn wake(&mut self, now: Time, effects: &mut Effects) {
        let hosts: Vec<Host> = self.peers.keys().copied().collect();
        for host in hosts {
            let Some(peer) = self.peers.get_mut(&host) else { continue };
            if peer.redial_at.is_some_and(|at| at <= now) {
                peer.redial_at = None;
                effects.push(Effect::Dial(host));
            }
            if let Some(association) = &mut peer.association
                && association.next_wake().is_some_and(|at| at <= now)
            {
                association.tick(now, &mut self.links);
                self.ends(now, host, effects);
            }
        }
    }

    fn flush(&mut self, now: Time, effects: &mut Effects) {
        for (host, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.linked) {
            let Some(association) = &mut peer.association else { continue };
            for lane in 0..=REFERENCE_LANES {
                while association.wants_transmit(now, lane) {
                    let mut slices: Vec<Bytes> = Vec::new();
                    if association.transmit(now, lane, BATCH_BYTES, &mut slices) == 0 {
                        break;
                    }
                    effects.push(Effect::Send(*host, Arc::from(slices.concat())));
                }
            }
        }
    }
}

impl Protocol for Holder {
    type Message = Arc<[u8]>;
    type Command = Wish;
    type Notice = Told;

    fn on(
        &mut self,
        now: Time,
        input: Input<Arc<[u8]>, Wish>,
        _rng: &mut SmallRng,
        effects: &mut Effects,
    ) {
        match input {
            Input::Start | Input::Wake => self.wake(now, effects),
            Input::Received(from, bytes) => self.hear(now, from, &bytes, effects),
            Input::Connected(host) => self.connected(now, host),
            Input::Refused(host) | Input::Unreachable(host) | Input::Ended(host, _) => {
                self.unlink(now, host);
            }
            Input::Command(wish) => self.wish(now, wish, effects),
            Input::Datagram(..) | Input::Flooded(..) => {}
        }
        self.flush(now, effects);
    }

    fn next_wake(&self) -> Option<Time> {
        let of_peer = |peer: &Peer| {
            let core = peer.association.as_ref().and_then(Association::next_wake);
            [core, peer.redial_at].into_iter().flatten().min()
        };
        self.peers.values().filter_map(of_peer).min()
    }

    fn size_bytes(message: &Arc<[u8]>) -> u32 {
        u32::try_from(message.len()).unwrap_or(u32::MAX)
    }
}
