//! Actors that wait for what no node has, until one comes that does.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::prelude::*;
use mobula::{ExitReason, Placement};

#[path = "fixture/nodes.rs"]
mod fixture;
#[path = "fixture/until.rs"]
mod until;

use fixture::{LIMIT, stop};
use until::until;

/// A node that others join.
async fn first_node() -> Node {
    fixture::nodes(1, |_| Node::builder().num_cpus(2.0)).await.remove(0)
}

async fn joined(to: &Node, resources: &[(&str, f64)]) -> Node {
    let builder = Node::builder().num_cpus(2.0);
    let builder =
        resources.iter().fold(builder, |builder, (name, amount)| builder.resource(*name, *amount));
    fixture::node(builder, &to.addresses()).await
}

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

fn free(node: &Node, resource: &str) -> f64 {
    let resources = node.resources();
    resources.iter().find(|one| one.resource == resource).unwrap().free.as_f64()
}

fn name(node: &Node) -> String {
    node.id().unwrap().to_string()
}

fn why<A: mobula::Actor>(node: &Node, actor: &ActorRef<A>) -> String {
    let citizen = node.system().directory().get(actor.id()).unwrap();
    citizen.why().unwrap_or_default()
}

/// How many presses a node lists.
fn presses(node: &Node) -> usize {
    let actors = node.actors();
    actors.iter().filter(|actor| actor.type_name == "Press").count()
}

/// How often a constructor ran; each test has its own.
static MADE: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

fn made(test: usize) -> usize {
    MADE[test].load(Ordering::SeqCst)
}

struct Press {
    heard: Vec<u32>,
}

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("the press is broken")]
struct Broken;

#[mobula::actor]
impl Press {
    pub fn new(test: usize, is_broken: bool) -> Result<Self, Broken> {
        MADE[test].fetch_add(1, Ordering::SeqCst);
        if is_broken { Err(Broken) } else { Ok(Self { heard: Vec::new() }) }
    }

    pub fn print(&mut self, page: u32) -> String {
        self.heard.push(page);
        name(&Node::current().unwrap())
    }

    pub fn heard(&self) -> Vec<u32> {
        self.heard.clone()
    }
}

struct Clerk;

#[mobula::actor]
impl Clerk {
    pub fn new() -> Self {
        Self
    }

    /// Has something printed as soon as it can be.
    pub async fn order(&self, press: ActorRef<Press>, page: u32) -> String {
        press.print(page).await.unwrap()
    }

    /// Why it ended.
    pub async fn sees_the_end_of(&self, press: ActorRef<Press>) -> String {
        press.closed().await.to_string()
    }
}

/// Is given an object, and keeps nothing of it.
struct Proof;

#[mobula::actor]
impl Proof {
    pub fn new(_page: ObjectRef<u64>) -> Self {
        Self
    }

    pub fn place(&self) -> String {
        name(&Node::current().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_an_actor_that_waits_starts_on_a_node_that_comes_later_and_hears_all_in_order() {
    let first = first_node().await;
    let (press, printed) = first
        .enter(async {
            let named = Press::options().name("press").max_restarts(1);
            let press = named.resource("ink", 1.0).remote(0, false);
            for page in 0..500 {
                press.print(page).tell().await.unwrap();
            }
            let printed = press.print(500).remote();
            (press, printed)
        })
        .await;
    assert!(why(&first, &press).contains("needs 1 ink"), "{}", why(&first, &press));
    assert_eq!((presses(&first), made(0)), (1, 0));

    let second = joined(&first, &[("ink", 1.0)]).await;
    let place = within("it is printed", printed.get()).await.unwrap();
    assert_eq!(*place, name(&second));
    let heard = first.enter(async { press.heard().await.unwrap() }).await;
    assert_eq!(heard, (0..=500).collect::<Vec<_>>());
    assert_eq!((presses(&first), presses(&second), made(0)), (0, 1, 1));
    assert_eq!(free(&second, "ink"), 0.0);
    for node in [&first, &second] {
        let found = node.enter(async { mobula::actor::<Press>("press").await }).await.unwrap();
        assert_eq!(node.enter(async { found.print(501).await }).await.unwrap(), name(&second));
    }
    assert_eq!(press.stop().await.unwrap().to_string(), "was shut down");
    until("it is given back", || free(&second, "ink") > 0.5).await;
    stop(&[second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_that_was_passed_on_while_the_actor_waited_leads_to_where_it_has_started() {
    let first = first_node().await;
    let second = joined(&first, &[]).await;
    first.wait_for_nodes(2, LIMIT).await.unwrap();
    let on_second = Placement::OnNode { node: second.id().unwrap(), or_elsewhere: false };
    let (press, clerk) = first
        .enter(async {
            let press = Press::options().resource("ink", 1.0).remote(1, false);
            let clerk = Clerk::options().on(on_second).remote();
            (press, clerk)
        })
        .await;
    let (ordered, seen) = first
        .enter(async {
            let ordered = clerk.order(press.clone(), 7).remote();
            let other = Clerk::remote();
            (ordered, other.sees_the_end_of(press.clone()).remote())
        })
        .await;
    until("the order stands in the mailbox", || {
        let listed = first.actors();
        listed.iter().any(|actor| actor.id == press.id() && actor.mailbox_len == 1)
    })
    .await;
    let third = joined(&first, &[("ink", 1.0)]).await;
    assert_eq!(*within("it is printed", ordered.get()).await.unwrap(), name(&third));
    // One that is passed on afterwards leads there, too.
    let again = first.enter(async { clerk.order(press.clone(), 8).await }).await.unwrap();
    assert_eq!((again, made(1)), (name(&third), 1));
    press.kill().await.unwrap();
    assert_eq!(*within("the end is seen", seen.get()).await.unwrap(), "was killed");
    stop(&[third, second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_in_a_cluster_can_be_stopped_killed_and_left() {
    let first = first_node().await;
    let wants = || Press::options().resource("ink", 1.0).remote(2, false);
    let left = first
        .enter(async {
            let (stopped, killed, left) = (wants(), wants(), wants());
            assert!(matches!(stopped.stop().await.unwrap(), ExitReason::Shutdown));
            let unheard = killed.print(1).remote();
            assert!(matches!(killed.kill().await.unwrap(), ExitReason::Killed));
            let error = unheard.get().await.unwrap_err().to_string();
            assert!(error.contains("was killed"), "{error}");
            left.print(2).remote()
        })
        .await;
    // Nobody refers to the last one any more, but it has something to do.
    let second = joined(&first, &[("ink", 1.0)]).await;
    assert_eq!(*within("it is printed", left.get()).await.unwrap(), name(&second));
    until("it has ended then", || free(&second, "ink") > 0.5 && presses(&second) == 0).await;
    assert_eq!((presses(&first), made(2)), (0, 1));
    stop(&[second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stands_in_line_on_the_other_node_is_ended_at_once_and_called_back_there() {
    let first = first_node().await;
    let wants = || Press::options().resource("ink", 1.0);
    let (one, other, third) = first
        .enter(async {
            let one = wants().remote(3, false);
            let others = (wants().detached().remote(3, false), wants().remote(3, false));
            (one, others.0, others.1)
        })
        .await;
    let second = joined(&first, &[("ink", 1.0)]).await;
    // One of them has it, whichever asked first; the others stand in line there.
    until("all have been asked for there", || presses(&second) == 3).await;
    let all = [one, other, third];
    until("one has begun", || made(3) == 1).await;
    until("it is known", || presses(&first) == 2).await;
    let is_waiting = |press: &&ActorRef<Press>| !why(&first, press).is_empty();
    for press in all.iter().filter(is_waiting) {
        let text = why(&first, press);
        assert!(
            text.ends_with(&format!("it is being started on node {}", name(&second))),
            "{text}"
        );
        let unheard = first.enter(async { press.print(1).remote() }).await;
        assert!(matches!(press.kill().await.unwrap(), ExitReason::Killed));
        unheard.get().await.unwrap_err();
    }
    assert_eq!(presses(&first), 0);
    let begun: Vec<_> = all.iter().filter(|press| press.is_alive()).collect();
    assert_eq!(begun.len(), 1);
    begun[0].kill().await.unwrap();
    until("nothing is left there", || presses(&second) == 0 && free(&second, "ink") > 0.5).await;
    stop(&[second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_refused_elsewhere_goes_on_waiting_and_is_taken_later() {
    let first = first_node().await;
    let (press, printed) = first
        .enter(async {
            let press = Press::options().name("taken").resource("ink", 0.5).remote(4, false);
            let printed = press.print(1).remote();
            (press, printed)
        })
        .await;
    let second = joined(&first, &[]).await;
    let holder = second.enter(async { Press::options().name("taken").remote(5, false) }).await;
    second.enter(async { holder.heard().await.unwrap() }).await;
    second.add_resource("ink", 1.0).unwrap();
    until("it is refused", || why(&first, &press).contains("refused it")).await;
    assert_eq!((presses(&first), made(4)), (1, 0));
    holder.stop().await.unwrap();
    assert_eq!(*within("it is printed", printed.get()).await.unwrap(), name(&second));
    assert_eq!(made(4), 1);
    stop(&[second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_constructor_fails_there_has_ended_and_is_not_tried_again() {
    let first = first_node().await;
    let (press, printed) = first
        .enter(async {
            let press = Press::options().resource("ink", 1.0).remote(6, true);
            let printed = press.print(1).remote();
            (press, printed)
        })
        .await;
    let second = joined(&first, &[("ink", 1.0)]).await;
    let error = within("it is known", printed.get()).await.unwrap_err().to_string();
    assert!(error.contains("the press is broken"), "{error}");
    assert!(!press.is_alive());
    assert_eq!((presses(&first), presses(&second), made(6)), (0, 0, 1));
    stop(&[second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_own_node_comes_to_have_it_starts_there() {
    let first = first_node().await;
    let second = joined(&first, &[]).await;
    first.wait_for_nodes(2, LIMIT).await.unwrap();
    let (press, printed) = first
        .enter(async {
            let press = Press::options().resource("ink", 1.0).remote(7, false);
            let printed = press.print(1).remote();
            (press, printed)
        })
        .await;
    first.add_resource("ink", 1.0).unwrap();
    second.add_resource("ink", 1.0).unwrap();
    let place = within("it is printed", printed.get()).await.unwrap();
    assert_eq!((&*place, made(7)), (&name(&first), 1));
    assert_eq!(free(&second, "ink"), 1.0);
    drop(press);
    until("it is given back", || free(&first, "ink") > 0.5).await;
    stop(&[second, first]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_that_waited_was_made_of_is_kept_no_longer_than_until_it_has_begun() {
    let first = first_node().await;
    let (page, proofs) = first
        .enter(async {
            let page = mobula::put(7_u64).await.unwrap();
            let proof = |of: &str| Proof::options().resource(of, 1.0).remote(page.clone());
            let proofs = [proof("ink"), proof("paper")];
            (page, proofs)
        })
        .await;
    let second = joined(&first, &[("ink", 1.0)]).await;
    first.add_resource("paper", 1.0).unwrap();
    let places = first
        .enter(async {
            let [there, here] = &proofs;
            (
                within("there", there.place().into_future()).await.unwrap(),
                within("here", here.place().into_future()).await.unwrap(),
            )
        })
        .await;
    assert_eq!(places, (name(&second), name(&first)));
    until("only the test refers to it", || {
        let counts = page.counts();
        (counts.local, counts.submitted, counts.elsewhere) == (1, 0, 0)
    })
    .await;
    drop(proofs);
    stop(&[second, first]).await;
}
