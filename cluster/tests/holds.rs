//! What nodes hold of each other's actors, through histories in which they lose and find each other: an actor lives as
//! long as somebody who is there refers to it, and no longer.
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

#[path = "holds/country.rs"]
mod country;

use std::time::Duration;

use country::{Country, settle};
use mobula_actor_core::{ActorRef, Context, ExitReason, MonitorRef, NodeId, Placement};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub struct Clerk {
    count: u64,
    life: u8,
}

/// Lives until it is ended; ends as soon as it has started; ends with its first message, before anybody can have heard that
/// it has started.
const LONG: u8 = 0;
const NONE: u8 = 1;
const BRIEF: u8 = 2;

#[mobula::actor]
impl Clerk {
    pub fn new(life: u8) -> Self {
        Self { count: 0, life }
    }
    fn started(&mut self, ctx: &mut Context<Self>) {
        match self.life {
            NONE => ctx.stop(),
            BRIEF => drop(ctx.actor_ref().end().try_tell()),
            _ => {}
        }
    }
    pub fn end(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
    pub fn add(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
    pub async fn pass_on(&mut self, to: ActorRef<Clerk>) -> Result<u64, String> {
        to.add().await.map_err(|error| error.to_string())
    }
    pub fn back(&self, one: ActorRef<Clerk>) -> ActorRef<Clerk> {
        one
    }
}

pub struct Guard {
    told: Option<oneshot::Sender<()>>,
}

#[mobula::actor]
impl Guard {
    pub fn new() -> Self {
        Self { told: None }
    }
    pub fn watch(
        &mut self,
        ctx: &mut Context<Self>,
        other: ActorRef<Clerk>,
        told: oneshot::Sender<()>,
    ) {
        self.told = Some(told);
        ctx.watch(&other);
    }
    fn down(&mut self, _ctx: &mut Context<Self>, _monitor: MonitorRef, _reason: ExitReason) {
        if let Some(told) = self.told.take() {
            let _ = told.send(());
        }
    }
}

fn clerk(node: NodeId, life: u8) -> ActorRef<Clerk> {
    Clerk::options().on(Placement::OnNode { node, or_elsewhere: false }).remote(life)
}

type Clerks = (ActorRef<Clerk>, ActorRef<Clerk>);

async fn relay((sender, receiver): Clerks, rounds: u32) {
    for _ in 0..rounds {
        if sender.pass_on(receiver.clone()).await.is_err() {
            return;
        }
    }
}

async fn borrow((lender, lent): Clerks) {
    if let Ok(again) = lender.back(lent.clone()).await {
        drop(lent);
        let _ = again.add().await;
    }
}

async fn guarded((actor, _other): Clerks, how: u32) {
    let guard = Guard::remote();
    let (told, fired) = oneshot::channel();
    let _ = guard.watch(actor.clone(), told).await;
    let _ = actor.add().await;
    let _ = actor.add().tell().await;
    match how {
        0 => drop(actor.kill().await),
        1 => drop(actor.stop().await),
        _ => drop(actor),
    }
    let _ = fired.await;
}

/// On which node, what, and its task.
type Work = (usize, &'static str, JoinHandle<()>);

fn begin(country: &mut Country, works: &mut Vec<Work>) {
    let living = country.living();
    let pick = |country: &mut Country| living[country.rng().random_range(0..living.len())];
    let (here, near, far) = (pick(country), pick(country), pick(country));
    let is_there = |country: &Country, one| one != here && country.has_contact(here, one);
    if !is_there(country, near) || !is_there(country, far) {
        return;
    }
    let (near, far) = (country.node(near), country.node(far));
    let rounds = country.rng().random_range(1..4);
    // At once: nobody starts anything on a node that it takes for gone.
    let what = country.rng().random_range(0..4);
    let life = if what == 0 { country.rng().random_range(NONE..=BRIEF) } else { LONG };
    let clerks = country.sync_on(here, || (clerk(near, life), clerk(far, LONG)));
    works.push(match what {
        0 => (here, "a brief life", country.begin(here, guarded(clerks, 2))),
        1 => (here, "a relay", country.begin(here, relay(clerks, rounds))),
        2 => (here, "a loan", country.begin(here, borrow(clerks))),
        _ => (here, "a watch", country.begin(here, guarded(clerks, rounds - 1))),
    });
}

/// Lets parcels arrive until none is sent any more.
async fn come_to_rest(country: &mut Country) {
    settle().await;
    while country.deliver() {
        while country.deliver() {
            tokio::task::yield_now().await;
        }
        settle().await;
    }
}

async fn history(seed: u64) -> Result<(), String> {
    let mut country = Country::of(4, StdRng::seed_from_u64(seed));
    let mut works = Vec::new();
    let steps = country.rng().random_range(50..400);
    let has_deaths = country.rng().random_bool(0.6);
    for _ in 0..steps {
        match country.rng().random_range(0..100) {
            0..10 => begin(&mut country, &mut works),
            10..20 => country.happen(),
            20..25 => country.bury(),
            25 if has_deaths && country.living().len() > 2 => {
                let living = country.living();
                let dead = living[country.rng().random_range(0..living.len())];
                country.kill(dead);
            }
            26..30 => settle().await,
            30..60 => tokio::task::yield_now().await,
            _ => {
                country.deliver();
            }
        }
    }
    // Quiet: the dead are known to be, the living find each other, and all that is on the way arrives.
    country.bury();
    country.mend();
    come_to_rest(&mut country).await;
    let living = country.living();
    for (here, what, work) in works {
        if living.contains(&here) {
            let mut work = work;
            let ended = tokio::time::timeout(Duration::from_secs(60), &mut work).await;
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(format!("{what} of node {here} failed: {error}")),
                Err(_late) => return Err(format!("{what} of node {here} never ended")),
            }
        }
    }
    come_to_rest(&mut country).await;
    for index in living {
        let left = country.citizens(index);
        if left > 0 {
            return Err(format!("node {index} has {left} actors that nobody needs"));
        }
    }
    Ok(())
}

/// Histories that are always run: some seconds.
const SEEDS: u64 = 400;

#[tokio::test(start_paused = true)]
async fn whatever_nodes_lose_and_find_no_actor_is_left_and_all_work_ends() {
    // Of more than these, by MOBULA_SEEDS.
    let count = std::env::var("MOBULA_SEEDS").ok().and_then(|count| count.parse().ok());
    let mut bad = Vec::new();
    for seed in 0..count.unwrap_or(SEEDS) {
        if let Err(why) = history(seed).await {
            bad.push(format!("seed {seed}: {why}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
