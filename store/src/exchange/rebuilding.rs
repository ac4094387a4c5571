//! Lost values that are made again: by whom, and what of it.
//!
//! The core says which object is lost and wanted; the lineage says which tasks make it, in which order; the tasks'
//! room runs them. In between things change: a task may have been begun for another loss, an object that is an
//! argument may have been let go of by everybody else.
//!
//! Invariants:
//! 1. A task is not begun again while it runs.
//! 2. Results that are not lost are not written twice.

use super::{Desk, Exchange, GetError, LossReason, ObjectId, State, Todo};
use crate::{lineage::Recipe, remote::Rebuild};

impl Exchange {
    /// Makes a lost object again, or says why not.
    pub(super) fn rebuild(&self, desk: &mut Desk<'_>, object: ObjectId) {
        let State { core, lineage, copies, remaking, .. } = &mut *desk.state;
        let is_coming = |object: ObjectId| {
            remaking.contains(&object)
                || self.find(object).is_some_and(|entry| entry.has_producer())
        };
        if is_coming(object) {
            return;
        }
        let is_there = |input: ObjectId| {
            let is_here = self.find(input).is_some_and(|entry| entry.has_value());
            let foreign = input.owner() != self.me && !core.owner.knows(input);
            // What others keep, others rebuild.
            is_here
                || foreign
                || copies.contains_key(&input)
                || core.owner.locations(input).next().is_some()
                || is_coming(input)
        };
        let plan = match lineage.plan(object, is_there) {
            Ok(plan) => plan,
            Err(reason) => return core.owner.lost(object, &reason, &mut desk.effects),
        };
        let inputs =
            |id| lineage.recipe(id).map(|recipe| recipe.inputs.clone()).unwrap_or_default();
        let needed: Vec<ObjectId> = plan.iter().flat_map(|id| inputs(*id)).collect();
        let is_lost = |output: &ObjectId| {
            let is_needed = *output == object
                || needed.contains(output)
                || self.find(*output).is_some_and(|entry| entry.is_wanted());
            is_needed && !is_there(*output)
        };
        let outputs = |id| lineage.recipe(id).map(|recipe| recipe.outputs.clone());
        let lost: Vec<Vec<ObjectId>> = plan
            .iter()
            .map(|id| outputs(*id).unwrap_or_default().into_iter().filter(is_lost).collect())
            .collect();
        let mut tasks = Vec::new();
        for (id, lost) in plan.into_iter().zip(lost) {
            if let Some(Recipe { call, beside, outputs, attempts_left, .. }) = lineage.begin(id) {
                remaking.extend(&lost);
                let (call, beside, outputs) = (call.clone(), beside.clone(), outputs.clone());
                let attempts_left = *attempts_left;
                tasks.push(Rebuild { call, beside, outputs, lost, attempts_left });
            }
        }
        desk.todo.push(Todo::Rebuild(tasks));
    }

    pub(super) fn begin_again(&self, tasks: Vec<Rebuild>) {
        let lost: Vec<ObjectId> = tasks.iter().flat_map(|task| task.lost.clone()).collect();
        self.port.rebuild(tasks);
        self.decide(|desk| {
            for object in &lost {
                desk.state.remaking.remove(object);
                if desk.state.awaited.insert(*object) {
                    // Others may wait for it, too.
                    desk.todo.push(Todo::Await(*object));
                }
            }
        });
    }

    /// Remembers how objects are made, those that somebody still needs.
    pub(crate) fn remember(&self, recipe: Recipe) {
        let outputs = recipe.outputs.clone();
        for object in &outputs {
            if let Some(entry) = self.find(*object) {
                entry.set_known();
            }
        }
        self.decide(|desk| {
            desk.state.lineage.remember(recipe);
            // Known before this look: whoever lets go after it says so.
            let is_needed =
                |object: &ObjectId| self.find(*object).is_some_and(|entry| entry.is_wanted());
            for object in outputs.iter().filter(|object| !is_needed(object)) {
                desk.state.lineage.forget(*object);
            }
        });
    }

    /// A task that runs for lost objects was repeated so many times by itself.
    pub(crate) fn repeated(&self, object: ObjectId, times: u32) {
        self.decide(|desk| desk.state.lineage.spend(object, times));
    }

    pub(crate) fn cannot_rebuild(&self, object: ObjectId, text: &str) {
        let reason = LossReason::NotRebuildable { text: text.to_owned() };
        self.decide(|desk| {
            desk.state.core.owner.lost(object, &reason, &mut desk.effects);
            desk.todo.push(Todo::Lose(object, GetError::Lost { object, reason }));
        });
    }
}
