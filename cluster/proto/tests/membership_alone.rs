//! What one node says when those around it fall silent, without anybody to contradict it.
//!
//! In a cluster a refutation overtakes most false alarms, and hides whether the accuser behaved. Here nobody answers.

use std::time::Duration;

use mobula_proto::config::{Config, Mutant};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::{Details, Member, Record};
use mobula_proto::membership::{Alert, Fact, Heartbeat, Input, Membership, Message, Output, View};
use mobula_proto::time::Time;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const ME: NodeId = NodeId(1);
const PEERS: [NodeId; 4] = [NodeId(2), NodeId(3), NodeId(4), NodeId(5)];
const LIFE: Incarnation = Incarnation(1 << 16);

/// One node with four connected peers, all just heard.
struct Alone {
    core: Membership,
    now: Time,
    sequence: u64,
    rng: SmallRng,
}

impl Alone {
    fn new(mutant: Mutant) -> Self {
        let mut config = Config::default();
        config.mutant = mutant;
        let now = Time(1_000_000);
        let member = |node| Member::new(node, LIFE, Details::default());
        let view: View = PEERS.iter().map(|peer| Record::alive(&member(*peer))).collect();
        let core = Membership::with_view(config, member(ME), view, now);
        let mut alone = Self { core, now, sequence: LIFE.0, rng: SmallRng::seed_from_u64(1) };
        alone.pass(Duration::from_millis(300));
        for peer in PEERS {
            alone.give(Input::Connected { node: peer });
            alone.beat_of(peer);
        }
        alone
    }

    /// What it says of others in answer to an input.
    fn give(&mut self, input: Input) -> Vec<Alert> {
        let mut out = Vec::new();
        self.core.on(self.now, input, &mut self.rng, &mut out);
        let facts = out.into_iter().filter_map(|output| match output {
            Output::Broadcast(Message::Facts(facts)) => Some(facts),
            _ => None,
        });
        let alerts = facts.flatten().filter_map(|fact| match fact {
            Fact::Alert(alert) => Some(alert),
            _ => None,
        });
        alerts.collect()
    }

    fn beat_of(&mut self, peer: NodeId) -> Vec<Alert> {
        self.sequence += 1;
        let beat = Heartbeat {
            incarnation: LIFE,
            sequence: self.sequence,
            wanted: true,
            view_hash: self.core.view_hash(),
            loads: Vec::new().into(),
        };
        self.give(Input::Received { from: peer, message: Message::Heartbeat(beat) })
    }

    /// Lets time pass with every timer on time.
    fn pass(&mut self, span: Duration) -> Vec<Alert> {
        let end = self.now + span;
        let mut alerts = Vec::new();
        while let Some(at) = self.core.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            alerts.extend(self.give(Input::Tick));
        }
        self.now = end;
        alerts
    }
}

fn accused(alerts: &[Alert], on: bool) -> Vec<NodeId> {
    let mut accused: Vec<NodeId> =
        alerts.iter().filter(|alert| alert.on == on).map(|alert| alert.accused).collect();
    accused.sort_unstable();
    accused
}

#[test]
fn who_is_silent_for_a_window_is_accused_once() {
    let mut alone = Alone::new(Mutant::None);
    assert_eq!(accused(&alone.pass(Duration::from_millis(2_300)), true), []);
    assert_eq!(accused(&alone.pass(Duration::from_millis(600)), true), PEERS);
}

/// Whom a node accuses in the second after it was stopped for six.
fn accused_after_a_stop(mutant: Mutant) -> Vec<NodeId> {
    let mut alone = Alone::new(mutant);
    alone.now = alone.now + Duration::from_secs(6);
    let mut alerts = alone.give(Input::Tick);
    alerts.extend(alone.pass(Duration::from_secs(1)));
    accused(&alerts, true)
}

#[test]
fn who_was_stopped_distrusts_its_own_ears_first() {
    assert_eq!(accused_after_a_stop(Mutant::None), []);
    assert_eq!(accused_after_a_stop(Mutant::NoSelfHealth), PEERS, "the rule is what prevents it");
}

/// What is taken back when a peer that was accused is heard again in the same incarnation.
fn taken_back(mutant: Mutant) -> Vec<NodeId> {
    let mut alone = Alone::new(mutant);
    let given = alone.pass(Duration::from_millis(2_900));
    assert_eq!(accused(&given, true), PEERS);
    let mut alerts = alone.beat_of(PEERS[0]);
    alerts.extend(alone.pass(Duration::from_millis(100)));
    accused(&alerts, false)
}

#[test]
fn an_alert_is_taken_back_when_the_accused_is_heard() {
    assert_eq!(taken_back(Mutant::None), [PEERS[0]]);
    assert_eq!(taken_back(Mutant::NoRetraction), [], "the rule is what does it");
}
