//! Random histories of two nodes against what an association promises.
//!
//! The connection is a queue of frames that a fault may cut, thin out or repeat; the model is a list of what was
//! sent and what became of it.
//! A failing run prints its seed; `ASSOCIATION_SEED=n` runs that one alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use mobula_proto::association::{Association, LossCause, Mutant, Output, Receipt, Settings};
use mobula_proto::error::ProtocolError;
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::time::Time;
use mobula_proto::wire::frame;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const LANES: u8 = 2;
const WINDOW: u64 = 12;
const WINDOW_BYTES: u64 = 900;
const FRAME_MAX: u64 = 400;

/// What breaks, besides connections.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    /// Connections break and are made again at once; nobody restarts or gives up. Nothing at all may be lost.
    Breaks,
    /// Connections stay, but frames vanish and repeat on them. Nothing may be lost either.
    Leaks,
    /// Connections break; what they carry until then arrives in order.
    Streams,
    /// Frames also vanish and repeat on living connections.
    Storm,
}

/// Where a message was sent: by which life of which side, in which epoch, on which lane.
type Stream = (usize, u64, u64, u8);

#[derive(Debug, Default)]
struct Model {
    /// What was sent per stream, in order: the message's number.
    sent: BTreeMap<Stream, Vec<u64>>,
    /// How many of them arrived.
    arrived: BTreeMap<Stream, usize>,
    stream_of: BTreeMap<u64, Stream>,
    lost: BTreeSet<u64>,
    /// The epoch in which each stream's sender is known to have ended.
    never_sent: BTreeSet<u64>,
    ended_lives: BTreeSet<(usize, u64)>,
}

struct Side {
    association: Association,
    life: u64,
    /// Delivered, not taken.
    waiting: Vec<Receipt>,
}

struct World {
    rng: SmallRng,
    weather: Weather,
    mutant: Mutant,
    now: Time,
    sides: [Side; 2],
    /// Frames under way on each lane, towards each side.
    pipes: [[VecDeque<Vec<u8>>; LANES as usize]; 2],
    connected: [bool; LANES as usize],
    /// Frames of the present lives that a storm may repeat.
    memory: [[Vec<Vec<u8>>; LANES as usize]; 2],
    number: u64,
    /// No fault so far, nor later, is a reason to lose anything.
    is_gentle: bool,
    model: Model,
}

fn settings() -> Settings {
    Settings {
        lanes: LANES,
        resend_max_bytes: 4_000,
        credit_messages: WINDOW,
        credit_bytes: WINDOW_BYTES,
        ack_every: 5,
        ..Settings::default()
    }
}

fn side(life: u64, mutant: Mutant, now: Time) -> Side {
    let association = Association::new(settings(), NodeId(7), Incarnation(life), 1, now);
    Side { association: association.with_mutant(mutant), life, waiting: Vec::new() }
}

impl World {
    fn new(seed: u64, weather: Weather, mutant: Mutant) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            weather,
            mutant,
            now: Time(1),
            sides: [1, 1].map(|life| side(life, mutant, Time(1))),
            pipes: Default::default(),
            connected: [false; LANES as usize],
            memory: Default::default(),
            number: 0,
            is_gentle: matches!(weather, Weather::Breaks | Weather::Leaks),
            model: Model::default(),
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let lane = self.rng.random_range(0..LANES);
        let at = self.rng.random_range(0..2_usize);
        let blink = Duration::from_micros(self.rng.random_range(0..20_000));
        let pause = Duration::from_millis(self.rng.random_range(0..3_000));
        let choice = self.rng.random_range(0..1_000);
        match choice {
            950..960 | 985.. if self.weather == Weather::Breaks => self.connect(lane),
            950..960 | 985.. if self.weather == Weather::Leaks => self.thin_out(at, lane),
            960..985 if self.weather == Weather::Leaks => self.connect_if_not(lane),
            0..300 => self.send(at, lane),
            300..600 => self.transmit(at, lane)?,
            600..800 => self.arrive(at, lane)?,
            800..900 => self.take(at),
            900..950 => self.pass(blink)?,
            950..960 => self.pass(pause)?,
            960..985 => self.connect(lane),
            985..990 => self.cut(lane),
            990..996 if self.weather == Weather::Storm => self.thin_out(at, lane),
            996..998 => {
                let mut outputs = Vec::new();
                self.sides[at].association.give_up(self.now, &mut outputs);
                self.note(at, outputs)?;
            }
            998 => self.restart(at),
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, at: usize, lane: u8) {
        let number = self.number;
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(self.rng.random_range(8..FRAME_MAX as usize - 30), 0);
        let association = &mut self.sides[at].association;
        let stream = (at, self.sides[at].life, association.epoch(), lane);
        let result = if self.rng.random() {
            association.send(self.now, lane, &payload)
        } else {
            association.send_shared(self.now, lane, &Bytes::from(payload))
        };
        if result.is_ok() {
            self.number += 1;
            self.model.sent.entry(stream).or_default().push(number);
            self.model.stream_of.insert(number, stream);
        }
    }

    fn transmit(&mut self, at: usize, lane: u8) -> Result<(), String> {
        if !self.connected[usize::from(lane)] {
            return Ok(());
        }
        let mut slices = Vec::new();
        let budget = self.rng.random_range(1..3_000);
        let association = &mut self.sides[at].association;
        let size = association.transmit(self.now, lane, budget, &mut slices);
        let bytes = slices.concat();
        check(size == bytes.len(), || format!("{size} announced, {} given", bytes.len()))?;
        let mut rest = &bytes[..];
        while let Ok(Some((_, taken))) = frame::cut(rest, 1 << 20) {
            let frame = rest[..taken].to_vec();
            self.memory[1 - at][usize::from(lane)].push(frame.clone());
            self.pipes[1 - at][usize::from(lane)].push_back(frame);
            rest = &rest[taken..];
        }
        check(rest.is_empty(), || "half a frame was handed out".into())
    }

    fn arrive(&mut self, at: usize, lane: u8) -> Result<(), String> {
        for _ in 0..self.rng.random_range(1..10) {
            let Some(frame) = self.pipes[at][usize::from(lane)].pop_front() else {
                return Ok(());
            };
            self.receive(at, lane, &frame)?;
        }
        Ok(())
    }

    fn receive(&mut self, at: usize, lane: u8, bytes: &[u8]) -> Result<(), String> {
        let (frame, _) = frame::cut(bytes, 1 << 20).unwrap().unwrap();
        let mut outputs = Vec::new();
        let side = &mut self.sides[at];
        match side.association.receive(self.now, frame, &mut outputs) {
            Ok(None) => {}
            Ok(Some(delivery)) => {
                let number = u64::from_le_bytes(delivery.payload[..8].try_into().unwrap());
                side.waiting.push(delivery.receipt);
                let of_lane = side.waiting.iter().filter(|receipt| {
                    receipt.lane == lane && receipt.stream == delivery.receipt.stream
                });
                let (count, size) = of_lane
                    .fold((0, 0), |(count, size), receipt| (count + 1, size + receipt.wire_bytes));
                check(count <= WINDOW && size <= WINDOW_BYTES + FRAME_MAX, || {
                    format!("{count} messages of {size} bytes wait in front of actors")
                })?;
                let life = side.association.peer_life().unwrap_or_default().0;
                self.deliver(at, life, lane, number)?;
            }
            // A connection of the last life that has not been noticed to be dead.
            Err(ProtocolError::StaleLife { .. }) => self.cut(lane),
            Err(error) => return Err(format!("a correct peer was accused: {error}")),
        }
        self.note(at, outputs)
    }

    /// A lane delivers a prefix of each epoch, in order, to the life it was meant for.
    fn deliver(&mut self, at: usize, life: u64, lane: u8, number: u64) -> Result<(), String> {
        let stream = self.model.stream_of[&number];
        check((stream.0, stream.1, stream.3) == (1 - at, life, lane), || {
            format!("{number} of {stream:?} at side {at}, lane {lane}, from life {life}")
        })?;
        let arrived = self.model.arrived.entry(stream).or_default();
        let expected = self.model.sent[&stream].get(*arrived).copied();
        check(expected == Some(number), || {
            format!("{stream:?}: {number} instead of {expected:?}")
        })?;
        check(!self.model.never_sent.contains(&number), || {
            format!("{number} was handed back as never sent")
        })?;
        *arrived += 1;
        Ok(())
    }

    fn note(&mut self, at: usize, outputs: Vec<Output>) -> Result<(), String> {
        for output in outputs {
            let Output::Lost(lost) = output else {
                continue;
            };
            check(!self.is_gentle, || format!("lost without need: {:?}", lost.cause))?;
            let of_slices = lost.sent.iter().map(|message| (message, false));
            for (message, is_unsent) in
                of_slices.chain(lost.unsent.iter().map(|message| (message, true)))
            {
                let number = u64::from_le_bytes(message.payload[..8].try_into().unwrap());
                let (side, _, epoch, lane) = self.model.stream_of[&number];
                check((side, epoch, lane) == (at, lost.epoch, message.lane), || {
                    format!("{number} was lost by another stream")
                })?;
                check(self.model.lost.insert(number), || format!("{number} was lost twice"))?;
                if is_unsent {
                    self.model.never_sent.insert(number);
                    let stream = self.model.stream_of[&number];
                    let arrived = self.model.arrived.get(&stream).copied().unwrap_or_default();
                    let place = self.model.sent[&stream].iter().position(|&sent| sent == number);
                    check(place.is_some_and(|place| place >= arrived), || {
                        format!("{number} arrived and was handed back as never sent")
                    })?;
                }
            }
            let is_expected = lost.cause != LossCause::EpochBehind;
            check(is_expected, || "an epoch fell behind, though epochs only grow".into())?;
        }
        Ok(())
    }

    fn take(&mut self, at: usize) {
        let side = &mut self.sides[at];
        let count = self.rng.random_range(0..=side.waiting.len());
        for receipt in side.waiting.drain(..count) {
            side.association.taken(self.now, receipt);
        }
    }

    fn pass(&mut self, span: Duration) -> Result<(), String> {
        self.now = self.now + span;
        for at in 0..2 {
            let mut outputs = Vec::new();
            self.sides[at].association.tick(self.now, &mut outputs);
            self.note(at, outputs)?;
        }
        Ok(())
    }

    fn cut(&mut self, lane: u8) {
        self.connected[usize::from(lane)] = false;
        for at in 0..2 {
            self.pipes[at][usize::from(lane)].clear();
            self.sides[at].association.cut(self.now, lane);
        }
    }

    fn connect(&mut self, lane: u8) {
        self.cut(lane);
        self.connected[usize::from(lane)] = true;
        for at in 0..2 {
            self.sides[at].association.connected(self.now, lane);
        }
    }

    fn connect_if_not(&mut self, lane: u8) {
        if !self.connected[usize::from(lane)] {
            self.connect(lane);
        }
    }

    /// A frame vanishes, or one that was written before comes again, here and now.
    fn thin_out(&mut self, at: usize, lane: u8) {
        let pipe = &mut self.pipes[at][usize::from(lane)];
        let memory = &self.memory[at][usize::from(lane)];
        if self.rng.random() {
            let index = self.rng.random_range(0..pipe.len().max(1));
            pipe.remove(index);
        } else if !memory.is_empty() && self.connected[usize::from(lane)] {
            let index = self.rng.random_range(0..memory.len());
            pipe.push_front(memory[index].clone());
        }
    }

    fn restart(&mut self, at: usize) {
        for lane in 0..LANES {
            self.cut(lane);
        }
        self.memory = Default::default();
        let life = self.sides[at].life;
        self.model.ended_lives.insert((at, life));
        self.sides[at] = side(life + 1, self.mutant, self.now);
    }

    /// Once faults stop, everything that was not lost arrives, and nobody remembers anything.
    fn heal(&mut self) -> Result<(), String> {
        for lane in 0..LANES {
            if self.weather != Weather::Leaks && self.rng.random() {
                self.connect(lane);
            }
            self.connect_if_not(lane);
        }
        for _ in 0..400 {
            for lane in 0..LANES {
                for at in 0..2 {
                    self.transmit(at, lane)?;
                    while let Some(frame) = self.pipes[at][usize::from(lane)].pop_front() {
                        self.receive(at, lane, &frame)?;
                    }
                    self.take(at);
                }
            }
            self.pass(Duration::from_millis(30))?;
        }
        for (&number, stream) in &self.model.stream_of {
            let (at, life, _, _) = *stream;
            let place = self.model.sent[stream].iter().position(|&sent| sent == number);
            let arrived = self.model.arrived.get(stream).copied().unwrap_or_default();
            let has_arrived = place.is_some_and(|place| place < arrived);
            // The sender is gone, and its memory with it.
            let is_forgotten = self.model.ended_lives.contains(&(at, life));
            check(has_arrived || is_forgotten || self.model.lost.contains(&number), || {
                format!("{number} of {stream:?} neither arrived nor was reported lost")
            })?;
        }
        for side in &self.sides {
            for lane in 0..LANES {
                let left = side.association.buffered_bytes(lane);
                check(left == 0, || format!("{left} bytes are kept for ever"))?;
            }
        }
        Ok(())
    }
}

fn check(holds: bool, explain: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(explain()) }
}

fn run(seed: u64, weather: Weather, mutant: Mutant) -> Result<(), String> {
    let mut world = World::new(seed, weather, mutant);
    for step in 0..1_500 {
        world.step().map_err(|reason| format!("seed {seed}, step {step}: {reason}"))?;
    }
    world.heal().map_err(|reason| format!("seed {seed}, healing: {reason}"))
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("ASSOCIATION_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

#[test]
fn connections_that_are_made_again_lose_nothing_at_all() {
    for seed in seeds(300) {
        run(seed, Weather::Breaks, Mutant::None).unwrap();
        run(seed, Weather::Leaks, Mutant::None).unwrap();
    }
}

#[test]
fn broken_connections_double_nothing_and_own_up_to_what_they_lose() {
    for seed in seeds(300) {
        run(seed, Weather::Streams, Mutant::None).unwrap();
    }
}

#[test]
fn frames_that_vanish_or_repeat_change_nothing_either() {
    for seed in seeds(300) {
        run(seed, Weather::Storm, Mutant::None).unwrap();
    }
}

#[test]
fn every_seeded_bug_is_caught() {
    for mutant in Mutant::ALL {
        let weathers = [Weather::Breaks, Weather::Leaks, Weather::Streams, Weather::Storm];
        let caught = (0..200)
            .flat_map(|seed| weathers.map(|weather| (seed, weather)))
            .find_map(|(seed, weather)| run(seed, weather, mutant).err());
        println!("{mutant:?}: {caught:?}");
        assert!(caught.is_some(), "{mutant:?} passes");
    }
}
