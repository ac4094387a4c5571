//! Membership: which nodes there are, who watches whom, and who is down ("rings").
//!
//! Watching everybody costs a node O(N); asking a random member each period (SWIM) wants a connection to anyone.
//! So the members stand on four hash rings and each watches its neighbours, at most eight, over connections that stay.
//! What one observer sees is only a vote; facts go to all by broadcast, and digest exchange repairs what that loses.
//!
//! Invariant: a member is declared down by us only with the votes of 5/8 of the observers able to see it.
//! How to read: [`Membership::on`] is the table of contents; the folder holds one rule a file: `edges`, `watch` and `redial`
//! (silence),
//! `votes` (quorum), `learn` (what news does), `myself` (refutation, exile), `isolation`, `exchange` (join, digests, healing).
//! Sources: Rapid (ATC 2018) for rings and implicit alerts; SWIM and Lifeguard for refutation and self-health.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, VecDeque};

use rand_core::RngCore;

use crate::config::Config;
use crate::id::NodeId;
use crate::member::{Details, Member, Record, Status};
use crate::time::Time;

pub mod message;
mod input;
mod output;
mod view;
mod rings;
mod spread;
mod edges;
mod watch;
mod redial;
mod votes;
mod learn;
mod myself;
mod isolation;
mod exchange;
mod loads;
mod turn;

pub use self::input::{Evidence, Input};
pub use self::message::{Alert, Fact, Heartbeat, LoadDigest, LoadReport, Message, Reason};
pub use self::output::{MembershipEvent, Output};
pub use self::rings::{NEIGHBOURS_MAX, RINGS};
pub use self::view::View;

use self::edges::Edge;
use self::exchange::Timetable;
use self::learn::{Departed, Road};
use self::loads::Loads;
use self::myself::{Exile, Health};
use self::redial::Redials;
use self::rings::Rings;
use self::turn::{Outbox, Turn};
use self::votes::Votes;

/// Where a node is on its way through the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes part; alone, if nobody has joined it.
    In,
    /// Wants in; asks again at the time.
    Joining(Time),
    /// Has said farewell.
    Gone,
}

/// What one node knows of the cluster, and what it does about it.
///
/// Feed every input to [`on`](Self::on), with a time that never runs backwards; carry out what it returns; call it with
/// [`Input::Tick`] at [`next_wake`](Self::next_wake). A node that is not told to join is a cluster of its own.
#[derive(Clone, Debug)]
pub struct Membership {
    config: Config,
    me: Member,
    phase: Phase,
    view: View,
    /// Who stood on the rings lately, oldest first.
    elders: VecDeque<(Time, Rings)>,
    edges: BTreeMap<NodeId, Edge>,
    redials: Redials,
    /// Version of the rings from which `edges` are drawn.
    overlay_version: Option<u64>,
    votes: Votes,
    /// `Down`s heard of in an exchange, held back until the accused could refute.
    held: BTreeMap<NodeId, (Record, Time)>,
    departed: BTreeMap<NodeId, Departed>,
    outbox: Outbox,
    loads: Loads,
    health: Health,
    exile: Exile,
    timetable: Timetable,
    /// What we knew when we ceased to hear anybody.
    isolated: Option<View>,
    /// While those we watch are silent: when to dial others again, and whom we dialled last.
    strangers: Option<(Time, NodeId)>,
    /// Counts heartbeats and alerts; beyond all of an earlier life.
    sequence: u64,
    next_beat: Time,
}

impl Membership {
    /// A node alone, at `now`. `me` carries the incarnation of this life ([`Member::new`]).
    #[must_use]
    pub fn new(config: Config, me: Member, now: Time) -> Self {
        Self::with_view(config, me, View::new(), now)
    }

    /// A node that already knows `view`, as a simulated one may; a copy of a view shares its memory.
    #[must_use]
    pub fn with_view(config: Config, me: Member, mut view: View, now: Time) -> Self {
        view.merge(Record::alive(&me), config.mutant);
        // Nodes that start together do not beat together.
        let period = u64::try_from(config.heartbeat.as_micros()).unwrap_or(u64::MAX).max(1);
        let next_beat = Time(now.0 + spread::scramble(me.node.0) % period);
        Self {
            timetable: Timetable::new(&config, me.node, now),
            sequence: me.incarnation.0,
            overlay_version: None,
            config,
            me,
            phase: Phase::In,
            elders: VecDeque::from([(now, view.rings().clone())]),
            view,
            edges: BTreeMap::new(),
            redials: Redials::new(),
            votes: Votes::default(),
            held: BTreeMap::new(),
            departed: BTreeMap::new(),
            outbox: Outbox::default(),
            loads: Loads::default(),
            health: Health::default(),
            exile: Exile::default(),
            isolated: None,
            strangers: None,
            next_beat,
        }
    }

    /// Takes one input and appends what to do to `out`. After [`Input::Leave`] it does nothing any more.
    pub fn on(&mut self, now: Time, input: Input, rng: &mut impl RngCore, out: &mut Vec<Output>) {
        if self.phase == Phase::Gone {
            return;
        }
        let mut turn = Turn { now, rng, out };
        self.check_own_health(&mut turn);
        match input {
            Input::Tick => {}
            Input::Received { from, message } if message.is_within_limits() => {
                self.receive(from, message, &mut turn);
            }
            Input::Broadcast { from, message: Message::Facts(facts) } => {
                let message = Message::Facts(facts);
                if message.is_within_limits()
                    && let Message::Facts(facts) = message
                {
                    self.learn_facts(facts, from, Road::Broadcast, &mut turn);
                }
            }
            // Beyond the limits, or no news for everybody.
            Input::Received { .. } | Input::Broadcast { .. } => {}
            Input::Connected { node } => self.connected(node, &mut turn),
            Input::Disconnected { node, evidence } => self.disconnected(node, evidence, &mut turn),
            Input::Join => {
                self.phase = Phase::Joining(now);
                self.ask_to_join(&mut turn);
            }
            Input::Drain => self.drain(&mut turn),
            Input::Leave => return self.leave(&mut turn),
            Input::Load(digest) => self.loads.set_own(self.me.node, self.sequence, digest),
            Input::Describe(details) => self.describe(details, &mut turn),
        }
        self.redial(&mut turn);
        if now >= self.next_beat {
            self.beat(&mut turn);
        }
        self.settle(&mut turn);
        self.outbox.flush_if_due(&mut turn);
    }

    /// When to call with [`Input::Tick`] if nothing happens before; `None` after the farewell.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        let sooner = [self.outbox.due(), self.redial_at()];
        (self.phase != Phase::Gone)
            .then(|| sooner.into_iter().flatten().fold(self.next_beat, Time::min))
    }

    /// Ourselves, in our present incarnation.
    #[must_use]
    pub const fn me(&self) -> &Member {
        &self.me
    }

    /// What is known of `node`.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<Record> {
        self.view.get(node).cloned()
    }

    /// Whom we know. Copies are cheap and do not see later changes.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Fingerprint of who is live; members with equal ones agree.
    #[must_use]
    pub fn view_hash(&self) -> u64 {
        self.view.hash()
    }

    /// Members that are live (alive, suspect or leaving), ourselves included; one while we are isolated.
    #[must_use]
    pub const fn live_count(&self) -> usize {
        if self.is_isolated() { 1 } else { self.view.live_count() }
    }

    /// Whether we, in a cluster of ten or more, hear nobody: none of those we watch, nor any stranger we asked.
    ///
    /// The layers above have then been told that all are down; the view is kept for the return.
    #[must_use]
    pub const fn is_isolated(&self) -> bool {
        self.isolated.is_some()
    }

    /// Whom we watch, rising.
    #[must_use]
    pub fn neighbours(&self) -> Vec<NodeId> {
        let wanted = |edge: &Edge| edge.wanted_since.is_some();
        self.edges.iter().filter(|(_, edge)| wanted(edge)).map(|(node, _)| *node).collect()
    }

    /// Whether nobody more fits in: new members go unheard.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.view.len() >= self.config.members_max && self.departed.is_empty()
    }

    /// The newest load heard of `node`, if it is among those kept.
    #[must_use]
    pub fn load(&self, node: NodeId) -> Option<&LoadReport> {
        self.loads.get(node)
    }

    /// Another number whenever a load was heard or forgotten.
    #[must_use]
    pub const fn loads_version(&self) -> u64 {
        self.loads.version()
    }

    /// All loads kept, by node; at most `loads_max`.
    pub fn loads(&self) -> impl Iterator<Item = &LoadReport> {
        self.loads.iter()
    }

    fn receive(&mut self, from: NodeId, message: Message, turn: &mut Turn<'_>) {
        match message {
            Message::Heartbeat(beat) => self.heartbeat(from, &beat, turn),
            Message::Probe { nonce } => turn.send(from, Message::ProbeAck { nonce }),
            Message::ProbeAck { nonce } => {
                if self.edges.get(&from).is_some_and(|edge| edge.probe == Some(nonce)) {
                    self.heard(from, turn);
                }
            }
            Message::Join(member) => self.admit(from, &member, turn),
            Message::JoinAck { records, last } => self.admitted(from, records, last, turn),
            Message::StaleIncarnation { known } => self.outgrow(known, turn),
            Message::DigestRequest { hashes } => self.answer_digest(from, &hashes, turn),
            Message::DigestResponse { buckets, records } => {
                self.compare(from, buckets, records, turn);
            }
            Message::Records(records) => {
                for record in records {
                    self.learn(record, Vec::new(), Road::Exchange, turn);
                }
            }
            Message::Facts(facts) => self.learn_facts(facts, from, Road::Direct(from), turn),
        }
    }

    /// Draws the consequences: verdicts, then edges.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        while let Some(accused) = self.votes.next_changed() {
            let verdict =
                self.votes.verdict(accused, &self.view, self.elder(), turn.now, &self.config);
            if let Some(observers) = verdict {
                self.declare_down(accused, observers, turn);
            }
        }
        self.draw_edges(turn);
    }

    /// Who stood on the rings a window ago, or as far back as we know.
    fn elder(&self) -> &Rings {
        self.elders.front().map_or_else(|| self.view.rings(), |(_, rings)| rings)
    }

    fn remember_rings(&mut self, now: Time) {
        let step = self.config.alert_after / 2;
        let newest = self.elders.back();
        if newest.is_none_or(|(at, _)| now.since(*at) >= step) {
            self.elders.push_back((now, self.view.rings().clone()));
        }
        // The front is the newest picture of at least a window's age.
        while self.elders.get(1).is_some_and(|(at, _)| now.since(*at) >= self.config.alert_after) {
            self.elders.pop_front();
        }
    }

    fn drain(&mut self, turn: &mut Turn<'_>) {
        let mut record = Record::alive(&self.me);
        record.status = Status::Leaving;
        self.say_of_myself(record, turn);
    }

    fn leave(&mut self, turn: &mut Turn<'_>) {
        let mut record = Record::alive(&self.me);
        record.status = Status::Left;
        self.say_of_myself(record, turn);
        self.outbox.flush(turn);
        self.phase = Phase::Gone;
    }

    fn describe(&mut self, mut details: Details, turn: &mut Turn<'_>) {
        details.life = self.me.details.life;
        self.me.details = details.into();
        self.me.incarnation = self.me.incarnation.next();
        self.say_again(turn);
    }
}
