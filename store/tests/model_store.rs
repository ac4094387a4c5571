//! Random histories of one store against a model that is too simple to be wrong.
//!
//! The model keeps a plain list of objects with plain numbers; after every step the store's listing, usage and
//! the outcome of every get must agree with it.

#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]

use std::collections::BTreeMap;

use mobula_actor_core::{Arg, IntoArg};
use mobula_store::{
    GetError, ObjectId, ObjectRef, Sealer, Store, StoreConfig, TaskError, free, wait,
};
use proptest::prelude::*;
use proptest::sample::Index;

type Value = Vec<u8>;

#[derive(Clone, Debug)]
enum Step {
    Create,
    Put(usize),
    Clone(Index),
    Submit(Index),
    DropReference(Index),
    EndTask(Index),
    Seal(Index, usize),
    Fail(Index),
    Free(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<Index>;
    let step = prop_oneof![
        Just(Step::Create),
        (0_usize..50).prop_map(Step::Put),
        index().prop_map(Step::Clone),
        index().prop_map(Step::Submit),
        index().prop_map(Step::DropReference),
        index().prop_map(Step::EndTask),
        (index(), 0_usize..50).prop_map(|(index, len)| Step::Seal(index, len)),
        index().prop_map(Step::Fail),
        index().prop_map(Step::Free),
    ];
    prop::collection::vec(step, 1..120)
}

/// What the model knows of an object.
#[derive(Debug)]
struct Plain {
    state: &'static str,
    bytes: u64,
    local: u32,
    submitted: u32,
    /// When it became ready.
    ready_at: Option<usize>,
}

#[derive(Default)]
struct World {
    references: Vec<ObjectRef<Value>>,
    tasks: Vec<(ObjectId, Arg<Value>)>,
    sealers: Vec<Sealer<Value>>,
    model: BTreeMap<ObjectId, Plain>,
    /// Counts what became ready.
    clock: usize,
}

impl World {
    fn take<T>(list: &mut Vec<T>, index: Index) -> Option<T> {
        (!list.is_empty()).then(|| list.swap_remove(index.index(list.len())))
    }

    fn plain(&mut self, id: ObjectId) -> &mut Plain {
        self.model.get_mut(&id).expect("a living reference has an object")
    }

    fn forget_unneeded(&mut self, id: ObjectId) {
        let plain = self.plain(id);
        if (plain.local, plain.submitted) == (0, 0) {
            self.model.remove(&id);
        }
    }

    fn settle(&mut self, id: ObjectId, state: &'static str, bytes: u64) {
        self.clock += 1;
        let now = self.clock;
        if let Some(plain) = self.model.get_mut(&id)
            && plain.state == "pending"
        {
            (plain.state, plain.bytes, plain.ready_at) = (state, bytes, Some(now));
        }
    }

    fn apply(&mut self, store: &Store, step: Step) {
        match step {
            Step::Create => {
                let (reference, sealer) = store.create_pending();
                self.enter(reference, "pending", 0);
                self.sealers.push(sealer);
            }
            Step::Put(len) => {
                let reference = store.put(vec![1; len]).try_now().expect("plenty of room");
                self.enter(reference, "sealed", len as u64);
            }
            Step::Clone(index) if !self.references.is_empty() => {
                let reference = index.get(&self.references).clone();
                self.plain(reference.id()).local += 1;
                self.references.push(reference);
            }
            Step::Submit(index) if !self.references.is_empty() => {
                let reference = index.get(&self.references);
                let (id, arg) = (reference.id(), reference.into_arg());
                self.tasks.push((id, arg));
                self.plain(id).submitted += 1;
            }
            Step::DropReference(index) => {
                if let Some(reference) = Self::take(&mut self.references, index) {
                    self.plain(reference.id()).local -= 1;
                    self.forget_unneeded(reference.id());
                }
            }
            Step::EndTask(index) => {
                if let Some((id, _)) = Self::take(&mut self.tasks, index) {
                    self.plain(id).submitted -= 1;
                    self.forget_unneeded(id);
                }
            }
            Step::Seal(index, len) => {
                if let Some(sealer) = Self::take(&mut self.sealers, index) {
                    let id = sealer.object().expect("not used up");
                    sealer.seal(Ok(vec![1; len]));
                    self.settle(id, "sealed", len as u64);
                }
            }
            Step::Fail(index) => {
                if let Some(sealer) = Self::take(&mut self.sealers, index) {
                    let id = sealer.object().expect("not used up");
                    sealer.fail(TaskError::Cancelled { task: "t".into() });
                    self.settle(id, "failed", 0);
                }
            }
            Step::Free(index) if !self.references.is_empty() => {
                let reference = index.get(&self.references).clone();
                free(&reference);
                self.settle(reference.id(), "freed", 0);
                let plain = self.plain(reference.id());
                if plain.state == "sealed" {
                    (plain.state, plain.bytes) = ("freed", 0);
                }
            }
            Step::Clone(_) | Step::Submit(_) | Step::Free(_) => {}
        }
    }

    fn enter(&mut self, reference: ObjectRef<Value>, state: &'static str, bytes: u64) {
        self.clock += 1;
        let ready_at = (state != "pending").then_some(self.clock);
        let plain = Plain { state, bytes, local: 1, submitted: 0, ready_at };
        self.model.insert(reference.id(), plain);
        self.references.push(reference);
    }

    fn check(&self, store: &Store) -> Result<(), TestCaseError> {
        let listed: Vec<_> = store
            .list()
            .into_iter()
            .map(|row| (row.id, row.state, row.bytes, row.counts.local, row.counts.submitted))
            .collect();
        let expected: Vec<_> = self
            .model
            .iter()
            .map(|(id, plain)| (*id, plain.state, plain.bytes, plain.local, plain.submitted))
            .collect();
        prop_assert_eq!(listed, expected);
        let usage = store.usage();
        prop_assert_eq!(usage.objects, self.model.len());
        prop_assert_eq!(usage.bytes, self.model.values().map(|plain| plain.bytes).sum::<u64>());
        for reference in &self.references {
            let looked = reference.get().timeout(std::time::Duration::ZERO).blocking();
            let plain = &self.model[&reference.id()];
            let as_expected = match (plain.state, &looked) {
                ("pending", Err(GetError::Timeout { .. }))
                | ("failed", Err(GetError::Task(_)))
                | ("freed", Err(GetError::Freed { .. })) => true,
                ("sealed", Ok(value)) => value.len() as u64 == plain.bytes,
                _ => false,
            };
            prop_assert!(as_expected, "{:?} but {:?}", plain, looked);
        }
        self.check_wait()
    }

    /// A poll for one of all references gives the one that became ready first.
    fn check_wait(&self) -> Result<(), TestCaseError> {
        let mut distinct = self.references.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let ready_at = |id: &ObjectId| self.model[id].ready_at;
        let ids = distinct.iter().map(ObjectRef::id);
        let oldest = ids.filter(|id| ready_at(id).is_some()).min_by_key(ready_at);
        let (ready, rest) = wait(distinct.clone())
            .timeout(std::time::Duration::ZERO)
            .blocking()
            .expect("no duplicates");
        prop_assert_eq!(ready.first().map(ObjectRef::id), oldest);
        prop_assert_eq!(ready.len() + rest.len(), distinct.len());
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_store_agrees_with_plain_lists_and_ends_empty(history in steps()) {
        let store = Store::new(StoreConfig::default());
        let mut world = World::default();
        for step in history {
            world.apply(&store, step);
            world.check(&store)?;
        }
        drop(world);
        let usage = store.usage();
        prop_assert_eq!((usage.objects, usage.bytes), (0, 0));
    }
}
