//! A handful of nodes in one loop: their cores, links between them, and a clock that is turned.
//!
//! No more than the rules need to show themselves; large clusters and wicked networks are the simulator's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use mobula_proto::config::Config;
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::{Details, Member, Status};
use mobula_proto::membership::{Evidence, Input, Membership, MembershipEvent, Message, Output};
use mobula_proto::time::Time;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub const LATENCY: Duration = Duration::from_millis(1);

/// What the layers above a node were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub at: Time,
    pub by: u64,
    pub event: MembershipEvent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Runs,
    /// Hears nothing and does nothing until the time; what comes waits.
    Stalls(Time),
    /// The process is gone, the machine answers "refused".
    Killed,
    /// The process is going: until the time its listener takes who dials, and then cuts them off.
    Dying(Time),
    /// The machine is gone: silence.
    Dark,
}

pub struct Net {
    pub now: Time,
    pub notices: Vec<Notice>,
    /// Probability that a message on a link, or a broadcast to one node, is lost.
    pub loss: f64,
    /// Nodes that no broadcast reaches.
    pub deaf_to_broadcasts: BTreeSet<u64>,
    /// Connections that were asked for.
    pub dials: u64,
    config: Config,
    cores: BTreeMap<u64, Membership>,
    bodies: BTreeMap<u64, Body>,
    links: BTreeSet<(u64, u64)>,
    cut: BTreeSet<(u64, u64)>,
    queue: BinaryHeap<Reverse<(Time, u64, u64)>>,
    mail: BTreeMap<u64, Input>,
    count: u64,
    rng: SmallRng,
}

impl Net {
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            now: Time(1_000_000),
            notices: Vec::new(),
            loss: 0.0,
            deaf_to_broadcasts: BTreeSet::new(),
            dials: 0,
            config,
            cores: BTreeMap::new(),
            bodies: BTreeMap::new(),
            links: BTreeSet::new(),
            cut: BTreeSet::new(),
            queue: BinaryHeap::new(),
            mail: BTreeMap::new(),
            count: 0,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// `count` nodes that have found each other and settled.
    pub fn settled(config: Config, count: u64, seed: u64) -> Self {
        let mut net = Self::new(config, seed);
        for node in 1..=count {
            net.start(node, node + 1_000);
            if node > 1 {
                net.join(node, 1);
            }
            net.run(Duration::from_millis(20));
        }
        net.run(Duration::from_secs(12));
        net.assert_all_know_all();
        net.notices.clear();
        net
    }

    pub fn start(&mut self, node: u64, incarnation: u64) {
        let details = Details { addresses: vec![format!("host-{node}")], ..Details::default() };
        let me = Member::new(NodeId(node), Incarnation(incarnation << 16), details);
        let core = Membership::new(self.config.clone(), me, self.now);
        self.cores.insert(node, core);
        self.bodies.insert(node, Body::Runs);
    }

    pub fn join(&mut self, node: u64, contact: u64) {
        self.give(node, Input::Join);
        self.link(node, contact);
    }

    pub fn give(&mut self, node: u64, input: Input) {
        let mut out = Vec::new();
        if let Some(core) = self.cores.get_mut(&node) {
            core.on(self.now, input, &mut self.rng, &mut out);
        }
        self.carry_out(node, out);
    }

    pub fn kill(&mut self, node: u64) {
        self.bodies.insert(node, Body::Killed);
        self.cut_off(node);
    }

    /// Kills a process whose machine takes so long to close its listener after its connections.
    pub fn kill_slowly(&mut self, node: u64, span: Duration) {
        self.bodies.insert(node, Body::Dying(self.now + span));
        self.cut_off(node);
    }

    fn cut_off(&mut self, node: u64) {
        for other in self.linked(node) {
            self.unlink(node, other);
            self.post(other, LATENCY, lost(node, Evidence::Reset));
        }
    }

    pub fn darken(&mut self, node: u64) {
        self.bodies.insert(node, Body::Dark);
    }

    pub fn stall(&mut self, node: u64, span: Duration) {
        self.bodies.insert(node, Body::Stalls(self.now + span));
    }

    /// Cuts the way from one to the other, that direction only.
    pub fn cut_one_way(&mut self, from: u64, to: u64) {
        self.cut.insert((from, to));
    }

    pub fn cut_between(&mut self, left: &[u64], right: &[u64]) {
        for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
            self.cut.insert((a, b));
            self.cut.insert((b, a));
        }
    }

    /// Mends everything; links over which nothing could pass have timed out.
    pub fn mend(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        for (a, b) in cut {
            if self.links.contains(&pair(a, b)) {
                self.unlink(a, b);
                self.post(a, LATENCY, lost(b, Evidence::Unknown));
                self.post(b, LATENCY, lost(a, Evidence::Unknown));
            }
        }
    }

    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next_moment().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Runs until `reached`, at most `limit`; how long it took.
    pub fn run_until(
        &mut self,
        limit: Duration,
        reached: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let begin = self.now;
        while !reached(self) {
            if self.now.since(begin) > limit {
                return None;
            }
            self.run(Duration::from_millis(5));
        }
        Some(self.now.since(begin))
    }

    pub fn core(&self, node: u64) -> &Membership {
        &self.cores[&node]
    }

    pub fn status(&self, by: u64, of: u64) -> Option<Status> {
        self.cores[&by].get(NodeId(of)).map(|record| record.status)
    }

    pub fn running(&self) -> Vec<u64> {
        let runs = |body: &Body| matches!(body, Body::Runs | Body::Stalls(_));
        self.bodies.iter().filter(|(_, body)| runs(body)).map(|(node, _)| *node).collect()
    }

    /// Whether all of `by` see all of `of` as alive.
    pub fn all_alive(&self, by: &[u64], of: &[u64]) -> bool {
        by.iter().all(|by| of.iter().all(|of| self.status(*by, *of) == Some(Status::Alive)))
    }

    pub fn all_down(&self, by: &[u64], of: &[u64]) -> bool {
        by.iter().all(|by| of.iter().all(|of| self.status(*by, *of) == Some(Status::Down)))
    }

    pub fn assert_all_know_all(&self) {
        let running = self.running();
        assert!(self.all_alive(&running, &running), "{}", self.picture());
    }

    pub fn downs(&self) -> Vec<(u64, NodeId)> {
        let down = |notice: &Notice| match notice.event {
            MembershipEvent::Down { node, .. } => Some((notice.by, node)),
            _ => None,
        };
        self.notices.iter().filter_map(down).collect()
    }

    pub fn picture(&self) -> String {
        let line = |(node, core): (&u64, &Membership)| {
            let all: Vec<String> =
                core.view().iter().map(|r| format!("{}:{:?}", r.node.0, r.status)).collect();
            format!("{node} sees {}", all.join(" "))
        };
        self.cores.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn next_moment(&self) -> Option<Time> {
        let wake = |(node, body): (&u64, &Body)| {
            let at = self.cores[node].next_wake()?;
            match body {
                Body::Runs => Some(at),
                Body::Stalls(until) => Some(at.max(*until)),
                Body::Killed | Body::Dying(_) | Body::Dark => None,
            }
        };
        let mail = self.queue.peek().map(|Reverse((at, _, _))| *at);
        self.bodies.iter().filter_map(wake).chain(mail).min()
    }

    fn step(&mut self) {
        for body in self.bodies.values_mut() {
            if let Body::Stalls(until) = *body
                && until <= self.now
            {
                *body = Body::Runs;
            }
        }
        while let Some(Reverse((at, key, to))) = self.queue.peek().copied()
            && at <= self.now
        {
            self.queue.pop();
            let Some(input) = self.mail.remove(&key) else { continue };
            match self.bodies[&to] {
                Body::Runs => self.give(to, input),
                Body::Stalls(until) => self.post(to, until.since(self.now), input),
                Body::Killed | Body::Dying(_) | Body::Dark => {}
            }
        }
        let due = |node: &u64| {
            self.bodies[node] == Body::Runs
                && self.cores[node].next_wake().is_some_and(|at| at <= self.now)
        };
        for node in self.cores.keys().copied().filter(due).collect::<Vec<_>>() {
            self.give(node, Input::Tick);
        }
    }

    fn carry_out(&mut self, by: u64, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, message } => {
                    if self.links.contains(&pair(by, to.0)) && self.passes(by, to.0) {
                        let input = Input::Received { from: NodeId(by), message };
                        self.post(to.0, LATENCY, input);
                    }
                }
                Output::Broadcast(message) => self.flood(by, &message),
                Output::Connect { node, .. } => self.link(by, node.0),
                Output::Disconnect { node } => {
                    // The test's driver is strict: it closes only what neither end keeps.
                    let other_wants = self
                        .cores
                        .get(&node.0)
                        .is_some_and(|core| core.neighbours().contains(&NodeId(by)));
                    if self.links.contains(&pair(by, node.0)) && !other_wants {
                        self.unlink(by, node.0);
                        self.post(by, LATENCY, lost(node.0, Evidence::Closed));
                        self.post(node.0, LATENCY, lost(by, Evidence::Closed));
                    }
                }
                Output::Event(event) => self.notices.push(Notice { at: self.now, by, event }),
            }
        }
    }

    fn flood(&mut self, by: u64, message: &Message) {
        // Along links that work, whoever forwards.
        let mut reached = BTreeSet::from([by]);
        let mut front = vec![by];
        while let Some(at) = front.pop() {
            for next in self.linked(at) {
                let open = !self.cut.contains(&(at, next)) && self.bodies[&next] != Body::Dark;
                if open && reached.insert(next) {
                    front.push(next);
                }
            }
        }
        for to in reached.into_iter().filter(|to| *to != by) {
            if !self.deaf_to_broadcasts.contains(&to) && !self.rng.random_bool(self.loss) {
                let input = Input::Broadcast { from: NodeId(by), message: message.clone() };
                self.post(to, LATENCY * 3, input);
            }
        }
    }

    fn link(&mut self, from: u64, to: u64) {
        if self.links.contains(&pair(from, to)) {
            return;
        }
        self.dials += 1;
        let cut = self.cut.contains(&(from, to)) || self.cut.contains(&(to, from));
        match self.bodies.get(&to) {
            Some(Body::Runs | Body::Stalls(_)) if !cut => {
                self.links.insert(pair(from, to));
                self.post(from, LATENCY * 2, Input::Connected { node: NodeId(to) });
                self.post(to, LATENCY, Input::Connected { node: NodeId(from) });
            }
            Some(Body::Dying(until)) if !cut && self.now < *until => {
                self.post(from, LATENCY * 2, lost(to, Evidence::Unknown));
            }
            Some(Body::Killed | Body::Dying(_)) if !cut => {
                self.post(from, LATENCY * 2, lost(to, Evidence::Refused));
            }
            _ => self.post(from, Duration::from_secs(1), lost(to, Evidence::Unknown)),
        }
    }

    fn unlink(&mut self, a: u64, b: u64) {
        self.links.remove(&pair(a, b));
    }

    fn linked(&self, node: u64) -> Vec<u64> {
        let other = |(a, b): &(u64, u64)| match node {
            n if n == *a => Some(*b),
            n if n == *b => Some(*a),
            _ => None,
        };
        self.links.iter().filter_map(other).collect()
    }

    fn passes(&mut self, from: u64, to: u64) -> bool {
        !self.cut.contains(&(from, to)) && !self.rng.random_bool(self.loss)
    }

    fn post(&mut self, to: u64, delay: Duration, input: Input) {
        self.count += 1;
        self.mail.insert(self.count, input);
        self.queue.push(Reverse((self.now + delay, self.count, to)));
    }
}

fn lost(node: u64, evidence: Evidence) -> Input {
    Input::Disconnected { node: NodeId(node), evidence }
}

fn pair(a: u64, b: u64) -> (u64, u64) {
    (a.min(b), a.max(b))
}
