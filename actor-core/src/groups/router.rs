//! A router: messages to a group, each to one member.
//!
//! The roll may show one that has just ended, and a node may be lost before anybody is told. So a message that comes
//! back untouched goes to the next member, until one takes it or all were tried; one whose outcome is unknown is never
//! sent again.
//!
//! Invariant: a message is handed to at most one member at a time, and to the next only when it has come back.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::routing::{Routing, by_key, in_turn, mixed, number_of, two_of};
use super::{Group, here};
use crate::actor::{Actor, Receive};
use crate::actor_ref::ActorRef;
use crate::current;
use crate::error::{AskError, Returned, RouteError, TellError, Undelivered};
use crate::message::Message;
use crate::remote::Home;

/// Members of this node whose queues are looked at for one message.
const LOOKED_AT_MAX: usize = 64;
/// For so long a queue's length that was asked for is believed.
const BELIEVED_FOR: Duration = Duration::from_millis(20);
/// So long a node may take to say how long a queue is.
const ASKED_FOR: Duration = Duration::from_secs(1);

/// Sends each message to one member of a group; see [`Routing`]. Made by [`Group::router`].
///
/// It keeps references to the members of other nodes that it has sent to, so that these do not end for want of one,
/// until they leave the group or the router is dropped. Messages of one sender keep their order only as far as they go
/// to one member.
pub struct Router<A: Actor> {
    group: Group<A>,
    routing: Routing,
    turn: AtomicU64,
    far: Mutex<Far<A>>,
}

/// What is kept of members of other nodes.
struct Far<A: Actor> {
    /// For this roll.
    homes: Arc<Vec<Home>>,
    actors: HashMap<Home, ActorRef<A>>,
    lengths: HashMap<Home, (Instant, usize)>,
}

impl<A: Actor> Router<A> {
    pub(super) fn new(group: Group<A>, routing: Routing) -> Self {
        // Routers of many nodes must not all begin with the same member.
        let here = here(&group.system);
        let start = mixed(here.0.0 ^ mixed(here.1 ^ group.system.next_id().as_u64()));
        let far = Far { homes: Arc::default(), actors: HashMap::new(), lengths: HashMap::new() };
        Self { group, routing, turn: AtomicU64::new(start), far: Mutex::new(far) }
    }

    /// The group it sends to.
    #[must_use]
    pub const fn group(&self) -> &Group<A> {
        &self.group
    }

    /// The member that is next, for a typed call: `router.pick().await?.work(1).await`. `None` if the group has no
    /// member that is known to live.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn pick(&self) -> Option<ActorRef<A>> {
        self.next(None, &mut Vec::new()).await
    }

    /// The member for a key, by [`Routing::ConsistentHash`], whatever the router's own way is.
    #[must_use]
    pub fn pick_for(&self, key: &(impl Hash + ?Sized)) -> Option<ActorRef<A>> {
        self.next_for(number_of(key), &mut Vec::new())
    }

    /// Sends `message` one way to a member; waits for room there, by its mailbox's rule. One that has ended is skipped,
    /// and so is one whose mailbox hands the message back.
    ///
    /// # Errors
    /// [`RouteError`]: there is no member, or the last one tried did not take the message.
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, the message is withdrawn.
    pub async fn tell<M: Message>(&self, message: M) -> Result<(), RouteError<M, TellError<M>>>
    where
        A: Receive<M>,
    {
        self.tell_by(None, message).await
    }

    /// Like [`tell`](Self::tell), to the member for a key.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub async fn tell_for<M: Message>(
        &self,
        key: &(impl Hash + ?Sized),
        message: M,
    ) -> Result<(), RouteError<M, TellError<M>>>
    where
        A: Receive<M>,
    {
        self.tell_by(Some(number_of(key)), message).await
    }

    /// Sends `message` to a member and waits for the reply. One that has ended or cannot be reached is skipped, and so
    /// is one whose mailbox hands the message back. A deadline of the call being handled holds.
    ///
    /// # Errors
    /// [`RouteError`]: there is no member, or what the last one tried said: see [`AskError`].
    ///
    /// # Cancel safety
    /// As an ask of the member.
    pub async fn ask<M: Message>(&self, message: M) -> Result<M::Value, RouteError<M, AskError<M>>>
    where
        A: Receive<M>,
    {
        self.ask_by(None, message).await
    }

    /// Like [`ask`](Self::ask), to the member for a key.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_for<M: Message>(
        &self,
        key: &(impl Hash + ?Sized),
        message: M,
    ) -> Result<M::Value, RouteError<M, AskError<M>>>
    where
        A: Receive<M>,
    {
        self.ask_by(Some(number_of(key)), message).await
    }

    async fn tell_by<M: Message>(
        &self,
        key: Option<u64>,
        mut message: M,
    ) -> Result<(), RouteError<M, TellError<M>>>
    where
        A: Receive<M>,
    {
        let mut tried = Vec::new();
        let mut last = None;
        while let Some(member) = self.next(key, &mut tried).await {
            let Err(error) = member.tell(message).await else { return Ok(()) };
            match error.into_parts() {
                (Some(back), to, reason) if another_may(&reason) => {
                    message = back.into_inner();
                    last = Some((to, reason));
                }
                (back, to, reason) => {
                    return Err(RouteError::Member(TellError::new(back, to, reason)));
                }
            }
        }
        let message = Returned::new(message);
        Err(match last {
            Some((to, reason)) => RouteError::Member(TellError::new(Some(message), to, reason)),
            None => RouteError::NoMember { group: self.group.name().to_owned(), message },
        })
    }

    async fn ask_by<M: Message>(
        &self,
        key: Option<u64>,
        mut message: M,
    ) -> Result<M::Value, RouteError<M, AskError<M>>>
    where
        A: Receive<M>,
    {
        let mut tried = Vec::new();
        let mut last = None;
        while let Some(member) = self.next(key, &mut tried).await {
            match member.ask(message).await {
                Err(AskError::NotDelivered { message: Some(back), to, reason })
                    if another_may(&reason) =>
                {
                    message = back.into_inner();
                    last = Some((to, reason));
                }
                other => return other.map_err(RouteError::Member),
            }
        }
        let message = Returned::new(message);
        Err(match last {
            Some((to, reason)) => {
                RouteError::Member(AskError::NotDelivered { message: Some(message), to, reason })
            }
            None => RouteError::NoMember { group: self.group.name().to_owned(), message },
        })
    }

    /// The next living member that was not tried; it counts as tried then.
    async fn next(&self, key: Option<u64>, tried: &mut Vec<Home>) -> Option<ActorRef<A>> {
        let key = match (key, self.routing) {
            (Some(key), _) => key,
            (None, Routing::ConsistentHash) => {
                number_of(&current::try_with(|here| here.caller.as_u64()).unwrap_or(0))
            }
            (None, Routing::RoundRobin) => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                return self.first_living(tried, |homes, tried| in_turn(homes, turn, tried));
            }
            (None, Routing::LeastMailbox) => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let shortest = self.shortest(mixed(turn), tried).await;
                let mut shortest = shortest.filter(|home| !tried.contains(home));
                return self.first_living(tried, |homes, tried| {
                    shortest.take().or_else(|| in_turn(homes, turn, tried))
                });
            }
        };
        self.next_for(key, tried)
    }

    fn next_for(&self, key: u64, tried: &mut Vec<Home>) -> Option<ActorRef<A>> {
        self.first_living(tried, |homes, tried| by_key(homes, key, tried))
    }

    fn first_living(
        &self,
        tried: &mut Vec<Home>,
        mut choose: impl FnMut(&[Home], &[Home]) -> Option<Home>,
    ) -> Option<ActorRef<A>> {
        let homes = self.group.homes();
        loop {
            let home = choose(&homes, tried)?;
            tried.push(home);
            if let Some(actor) = self.reference(home, &homes) {
                return Some(actor);
            }
        }
    }

    /// A living member. Those of other nodes are kept: else each message would take and give back a hold.
    fn reference(&self, home: Home, homes: &Arc<Vec<Home>>) -> Option<ActorRef<A>> {
        if (home.node, home.incarnation) == here(&self.group.system) {
            return self.group.reference(home);
        }
        let mut gone = Vec::new();
        let mut far = self.far.lock();
        if !Arc::ptr_eq(&far.homes, homes) {
            far.homes = Arc::clone(homes);
            let left = far.actors.extract_if(|home, _| homes.binary_search(home).is_err());
            gone.extend(left.map(|(_, actor)| actor));
            far.lengths.retain(|home, _| homes.binary_search(home).is_ok());
        }
        let known = far.actors.get(&home).filter(|actor| actor.is_alive()).cloned();
        let actor = known.or_else(|| self.group.reference(home));
        gone.extend(match &actor {
            Some(actor) => far.actors.insert(home, actor.clone()),
            None => far.actors.remove(&home),
        });
        if let Some((_, length)) = far.lengths.get_mut(&home) {
            // What is sent there now waits there, too.
            *length += 1;
        }
        drop(far);
        drop(gone);
        actor
    }

    /// The member with the fewest messages waiting, as far as that is known.
    async fn shortest(&self, random: u64, tried: &[Home]) -> Option<Home> {
        let homes = self.group.homes();
        let here = here(&self.group.system);
        let untried = homes.iter().filter(|home| !tried.contains(home));
        let (near, far): (Vec<Home>, Vec<Home>) =
            untried.partition(|home| (home.node, home.incarnation) == here);
        // From anywhere on, so that equals take turns.
        let start = if near.is_empty() { 0 } else { random as usize % near.len() };
        let looked_at = near[start..].iter().chain(&near[..start]).take(LOOKED_AT_MAX);
        let lengths = looked_at.filter_map(|home| {
            let citizen = self.group.system.directory().get(home.actor)?;
            Some((citizen.mailbox_len(), *home))
        });
        let near = lengths.min_by_key(|(length, _)| *length);
        if near.is_some_and(|(length, _)| length == 0) {
            return near.map(|(_, home)| home);
        }
        let Some((first, second)) = two_of(far.len(), random) else {
            return near.map(|(_, home)| home);
        };
        let (first, second) = (far[first], far[second]);
        let (one, other) = join(self.length(first), self.length(second)).await;
        let drawn = if one <= other { (one, first) } else { (other, second) };
        let nearer = near.filter(|(length, _)| *length <= drawn.0);
        Some(nearer.unwrap_or(drawn).1)
    }

    /// How many messages wait for a member of another node.
    async fn length(&self, home: Home) -> usize {
        let now = Instant::now();
        if let Some((asked, length)) = self.far.lock().lengths.get(&home)
            && now.duration_since(*asked) < BELIEVED_FOR
        {
            return *length;
        }
        let Some(elsewhere) = self.group.system.elsewhere() else { return usize::MAX };
        match timeout(ASKED_FOR, elsewhere.waiting(home)).await {
            Ok(Some(length)) => {
                self.far.lock().lengths.insert(home, (Instant::now(), length));
                length
            }
            Ok(None) | Err(_) => usize::MAX,
        }
    }
}

impl<A: Actor> fmt::Debug for Router<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({:?}, {:?})", self.group, self.routing)
    }
}

/// Whether a message that came back for this reason may fare better with another member.
const fn another_may(reason: &Undelivered) -> bool {
    match reason {
        Undelivered::ActorGone(_)
        | Undelivered::Discarded(_)
        | Undelivered::MailboxFull
        | Undelivered::Unreachable(_)
        | Undelivered::NoWireForm(_)
        | Undelivered::Unknown(_)
        | Undelivered::Unreadable(_)
        | Undelivered::Denied(_) => true,
        Undelivered::Expired | Undelivered::Cancelled | Undelivered::DependencyFailed(_) => false,
    }
}
