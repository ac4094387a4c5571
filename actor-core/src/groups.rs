//! Process groups, as in Erlang's `pg`: many actors under one name, known to every node.
//!
//! A group that lives somewhere must be asked, and is lost with its node. So every node has the whole roll of each
//! group, says of its own actors which groups they are in, and takes up what the others say; who sends to a group reads
//! the roll here, by one atomic load, and asks nobody.
//!
//! The law:
//! 1. An actor is in a group from the moment its node knows of it until it leaves, ends for good, or its node is lost.
//! 2. Each node writes of its own actors alone, so that there is nothing to agree on.
//! 3. A membership keeps no actor alive.
//!
//! Nodes agree some time after changes have ended: a roll may show one that has just ended, and not yet show one that
//! has just joined. Actors of one type and those of another are never in one group, whatever its name.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::GroupError;
use crate::handle::ActorHandle;
use crate::id::{ActorId, NodeId};
use crate::postings::Posting;
use crate::remote::Home;
use crate::system::System;

mod group;
mod router;
mod routing;

pub use group::Group;
pub use router::Router;
pub use routing::Routing;

/// Longest name of a group in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Memberships of one node's actors, all groups together.
pub const MEMBERSHIPS_MAX: usize = 1 << 14;

/// One node's picture of all groups.
#[derive(Default)]
pub struct Groups {
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    rolls: HashMap<GroupKey, Arc<Roll>>,
    /// The groups of each actor of this node that ever was in one, until it ends.
    joined: HashMap<ActorId, BTreeSet<GroupKey>>,
    count: usize,
}

/// A group: its name, and the number of its members' type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct GroupKey {
    name: Arc<str>,
    key: u64,
}

/// Who is in one group.
struct Roll {
    /// Sorted.
    homes: ArcSwap<Vec<Home>>,
    changed: watch::Sender<()>,
}

impl Default for Roll {
    fn default() -> Self {
        Self { homes: ArcSwap::default(), changed: watch::Sender::new(()) }
    }
}

impl Roll {
    fn edit(&self, edit: impl FnOnce(&mut Vec<Home>)) {
        let mut homes = Vec::clone(&self.homes.load());
        edit(&mut homes);
        homes.sort_unstable();
        homes.dedup();
        self.homes.store(Arc::new(homes));
        self.changed.send_replace(());
    }
}

impl Book {
    fn roll(&mut self, group: &GroupKey) -> &Arc<Roll> {
        self.rolls.entry(group.clone()).or_default()
    }

    /// Nobody is in it, and nobody looks at it.
    fn tidy(&mut self, group: &GroupKey, lookers: usize) {
        if let Entry::Occupied(entry) = self.rolls.entry(group.clone())
            && Arc::strong_count(entry.get()) <= 1 + lookers
            && entry.get().homes.load().is_empty()
        {
            entry.remove();
        }
    }
}

impl Groups {
    /// Makes a living actor of this node a member; whether it was none.
    ///
    /// # Errors
    /// [`GroupError`], but for [`GroupError::NoAnswer`].
    pub fn join(
        &self,
        system: &System,
        name: &Arc<str>,
        key: u64,
        actor: &ActorHandle,
    ) -> Result<bool, GroupError> {
        check_name(name)?;
        let group = GroupKey { name: Arc::clone(name), key };
        let id = actor.id();
        let mut book = self.book.lock();
        if !actor.is_alive() {
            return Err(GroupError::ActorGone);
        }
        let groups = book.joined.get(&id);
        if groups.is_some_and(|groups| groups.contains(&group)) {
            return Ok(false);
        }
        let is_first = groups.is_none();
        if book.count >= MEMBERSHIPS_MAX {
            return Err(GroupError::TooMany { max: MEMBERSHIPS_MAX });
        }
        if let Some(elsewhere) = system.elsewhere() {
            let posted = elsewhere.post(posting(&group, id));
            posted.map_err(|full| GroupError::TooMany { max: full.max })?;
        }
        book.count += 1;
        book.joined.entry(id).or_default().insert(group.clone());
        let home = home_here(system, id);
        book.roll(&group).edit(|homes| homes.push(home));
        drop(book);
        if is_first {
            let system = system.clone();
            // Called at once if it has ended since.
            actor.on_end(Box::new(move |_, for_good| {
                if for_good {
                    system.groups().ended(&system, id);
                }
            }));
        }
        Ok(true)
    }

    /// Ends a membership of an actor of this node; whether there was one.
    pub fn leave(&self, system: &System, name: &Arc<str>, key: u64, actor: ActorId) -> bool {
        let group = GroupKey { name: Arc::clone(name), key };
        let mut book = self.book.lock();
        let was_in = book.joined.get_mut(&actor).is_some_and(|groups| groups.remove(&group));
        if was_in {
            strike(&mut book, system, &group, actor);
        }
        was_in
    }

    /// Calls `visit` with all memberships of this node's actors while none begins or ends.
    pub(crate) fn while_nothing_changes(
        &self,
        visit: impl FnOnce(&mut dyn Iterator<Item = Posting>),
    ) {
        let book = self.book.lock();
        let mut postings = book
            .joined
            .iter()
            .flat_map(|(actor, groups)| groups.iter().map(|group| posting(group, *actor)));
        visit(&mut postings);
    }

    pub(crate) fn heard(&self, from: (NodeId, u64), added: &[Posting], removed: &[Posting]) {
        let mut edits: HashMap<GroupKey, (Vec<Home>, BTreeSet<Home>)> = HashMap::new();
        for (group, home) in added.iter().filter_map(|posting| member(posting, from)) {
            if check_name(&group.name).is_ok() {
                edits.entry(group).or_default().0.push(home);
            }
        }
        for (group, home) in removed.iter().filter_map(|posting| member(posting, from)) {
            edits.entry(group).or_default().1.insert(home);
        }
        let mut book = self.book.lock();
        for (group, (added, removed)) in edits {
            book.roll(&group).edit(|homes| {
                homes.retain(|home| !removed.contains(home));
                homes.extend(added);
            });
            book.tidy(&group, 0);
        }
    }

    pub(crate) fn gone(&self, (node, life): (NodeId, u64)) {
        let is_gone = |home: &Home| (home.node, home.incarnation) == (node, life);
        let mut book = self.book.lock();
        let with_members =
            book.rolls.iter().filter(|(_, roll)| roll.homes.load().iter().any(is_gone));
        let groups: Vec<GroupKey> = with_members.map(|(group, _)| group.clone()).collect();
        for group in groups {
            book.roll(&group).edit(|homes| homes.retain(|home| !is_gone(home)));
            book.tidy(&group, 0);
        }
    }

    fn ended(&self, system: &System, actor: ActorId) {
        let mut book = self.book.lock();
        for group in book.joined.remove(&actor).unwrap_or_default() {
            strike(&mut book, system, &group, actor);
        }
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("memberships", &self.book.lock().count)
            .finish_non_exhaustive()
    }
}

fn strike(book: &mut Book, system: &System, group: &GroupKey, actor: ActorId) {
    book.count -= 1;
    if let Some(elsewhere) = system.elsewhere() {
        elsewhere.withdraw(&posting(group, actor));
    }
    let here = here(system);
    let is_it = |home: &Home| home.actor == actor && (home.node, home.incarnation) == here;
    book.roll(group).edit(|homes| homes.retain(|home| !is_it(home)));
    book.tidy(group, 0);
}

fn posting(group: &GroupKey, actor: ActorId) -> Posting {
    Posting::Member { group: Arc::clone(&group.name), key: group.key, actor }
}

fn member(posting: &Posting, (node, incarnation): (NodeId, u64)) -> Option<(GroupKey, Home)> {
    match posting {
        Posting::Member { group, key, actor } => {
            let group = GroupKey { name: Arc::clone(group), key: *key };
            Some((group, Home { node, incarnation, actor: *actor }))
        }
        Posting::Name { .. } => None,
    }
}

fn here(system: &System) -> (NodeId, u64) {
    system.remote().map_or((NodeId::HERE, 0), |remote| remote.here())
}

fn home_here(system: &System, actor: ActorId) -> Home {
    let (node, incarnation) = here(system);
    Home { node, incarnation, actor }
}

fn check_name(name: &str) -> Result<(), GroupError> {
    let length = name.len();
    if name.trim().is_empty() || length > NAME_BYTES_MAX {
        return Err(GroupError::Name { length, max_bytes: NAME_BYTES_MAX });
    }
    Ok(())
}
