//! Lease, voters and leader: of one name, a lost holder and the next one never serve at the same time.
//!
//! How states stay finite. Clocks stand still and what is remembered grows older instead; beyond lease and margin all
//! ages are alike. Renewals are numbered from the oldest that still counts; messages about older ones are dropped,
//! which is a loss like any other (a late renewal could only make a voter wait longer).
//! An acknowledgement arrives at once: as a lease counts from the sending, a late one gives less. (Some worlds have late
//! ones all the same.)
//! Certificates reach the leader at once, and it expires the session as soon as it may: later would be safer.
//! The node is never told that it is fenced: to know would only end its lease earlier.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::registry::leader::{Candidates, Leader};
use mobula_proto::registry::lease::{Lease, Output};
use mobula_proto::registry::voter::{Ack, DeathProof, Renewal, Voter};
use mobula_proto::registry::{
    Change, Claim, ClusterId, Entry, Host, Index, Limits, LogTime, Mode, Mutant, Name, Policy,
    RequestId, Restart, SessionId, Settings, Spec, State,
};
use mobula_proto::time::Time;
use stateright::{Model, Property};

use super::walk;

const TICK: Duration = Duration::from_secs(1);

fn host(node: u64, life: u64) -> Host {
    Host { node: NodeId(node), life: Incarnation(life) }
}

fn name() -> Name {
    Name::try_new("n", "x").unwrap()
}

/// One world: its numbers, and what may happen in it.
#[derive(Clone, Debug)]
struct Registry {
    lease: u32,
    margin: u32,
    /// How far each voter's clock may run ahead of the node's, in ticks.
    drift: u8,
    /// Whether acknowledgements may be late.
    has_late_acks: bool,
    /// Renewals of which messages are under way.
    window: u64,
    voters: u64,
    /// The voters after the first ones, step by step: by bits.
    configs: &'static [u32],
    /// Voters that apply and append when they like; the others do it at once.
    lagging: &'static [usize],
    event: Event,
    mutant: Mutant,
}

/// What else happens, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    /// The node dies, and voters are shown the proof.
    Death,
    /// Voters are shown the proof that an earlier life of the node is dead.
    DeathOfEarlierLife,
    /// A voter's process ends.
    VoterCrash,
    /// A voter's process ends and starts again under the same name, with nothing but the log.
    VoterReturns,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            lease: 2,
            margin: 0,
            drift: 0,
            has_late_acks: false,
            window: 1,
            voters: 3,
            configs: &[],
            lagging: &[0, 1, 2],
            event: Event::Nothing,
            mutant: Mutant::None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    now: Time,
    lease: Lease,
    is_dead: bool,
    seats: Vec<Seat>,
    /// The log, and what follows from each entry.
    log: Vec<Arc<(Entry, Vec<Change>)>>,
    committed: usize,
    /// All of the log applied, committed or not.
    state: Arc<State>,
    leader: Leader,
    renewals: BTreeSet<(usize, u64)>,
    acks: BTreeSet<(usize, Ack)>,
    is_event_over: bool,
}

/// A voter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seat {
    voter: Option<Voter>,
    appended: usize,
    applied: usize,
    ahead: u8,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Tick,
    /// A voter's clock runs ahead.
    Ahead(usize),
    Renew,
    Renewal(usize, u64),
    Ack(usize, Ack),
    Append(usize),
    Apply(usize),
    Fence,
    Configure,
    Happen(usize),
    Prove(usize),
}

impl Registry {
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.lease = TICK * self.lease;
        settings.margin = TICK * self.margin;
        settings.renew_every = TICK;
        settings.mutant = self.mutant;
        settings
    }

    /// Where all clocks stand: what is as old as the origin is older than lease and margin.
    fn now(&self) -> Time {
        Time::ZERO + TICK * (self.lease + self.margin + 1)
    }

    fn node(&self) -> Host {
        host(9, 2)
    }

    /// The first entries: the node has a session and the name, another node waits.
    fn prologue(&self) -> Vec<Entry> {
        let spec = Spec::try_new(b"").unwrap();
        let request = RequestId { client: host(8, 1), sequence: 1 };
        let policy = Policy { restart: Restart::Permanent, intensity: 9, ..Policy::default() };
        let claim =
            Claim { request, name: name(), spec, policy, host: self.node(), mode: Mode::Fail };
        vec![
            Entry::OpenSession { host: host(8, 1) },
            Entry::OpenSession { host: host(9, 1) },
            Entry::OpenSession { host: self.node() },
            Entry::Claim(Box::new(claim)),
        ]
    }

    fn session(&self) -> SessionId {
        SessionId(3)
    }

    fn voter(&self, seat: usize) -> Host {
        host(seat as u64, 1)
    }

    /// What is due by itself: eager voters follow, entries are committed, certificates arrive, the session expires.
    fn settle(&self, world: &mut World) {
        let by = world.lease.renumber();
        let renumbered = |sequence: u64| sequence.checked_sub(by).filter(|&sequence| sequence > 0);
        let newest = world.newest(self.session());
        let counts = |sequence: &u64| sequence + self.window > newest;
        let renewals = world.renewals.iter();
        world.renewals = renewals
            .filter_map(|&(seat, sequence)| Some((seat, renumbered(sequence)?)))
            .filter(|(_, sequence)| counts(sequence))
            .collect();
        let acks = world.acks.iter();
        world.acks = acks
            .filter_map(|&(seat, ack)| {
                Some((seat, Ack { sequence: renumbered(ack.sequence)?, ..ack }))
            })
            .filter(|(_, ack)| counts(&ack.sequence))
            .collect();
        loop {
            for seat in 0..world.seats.len() {
                // What stands in a log and is not applied matters only for configurations.
                let is_eager = !self.lagging.contains(&seat);
                while (is_eager || self.configs.is_empty()) && world.append(seat) {}
                while is_eager && world.apply(seat) {}
            }
            let is_committed = world.commit();
            if !world.expire(self.session()) && !is_committed {
                return;
            }
        }
    }
}

impl World {
    /// The number of the newest renewal that was sent.
    fn newest(&self, session: SessionId) -> u64 {
        let renewal = self.lease.newest_renewal();
        renewal.filter(|renewal| renewal.session == session).map_or(0, |renewal| renewal.sequence)
    }

    fn propose(&mut self, entry: Entry) {
        let state = Arc::make_mut(&mut self.state);
        let index = state.applied().next();
        let changes = state.apply(index, &entry).unwrap().changes;
        self.leader.handle_applied(self.now, &changes);
        self.log.push(Arc::new((entry, changes)));
    }

    fn append(&mut self, seat: usize) -> bool {
        let seat = &mut self.seats[seat];
        let (Some(voter), Some(entry)) = (&mut seat.voter, self.log.get(seat.appended)) else {
            return false;
        };
        seat.appended += 1;
        voter.handle_appended(Index(seat.appended as u64), &entry.0);
        true
    }

    fn apply(&mut self, seat: usize) -> bool {
        let (seat, now) = (&mut self.seats[seat], self.now);
        let Some(voter) = &mut seat.voter else { return false };
        if seat.applied >= seat.appended.min(self.committed) {
            return false;
        }
        let changes = &self.log[seat.applied].1;
        seat.applied += 1;
        voter.handle_applied(now, Index(seat.applied as u64), changes);
        true
    }

    /// The next entry is committed when a quorum of the newest configuration in the log up to it has it.
    fn commit(&mut self) -> bool {
        if self.committed == self.log.len() {
            return false;
        }
        // One entry at a time is proposed, so the state's configuration is the one that holds with it.
        let seats = &self.seats;
        let has_it = |voter: Host| {
            let seat = &seats[voter.node.0 as usize];
            seat.voter.is_some() && seat.appended > self.committed
        };
        let is_committed = self.state.config().is_quorum(has_it);
        self.committed += usize::from(is_committed);
        is_committed
    }

    /// Voters say what they can certify, and the leader expires the session if that is enough.
    fn expire(&mut self, session: SessionId) -> bool {
        let (state, now) = (Arc::clone(&self.state), self.now);
        if self.committed < self.log.len() || state.session(session).is_none() {
            return false;
        }
        for (number, seat) in self.seats.iter().enumerate() {
            let certificates = seat.voter.iter().flat_map(|voter| voter.certificates(now));
            for certificate in certificates.filter(|certificate| certificate.session == session) {
                self.leader.handle_certificate(host(number as u64, 1), certificate, &state);
            }
        }
        if !self.leader.is_certified(session, &state) {
            return false;
        }
        // A copy plans: what it remembers of its proposals would make states different that are alike.
        let mut leader = self.leader.clone();
        let plan =
            leader.plan(now, LogTime(0), &state, &Candidates::new(), |_, _| Some(host(8, 1)));
        let expire =
            |entry: &Entry| matches!(entry, Entry::Expire { session: of, .. } if *of == session);
        match plan.entries.into_iter().find(expire) {
            Some(entry) => self.propose(entry),
            None => return false,
        }
        true
    }

    /// Whether the node may start to handle a message.
    fn serves(&self) -> bool {
        self.lease.serves(self.now) && !self.is_dead
    }

    /// Whether the other node may run the name.
    fn is_given_on(&self, session: SessionId) -> bool {
        let ended = |change: &Change| matches!(change, Change::SessionEnded { session: of, .. } if *of == session);
        self.log[..self.committed].iter().any(|entry| entry.1.iter().any(ended))
    }
}

impl Model for Registry {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let first = (0..3).map(|seat| self.voter(seat));
        let state = State::new(ClusterId(1), Limits::default(), first).with_mutant(self.mutant);
        let settings = self.settings();
        let seat = |seat| {
            let voter = Voter::new(self.now(), settings.clone(), self.voter(seat), &state);
            Seat { voter: Some(voter), appended: 0, applied: 0, ahead: 0 }
        };
        let lease = Lease::new(settings.clone(), self.node(), state.config().clone());
        let leader = Leader::new(self.now(), settings.clone(), &state);
        let mut world = World {
            now: self.now(),
            lease,
            is_dead: false,
            seats: (0..self.voters as usize).map(seat).collect(),
            log: Vec::new(),
            committed: 0,
            state: Arc::new(state),
            leader,
            renewals: BTreeSet::new(),
            acks: BTreeSet::new(),
            is_event_over: self.event == Event::Nothing,
        };
        for entry in self.prologue() {
            world.propose(entry);
            world.committed += 1;
            for seat in 0..world.seats.len() {
                world.append(seat);
                world.apply(seat);
            }
        }
        let opened = Change::SessionOpened { session: self.session(), host: self.node() };
        world.lease.handle_change(self.now(), &opened, &mut Vec::new());
        // The start of the world is long ago.
        let long = TICK * (self.lease + self.margin + 1);
        world.lease.age_by(self.now(), long);
        for seat in &mut world.seats {
            seat.voter.iter_mut().for_each(|voter| voter.age_by(self.now(), long));
        }
        vec![world]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        let is_due = world.lease.next_wake().is_some_and(|due| due <= self.now());
        if is_due && !world.is_dead {
            steps.push(Step::Renew);
        }
        steps.extend(world.renewals.iter().map(|&(seat, sequence)| Step::Renewal(seat, sequence)));
        if !world.is_dead {
            steps.extend(world.acks.iter().map(|&(seat, ack)| Step::Ack(seat, ack)));
        }
        for (number, seat) in world.seats.iter().enumerate() {
            if seat.ahead < self.drift {
                steps.push(Step::Ahead(number));
            }
            if self.lagging.contains(&number) && seat.voter.is_some() {
                if seat.appended < world.log.len() {
                    steps.push(Step::Append(number));
                }
                if seat.applied < seat.appended.min(world.committed) {
                    steps.push(Step::Apply(number));
                }
            }
        }
        if world.committed == world.log.len() {
            let session = world.state.session(self.session());
            if session.is_some_and(|session| !session.is_fenced) {
                steps.push(Step::Fence);
            }
            if self.configs_done(world) < self.configs.len() {
                steps.push(Step::Configure);
            }
        }
        match self.event {
            Event::Nothing => {}
            Event::Death if !world.is_event_over => steps.push(Step::Happen(0)),
            Event::Death | Event::DeathOfEarlierLife => {
                steps.extend((0..world.seats.len()).map(Step::Prove));
            }
            Event::VoterCrash | Event::VoterReturns if !world.is_event_over => {
                steps.extend((0..world.seats.len()).map(Step::Happen));
            }
            Event::VoterCrash | Event::VoterReturns => {}
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Tick => {
                world.lease.age_by(self.now(), TICK);
                for voter in world.seats.iter_mut().filter_map(|seat| seat.voter.as_mut()) {
                    voter.age_by(self.now(), TICK);
                }
                // Whether the lease has run out is looked at by asking; what is told then is not part of the model.
            }
            Step::Ahead(seat) => {
                world.seats[seat].ahead += 1;
                world.seats[seat].voter.as_mut()?.age_by(self.now(), TICK);
            }
            Step::Renew => {
                let mut out = Vec::new();
                world.lease.tick(self.now(), &mut out);
                for output in out {
                    if let Output::Renew { to, renewal } = output {
                        world.renewals.insert((to.node.0 as usize, renewal.sequence));
                    }
                }
            }
            Step::Renewal(seat, sequence) => {
                world.renewals.remove(&(seat, sequence));
                let renewal = Renewal { session: self.session(), sequence };
                let voter = world.seats[seat].voter.as_mut()?;
                match voter.handle_renewal(self.now(), renewal) {
                    Some(ack) if self.has_late_acks => {
                        world.acks.insert((seat, ack));
                    }
                    Some(ack) if !world.is_dead => {
                        let from = self.voter(seat);
                        world.lease.handle_ack(self.now(), from, ack, &mut Vec::new());
                    }
                    Some(_) | None => {}
                }
            }
            Step::Ack(seat, ack) => {
                world.acks.remove(&(seat, ack));
                world.lease.handle_ack(self.now(), self.voter(seat), ack, &mut Vec::new());
            }
            Step::Append(seat) => {
                world.append(seat);
            }
            Step::Apply(seat) => {
                world.apply(seat);
            }
            Step::Fence => world.propose(Entry::Fence { session: self.session() }),
            Step::Configure => {
                let bits = self.configs[self.configs_done(&world)];
                let voters = (0..8).filter(|bit| bits & (1 << bit) != 0);
                let voters = voters.map(|seat| self.voter(seat)).collect();
                let follows = world.state.config().id;
                world.propose(Entry::Configure { follows, voters, outgoing: BTreeSet::new() });
            }
            Step::Happen(seat) => {
                world.is_event_over = true;
                self.happen(&mut world, seat);
            }
            Step::Prove(seat) => {
                let life = if self.event == Event::Death { 2 } else { 1 };
                let voter = world.seats[seat].voter.as_mut()?;
                voter.handle_proof(DeathProof { host: host(9, life) });
            }
        }
        self.settle(&mut world);
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one holder serves", |registry: &Self, world: &World| {
                !(world.serves() && world.is_given_on(registry.session()))
            }),
            Property::sometimes("the node serves", |_: &Self, world: &World| world.serves()),
            Property::sometimes("the name is given on", |registry: &Self, world: &World| {
                world.is_given_on(registry.session())
            }),
        ]
    }

    /// When the name is given on and the old holder can get no lease any more, all is said.
    fn within_boundary(&self, world: &World) -> bool {
        world.log.len() <= self.prologue().len() + 2 + self.configs.len()
    }
}

impl Registry {
    fn configs_done(&self, world: &World) -> usize {
        world.log.iter().filter(|entry| matches!(entry.0, Entry::Configure { .. })).count()
    }

    fn happen(&self, world: &mut World, seat: usize) {
        match self.event {
            Event::Death => world.is_dead = true,
            Event::VoterCrash => {
                // What its process knew is gone; the one that starts in its place is another voter.
                world.seats[seat].voter = None;
            }
            Event::VoterReturns => {
                let state = State::new(
                    ClusterId(1),
                    Limits::default(),
                    (0..3).map(|seat| self.voter(seat)),
                );
                let mut voter = Voter::new(self.now(), self.settings(), self.voter(seat), &state);
                let applied = world.seats[seat].applied;
                for (index, entry) in world.log[..applied].iter().enumerate() {
                    voter.handle_applied(self.now(), Index(index as u64 + 1), &entry.1);
                }
                world.seats[seat].voter = Some(voter);
            }
            Event::Nothing | Event::DeathOfEarlierLife => {}
        }
    }
}

/// Voters 0, 1, 2; then 3 with them; then 0 without. Quorums of the first and of the last need not meet.
const ONE_BY_ONE: &[u32] = &[0b1111, 0b1110];
/// Voters 0, 1, 2; then 1, 2, 3 at once: quorums need not meet.
const AT_ONCE: &[u32] = &[0b1110];

fn changing(configs: &'static [u32], mutant: Mutant) -> Registry {
    let lagging = &[0, 2];
    Registry { lease: 1, voters: 4, configs, lagging, mutant, ..Registry::default() }
}

#[test]
fn clocks_may_differ_by_the_margin_and_no_more() {
    let world = |lease, margin, drift| Registry { lease, margin, drift, ..Registry::default() };
    assert!(walk("no margin, no drift", world(2, 0, 0)));
    assert!(walk("margin 1, drift 1", world(1, 1, 1)));
    assert!(!walk("no margin, drift 1", world(2, 0, 1)));
    assert!(!walk("margin 1, drift 2", world(1, 1, 2)));
}

#[test]
fn renewals_and_acknowledgements_may_be_late_and_overtake_each_other() {
    let late = Registry { lease: 1, has_late_acks: true, ..Registry::default() };
    assert!(walk("late acknowledgements", late));
    assert!(walk("two renewals under way", Registry { window: 2, ..Registry::default() }));
}

#[test]
fn a_proof_of_death_gives_the_name_on_at_once_and_safely() {
    for event in [Event::Death, Event::DeathOfEarlierLife] {
        assert!(walk(&format!("{event:?}"), Registry { lease: 1, event, ..Registry::default() }));
    }
}

#[test]
fn a_voter_that_crashes_or_comes_back_with_nothing_breaks_nothing() {
    for event in [Event::VoterCrash, Event::VoterReturns] {
        assert!(walk(&format!("{event:?}"), Registry { lease: 1, event, ..Registry::default() }));
    }
}

#[test]
fn voters_may_change_step_by_step_at_any_time() {
    assert!(walk("one by one", changing(ONE_BY_ONE, Mutant::None)));
    // The state refuses this one.
    assert!(walk("at once", changing(AT_ONCE, Mutant::None)));
}

#[test]
fn every_seeded_bug_of_leases_is_found() {
    let plain = |mutant| Registry { mutant, ..Registry::default() };
    let worlds = [
        Registry { has_late_acks: true, ..plain(Mutant::LeaseFromAck) },
        plain(Mutant::OneAck),
        plain(Mutant::AckAfterFence),
        plain(Mutant::CertifyAtOnce),
        plain(Mutant::CertifyUnfenced),
        plain(Mutant::OneCertificate),
        Registry { event: Event::DeathOfEarlierLife, ..plain(Mutant::ProofForAnyLife) },
        Registry { event: Event::VoterReturns, ..plain(Mutant::NoWaitAfterConfig) },
        changing(ONE_BY_ONE, Mutant::NoWaitAfterConfig),
        changing(ONE_BY_ONE, Mutant::MixConfigs),
        changing(ONE_BY_ONE, Mutant::AckUnderOldConfig),
        changing(AT_ONCE, Mutant::AnyConfigFollows),
    ];
    for world in worlds {
        let what = format!("{:?}", world.mutant);
        assert!(!walk(&what, world), "{what} passes");
    }
}
