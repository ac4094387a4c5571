//! Postings over the network in memory, under virtual time: what one node says of its actors, all read.
//!
//! The core has its own random histories; here it meets the membership, connections and a clock.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mobula_actor_core::ActorId;
use mobula_actor_core::postings::Posting;
use mobula_cluster::admission::rules::Presence;
use mobula_cluster::admission::{Admission, AdmissionMode};
use mobula_cluster::bulk::NoSource;
use mobula_cluster::handle::{Cluster, Options, Upper};
use mobula_cluster::identity::Identity;
use mobula_cluster::lanes::{Inbound, Origin};
use mobula_cluster::postings::Reader;
use mobula_cluster::transport::memory::Network;
use mobula_cluster::{Incarnation, NodeId};
use mobula_proto::association::{Lost, Receipt};
use tokio::sync::watch;

/// Bounds a failure, in virtual time; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(300);

struct NoEar;

impl Inbound for NoEar {
    fn message(&self, _: Origin, _: u8, _: &[u8], receipt: Receipt) -> Option<Receipt> {
        Some(receipt)
    }

    fn lost(&self, _: NodeId, _: Lost) {}
}

type Known = BTreeSet<(NodeId, Posting)>;

/// What a node has read so far.
struct Book(watch::Sender<Known>);

impl Reader for Book {
    fn changed(&self, from: (NodeId, Incarnation), added: Vec<Posting>, removed: Vec<Posting>) {
        self.0.send_modify(|known| {
            for posting in removed {
                assert!(known.remove(&(from.0, posting)), "it went and was not there");
            }
            known.extend(added.into_iter().map(|posting| (from.0, posting)));
        });
    }

    fn gone(&self, from: (NodeId, Incarnation)) {
        self.0.send_modify(|known| known.retain(|(node, _)| *node != from.0));
    }
}

struct Machine {
    cluster: Cluster,
    known: watch::Receiver<Known>,
}

fn start(network: &Network, seed: u8) -> Machine {
    let identity = Identity::from_seed(&[seed; 32]).unwrap();
    let presence =
        Presence { incarnation: Incarnation::starting_at(seed.into(), 0), ..Presence::default() };
    let mode = AdmissionMode::Secret(b"sixteen bytes ok".into());
    let admission = Admission::new(identity.public(), "c", mode, presence).unwrap();
    let (endpoint, arrivals) = network.endpoint(&identity, Arc::new(admission));
    let options = Options { seed: Some(seed.into()), ..Options::default() };
    let upper = Upper { inbound: Arc::new(NoEar), source: Arc::new(NoSource) };
    let cluster = Cluster::over(Arc::new(endpoint), arrivals, options, upper).unwrap();
    let (book, known) = watch::channel(Known::new());
    cluster.read_postings(Arc::new(Book(book)));
    Machine { cluster, known }
}

async fn machines(network: &Network, count: u8) -> Vec<Machine> {
    let machines: Vec<_> = (1..=count).map(|seed| start(network, seed)).collect();
    for machine in &machines[1..] {
        machine.cluster.join(&machines[0].cluster.addresses(), PATIENCE).await.unwrap();
    }
    machines
}

fn named(group: &str) -> Posting {
    Posting::Member { group: group.into(), key: 1, actor: ActorId::from_u64(7).unwrap() }
}

async fn until_all_know(machines: &mut [Machine], expected: &Known) {
    for machine in machines {
        let own = machine.cluster.node();
        let others: Known = expected.iter().filter(|(node, _)| *node != own).cloned().collect();
        let knowing = machine.known.wait_for(|known| *known == others);
        let waited = tokio::time::timeout(PATIENCE, knowing).await.is_ok();
        assert!(waited, "{own} knows {:?}, not {others:?}", *machine.known.borrow());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_node_says_is_read_by_all_and_goes_with_it() {
    let network = Network::new(11);
    let mut machines = machines(&network, 12).await;
    let mut expected = Known::new();
    for machine in &machines {
        for posting in [named("a"), named("b")] {
            machine.cluster.post(posting.clone()).unwrap();
            machine.cluster.post(posting.clone()).unwrap();
            expected.insert((machine.cluster.node(), posting));
        }
    }
    until_all_know(&mut machines, &expected).await;
    machines[3].cluster.withdraw(&named("a"));
    expected.remove(&(machines[3].cluster.node(), named("a")));
    until_all_know(&mut machines, &expected).await;

    let gone = machines.remove(0).cluster;
    network.kill(gone.node());
    expected.retain(|(node, _)| *node != gone.node());
    until_all_know(&mut machines, &expected).await;
    // One that comes late learns everything.
    let late = start(&network, 99);
    late.cluster.join(&machines[0].cluster.addresses(), PATIENCE).await.unwrap();
    machines.push(late);
    until_all_know(&mut machines, &expected).await;
}

#[tokio::test(start_paused = true)]
async fn halves_that_parted_read_each_other_again_after_they_heal() {
    let network = Network::new(12);
    network.loss(0.05);
    let mut machines = machines(&network, 6).await;
    let both_ways = |all: &[Machine], cut: &dyn Fn(NodeId, NodeId)| {
        for one in &all[..3] {
            for other in &all[3..] {
                cut(one.cluster.node(), other.cluster.node());
            }
        }
    };
    let mut expected = Known::new();
    let mut say = |machine: &Machine, what: &str| {
        machine.cluster.post(named(what)).unwrap();
        expected.insert((machine.cluster.node(), named(what)));
    };
    machines.iter().for_each(|machine| say(machine, "before"));
    both_ways(&machines, &|one, other| {
        network.cut(one, other);
        network.cut(other, one);
    });
    machines.iter().for_each(|machine| say(machine, "meanwhile"));
    for machine in &mut machines {
        let own = machine.cluster.node();
        let is_half = |known: &Known| {
            let nodes: BTreeSet<_> = known.iter().map(|(node, _)| *node).collect();
            nodes.len() == 2 && known.len() == 4
        };
        let half = tokio::time::timeout(PATIENCE, machine.known.wait_for(is_half)).await;
        assert!(half.is_ok(), "{own} still hears the other half");
    }
    both_ways(&machines, &|one, other| network.heal(one, other));
    until_all_know(&mut machines, &expected).await;
}
