//! A group as its users see it: typed, and by name.
//!
//! Invariant: whoever holds a group holds its roll, so that what it reads is what is written.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{GroupKey, Roll, Router, Routing, here};
use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::error::GroupError;
use crate::handle::AsHandle;
use crate::postings::Elsewhere;
use crate::remote::{Home, refer};
use crate::system::System;

/// A group of actors of one type, on all nodes; cheap to clone. It exists whether anybody is in it or not.
///
/// # Examples
/// ```
/// # extern crate mobula_actor_core as mobula;
/// # use mobula_actor_core::{Current, System, scope};
/// # use mobula_actor_core::groups::{Group, Routing};
/// pub struct Worker;
/// #[mobula::actor]
/// impl Worker {
///     pub fn new() -> Self { Self }
///     pub fn square(&mut self, x: u64) -> u64 { x * x }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { let system = System::builder().build(); scope(Current::root(system.clone()), async {
/// let workers = Group::<Worker>::new(&system, "workers");
/// let worker = Worker::remote();
/// workers.join(&worker).await.unwrap();
/// assert_eq!(workers.members(), [worker.clone()]);
/// let router = workers.router(Routing::RoundRobin);
/// assert_eq!(router.pick().await.unwrap().square(3).await.unwrap(), 9);
/// worker.kill().await.unwrap();                     // the dead leave by themselves
/// assert!(workers.is_empty());
/// # }).await }
/// ```
pub struct Group<A: Actor> {
    pub(super) system: System,
    key: GroupKey,
    /// `None` only while it is dropped.
    roll: Option<Arc<Roll>>,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> Group<A> {
    /// The group of this name and actor type, as seen from `system`.
    #[must_use]
    pub fn new(system: &System, name: &str) -> Self {
        let key = GroupKey { name: name.into(), key: A::KEY };
        let roll = Arc::clone(system.groups().book.lock().roll(&key));
        Self { system: system.clone(), key, roll: Some(roll), actor: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// Makes an actor a member, wherever it lives; whether it was none. Its own node knows of it when this returns,
    /// the others soon after.
    ///
    /// # Errors
    /// - [`GroupError::Name`], [`GroupError::TooMany`]: a limit of the actor's node.
    /// - [`GroupError::ActorGone`]: it has ended.
    /// - [`GroupError::NoAnswer`]: it lives on another node, which did not answer.
    ///
    /// # Cancel safety
    /// Dropped on the way to another node, the actor may join all the same.
    pub async fn join(&self, actor: &ActorRef<A>) -> Result<bool, GroupError> {
        match self.far_home(actor).await? {
            Some((elsewhere, home)) => {
                elsewhere.enroll(home, Arc::clone(&self.key.name), A::KEY, true).await
            }
            None => {
                let groups = self.system.groups();
                groups.join(&self.system, &self.key.name, A::KEY, &actor.as_handle())
            }
        }
    }

    /// Ends a membership; whether there was one. An actor that ends has left.
    ///
    /// # Errors
    /// [`GroupError::NoAnswer`]: it lives on another node, which did not answer.
    ///
    /// # Cancel safety
    /// Dropped on the way to another node, the actor may leave all the same.
    pub async fn leave(&self, actor: &ActorRef<A>) -> Result<bool, GroupError> {
        match self.far_home(actor).await {
            Ok(Some((elsewhere, home))) => {
                elsewhere.enroll(home, Arc::clone(&self.key.name), A::KEY, false).await
            }
            Ok(None) => {
                let groups = self.system.groups();
                Ok(groups.leave(&self.system, &self.key.name, A::KEY, actor.id()))
            }
            Err(GroupError::ActorGone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the members live, sorted: this node's newest knowledge, by one atomic load.
    #[must_use]
    pub fn homes(&self) -> Arc<Vec<Home>> {
        self.roll().homes.load_full()
    }

    /// How many members this node knows of; one atomic load.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roll().homes.load().len()
    }

    /// Whether this node knows of no member; one atomic load.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// References to the members, in the order of [`homes`](Self::homes). They are counted: as long as you keep them,
    /// the members live. Those that are known to have ended are left out.
    #[must_use]
    pub fn members(&self) -> Vec<ActorRef<A>> {
        self.homes().iter().filter_map(|home| self.reference(*home)).collect()
    }

    /// Waits until what this node knows of the members is as you want it.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_until(&self, mut is_so: impl FnMut(&[Home]) -> bool) -> Arc<Vec<Home>> {
        let mut changes = self.roll().changed.subscribe();
        loop {
            let homes = self.homes();
            if is_so(&homes) {
                return homes;
            }
            if changes.changed().await.is_err() {
                // Only if the roll were gone, which this group holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sends messages to members, one for each message.
    #[must_use]
    pub fn router(&self, routing: Routing) -> Router<A> {
        Router::new(self.clone(), routing)
    }

    fn roll(&self) -> &Roll {
        match &self.roll {
            Some(roll) => roll,
            None => unreachable!("a roll is held until the group is dropped"),
        }
    }

    /// A reference to a member, unless it has ended.
    pub(super) fn reference(&self, home: Home) -> Option<ActorRef<A>> {
        let actor = if (home.node, home.incarnation) == here(&self.system) {
            ActorRef::<A>::from_handle(&self.system.directory().actor(home.actor)?)?
        } else {
            refer::<A>(&self.system, home).ok()?
        };
        actor.is_alive().then_some(actor)
    }

    /// The home of an actor of another node, and who reaches it; `None` for one of this node.
    async fn far_home(
        &self,
        actor: &ActorRef<A>,
    ) -> Result<Option<(Arc<dyn Elsewhere>, Home)>, GroupError> {
        let handle = actor.as_handle();
        if !handle.is_stand_in() {
            return Ok(None);
        }
        // One that is only being spawned has no home yet.
        let located = handle.located().await.map_err(|_ended| GroupError::ActorGone)?;
        let home = located.ok_or(GroupError::ActorGone)?;
        let elsewhere = self.system.elsewhere().ok_or(GroupError::NoAnswer(home.node))?;
        Ok(Some((elsewhere, home)))
    }
}

impl<A: Actor> Clone for Group<A> {
    fn clone(&self) -> Self {
        let (system, key, roll) = (self.system.clone(), self.key.clone(), self.roll.clone());
        Self { system, key, roll, actor: PhantomData }
    }
}

impl<A: Actor> Drop for Group<A> {
    fn drop(&mut self) {
        drop(self.roll.take());
        self.system.groups().book.lock().tidy(&self.key, 0);
    }
}

impl<A: Actor> fmt::Debug for Group<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group<{}>({}, {} members)", A::NAME, self.name(), self.len())
    }
}
