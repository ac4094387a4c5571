//! Stores, a network, and the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mobula_store::{
    Incarnation, NodeId, ObjectId, StoreId, Time,
    effect::{Effect, Mutant},
    message::{Carried, LossReason, Message, Parcel, PinId},
    owner::{Local, OwnerLimits},
    ownership::Ownership,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// What a history may contain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) losses: bool,
    pub(crate) crashes: bool,
    pub(crate) mutant: Mutant,
}

const STORES: u64 = 4;
/// No message is under way for longer where nothing is lost.
const DELAY_MAX: Duration = Duration::from_secs(2);
/// When a crash is noticed: after everything that was under way, as failure detection takes longer than that.
const NOTICED: Duration = Duration::from_millis(2500);
const CRASH_PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
enum Wire {
    Words(Message),
    References(Parcel),
    Crashed(StoreId),
}

#[derive(Clone, Debug)]
struct Envelope {
    from: StoreId,
    to: StoreId,
    wire: Wire,
    latest: Time,
}

/// What a driver keeps.
struct Node {
    core: Ownership,
    /// References of the program: the truth.
    references: BTreeMap<ObjectId, u32>,
    /// All local needs: references, pins, exports of own objects.
    counts: BTreeMap<ObjectId, u32>,
    /// Own objects by their first keeper, as opposed to borrowed ones.
    own: BTreeSet<ObjectId>,
    pins: BTreeMap<PinId, Vec<ObjectId>>,
    lost: BTreeSet<ObjectId>,
    exports: BTreeSet<ObjectId>,
}

pub(crate) struct World {
    conditions: Conditions,
    rng: SmallRng,
    now: Time,
    nodes: BTreeMap<StoreId, Node>,
    network: Vec<Envelope>,
    objects: u64,
    next_life: u64,
    crashed_at: Time,
    /// Objects whose keeper crashed without a backup.
    orphans: BTreeSet<ObjectId>,
    durable: BTreeSet<ObjectId>,
    history: Vec<String>,
}

type Outcome = Result<(), String>;

impl World {
    pub(crate) fn new(conditions: Conditions, seed: u64) -> Self {
        let mut world = Self {
            conditions,
            rng: SmallRng::seed_from_u64(seed),
            now: Time(0),
            nodes: BTreeMap::new(),
            network: Vec::new(),
            objects: 0,
            next_life: 0,
            crashed_at: Time(0),
            orphans: BTreeSet::new(),
            durable: BTreeSet::new(),
            history: Vec::new(),
        };
        for node in 1..=STORES {
            world.start(NodeId(node));
        }
        world
    }

    fn start(&mut self, node: NodeId) {
        self.next_life += 1;
        let id = StoreId::new(node, Incarnation(self.next_life));
        let core = Ownership::mutated(id, OwnerLimits::default(), self.conditions.mutant);
        self.nodes.insert(
            id,
            Node {
                core,
                references: BTreeMap::new(),
                counts: BTreeMap::new(),
                own: BTreeSet::new(),
                pins: BTreeMap::new(),
                lost: BTreeSet::new(),
                exports: BTreeSet::new(),
            },
        );
    }

    // Histories.

    pub(crate) fn wander(&mut self, steps: usize) -> Outcome {
        for _ in 0..steps {
            match self.rng.random_range(0..100) {
                0..8 => self.make(),
                8..30 => self.send(),
                30..45 => self.drop_one(),
                45..82 => self.deliver_any()?,
                82..92 => self.pass_time()?,
                92..94 => self.hand_over(),
                94..97 => self.lose_or_double()?,
                _ => self.crash(),
            }
            self.check()?;
        }
        Ok(())
    }

    /// Drops every reference and lets everybody talk until there is nothing to say.
    pub(crate) fn come_to_rest(&mut self) -> Outcome {
        self.conditions.losses = false;
        for id in self.ids() {
            let held = self.node(id).references.clone();
            for (object, count) in held {
                for _ in 0..count {
                    self.drop_reference(id, object);
                }
            }
        }
        for _ in 0..500 {
            while !self.network.is_empty() {
                self.deliver(0)?;
                self.check()?;
            }
            // References that arrived late are dropped, too.
            for id in self.ids() {
                for (object, count) in self.node(id).references.clone() {
                    for _ in 0..count {
                        self.drop_reference(id, object);
                    }
                }
            }
            let wake = self.nodes.values().filter_map(|node| node.core.next_wake()).min();
            match wake {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.tick();
                }
                None if self.network.is_empty() => return self.nothing_is_left(),
                None => {}
            }
        }
        self.nothing_is_left()?;
        Err("they never stop talking".into())
    }

    fn nothing_is_left(&self) -> Outcome {
        for (id, node) in &self.nodes {
            let core = &node.core;
            let left = (core.owner.len(), core.borrower.len(), core.pins.len(), node.counts.len());
            if left != (0, 0, 0, 0) {
                let counts = (&node.counts, &node.pins, &node.exports);
                return Err(format!("{id} keeps {left:?}: {counts:?}{}", self.last()));
            }
        }
        Ok(())
    }

    /// What is needed must be kept.
    fn check(&self) -> Outcome {
        let mut needed: BTreeMap<ObjectId, String> = BTreeMap::new();
        for (id, node) in &self.nodes {
            for object in node.references.keys() {
                if !node.lost.contains(object) {
                    needed.insert(*object, format!("referenced at {id}"));
                }
            }
        }
        for envelope in &self.network {
            let Wire::References(parcel) = &envelope.wire else { continue };
            let receiver = self.nodes.get(&envelope.to);
            if receiver.is_some_and(|node| node.core.accepts(envelope.from, parcel)) {
                for carried in &parcel.carried {
                    needed.insert(carried.object, format!("on its way to {}", envelope.to));
                }
            }
        }
        for (object, why) in needed {
            if self.orphans.contains(&object) {
                continue;
            }
            let keeps = |node: &Node| {
                let in_use = node.counts.contains_key(&object) && node.own.contains(&object);
                in_use || node.core.owner.knows(object) || node.core.owner.is_mirrored(object)
            };
            let is_mirror = |envelope: &Envelope| {
                matches!(&envelope.wire, Wire::Words(Message::Mirror { object: of, record, .. })
                    if *of == object && record.is_some())
            };
            let is_mirrored_soon = self.network.iter().any(is_mirror);
            if !is_mirrored_soon && !self.nodes.values().any(keeps) {
                return Err(format!("{object:#} was freed while {why}{}", self.last()));
            }
        }
        for (id, node) in &self.nodes {
            for object in &node.lost {
                if !self.orphans.contains(object) && node.references.contains_key(object) {
                    return Err(format!("{id} gave up {object:#} without need{}", self.last()));
                }
            }
        }
        Ok(())
    }

    fn last(&self) -> String {
        let recent = self.history.len().saturating_sub(60);
        format!("\n  {}", self.history[recent..].join("\n  "))
    }

    // Steps.

    fn make(&mut self) {
        let id = self.any_store();
        self.objects += 1;
        let object = ObjectId::new(id, self.objects).expect("counted from 1");
        let node = self.node_mut(id);
        node.own.insert(object);
        node.references.insert(object, 1);
        node.counts.insert(object, 1);
        if self.conditions.crashes && self.rng.random_bool(0.5) {
            self.durable.insert(object);
            let stores = self.ids();
            let mut out = Vec::new();
            let core = &mut self.node_mut(id).core;
            core.owner.share(object).expect("room");
            core.owner.back_up(object, mobula_store::backup::choose(id, stores), &mut out);
            self.apply(id, out);
        }
    }

    fn send(&mut self) {
        let from = self.any_store();
        let to = self.any_store();
        if from == to {
            return;
        }
        let held: Vec<ObjectId> = self
            .node(from)
            .references
            .keys()
            .filter(|object| !self.node(from).lost.contains(object))
            .copied()
            .collect();
        if held.is_empty() {
            return;
        }
        let count = self.rng.random_range(1..=2);
        let mut chosen: BTreeSet<ObjectId> = BTreeSet::new();
        for _ in 0..count {
            chosen.insert(held[self.rng.random_range(0..held.len())]);
        }
        let node = self.node_mut(from);
        for object in &chosen {
            *node.counts.entry(*object).or_default() += 1;
        }
        let parcel = node.core.pin(to, chosen.iter().copied()).expect("room");
        node.pins.insert(parcel.pin, chosen.into_iter().collect());
        self.history.push(format!("{from} sends {parcel:?} to {to}"));
        self.post(from, to, Wire::References(parcel));
    }

    fn drop_one(&mut self) {
        let id = self.any_store();
        let held: Vec<ObjectId> = self.node(id).references.keys().copied().collect();
        if !held.is_empty() {
            let object = held[self.rng.random_range(0..held.len())];
            self.drop_reference(id, object);
        }
    }

    fn drop_reference(&mut self, id: StoreId, object: ObjectId) {
        self.history.push(format!("{id} drops {object:#}"));
        let references = &mut self.node_mut(id).references;
        if let Some(count) = references.get_mut(&object) {
            *count -= 1;
            if *count == 0 {
                references.remove(&object);
            }
        }
        self.let_go(id, object);
    }

    fn hand_over(&mut self) {
        if self.conditions.crashes {
            return;
        }
        let from = self.any_store();
        let to = self.any_store();
        let known: Vec<ObjectId> = self.node(from).counts.keys().copied().collect();
        let kept: Vec<ObjectId> =
            known.into_iter().filter(|object| self.node(from).core.owner.knows(*object)).collect();
        if kept.is_empty() || from == to {
            return;
        }
        let object = kept[self.rng.random_range(0..kept.len())];
        let mut out = Vec::new();
        let Self { nodes, rng, now, .. } = self;
        let node = nodes.get_mut(&from).expect("a living store");
        // Sealed here: handing over is for what has a value.
        node.core.owner.located(from, object, 1 << 20, rng, &mut out);
        let offered = node.core.owner.hand_over(object, to, *now, &mut out);
        self.history.push(format!("{from} offers {object:#} to {to}: {offered}"));
        self.apply(from, out);
    }

    fn lose_or_double(&mut self) -> Outcome {
        if !self.conditions.losses || self.network.is_empty() {
            return Ok(());
        }
        let place = self.rng.random_range(0..self.network.len());
        let envelope = self.network[place].clone();
        match envelope.wire.clone() {
            Wire::Words(_) if self.rng.random_bool(0.5) => self.network.push(envelope),
            Wire::Words(_) => drop(self.network.remove(place)),
            Wire::References(parcel) => {
                let mut out = Vec::new();
                let now = self.now;
                let known = self.rng.random_bool(0.3);
                let lost = known || self.rng.random_bool(0.5);
                if lost {
                    self.network.remove(place);
                }
                let pins = &mut self.node_mut(envelope.from).core.pins;
                if known {
                    pins.undelivered(parcel.pin, &mut out);
                } else {
                    pins.uncertain(parcel.pin, now, &mut out);
                }
                self.history.push(format!("{} is unsure of {parcel:?}", envelope.from));
                self.apply(envelope.from, out);
            }
            Wire::Crashed(_) => {}
        }
        Ok(())
    }

    fn crash(&mut self) {
        if !self.conditions.crashes || self.now < self.crashed_at + CRASH_PAUSE {
            return;
        }
        self.crashed_at = self.now;
        let dead = self.any_store();
        self.history.push(format!("{dead} crashes"));
        let node = self.nodes.remove(&dead).expect("a living store");
        for object in node.counts.keys().chain(&node.exports) {
            let kept = node.own.contains(object) || node.core.owner.knows(*object);
            let mirrored =
                self.durable.contains(object) && node.core.owner.backup(*object).is_some();
            if kept && !mirrored {
                self.orphans.insert(*object);
            }
        }
        self.start(dead.node);
        for id in self.ids() {
            self.network.push(Envelope {
                from: dead,
                to: id,
                wire: Wire::Crashed(dead),
                latest: self.now + NOTICED,
            });
        }
    }

    /// Lets time pass; where nothing is lost, what is old enough comes first.
    fn pass_time(&mut self) -> Outcome {
        let step = Duration::from_millis(self.rng.random_range(0..1500));
        let until = self.now + step;
        loop {
            let due = self
                .network
                .iter()
                .enumerate()
                .filter(|(_, envelope)| envelope.latest <= until && !self.conditions.losses);
            let Some((place, latest)) =
                due.map(|(place, envelope)| (place, envelope.latest)).min_by_key(|(_, at)| *at)
            else {
                break;
            };
            self.now = self.now.max(latest);
            self.tick();
            self.deliver(place)?;
            self.check()?;
        }
        self.now = until;
        self.tick();
        Ok(())
    }

    fn deliver_any(&mut self) -> Outcome {
        let open: Vec<usize> = (0..self.network.len())
            .filter(|place| match self.network[*place].wire {
                Wire::Crashed(_) => self.network[*place].latest <= self.now,
                Wire::Words(_) | Wire::References(_) => true,
            })
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let place = open[self.rng.random_range(0..open.len())];
        self.deliver(place)
    }

    fn deliver(&mut self, place: usize) -> Outcome {
        let Envelope { from, to, wire, .. } = self.network.remove(place);
        if !self.nodes.contains_key(&to) {
            return Ok(());
        }
        self.history.push(format!("{to} hears of {from}: {wire:?}"));
        match wire {
            Wire::Words(message) => self.hear(from, to, message),
            Wire::References(parcel) => self.receive(from, to, &parcel),
            Wire::Crashed(dead) => {
                let mut out = Vec::new();
                let Self { nodes, rng, now, .. } = self;
                let node = nodes.get_mut(&to).expect("a living store");
                node.core.down(dead, *now, rng, &mut out);
                self.apply(to, out);
                self.back_up_again(to);
            }
        }
        Ok(())
    }

    fn back_up_again(&mut self, id: StoreId) {
        let stores: Vec<StoreId> = self.ids();
        let owner = &mut self.node_mut(id).core.owner;
        let bare: Vec<ObjectId> = owner.without_backup().collect();
        let mut out = Vec::new();
        for object in bare {
            owner.back_up(object, mobula_store::backup::choose(id, stores.clone()), &mut out);
        }
        self.apply(id, out);
    }

    fn hear(&mut self, from: StoreId, to: StoreId, message: Message) {
        let mut out = Vec::new();
        let Self { nodes, rng, now, .. } = self;
        let node = nodes.get_mut(&to).expect("a living store");
        let local = |_: ObjectId| Local::Lost(LossReason::Unknown);
        let rest = node.core.handle((*now, rng), from, message, local, &mut out);
        match rest {
            Some(Message::Mirror { object, version, record }) => {
                node.core.owner.mirrored(from, object, version, record, &mut out);
            }
            Some(Message::Adopt { object, record }) => {
                let term = record.term;
                node.core.owner.adopt(from, object, record, *now, &mut out);
                out.push(Effect::Send { to: from, message: Message::Adopted { object, term } });
            }
            _ => {}
        }
        self.apply(to, out);
    }

    /// What a driver does with a message that carries references.
    fn receive(&mut self, from: StoreId, to: StoreId, parcel: &Parcel) {
        if !self.node(to).core.accepts(from, parcel) {
            return;
        }
        let kept: Vec<bool> = parcel.carried.iter().map(|_| self.rng.random_bool(0.8)).collect();
        for Carried { object, .. } in &parcel.carried {
            let carried = *parcel.carried.iter().find(|each| each.object == *object).expect("it");
            self.hold(to, carried);
        }
        let mut out = Vec::new();
        let now = self.now;
        let objects = parcel.carried.iter().map(|carried| carried.object);
        self.node_mut(to).core.borrower.arrived(from, parcel.pin, objects, now, &mut out);
        self.apply(to, out);
        for (Carried { object, .. }, kept) in parcel.carried.iter().zip(kept) {
            if kept {
                *self.node_mut(to).references.entry(*object).or_default() += 1;
            } else {
                self.let_go(to, *object);
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        for id in self.ids() {
            let mut out = Vec::new();
            self.node_mut(id).core.tick(now, &mut out);
            self.apply(id, out);
        }
    }

    // What a driver does.

    fn hold(&mut self, id: StoreId, carried: Carried) {
        let now = self.now;
        let node = self.node_mut(id);
        let count = node.counts.entry(carried.object).or_default();
        *count += 1;
        if *count == 1 && !node.own.contains(&carried.object) {
            node.lost.remove(&carried.object);
            let mut out = Vec::new();
            node.core.borrower.hold(carried, now, &mut out);
            self.apply(id, out);
        }
    }

    fn let_go(&mut self, id: StoreId, object: ObjectId) {
        let now = self.now;
        let node = self.node_mut(id);
        let Some(count) = node.counts.get_mut(&object) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        node.counts.remove(&object);
        let mut out = Vec::new();
        if node.own.remove(&object) {
            node.core.owner.unreferenced(object, &mut out);
        } else {
            node.core.borrower.let_go(object, now, &mut out);
        }
        self.apply(id, out);
    }

    fn apply(&mut self, id: StoreId, effects: Vec<Effect>) {
        let now = self.now;
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.post(id, to, Wire::Words(message)),
                Effect::Export(object) => {
                    let node = self.node_mut(id);
                    node.exports.insert(object);
                    if node.own.contains(&object) {
                        *node.counts.entry(object).or_default() += 1;
                    }
                }
                Effect::Unexport(object) => {
                    let node = self.node_mut(id);
                    node.exports.remove(&object);
                    if node.own.contains(&object) {
                        self.let_go(id, object);
                    } else {
                        let mut out = Vec::new();
                        node.core.owner.unreferenced(object, &mut out);
                        self.apply(id, out);
                    }
                }
                Effect::Unpin(pin) => {
                    for object in self.node_mut(id).pins.remove(&pin).unwrap_or_default() {
                        self.let_go(id, object);
                    }
                }
                Effect::HandedOver { object, keeper } => {
                    let node = self.node_mut(id);
                    let was_own = node.own.remove(&object);
                    let export = u32::from(was_own && node.exports.contains(&object));
                    if was_own && let Some(count) = node.counts.get_mut(&object) {
                        *count -= export;
                        if *count == 0 {
                            node.counts.remove(&object);
                        } else {
                            let carried = Carried { object, keeper, backup: None };
                            let mut out = Vec::new();
                            node.core.borrower.hold(carried, now, &mut out);
                            self.apply(id, out);
                        }
                    }
                }
                Effect::Lose { object, .. } => drop(self.node_mut(id).lost.insert(object)),
                Effect::Inline { .. } | Effect::Rebuild(_) => {}
                other => panic!("unknown effect {other:?}"),
            }
        }
    }

    fn post(&mut self, from: StoreId, to: StoreId, wire: Wire) {
        let latest = self.now + DELAY_MAX;
        self.network.push(Envelope { from, to, wire, latest });
    }

    fn ids(&self) -> Vec<StoreId> {
        self.nodes.keys().copied().collect()
    }

    fn any_store(&mut self) -> StoreId {
        let ids = self.ids();
        ids[self.rng.random_range(0..ids.len())]
    }

    fn node(&self, id: StoreId) -> &Node {
        &self.nodes[&id]
    }

    fn node_mut(&mut self, id: StoreId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a living store")
    }
}
