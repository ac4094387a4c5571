//! Asks that wait for each other are found by their chain, and nothing else is taken for one.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

extern crate mobula_actor_core as mobula;

#[path = "fixture/desk.rs"]
mod desk;

use desk::on_node;
use mobula_actor_core::{ActorRef, AskError, Context, ExitReason, MonitorRef};

pub struct Node;

#[mobula_actor_core::actor]
impl Node {
    pub fn new() -> Self {
        Self
    }
    /// Asks along `path`, the last of which answers.
    pub async fn along(&mut self, mut path: Vec<ActorRef<Node>>) -> Result<usize, String> {
        if path.is_empty() {
            return Ok(0);
        }
        let next = path.remove(0);
        match next.along(path).await {
            Ok(length) => Ok(length + 1),
            Err(AskError::Refused(text)) => Err(text),
            Err(AskError::Deadlock(path)) => Err(path.to_string()),
            Err(other) => Err(other.to_string()),
        }
    }
    /// Tells instead of asking.
    pub async fn tell_back(&mut self, to: ActorRef<Node>) {
        to.touch().tell().await.unwrap();
    }
    pub async fn ask_who_tells(&mut self, ctx: &mut Context<Self>, other: ActorRef<Node>) {
        other.tell_back(ctx.actor_ref()).await.unwrap();
    }
    pub fn touch(&mut self) {}
    pub async fn watch_then_ask(&mut self, ctx: &mut Context<Self>, other: ActorRef<Node>) {
        ctx.watch(&other);
    }
}

fn named(name: &str) -> ActorRef<Node> {
    Node::options().name(name).remote()
}

#[tokio::test(start_paused = true)]
async fn two_that_ask_each_other_learn_the_path_instead_of_waiting_for_ever() {
    on_node(async {
        let (a, b) = (named("a"), named("b"));
        let path = a.along(vec![b.clone(), a.clone()]).await.unwrap_err();
        let expected = format!("a {0} asks b {1} asks a {0}", a.id(), b.id());
        assert_eq!(path.refusal(), Some(&expected));
        a.touch().await.unwrap();
        b.touch().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_itself_learns_so() {
    on_node(async {
        let a = named("a");
        let path = a.along(vec![a.clone()]).await.unwrap_err();
        assert_eq!(path.refusal(), Some(&format!("a {0} asks a {0}", a.id())));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_three_is_told_whole_and_without_those_who_lead_there() {
    on_node(async {
        let (start, a, b, c) = (named("start"), named("a"), named("b"), named("c"));
        let way = vec![a.clone(), b.clone(), c.clone(), a.clone()];
        let path = start.along(way).await.unwrap_err();
        let expected = format!("a {0} asks b {1} asks c {2} asks a {0}", a.id(), b.id(), c.id());
        assert_eq!(path.refusal(), Some(&expected));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_meets_nobody_twice_is_no_deadlock() {
    on_node(async {
        let nodes: Vec<_> = (0..20).map(|_| Node::remote()).collect();
        assert_eq!(nodes[0].along(nodes[1..].to_vec()).await.unwrap(), 19);
        // The same way again: what was asked before is no part of this chain.
        assert_eq!(nodes[0].along(nodes[1..].to_vec()).await.unwrap(), 19);
        assert_eq!(nodes[19].along(nodes[..19].to_vec()).await.unwrap(), 19);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn telling_back_is_no_deadlock() {
    on_node(async {
        let (a, b) = (named("a"), named("b"));
        a.ask_who_tells(b).await.unwrap();
        a.touch().await.unwrap();
    })
    .await;
}

/// A `down` that asks whoever asked this actor before.
pub struct Grateful {
    friend: ActorRef<Node2>,
}

#[mobula_actor_core::actor]
impl Grateful {
    pub fn new(friend: ActorRef<Node2>) -> Self {
        Self { friend }
    }
    pub fn observe(&mut self, ctx: &mut Context<Self>, other: ActorRef<Node>) {
        ctx.watch(&other);
    }
    async fn down(&mut self, _monitor: MonitorRef, _reason: ExitReason) -> Result<(), String> {
        self.friend.thank().await.map_err(|error| error.to_string())
    }
}

#[derive(Default)]
pub struct Node2 {
    thanks: u32,
}

#[mobula_actor_core::actor]
impl Node2 {
    pub fn new() -> Self {
        Self::default()
    }
    pub async fn send_to(
        &mut self,
        ctx: &mut Context<Self>,
        other: ActorRef<Node>,
    ) -> ActorRef<Grateful> {
        let friend = ctx.actor_ref();
        let grateful = Grateful::remote(friend);
        grateful.observe(other).await.unwrap();
        grateful
    }
    pub fn thank(&mut self) {
        self.thanks += 1;
    }
    pub fn thanks(&mut self) -> u32 {
        self.thanks
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_no_part_of_the_message_handled_before_it() {
    on_node(async {
        let (friend, node) = (Node2::remote(), Node::remote());
        let grateful = friend.send_to(node.clone()).await.unwrap();
        node.kill().await.unwrap();
        desk::quiet().await;
        assert!(grateful.is_alive(), "its `down` was refused as a deadlock");
        assert_eq!(friend.thanks().await.unwrap(), 1);
    })
    .await;
}

pub struct Hub {
    peer: ActorRef<Spoke>,
}
pub struct Spoke;

#[mobula_actor_core::actor(max_concurrency = 4)]
impl Hub {
    pub fn new(peer: ActorRef<Spoke>) -> Self {
        Self { peer }
    }
    pub async fn by_way_of_the_peer(&self, me: ActorRef<Hub>) -> u32 {
        self.peer.ask_hub(me).await.unwrap()
    }
    pub async fn answer(&self) -> u32 {
        42
    }
}

#[mobula_actor_core::actor]
impl Spoke {
    pub fn new() -> Self {
        Self
    }
    pub async fn ask_hub(&mut self, hub: ActorRef<Hub>) -> u32 {
        hub.answer().await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_answers_while_it_waits_is_no_deadlock() {
    on_node(async {
        let hub = Hub::remote(Spoke::remote());
        assert_eq!(hub.by_way_of_the_peer(hub.clone()).await.unwrap(), 42);
    })
    .await;
}

pub struct Turnstile;

/// Takes `&self`, and one call at a time all the same.
#[mobula_actor_core::actor(max_concurrency = 1)]
impl Turnstile {
    pub fn new() -> Self {
        Self
    }
    pub async fn there_and_back(&self, gate: ActorRef<Gate>, me: ActorRef<Turnstile>) -> String {
        gate.back_to(me).await.unwrap()
    }
    pub async fn pass(&self) {}
}

pub struct Gate;

#[mobula_actor_core::actor]
impl Gate {
    pub fn new() -> Self {
        Self
    }
    pub async fn back_to(&mut self, turnstile: ActorRef<Turnstile>) -> String {
        turnstile.pass().await.unwrap_err().to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_shares_itself_with_one_call_at_a_time_can_be_in_a_deadlock() {
    on_node(async {
        let turnstile = Turnstile::remote();
        let said = turnstile.there_and_back(Gate::remote(), turnstile.clone()).await.unwrap();
        assert!(said.contains("would wait for itself"), "{said}");
        turnstile.pass().await.unwrap();
    })
    .await;
}
