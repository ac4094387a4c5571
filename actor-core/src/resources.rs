//! What an actor holds of its node while it lives: CPUs, devices, anything that is counted.
//!
//! Most actors hold nothing: they run when they have something to do, and a hundred thousand of them share two CPUs.
//! One that owns a device, or computes all day, must be counted, or two of them get the same device. Such an actor is
//! there at once, with its name and its mailbox, but its constructor runs only when the node has what it demands; from
//! then on it holds that over restarts, until its end.
//!
//! The floor keeps no books: whoever does implements [`ResourceBook`] and hangs it into the
//! [`System`](crate::System::set_resource_book).

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::id::GroupId;

/// CPUs, as demands name them.
pub const CPU: &str = "cpu";

/// What one actor is to hold. Empty for most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActorDemand {
    amounts: Vec<(String, f64)>,
    /// The placement group whose room it is taken from, and which bundle of it.
    within: Option<(GroupId, Option<u32>)>,
}

impl ActorDemand {
    /// Sets the amount of one resource.
    pub(crate) fn set(&mut self, resource: &str, amount: f64) {
        self.amounts.retain(|(name, _)| !name.eq_ignore_ascii_case(resource));
        self.amounts.push((resource.to_owned(), amount));
    }

    pub(crate) fn set_within(&mut self, within: Option<(GroupId, Option<u32>)>) {
        self.within = within;
    }

    /// Nothing, of a group's room: what can be had as long as the group has room at all.
    pub(crate) const fn nothing_within(group: GroupId) -> Self {
        Self { amounts: Vec::new(), within: Some((group, None)) }
    }

    /// Whether nothing is demanded, not even nothing of something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }

    /// The amounts by name, as they were given.
    pub fn amounts(&self) -> impl Iterator<Item = (&str, f64)> {
        self.amounts.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// The placement group whose room it takes from.
    #[must_use]
    pub const fn within(&self) -> Option<(GroupId, Option<u32>)> {
        self.within
    }
}

/// What was taken of a node's resources; given back when it is dropped.
pub type Held = Box<dyn Any + Send>;

/// Keeps the books of what a node has.
pub trait ResourceBook: Send + Sync + 'static {
    /// Whether the demand can be counted.
    ///
    /// # Errors
    /// What is wrong with it. What is only more than this node has waits.
    fn check(&self, demand: &ActorDemand) -> Result<(), String>;

    /// Stands in line for what an actor is to hold, which was [checked](Self::check); the future gives it. Dropped before,
    /// the place in line is given up.
    fn take(&self, actor: &'static str, demand: &ActorDemand) -> BoxFuture<'static, Held>;

    /// Why whoever waits for this waits, as text.
    fn why(&self, demand: &ActorDemand) -> String;

    /// Whether this node could ever give as much.
    fn can_ever(&self, demand: &ActorDemand) -> bool;
}

/// What one actor waits for, then holds.
pub(crate) struct Holding(Mutex<Stage>);

enum Stage {
    /// It has not been started.
    Chosen(ActorDemand),
    InLine(ActorDemand, BoxFuture<'static, Held>),
    /// It has left the line, while another node is asked.
    Outside(ActorDemand),
    Held(#[expect(dead_code, reason = "kept to be dropped")] Held),
    /// It has ended without ever having had it.
    Lapsed,
    Over,
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_waiting() { "Holding(in line)" } else { "Holding" })
    }
}

impl Holding {
    pub(crate) fn of(demand: ActorDemand) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Stage::Chosen(demand))))
    }

    /// The actor starts, or comes back, and stands in line, if anybody keeps one.
    pub(crate) fn stand(&self, actor: &'static str, book: Option<Arc<dyn ResourceBook>>) {
        let Some(book) = book else { return };
        let demand = match &*self.0.lock() {
            Stage::Chosen(demand) | Stage::Outside(demand) => demand.clone(),
            Stage::InLine(..) | Stage::Held(_) | Stage::Lapsed | Stage::Over => return,
        };
        let taking = book.take(actor, &demand);
        *self.0.lock() = Stage::InLine(demand, taking);
    }

    /// The actor leaves the line, to be in it again when it [stands](Self::stand).
    pub(crate) fn step_out(&self) {
        let mut stage = self.0.lock();
        if let Stage::InLine(demand, _) = &*stage {
            let outside = Stage::Outside(demand.clone());
            let place = std::mem::replace(&mut *stage, outside);
            drop(stage);
            drop(place);
        }
    }

    /// The actor has ended for good.
    pub(crate) fn give_back(&self) {
        let mut stage = self.0.lock();
        let next = match &*stage {
            Stage::InLine(..) | Stage::Outside(_) | Stage::Lapsed => Stage::Lapsed,
            Stage::Chosen(_) | Stage::Held(_) | Stage::Over => Stage::Over,
        };
        let last = std::mem::replace(&mut *stage, next);
        drop(stage);
        drop(last);
    }

    /// Whether the actor has ended before it had what it waited for.
    pub(crate) fn has_lapsed(&self) -> bool {
        matches!(*self.0.lock(), Stage::Lapsed)
    }

    /// Whether it still waits.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(*self.0.lock(), Stage::InLine(..) | Stage::Outside(_))
    }

    /// What it waits for.
    pub(crate) fn awaited(&self) -> Option<ActorDemand> {
        match &*self.0.lock() {
            Stage::InLine(demand, _) | Stage::Outside(demand) => Some(demand.clone()),
            Stage::Chosen(_) | Stage::Held(_) | Stage::Lapsed | Stage::Over => None,
        }
    }

    /// Ready when it holds what it waited for.
    pub(crate) fn poll(&self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let mut stage = self.0.lock();
        match &mut *stage {
            Stage::InLine(_, taking) => {
                let held = std::task::ready!(taking.as_mut().poll(cx));
                *stage = Stage::Held(held);
                Poll::Ready(())
            }
            Stage::Outside(_) => Poll::Pending,
            Stage::Chosen(_) | Stage::Held(_) | Stage::Lapsed | Stage::Over => Poll::Ready(()),
        }
    }
}
