//! Who is let in, as what, and what each may do, on real nodes over loopback.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

use std::num::NonZeroUsize;
use std::time::Duration;

use mobula::prelude::*;
use mobula::{
    AskError, AuthorityConfig, Bundle, Capabilities, ClusterConfig, DeadLetterReason, Denied,
    ExitReason, GroupStrategy, NodeError, NodeId, Placement, RemoveGroupError, RevokeError, Right,
    Role, TaskError, Undelivered,
};
use mobula_cluster::Identity;
use mobula_cluster::admission::certificate::{Authority, UnixTime};
use mobula_cluster::identity::PublicKey;
use serde::Serialize;
use serde::de::DeserializeOwned;

const LIMIT: Duration = Duration::from_secs(30);
const SIGNING: [u8; 32] = [42; 32];
/// A date that no test lives to see.
const LATER: UnixTime = UnixTime(32_503_680_000);

fn authority() -> Authority {
    Authority::new("mobula", Identity::from_seed(&SIGNING).unwrap())
}

fn hex(seed: [u8; 32]) -> String {
    PublicKey(seed).to_string()
}

fn listening(join: &[String]) -> ClusterConfig {
    let mut config = ClusterConfig::listen("127.0.0.1:0".parse().unwrap());
    config.join = join.to_vec();
    config.join_limit = LIMIT;
    config
}

/// By the authority: nothing to show yet.
fn under_authority(join: &[String]) -> (ClusterConfig, AuthorityConfig) {
    (listening(join), AuthorityConfig::new(authority().public().to_string()))
}

async fn start(config: ClusterConfig) -> Result<Node, NodeError> {
    Node::builder().num_cpus(1.0).cluster(config).start().await
}

/// The node that exchanges tokens.
async fn issuer() -> Node {
    let (mut config, mut papers) = under_authority(&[]);
    papers.signing_key = Some(hex(SIGNING));
    config.authority = Some(papers);
    start(config).await.unwrap()
}

fn with_token(join: &[String], token: String) -> ClusterConfig {
    let (mut config, mut papers) = under_authority(join);
    papers.token = Some(token);
    config.authority = Some(papers);
    config
}

fn token(id: u8, terms: (Role, Capabilities), expires: UnixTime, uses: u32) -> String {
    authority().token([id; 16], terms, expires, uses).to_text()
}

/// With a certificate of its own: the node whose key has this seed.
fn certified(join: &[String], seed: u8, terms: (Role, Capabilities)) -> ClusterConfig {
    let (mut config, mut papers) = under_authority(join);
    let key = Identity::from_seed(&[seed; 32]).unwrap().public();
    papers.node_key = Some(hex([seed; 32]));
    papers.certificate = Some(authority().certify(key, terms, UnixTime(1), LATER).to_text());
    config.authority = Some(papers);
    config
}

fn refusal(outcome: Result<Node, NodeError>) -> String {
    match outcome {
        Err(error @ NodeError::Join(_)) => mobula::ErrorText::new(error).to_string(),
        other => panic!("{other:?}"),
    }
}

/// What `from` writes down, as `to` reads it; `from` goes on holding its own.
fn carry<T: Serialize + DeserializeOwned>(from: &Node, to: &Node, what: &T) -> T {
    let bytes = from.enter_sync(|| rmp_serde::to_vec_named(what).unwrap());
    to.enter_sync(|| rmp_serde::from_slice(&bytes).unwrap())
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

#[mobula::task]
fn double(number: u64) -> u64 {
    number * 2
}

pub struct Counter(u64);

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self(start)
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
    pub fn link(&mut self, ctx: &mut Context<Self>, other: ActorRef<Counter>) {
        ctx.link(&other);
    }
    pub fn fall(&mut self) {
        panic!("fell on purpose");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_not_let_in_and_hear_why() {
    let issuer = issuer().await;
    let addresses = issuer.addresses();
    let mut secret = listening(&addresses);
    secret.secret = Some("a secret of the test's own".to_owned());
    let text = refusal(start(secret).await);
    assert!(text.contains("admission by secret meets admission by certificate"), "{text}");
    let text = refusal(start(listening(&addresses)).await);
    assert!(text.contains("admission by nothing"), "{text}");
    // Certificates of an authority of one's own are worth nothing elsewhere.
    let forger = Authority::new("mobula", Identity::from_seed(&[66; 32]).unwrap());
    let mut forged = listening(&addresses);
    let mut papers = AuthorityConfig::new(forger.public().to_string());
    papers.signing_key = Some(hex([66; 32]));
    forged.authority = Some(papers);
    let text = refusal(start(forged).await);
    assert!(text.contains("not signed by the authority"), "{text}");
    assert_eq!(issuer.nodes().len(), 1, "nobody came in");
    issuer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_until_it_is_used_up_or_expired_and_its_certificate_goes_on() {
    let issuer = issuer().await;
    let addresses = issuer.addresses();
    let terms = (Role::Member, Capabilities::ALL);
    let once = token(1, terms, LATER, 1);
    let mut config = with_token(&addresses, once.clone());
    if let Some(papers) = &mut config.authority {
        papers.node_key = Some(hex([7; 32]));
    }
    let first = start(config).await.unwrap();
    first.wait_for_nodes(2, LIMIT).await.unwrap();
    let certificate = first.certificate().expect("it was given one");
    let text = refusal(start(with_token(&addresses, once)).await);
    assert!(text.contains("used up"), "{text}");
    let text = refusal(start(with_token(&addresses, token(2, terms, UnixTime(1), 9))).await);
    assert!(text.contains("expired"), "{text}");
    // A member that is no issuer cannot exchange one.
    let fresh = token(3, terms, LATER, 9);
    let text = refusal(start(with_token(&first.addresses(), fresh)).await);
    assert!(text.contains("does not exchange join tokens"), "{text}");
    // The certificate opens again, after a restart, with the key that it is for.
    let gone = first.id().unwrap();
    first.shutdown().await;
    tokio::time::timeout(LIMIT, issuer.node_gone(gone)).await.unwrap();
    let (mut config, mut papers) = under_authority(&addresses);
    papers.node_key = Some(hex([7; 32]));
    papers.certificate = Some(certificate);
    config.authority = Some(papers);
    let again = start(config).await.unwrap();
    assert_eq!(again.id().unwrap(), gone, "the same key, the same name");
    issuer.wait_for_nodes(2, LIMIT).await.unwrap();
    again.shutdown().await;
    issuer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_rights_is_refused_spawn_submit_and_kill_by_type() {
    let issuer = issuer().await;
    let there = issuer.id().unwrap();
    let none = (Role::Client, Capabilities::NONE);
    let client = start(certified(&issuer.addresses(), 8, none)).await.unwrap();
    client.wait_for_nodes(2, LIMIT).await.unwrap();
    let counter = issuer.enter(async { Counter::options().detached().remote(1) }).await;
    let number = issuer.enter(async { mobula::put(vec![7_u64; 50_000]).await.unwrap() }).await;
    let (far, object) = (carry(&issuer, &client, &counter), carry(&issuer, &client, &number));
    client
        .enter(async {
            let denied = |right| Denied { by: there, right };
            // What it may do: send to actors that it knows.
            assert_eq!(far.add(1).await.unwrap(), 2);
            // Spawn.
            let spawned = Counter::options().on(on(there)).remote(1);
            let error = spawned.ready().await.unwrap_err();
            assert!(
                matches!(&error, ExitReason::Denied(found) if *found == denied(Right::Spawn)),
                "{error}"
            );
            // Submit.
            let error = double::options().on(on(there)).remote(1).get().await.unwrap_err();
            assert!(matches!(error, GetError::Task(TaskError::Denied { .. })), "{error}");
            assert!(error.to_string().contains("the right to submit"), "{error}");
            let error = object.get().await.unwrap_err();
            assert!(matches!(error, GetError::Task(TaskError::Denied { .. })), "{error}");
            // Kill, and stop: refused, and told.
            assert_eq!(far.kill().await.unwrap_err(), denied(Right::Kill));
            assert_eq!(far.stop().await.unwrap_err(), denied(Right::Kill));
            // Nor by a link.
            let rope = Counter::remote(0);
            rope.link(far.clone()).await.unwrap();
            assert!(rope.fall().await.is_err());
            assert_eq!(far.add(1).await.unwrap(), 3, "it lives");
            // Nor can it look.
            let status = client.cluster_status().await;
            assert_eq!(status.answers.len(), 1, "itself alone: {status:?}");
            assert!(status.silent[0].1.contains("the right to observe"), "{status:?}");
        })
        .await;
    // Elsewhere tasks run at home, without a word.
    client.enter(async { assert_eq!(*double::remote(4).get().await.unwrap(), 8) }).await;
    client.shutdown().await;
    issuer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placement_group_is_used_by_those_who_may_submit_and_removed_by_those_who_may_kill() {
    let issuer = issuer().await;
    let cpu = [Bundle::cpus(1.0)];
    let group = issuer.enter_sync(|| mobula::placement_group(cpu, GroupStrategy::Pack));
    let pending =
        issuer.enter_sync(|| mobula::placement_group([Bundle::cpus(9.0)], GroupStrategy::Pack));
    assert!(group.wait(LIMIT).await);
    let none = (Role::Client, Capabilities::NONE);
    let nobody = start(certified(&issuer.addresses(), 21, none)).await.unwrap();
    let some = (Role::Client, Capabilities::SPAWN.and(Capabilities::SUBMIT));
    let user = start(certified(&issuer.addresses(), 22, some)).await.unwrap();
    let all = (Role::Client, Capabilities::ALL);
    let killer = start(certified(&issuer.addresses(), 23, all)).await.unwrap();
    for client in [&nobody, &user, &killer] {
        client.wait_for_nodes(4, LIMIT).await.unwrap();
        let (group, pending) = (carry(&issuer, client, &group), carry(&issuer, client, &pending));
        client
            .enter(async {
                let doubled = double::options().in_group(&group).remote(21).get().await;
                if client.id() == nobody.id() {
                    for error in [doubled.unwrap_err(), pending.ready().get().await.unwrap_err()] {
                        assert!(
                            matches!(error, GetError::Task(TaskError::Denied { .. })),
                            "{error}"
                        );
                        assert!(error.to_string().contains("the right to submit"), "{error}");
                    }
                } else {
                    assert_eq!(*doubled.unwrap(), 42);
                }
                let removed = group.remove().await;
                if client.id() == killer.id() {
                    removed.unwrap();
                } else {
                    let error = removed.unwrap_err();
                    assert!(matches!(error, RemoveGroupError::Denied { .. }), "{error}");
                    assert!(error.to_string().contains("the right to kill"), "{error}");
                }
            })
            .await;
    }
    assert!(group.nodes().is_empty());
    for node in [nobody, user, killer, issuer] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_ends_what_it_started_itself_and_hosts_nothing() {
    let issuer = issuer().await;
    let there = issuer.id().unwrap();
    let terms = (Role::Client, Capabilities::SPAWN.and(Capabilities::SUBMIT));
    let joined = token(4, terms, LATER, 1);
    let client = start(with_token(&issuer.addresses(), joined)).await.unwrap();
    client.wait_for_nodes(2, LIMIT).await.unwrap();
    issuer.wait_for_nodes(2, LIMIT).await.unwrap();
    client
        .enter(async {
            let counter = Counter::options().on(on(there)).remote(1);
            assert_eq!(counter.add(1).await.unwrap(), 2);
            assert!(matches!(counter.kill().await, Ok(ExitReason::Killed)));
            let counter = Counter::options().on(on(there)).remote(1);
            counter.ready().await.unwrap();
            assert!(matches!(counter.stop().await, Ok(ExitReason::Shutdown)));
            let doubled = double::options().on(on(there)).remote(21);
            assert_eq!(*doubled.get().await.unwrap(), 42);
        })
        .await;
    issuer
        .enter(async {
            let spread: Vec<_> = (0..6)
                .map(|start| Counter::options().on(Placement::Spread).remote(start))
                .collect();
            for counter in &spread {
                counter.ready().await.unwrap();
            }
            let names = |row: &mobula::ActorRow| row.type_name == "Counter";
            let rows = issuer.cluster_actors(&mobula::Wanted::default()).await;
            let mine = rows.answers.iter().find(|(node, _)| *node == there).unwrap();
            assert_eq!(mine.1.rows.iter().filter(|row| names(row)).count(), 6, "{rows:?}");
            let at_client = Counter::options().on(on(client.id().unwrap())).remote(1);
            assert!(at_client.ready().await.is_err(), "a client hosts nothing");
        })
        .await;
    let row = issuer.nodes().into_iter().find(|row| !row.is_here).unwrap();
    assert!(row.client && !row.observer && row.key.len() == 64, "{row:?}");
    client.shutdown().await;
    issuer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_looks_and_does_nothing_else() {
    let secret = || Some("a secret of the test's own".to_owned());
    let mut config = listening(&[]);
    config.secret = secret();
    let member = start(config).await.unwrap();
    let there = member.id().unwrap();
    let mut config = listening(&member.addresses());
    config.secret = secret();
    // It shares the secret of all, and says itself that it only looks.
    config.role = Role::Observer;
    let observer = start(config).await.unwrap();
    observer.wait_for_nodes(2, LIMIT).await.unwrap();
    let counter = member.enter(async { Counter::options().detached().remote(1) }).await;
    let status = observer.cluster_status().await;
    assert_eq!((status.answers.len(), status.silent.len()), (2, 0), "{status:?}");
    assert!(!observer.cluster_actors(&mobula::Wanted::default()).await.answers.is_empty());
    let far = carry(&member, &observer, &counter);
    observer
        .enter(async {
            let error = far.add(1).await.unwrap_err();
            let is_denied = match &error {
                AskError::NotDelivered { reason: Undelivered::Denied(denied), .. } => {
                    denied.right == Right::Send
                }
                AskError::NotDelivered { reason: Undelivered::ActorGone(reason), .. } => {
                    matches!(reason, ExitReason::Denied(denied) if denied.right == Right::Send)
                }
                _ => false,
            };
            assert!(is_denied, "{error}");
            let spawned = Counter::options().on(on(there)).remote(1);
            let error = spawned.ready().await.unwrap_err();
            assert!(matches!(error, ExitReason::Denied(_)), "{error}");
        })
        .await;
    assert_eq!(member.enter(async { counter.add(0).await.unwrap() }).await, 1);
    observer.shutdown().await;
    member.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_without_the_right_is_a_dead_letter_on_both_sides() {
    let issuer = issuer().await;
    let none = (Role::Client, Capabilities::NONE);
    let client = start(certified(&issuer.addresses(), 9, none)).await.unwrap();
    client.wait_for_nodes(2, LIMIT).await.unwrap();
    let taps = [&issuer, &client]
        .map(|node| node.dead_letters().subscribe(NonZeroUsize::new(64).unwrap()));
    // Stores speak by telling; the one of this client is not heard, and so its objects cannot be had.
    let object = client.enter(async { mobula::put(vec![1_u8; 10]).await.unwrap() }).await;
    let far = carry(&client, &issuer, &object);
    let got = issuer.enter(async { tokio::time::timeout(LIMIT, far.get()).await }).await;
    assert!(got.expect("an answer in time").is_err());
    let is_denied = |letter: &mobula::DeadLetter| letter.reason == DeadLetterReason::Denied;
    assert!(taps[0].drain().iter().any(is_denied), "where it was refused");
    let heard = async {
        while !taps[1].drain().iter().any(is_denied) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, heard).await.expect("and where it came from");
    client.shutdown().await;
    issuer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_revoked_is_closed_by_all_and_stays_out() {
    let issuer = issuer().await;
    let all = (Role::Member, Capabilities::ALL);
    let good = start(certified(&issuer.addresses(), 10, all)).await.unwrap();
    let bad = start(certified(&issuer.addresses(), 11, all)).await.unwrap();
    for node in [&issuer, &good, &bad] {
        node.wait_for_nodes(3, LIMIT).await.unwrap();
    }
    let key = Identity::from_seed(&[11; 32]).unwrap().public();
    let stranger = Authority::new("mobula", Identity::from_seed(&[66; 32]).unwrap());
    let forged = stranger.revoke(key, LATER).to_text();
    assert!(matches!(issuer.revoke(&forged).await, Err(RevokeError::Refused(_))));
    assert_eq!(issuer.revoke("nonsense").await, Err(RevokeError::Unreadable));
    // Said to one, it is known to all.
    good.revoke(&authority().revoke(key, LATER).to_text()).await.unwrap();
    let gone = bad.id().unwrap();
    for node in [&issuer, &good] {
        tokio::time::timeout(LIMIT, node.node_gone(gone)).await.expect("closed in time");
    }
    bad.shutdown().await;
    let text = refusal(start(certified(&issuer.addresses(), 11, all)).await);
    assert!(text.contains("revoked"), "{text}");
    good.shutdown().await;
    issuer.shutdown().await;
}
