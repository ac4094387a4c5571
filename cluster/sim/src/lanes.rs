//! The association core behind the simulator's waist: pairs of nodes that talk over links that break.
//!
//! Its own tests drive it by hand, frame by frame. Here it meets time: handshakes that take round trips, resets that
//! come in the middle of a window, retransmissions after a partition, a peer in a new life.
//! One link of the simulator carries all lanes, so that all of them break together, which is the harder case.
//!
//! - [`ledger`]: what was promised, checked.
//!
//! Invariant: the driver never feeds frames of a link that has ended.

pub mod ledger;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mobula_proto::association::{Association, Mutant, Output, Receipt, Settings};
use mobula_proto::error::SendError;
use mobula_proto::id::Incarnation;
use mobula_proto::time::Time;
use mobula_proto::wire::frame;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::protocol::{Effect, Host, Input, Protocol};
use crate::rings::name_of;
use crate::world::{Birth, Factory};

/// Lanes of each association here.
pub const LANES: u8 = 3;
/// Between two dials of a peer that is gone.
const REDIAL: Duration = Duration::from_millis(100);
/// Bytes handed to a link at once.
const BATCH_BYTES: usize = 16 << 10;

/// Tells a talker to send this number on this lane.
#[derive(Debug, Clone, Copy)]
pub struct Say {
    /// On which lane.
    pub lane: u8,
    /// What.
    pub number: u64,
}

/// What a talker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The core took the number, in this epoch.
    Said {
        /// In which life of the talker.
        life: u32,
        /// On which lane.
        lane: u8,
        /// In which epoch.
        epoch: u64,
        /// To which life of the peer, if the core knew it.
        to_life: Option<u32>,
        /// What.
        number: u64,
    },
    /// The lane was full.
    Full,
    /// A number of the peer came out.
    Heard {
        /// In which life of the listener.
        life: u32,
        /// On which lane.
        lane: u8,
        /// In which life the peer said it.
        of_life: u32,
        /// What.
        number: u64,
    },
    /// These came back as lost.
    Lost {
        /// In which life of the talker.
        life: u32,
        /// Perhaps delivered.
        sent: Vec<u64>,
        /// Certainly not delivered.
        unsent: Vec<u64>,
    },
    /// The core found fault with the peer.
    Fault(String),
}

/// One node with one association.
#[derive(Debug)]
pub struct Talker {
    peer: Host,
    dials: bool,
    life: u32,
    core: Association,
    linked: bool,
    redial_at: Option<Time>,
    untaken: Vec<Receipt>,
    take_at: Option<Time>,
    outputs: Vec<Output>,
}

/// Makes talkers: host 2k talks with host 2k+1.
#[must_use]
pub fn talkers(settings: Settings, mutant: Mutant) -> Factory<Talker> {
    Box::new(move |birth: Birth, _rng| {
        let peer = Host(birth.host.0 ^ 1);
        let life = Incarnation(u64::from(birth.life) + 1);
        let core = Association::new(settings, name_of(peer), life, 1, birth.local);
        Talker {
            peer,
            dials: birth.host < peer,
            life: birth.life,
            core: core.with_mutant(mutant),
            linked: false,
            redial_at: None,
            untaken: Vec::new(),
            take_at: None,
            outputs: Vec::new(),
        }
    })
}

/// Settings whose windows are small enough to be filled.
#[must_use]
pub fn narrow_settings() -> Settings {
    Settings {
        lanes: LANES,
        resend_max_bytes: 16 << 10,
        credit_messages: 40,
        credit_bytes: 4_000,
        ack_every: 8,
        ..Settings::default()
    }
}

type Effects = Vec<Effect<Arc<[u8]>, Told>>;

impl Talker {
    fn payload(&self, number: u64) -> [u8; 12] {
        let mut payload = [0; 12];
        payload[..4].copy_from_slice(&self.life.to_be_bytes());
        payload[4..].copy_from_slice(&number.to_be_bytes());
        payload
    }

    fn say(&mut self, now: Time, say: Say, effects: &mut Effects) {
        let payload = self.payload(say.number);
        effects.push(Effect::Notice(match self.core.send(now, say.lane, &payload) {
            Ok(_sequence) => Told::Said {
                life: self.life,
                lane: say.lane,
                epoch: self.core.epoch(),
                to_life: self
                    .core
                    .peer_life()
                    .and_then(|life| u32::try_from(life.0.saturating_sub(1)).ok()),
                number: say.number,
            },
            Err(SendError::Full { .. }) => Told::Full,
            Err(error) => Told::Fault(error.to_string()),
        }));
    }

    /// Feeds the frames of one write.
    fn hear(&mut self, now: Time, bytes: &[u8], rng: &mut SmallRng, effects: &mut Effects) {
        let mut rest = bytes;
        while let Ok(Some((frame, length))) = frame::cut(rest, frame::DATA_FRAME_MAX) {
            rest = &rest[length..];
            match self.core.receive(now, frame, &mut self.outputs) {
                Ok(Some(delivery)) => {
                    let (of_life, number) = parse(delivery.payload);
                    let lane = delivery.receipt.lane;
                    let heard = Told::Heard { life: self.life, lane, of_life, number };
                    effects.push(Effect::Notice(heard));
                    self.untaken.push(delivery.receipt);
                    let pause = Duration::from_micros(rng.random_range(0..20_000));
                    self.take_at.get_or_insert(now + pause);
                }
                Ok(None) => {}
                Err(error) => {
                    effects.push(Effect::Notice(Told::Fault(error.to_string())));
                    self.hang_up(now, effects);
                    return;
                }
            }
        }
    }

    fn hang_up(&mut self, now: Time, effects: &mut Effects) {
        effects.push(Effect::HangUp(self.peer));
        self.unlink(now);
    }

    fn unlink(&mut self, now: Time) {
        if std::mem::take(&mut self.linked) {
            (0..LANES).for_each(|lane| self.core.cut(now, lane));
        }
        self.redial_at = self.dials.then(|| now + REDIAL);
    }

    /// Writes what the core has to write, and tells what it told.
    fn flush(&mut self, now: Time, effects: &mut Effects) {
        for output in self.outputs.drain(..) {
            if let Output::Lost(lost) = output {
                let numbers = |messages: &[mobula_proto::association::LostMessage]| {
                    messages.iter().map(|message| parse(&message.payload).1).collect()
                };
                let (sent, unsent) = (numbers(&lost.sent), numbers(&lost.unsent));
                effects.push(Effect::Notice(Told::Lost { life: self.life, sent, unsent }));
            }
        }
        for lane in (0..LANES).filter(|_| self.linked) {
            while self.core.wants_transmit(now, lane) {
                let mut slices: Vec<Bytes> = Vec::new();
                if self.core.transmit(now, lane, BATCH_BYTES, &mut slices) == 0 {
                    break;
                }
                effects.push(Effect::Send(self.peer, Arc::from(slices.concat())));
            }
        }
    }
}

fn parse(payload: &[u8]) -> (u32, u64) {
    let mut life = [0; 4];
    let mut number = [0; 8];
    if payload.len() == 12 {
        life.copy_from_slice(&payload[..4]);
        number.copy_from_slice(&payload[4..]);
    }
    (u32::from_be_bytes(life), u64::from_be_bytes(number))
}

impl Protocol for Talker {
    type Message = Arc<[u8]>;
    type Command = Say;
    type Notice = Told;

    fn on(
        &mut self,
        now: Time,
        input: Input<Arc<[u8]>, Say>,
        rng: &mut SmallRng,
        effects: &mut Effects,
    ) {
        match input {
            Input::Start => self.redial_at = self.dials.then_some(now),
            Input::Wake => {
                if self.redial_at.is_some_and(|at| at <= now) {
                    self.redial_at = None;
                    effects.push(Effect::Dial(self.peer));
                }
                if self.take_at.is_some_and(|at| at <= now) {
                    self.take_at = None;
                    for receipt in self.untaken.drain(..) {
                        self.core.taken(now, receipt);
                    }
                }
                if self.core.next_wake().is_some_and(|at| at <= now) {
                    self.core.tick(now, &mut self.outputs);
                }
            }
            Input::Received(_, bytes) => self.hear(now, &bytes, rng, effects),
            Input::Connected(_) => {
                self.unlink(now);
                self.linked = true;
                self.redial_at = None;
                (0..LANES).for_each(|lane| self.core.connected(now, lane));
            }
            Input::Refused(_) | Input::Unreachable(_) | Input::Ended(..) => self.unlink(now),
            Input::Command(say) => self.say(now, say, effects),
            Input::Datagram(..) | Input::Flooded(..) => {}
        }
        self.flush(now, effects);
    }

    fn next_wake(&self) -> Option<Time> {
        [self.core.next_wake(), self.redial_at, self.take_at].into_iter().flatten().min()
    }

    fn size_bytes(message: &Arc<[u8]>) -> u32 {
        u32::try_from(message.len()).unwrap_or(u32::MAX)
    }
}
