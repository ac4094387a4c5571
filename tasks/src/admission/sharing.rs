//! What a node shares with others: tasks that wait here and may go, and room for those that come.
//!
//! Pure: no clock, no I/O, no tasks.

use mobula_actor_core::GroupId;

use super::{Admission, Shape, ShapeId};
use crate::resources::Demand;

impl<T> Admission<T> {
    /// What waits for room, by demand: how much, and one that would come last of those that `is_wanted` elsewhere.
    pub(crate) fn waiting<'a>(
        &'a self,
        is_wanted: impl Fn(&T) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a Demand, usize, &'a T)> + 'a {
        // What fits waits for a thread, not for room.
        let lacking = self.shapes.iter().filter(|shape| !self.ledger.fits(&shape.demand));
        lacking.filter_map(move |shape| {
            let last = shape.ready.last(&is_wanted)?;
            Some((&shape.demand, shape.ready.len(), last))
        })
    }

    /// Takes such a task of this demand out of its queue.
    pub(crate) fn take_last(
        &mut self,
        demand: &Demand,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let id = *self.by_demand.get(demand)?;
        let task = self.shape_mut(id)?.ready.pop_last(is_wanted)?;
        self.ready -= 1;
        Some(task)
    }

    /// Whether this node could ever meet the demand.
    pub(crate) fn is_feasible(&self, demand: &Demand) -> bool {
        self.ledger.is_feasible(demand)
    }

    /// Takes what a demand names, for whoever will come; `false` if it is not free.
    #[must_use]
    pub(crate) fn hold(&mut self, demand: &Demand) -> bool {
        // Who returns has waited longer.
        (self.returning.is_empty() || demand.cpu_count().is_zero()) && self.ledger.acquire(demand)
    }

    /// Gives back what was held.
    pub(crate) fn give_back(&mut self, demand: &Demand) {
        self.ledger.release(demand);
    }

    /// The task has come that room was held for: it goes first.
    pub(crate) fn enqueue_expected(&mut self, id: ShapeId, task: T) {
        self.number += 1;
        let number = self.number;
        if let Some(shape) = self.shapes.get_mut(id.0 as usize) {
            self.ledger.release(&shape.demand);
            shape.ready.push_expected(number, task);
            self.ready += 1;
        }
    }

    /// Makes a group's room of what was held for it.
    pub(crate) fn open_group(&mut self, group: GroupId, bundles: &[(u32, Demand)]) {
        self.ledger.open_group(group, bundles);
        if !self.lasting.has_group(group) {
            for (_, bundle) in bundles {
                let acquired = self.lasting.acquire(bundle);
                debug_assert!(acquired, "what was held for it fits without tasks");
            }
            self.lasting.open_group(group, bundles);
        }
    }

    /// A group is no more.
    pub(crate) fn close_group(&mut self, group: GroupId) -> bool {
        self.lasting.close_group(group);
        self.ledger.close_group(group)
    }

    /// Takes out all that waits for a group's room.
    pub(crate) fn take_group(&mut self, group: GroupId) -> Vec<T> {
        let of_group = |shape: &&mut Shape<T>| {
            shape.demand.place().is_some_and(|within| within.group == group)
        };
        let shapes = self.shapes.iter_mut().filter(of_group);
        let taken: Vec<T> = shapes.flat_map(|shape| shape.ready.sweep(&|_| false)).collect();
        self.ready -= taken.len();
        taken
    }
}
