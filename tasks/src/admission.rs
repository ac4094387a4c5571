//! Who may run now: the ready queues, one per shape, against the ledger of the node.
//!
//! "Start whatever fits" starves the large: a task that needs both CPUs never sees them free
//! together while small tasks stream past. "Strictly in order" idles the node behind one task that
//! waits for a rare device. So heads of all shapes compete, the deeper and older one first among
//! those that fit; and a head that was passed over [`PATIENCE`] times holds back the others that
//! compete for what it lacks. Holding back is suspended while any task is blocked, for then the one
//! held back may be the very one the blocked one waits for. A head that fits and has seen as many
//! younger ones of other shapes go first, however deep, goes before them all.
//!
//! Tasks that return from being blocked come before every new task that needs a CPU: they hold
//! memory, devices and a thread.
//!
//! Invariant: what runs never holds more than the ledger's total; no CPU is free while a returning
//! task could use it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    ledger::{Ledger, ResourceAmount},
    queue::{PATIENCE, Rank, ReadyQueue},
    resources::{Demand, Quantity},
};

mod sharing;

/// How many unused shapes are remembered, so that a repeated demand finds its queue again.
const IDLE_SHAPES_MAX: usize = 64;

/// The demand of a task, interned: tasks with equal demands share one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShapeId(u32);

impl ShapeId {
    /// The shape of a demand of one CPU, the default.
    pub(crate) const ONE_CPU: Self = Self(0);
}

#[derive(Debug)]
struct Shape<T> {
    demand: Demand,
    ready: ReadyQueue<T>,
    /// Tasks that carry this id, in the queue or not.
    users: usize,
    passed_over: u32,
    /// Whether the one warning about a demand that this node cannot meet was given.
    warned: bool,
}

/// What became of a task that was made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Enqueued {
    /// It will run when its turn comes.
    Ready,
    /// The node can never meet the demand as it is; it stays pending. Said once per demand.
    InfeasibleFirst,
    /// As before, and it was said already.
    Infeasible,
}

/// Decides which task runs next.
#[derive(Debug)]
pub(crate) struct Admission<T> {
    ledger: Ledger,
    /// What would be free if all tasks ended: actors and groups hold what they hold for as long as they like. Who does not
    /// fit here waits for one of those, and nobody is held back for that.
    lasting: Ledger,
    shapes: Vec<Shape<T>>,
    by_demand: BTreeMap<Demand, ShapeId>,
    vacant: Vec<ShapeId>,
    returning: VecDeque<(ShapeId, T)>,
    blocked: usize,
    number: u64,
    ready: usize,
}

impl<T> Admission<T> {
    pub(crate) fn new(ledger: Ledger) -> Self {
        let mut new = Self {
            lasting: ledger.clone(),
            ledger,
            shapes: Vec::new(),
            by_demand: BTreeMap::new(),
            vacant: Vec::new(),
            returning: VecDeque::new(),
            blocked: 0,
            number: 0,
            ready: 0,
        };
        // One user for ever, so that this shape is never vacated.
        let one_cpu = new.intern(&Demand::default());
        debug_assert_eq!(one_cpu, ShapeId::ONE_CPU, "the first shape is number 0");
        new
    }

    /// The shape of a demand; counts one more user of it until [`Self::forget`].
    pub(crate) fn intern(&mut self, demand: &Demand) -> ShapeId {
        if let Some(&id) = self.by_demand.get(demand) {
            if let Some(shape) = self.shape_mut(id) {
                shape.users += 1;
            }
            return id;
        }
        let shape = Shape {
            demand: demand.clone(),
            ready: ReadyQueue::default(),
            users: 1,
            passed_over: 0,
            warned: false,
        };
        let id = match self.vacant.pop() {
            Some(id) => {
                if let Some(place) = self.shape_mut(id) {
                    *place = shape;
                }
                id
            }
            None => {
                self.shapes.push(shape);
                ShapeId(u32::try_from(self.shapes.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.by_demand.insert(demand.clone(), id);
        id
    }

    /// A task of this shape is over.
    pub(crate) fn forget(&mut self, id: ShapeId) {
        if id == ShapeId::ONE_CPU {
            return;
        }
        let keep = self.shapes.len() < IDLE_SHAPES_MAX;
        let Some(shape) = self.shape_mut(id) else { return };
        shape.users = shape.users.saturating_sub(1);
        if shape.users == 0 && !keep {
            let demand = std::mem::take(&mut shape.demand);
            self.by_demand.remove(&demand);
            self.vacant.push(id);
        }
    }

    /// Appends a task that has all its inputs.
    pub(crate) fn enqueue(&mut self, id: ShapeId, depth: u32, task: T) -> Enqueued {
        self.number += 1;
        let number = self.number;
        let Some(shape) = self.shapes.get_mut(id.0 as usize) else {
            debug_assert!(false, "shape ids come from intern");
            return Enqueued::Infeasible;
        };
        shape.ready.push(depth, number, task);
        self.ready += 1;
        // Asked of an unusual or a first shape only; the common case costs one comparison.
        if shape.ready.len() > 1 || self.ledger.is_feasible(&shape.demand) {
            return if shape.warned { Enqueued::Infeasible } else { Enqueued::Ready };
        }
        // A group's room comes later.
        if std::mem::replace(&mut shape.warned, true) || shape.demand.place().is_some() {
            Enqueued::Infeasible
        } else {
            Enqueued::InfeasibleFirst
        }
    }

    /// Whether the node has, when idle, what a shape demands.
    pub(crate) fn can_ever(&self, id: ShapeId) -> bool {
        let shape = self.shapes.get(id.0 as usize);
        shape.is_some_and(|shape| self.ledger.is_feasible(&shape.demand))
    }

    /// How many tasks wait for resources.
    pub(crate) const fn ready_count(&self) -> usize {
        self.ready
    }

    /// The task that would run next, if any can; it stays where it is.
    pub(crate) fn peek(&mut self) -> Option<(ShapeId, &T)> {
        if self.ready == 0 {
            return None;
        }
        let id = self.choose()?;
        let (_, task) = self.shapes.get_mut(id.0 as usize)?.ready.head()?;
        Some((id, task))
    }

    /// Takes the task that should run next and what it demands; `None` when none can run.
    pub(crate) fn next(&mut self) -> Option<(ShapeId, T)> {
        if self.ready == 0 {
            return None;
        }
        let id = self.choose()?;
        let chosen = self.shapes.get_mut(id.0 as usize)?;
        let acquired = self.ledger.acquire(&chosen.demand);
        debug_assert!(acquired, "a chosen head fits");
        let rank = chosen.ready.head()?.0;
        let task = chosen.ready.pop()?;
        chosen.passed_over = 0;
        self.ready -= 1;
        if self.shapes.len() > 1 {
            self.count_passed_over(rank);
        }
        Some((id, task))
    }

    /// What was taken last is held by an actor.
    pub(crate) fn hold_lastingly(&mut self, id: ShapeId) {
        if let Some(shape) = self.shapes.get(id.0 as usize) {
            let acquired = self.lasting.acquire(&shape.demand);
            debug_assert!(acquired, "what tasks left over fits without them");
        }
    }

    /// An actor that held what this shape demands ended.
    pub(crate) fn finish_lasting(&mut self, id: ShapeId) {
        if let Some(shape) = self.shapes.get(id.0 as usize) {
            self.lasting.release(&shape.demand);
        }
        self.finish(id);
    }

    /// Takes out those at the heads of queues that are gone: nobody is held back for them.
    pub(crate) fn drop_heads(&mut self, is_gone: impl Fn(&T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for shape in &mut self.shapes {
            while shape.ready.head().is_some_and(|(_, waiter)| is_gone(waiter)) {
                gone.extend(shape.ready.pop());
                shape.passed_over = 0;
            }
        }
        self.ready -= gone.len();
        gone
    }

    /// A running task ended, however it ended.
    pub(crate) fn finish(&mut self, id: ShapeId) {
        if let Some(shape) = self.shapes.get(id.0 as usize) {
            self.ledger.release(&shape.demand);
        }
    }

    /// A running task waits for something and gives back its CPUs.
    pub(crate) fn block(&mut self, id: ShapeId) {
        if let Some(shape) = self.shapes.get(id.0 as usize) {
            self.ledger.release_cpus(&shape.demand);
            self.blocked += 1;
        }
    }

    /// A blocked task has what it waited for: `true` when it may go on at once, `false` when it must
    /// wait until [`Self::grant`] hands it out.
    #[must_use]
    pub(crate) fn unblock(&mut self, id: ShapeId, task: T) -> bool {
        let Some(shape) = self.shapes.get(id.0 as usize) else { return true };
        if self.returning.is_empty() && self.ledger.reacquire_cpus(&shape.demand) {
            self.blocked -= 1;
            return true;
        }
        self.returning.push_back((id, task));
        false
    }

    /// A blocked or returning task ended without going on: it holds only what is no CPU.
    pub(crate) fn finish_blocked(&mut self, id: ShapeId, is_it: impl Fn(&T) -> bool) {
        self.returning.retain(|(_, task)| !is_it(task));
        if let Some(shape) = self.shapes.get(id.0 as usize) {
            self.ledger.release_held_while_blocked(&shape.demand);
            self.blocked -= 1;
        }
    }

    /// The next returning task that has its CPUs again.
    pub(crate) fn grant(&mut self) -> Option<T> {
        let (id, _) = self.returning.front()?;
        let shape = self.shapes.get(id.0 as usize)?;
        if !self.ledger.reacquire_cpus(&shape.demand) {
            return None;
        }
        self.blocked -= 1;
        self.returning.pop_front().map(|(_, task)| task)
    }

    /// More of a resource becomes available; demands that could not be met are looked at again.
    pub(crate) fn grow(&mut self, resource: &str, amount: Quantity) {
        self.ledger.grow(resource, amount);
        self.lasting.grow(resource, amount);
        for shape in &mut self.shapes {
            shape.warned &= !self.ledger.is_feasible(&shape.demand);
        }
    }

    /// Takes out every ready task for which `keep` does not hold.
    pub(crate) fn sweep(&mut self, keep: impl Fn(&T) -> bool) -> Vec<T> {
        let swept: Vec<T> =
            self.shapes.iter_mut().flat_map(|shape| shape.ready.sweep(&keep)).collect();
        self.ready -= swept.len();
        swept
    }

    /// What the node has and what is free.
    pub(crate) fn amounts(&self) -> Vec<ResourceAmount> {
        self.ledger.amounts()
    }

    /// Why a ready task of this shape does not run, as text.
    pub(crate) fn why(&self, id: ShapeId) -> String {
        self.shapes.get(id.0 as usize).map_or_else(String::new, |shape| self.why_not(&shape.demand))
    }

    /// Why such a demand is not met now, as text.
    pub(crate) fn why_not(&self, demand: &Demand) -> String {
        if !self.ledger.is_feasible(demand)
            && let Some(within) = demand.place()
        {
            return format!("waiting for {within}, whose room is not here");
        }
        if !self.ledger.is_feasible(demand) {
            let has: Vec<String> =
                self.amounts().iter().map(|a| format!("{} {}", a.total, a.resource)).collect();
            return format!(
                "needs {demand}, which no node can ever meet; this node has {}",
                has.join(", ")
            );
        }
        match self.ledger.shortage(demand) {
            short if short.is_empty() => "waiting for its turn".to_owned(),
            short => format!("waiting for {short}"),
        }
    }

    /// The shape whose head should run next among those that can.
    fn choose(&mut self) -> Option<ShapeId> {
        let held_back_by = self.impatient();
        let cpus_are_promised = !self.returning.is_empty();
        let mut best: Option<(bool, Rank, usize)> = None;
        for (at, shape) in self.shapes.iter_mut().enumerate() {
            if shape.ready.len() == 0
                || (cpus_are_promised && !shape.demand.cpu_count().is_zero())
                || !self.ledger.fits(&shape.demand)
                || held_back_by.as_ref().is_some_and(|d| self.ledger.competes(d, &shape.demand))
            {
                continue;
            }
            let is_its_turn = shape.passed_over >= PATIENCE;
            if let Some((rank, _)) = shape.ready.head()
                && best.is_none_or(|(its_turn, best, _)| match (is_its_turn, its_turn) {
                    (true, true) => rank.is_older(best),
                    (false, false) => rank.goes_before(best),
                    (is_its_turn, _) => is_its_turn,
                })
            {
                best = Some((is_its_turn, rank, at));
            }
        }
        best.and_then(|(_, _, at)| u32::try_from(at).ok()).map(ShapeId)
    }

    /// The demand of a head that lost its patience, if others should make room for it.
    fn impatient(&self) -> Option<Demand> {
        if self.blocked > 0 || self.shapes.len() == 1 {
            return None;
        }
        let waits = |shape: &&Shape<T>| {
            shape.passed_over >= PATIENCE
                && shape.ready.len() > 0
                && !self.ledger.fits(&shape.demand)
                && self.lasting.fits(&shape.demand)
        };
        self.shapes.iter().find(waits).map(|shape| shape.demand.clone())
    }

    /// Heads that should have come before `taken` but did not fit, and those that have waited longer, have been passed
    /// over once more.
    fn count_passed_over(&mut self, taken: Rank) {
        for shape in &mut self.shapes {
            if let Some((rank, _)) = shape.ready.head()
                && (rank.goes_before(taken) || rank.is_older(taken))
            {
                shape.passed_over = shape.passed_over.saturating_add(1);
            }
        }
    }

    fn shape_mut(&mut self, id: ShapeId) -> Option<&mut Shape<T>> {
        self.shapes.get_mut(id.0 as usize)
    }
}

#[cfg(test)]
mod tests;
