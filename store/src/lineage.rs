//! How lost objects are made again: which tasks to run, and in which order.
//!
//! When the last copy of a result is lost, its task can run again, if it is allowed to and if its arguments are
//! still there. If they are not, their tasks run first, and so on. So the recipe of a task must be kept while
//! any result of it is referenced, and also while a result of a result is; and recipes carry arguments by
//! value, so they have a size and a limit. Over the limit the older half is given up, which bounds the work of
//! giving up, too; objects that need one of those cannot be made again, and say so.
//!
//! Invariants:
//! 1. A recipe is kept while one of its results, or a result of any task that used one, is referenced.
//! 2. The bytes kept never exceed the limit.
//! 3. A plan lists every task once, each after those whose results it needs.
//! 4. No task runs more often than its attempts allow, whoever asked for it.
//! 5. What lies beside a recipe is a user's, and is dropped by whoever takes it from here: its drop may call back.
//!
//! Source: Ray's lineage reconstruction (NSDI '21, section 4.3): kept by the owner, half evicted over a limit.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crate::{message::LossReason, object_id::ObjectId};

/// Names a recipe, in the order in which they were entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeId(pub u64);

/// What belongs to a recipe and cannot be written down. Opaque here; kept as long as the recipe, in this process alone.
#[derive(Clone, Default)]
pub struct Beside(pub Option<Arc<dyn Any + Send + Sync>>);

impl PartialEq for Beside {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Beside {}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Beside(..)" } else { "Beside" })
    }
}

/// What it takes to make objects again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The task as the room above encodes it: opaque here, and its length is what the recipe costs.
    pub call: Vec<u8>,
    /// What of it cannot be encoded.
    pub beside: Beside,
    /// The objects it needs.
    pub inputs: Vec<ObjectId>,
    /// The objects it makes.
    pub outputs: Vec<ObjectId>,
    /// How often it may still run.
    pub attempts_left: u32,
    /// How often it has run.
    pub attempts: u32,
    /// Why it must not run again; `None` if it may.
    pub refusal: Option<String>,
}

/// Limits of a lineage.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LineageLimits {
    /// So many bytes of recipes are kept; 1 GiB unless said otherwise.
    pub bytes_max: u64,
    /// So many tasks may one lost object take; 10 000 unless said otherwise.
    pub plan_max: usize,
}

impl Default for LineageLimits {
    fn default() -> Self {
        Self { bytes_max: 1 << 30, plan_max: 10_000 }
    }
}

#[derive(Debug)]
struct Kept {
    recipe: Recipe,
    /// Results that are referenced.
    referenced: BTreeSet<ObjectId>,
    /// Kept recipes that use a result of this one.
    users: BTreeSet<RecipeId>,
}

/// The recipes that one store keeps for the objects it owns.
#[derive(Debug, Default)]
pub struct Lineage {
    limits: LineageLimits,
    next: u64,
    bytes: u64,
    recipes: BTreeMap<RecipeId, Kept>,
    makers: BTreeMap<ObjectId, RecipeId>,
    /// Referenced objects whose recipe was given up.
    evicted: BTreeSet<ObjectId>,
    /// What lay beside recipes that are gone.
    let_go: Vec<Beside>,
}

impl Lineage {
    /// Keeps nothing yet.
    #[must_use]
    pub fn new(limits: LineageLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What all recipes cost.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many recipes are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recipes.len()
    }

    /// Whether no recipe is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recipes.is_empty()
    }

    /// A recipe by name.
    #[must_use]
    pub fn recipe(&self, id: RecipeId) -> Option<&Recipe> {
        self.recipes.get(&id).map(|kept| &kept.recipe)
    }

    /// Remembers how objects are made; they count as referenced until [`forget`](Self::forget).
    pub fn remember(&mut self, recipe: Recipe) -> RecipeId {
        self.next += 1;
        let id = RecipeId(self.next);
        let cost = cost(&recipe);
        if cost > self.limits.bytes_max {
            self.evicted.extend(&recipe.outputs);
            self.let_go.extend(recipe.beside.0.is_some().then_some(recipe.beside));
            return id;
        }
        while self.bytes + cost > self.limits.bytes_max {
            self.evict_older_half();
        }
        for input in &recipe.inputs {
            if let Some(maker) = self.makers.get(input)
                && let Some(kept) = self.recipes.get_mut(maker)
            {
                kept.users.insert(id);
            }
        }
        for output in &recipe.outputs {
            self.makers.insert(*output, id);
        }
        self.bytes += cost;
        let referenced = recipe.outputs.iter().copied().collect();
        self.recipes.insert(id, Kept { recipe, referenced, users: BTreeSet::new() });
        id
    }

    /// What lay beside recipes that have gone since this was asked last, to be dropped where no lock is held.
    #[must_use]
    pub fn take_let_go(&mut self) -> Vec<Beside> {
        std::mem::take(&mut self.let_go)
    }

    /// Nobody references this object any more.
    pub fn forget(&mut self, object: ObjectId) {
        self.evicted.remove(&object);
        if let Some(id) = self.makers.get(&object).copied()
            && let Some(kept) = self.recipes.get_mut(&id)
        {
            kept.referenced.remove(&object);
            self.drop_unneeded(id);
        }
    }

    /// The tasks that make `object` again, in order; `is_there` says which objects need no making.
    ///
    /// # Errors
    /// Why it cannot be made; nothing has changed.
    pub fn plan(
        &self,
        object: ObjectId,
        is_there: impl Fn(ObjectId) -> bool,
    ) -> Result<Vec<RecipeId>, LossReason> {
        let mut plan = Vec::new();
        let mut planned = BTreeSet::new();
        // Depth first with a stack of our own: a chain of lost objects may be long.
        let mut stack = vec![(self.maker(object)?, false)];
        while let Some((id, inputs_done)) = stack.pop() {
            if inputs_done {
                plan.push(id);
                continue;
            }
            if !planned.insert(id) {
                continue;
            }
            if planned.len() > self.limits.plan_max {
                let text = format!("it takes more than {} tasks", self.limits.plan_max);
                return Err(LossReason::NotRebuildable { text });
            }
            stack.push((id, true));
            let inputs = self.recipes.get(&id).map(|kept| kept.recipe.inputs.as_slice());
            for input in inputs.unwrap_or_default().iter().rev() {
                if !is_there(*input) {
                    stack.push((self.maker(*input)?, false));
                }
            }
        }
        Ok(plan)
    }

    /// The recipe is about to run again: counts the attempt and gives the recipe.
    pub fn begin(&mut self, id: RecipeId) -> Option<&Recipe> {
        let recipe = &mut self.recipes.get_mut(&id)?.recipe;
        recipe.attempts_left = recipe.attempts_left.checked_sub(1)?;
        recipe.attempts += 1;
        Some(recipe)
    }

    /// The task that makes `object` was repeated by itself so many times.
    pub fn spend(&mut self, object: ObjectId, times: u32) {
        if let Some(id) = self.makers.get(&object)
            && let Some(kept) = self.recipes.get_mut(id)
        {
            kept.recipe.attempts_left = kept.recipe.attempts_left.saturating_sub(times);
            kept.recipe.attempts = kept.recipe.attempts.saturating_add(times);
        }
    }

    /// The recipe of an object that may run.
    fn maker(&self, object: ObjectId) -> Result<RecipeId, LossReason> {
        let id = self.makers.get(&object).copied();
        let Some((id, kept)) = id.and_then(|id| Some((id, self.recipes.get(&id)?))) else {
            return Err(if self.evicted.contains(&object) {
                LossReason::LineageEvicted
            } else {
                let text = format!("object {object} was put by hand, no task can make it again");
                LossReason::NotRebuildable { text }
            });
        };
        match &kept.recipe {
            Recipe { refusal: Some(text), .. } => {
                Err(LossReason::NotRebuildable { text: text.clone() })
            }
            Recipe { attempts_left: 0, attempts, .. } => {
                Err(LossReason::AttemptsUsed { attempts: *attempts })
            }
            Recipe { .. } => Ok(id),
        }
    }

    /// Lets go of a recipe that nobody needs, then of those that only it needed.
    fn drop_unneeded(&mut self, id: RecipeId) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let kept = self.recipes.get(&id);
            if kept.is_some_and(|kept| kept.referenced.is_empty() && kept.users.is_empty()) {
                stack.extend(self.remove(id));
            }
        }
    }

    /// The older half goes, whoever needs it.
    fn evict_older_half(&mut self) {
        let count = self.recipes.len().div_ceil(2);
        let older: Vec<RecipeId> = self.recipes.keys().take(count).copied().collect();
        for id in older {
            if let Some(kept) = self.recipes.get(&id) {
                self.evicted.extend(&kept.referenced);
            }
            let _may_go_too = self.remove(id);
        }
    }

    /// The recipes whose results the removed one used.
    fn remove(&mut self, id: RecipeId) -> Vec<RecipeId> {
        let Some(kept) = self.recipes.remove(&id) else { return Vec::new() };
        self.bytes -= cost(&kept.recipe);
        for output in &kept.recipe.outputs {
            self.makers.remove(output);
        }
        let mut used = Vec::new();
        for input in &kept.recipe.inputs {
            if let Some(maker) = self.makers.get(input)
                && let Some(kept) = self.recipes.get_mut(maker)
            {
                kept.users.remove(&id);
                used.push(*maker);
            }
        }
        self.let_go.extend(kept.recipe.beside.0.is_some().then_some(kept.recipe.beside));
        used
    }
}

/// What a recipe costs: its call, and a fixed price for each object.
fn cost(recipe: &Recipe) -> u64 {
    let objects = recipe.inputs.len() + recipe.outputs.len();
    (recipe.call.len() + 64 * (objects + 1)) as u64
}

#[cfg(test)]
mod tests;
