//! What keeps an object alive when those who need it are on several nodes.

use std::sync::Arc;

use mobula::prelude::*;
use mobula::{NodeId, ObjectId, Placement};
use serde::{Deserialize, Serialize};

use super::town::{House, LARGE, LIMIT, Shelf, Town, length, until};

const SIZES: [usize; 2] = [2, 5];

/// Waits to be let through by a flag of this process, on whatever node.
#[mobula::task]
async fn behind(gate: String, bytes: Arc<Vec<u8>>) -> Result<usize, String> {
    gates::pass(&gate).await;
    if gate.ends_with("fails") { Err("on purpose".to_owned()) } else { Ok(bytes.len()) }
}

mod gates {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::sync::Semaphore;

    static GATES: Mutex<BTreeMap<String, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());

    fn gate(name: &str) -> Arc<Semaphore> {
        let closed = || Arc::new(Semaphore::new(0));
        Arc::clone(GATES.lock().entry(name.to_owned()).or_insert_with(closed))
    }

    pub(super) async fn pass(name: &str) {
        drop(gate(name).acquire().await.unwrap());
    }

    pub(super) fn open(name: &str) {
        gate(name).add_permits(1);
    }
}

/// (local, submitted, elsewhere) as this node counts them.
fn counts<T>(object: &ObjectRef<T>) -> (u32, u32, u32) {
    let counts = object.counts();
    (counts.local, counts.submitted, counts.elsewhere)
}

/// Without what is on its way, or needed elsewhere.
const fn here((local, submitted, _): (u32, u32, u32)) -> (u32, u32) {
    (local, submitted)
}

/// The same of a node that has a reference, or had one.
fn counts_at(house: &House, object: ObjectId) -> (u32, u32, u32) {
    let rows = house.node.store().list();
    let counts = rows.iter().find(|row| row.id == object).map(|row| row.counts).unwrap_or_default();
    (counts.local, counts.submitted, counts.elsewhere)
}

/// Submits tasks with a reference of its own, which run elsewhere.
pub struct Clerk {
    object: ObjectRef<Vec<u8>>,
    tasks: Vec<ObjectRef<usize>>,
}

#[mobula::actor]
impl Clerk {
    pub fn new(object: Vec<ObjectRef<Vec<u8>>>) -> Self {
        Self { object: object.into_iter().next().unwrap(), tasks: Vec::new() }
    }
    pub fn submit(&mut self, gates: Vec<String>, node: NodeId) {
        let on = || Placement::OnNode { node, or_elsewhere: false };
        let tasks =
            gates.into_iter().map(|gate| behind::options().on(on()).remote(gate, &self.object));
        self.tasks.extend(tasks);
    }
    /// How many of them succeeded, and of those how many bytes they saw.
    pub async fn ended(&mut self) -> (usize, usize) {
        let mut seen = (0, 0);
        for task in self.tasks.drain(..) {
            if let Ok(length) = task.get().await {
                seen = (seen.0 + 1, seen.1 + *length);
            }
        }
        seen
    }
}

/// All nodes but the first, each entered from the first.
fn others(town: &Town) -> impl Iterator<Item = &House> {
    town.houses().skip(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_an_object_lives_while_anybody_on_any_node_needs_it_and_its_room_comes_back() {
    for size in SIZES {
        let town = Town::new(size).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                // A pending task on another node.
                let gate = format!("o4 {size}");
                let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                let id = object.id();
                let tasks: Vec<_> = others(&town)
                    .map(|house| behind::options().on(house.only()).remote(gate.clone(), &object))
                    .collect();
                drop(object);
                assert!(first.node.store().whereabouts(id).unwrap().is_here);
                gates::open(&gate);
                for task in &tasks {
                    assert_eq!(*task.get().await.unwrap(), LARGE);
                }
                drop(tasks);
                until(|| first.objects() == (0, 0)).await;

                // A borrower, and a reference inside another object that is borrowed.
                let inner = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                let outer = mobula::put(vec![inner.clone()]).await.unwrap();
                for house in others(&town) {
                    let shelf = Shelf::options().on(house.only()).remote();
                    shelf.keep(vec![inner.clone()]).await.unwrap();
                    assert_eq!(shelf.read_kept().await.unwrap(), LARGE);
                    drop(shelf);
                }
                drop(inner);
                assert_eq!(first.objects().0, 2);
                drop(outer);
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_counts_follow_submission_to_other_nodes_completion_and_failure() {
    for size in SIZES {
        // Room for all six: those that are to fail may come first, and they wait for the others.
        let town = Town::with(size, || Node::builder().num_cpus(8.0)).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                assert_eq!(counts(&object), (1, 0, 0));
                let (gate, bad) = (format!("o5 {size}"), format!("o5 {size} fails"));
                let place = |place: usize| town.at(1 + place % (size - 1)).only();
                let good: Vec<_> = (0..3)
                    .map(|at| behind::options().on(place(at)).remote(gate.clone(), &object))
                    .collect();
                let fail: Vec<_> = (0..3)
                    .map(|at| behind::options().on(place(at)).remote(bad.clone(), &object))
                    .collect();
                assert_eq!(here(counts(&object)), (1, 6));
                // What is on its way, and what other nodes need of it, is counted apart.
                until(|| counts(&object).2 > 0).await;
                assert_eq!(here(counts(&object)), (1, 6));
                gates::open(&gate);
                for (done, task) in good.iter().enumerate() {
                    task.get().await.unwrap();
                    assert!(
                        here(counts(&object)).1 <= 5 - done as u32,
                        "what has ended is counted no more"
                    );
                }
                assert_eq!(here(counts(&object)), (1, 3));
                gates::open(&bad);
                for task in &fail {
                    let error = task.get().await.unwrap_err();
                    assert!(error.to_string().contains("on purpose"), "{error}");
                }
                assert_eq!(here(counts(&object)), (1, 0));
                until(|| counts(&object) == (1, 0, 0)).await;
            })
            .await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_each_node_counts_its_own_and_the_keeper_that_others_need_it() {
    for size in SIZES {
        let town = Town::with(size, || Node::builder().num_cpus(8.0)).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                let id = object.id();

                // References that travel are counted where they arrive.
                let mut shelves = Vec::new();
                for house in others(&town) {
                    let shelf = Shelf::options().on(house.only()).remote();
                    shelf.keep(vec![object.clone(); 3]).await.unwrap();
                    assert_eq!(counts_at(house, id), (3, 0, 0));
                    shelves.push(shelf);
                }
                until(|| counts(&object) == (1, 0, 1)).await;
                let copies = vec![object.clone(); 3];
                assert_eq!(counts(&object), (4, 0, 1));
                drop(copies);
                assert_eq!(counts(&object), (1, 0, 1), "of all who need it elsewhere there is one");
                for (house, shelf) in others(&town).zip(&shelves) {
                    shelf.drop_one().await.unwrap();
                    assert_eq!(counts_at(house, id), (2, 0, 0));
                }

                // Tasks are counted where they were submitted, wherever they run.
                let last = town.at(size - 1);
                let clerk = Clerk::options().on(last.only()).remote(vec![object.clone()]);
                let (good, bad) = (format!("o5 far {size}"), format!("o5 far {size} fails"));
                let all = vec![good.clone(), bad.clone(), good.clone(), bad.clone()];
                clerk.submit(all, first.id()).await.unwrap();
                assert_eq!(here(counts_at(last, id)), (3, 4), "two are kept, one is the clerk's");
                until(|| counts(&object).0 == 1).await;
                gates::open(&good);
                gates::open(&bad);
                assert_eq!(clerk.ended().await.unwrap(), (2, 2 * LARGE));
                assert_eq!(here(counts_at(last, id)), (3, 0));
                until(|| counts_at(last, id) == (3, 0, 0)).await;
                until(|| counts(&object) == (1, 0, 1)).await;

                // The last reference elsewhere is gone.
                drop((shelves, clerk));
                until(|| counts(&object) == (1, 0, 0)).await;
                assert!(others(&town).all(|house| counts_at(house, id) == (0, 0, 0)));
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o6_a_task_that_fails_or_is_cancelled_on_another_node_releases_its_arguments() {
    for size in SIZES {
        let town = Town::new(size).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                let bad = format!("o6 {size} fails");
                let mut tasks = Vec::new();
                for house in others(&town) {
                    let options = || behind::options().on(house.only());
                    tasks.push(options().remote(bad.clone(), &object));
                    let cancelled = options().remote(format!("o6 {size} never"), &object);
                    until(|| house.node.status().unfinished_tasks == 2).await;
                    cancelled.cancel();
                    assert!(cancelled.get().await.is_err());
                }
                gates::open(&bad);
                for task in &tasks {
                    task.get().await.unwrap_err();
                }
                drop(tasks);
                until(|| counts(&object) == (1, 0, 0)).await;
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

/// Hands the reference on, from node to node, and measures at the end.
#[mobula::task]
async fn pass_on(path: Vec<u64>, object: Vec<ObjectRef<Vec<u8>>>) -> usize {
    let Some((next, rest)) = path.split_first() else {
        return object[0].get().await.unwrap().len();
    };
    let node = NodeId(*next);
    let there = Placement::OnNode { node, or_elsewhere: false };
    let further = pass_on::options().on(there).remote(rest.to_vec(), object);
    *further.get().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o7_a_reference_through_a_chain_of_tasks_over_nodes_keeps_the_object_to_the_end() {
    for size in SIZES {
        let town = Town::new(size).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                let ids: Vec<u64> = town.houses().map(|house| house.id().0).collect();
                let path: Vec<u64> = ids.iter().cycle().skip(1).take(2 * size).copied().collect();
                let length = pass_on::remote(path, vec![object]);
                assert_eq!(*length.get().await.unwrap(), LARGE);
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o8_an_actor_that_stores_references_keeps_the_object_until_it_drops_the_last_or_ends() {
    for size in SIZES {
        let town = Town::new(size).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                for house in others(&town) {
                    let shelf = Shelf::options().on(house.only()).remote();
                    let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                    shelf.keep(vec![object.clone(), object.clone()]).await.unwrap();
                    drop(object);
                    // The word that it is needed no longer would have come before this answer's.
                    assert_eq!(shelf.drop_one().await.unwrap(), 1);
                    assert_eq!(shelf.read_kept().await.unwrap(), LARGE);
                    assert_eq!(first.objects().0, 1);
                    assert_eq!(shelf.drop_one().await.unwrap(), 0);
                    until(|| first.objects() == (0, 0)).await;

                    let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                    shelf.keep(vec![object.clone(), object.clone()]).await.unwrap();
                    drop(object);
                    assert_eq!(shelf.read_kept().await.unwrap(), LARGE);
                    shelf.kill().await.unwrap();
                    until(|| first.objects() == (0, 0)).await;
                }
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

/// A box in a box.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Crate {
    label: u32,
    inside: Option<ObjectRef<Crate>>,
}

/// Takes what is inside, so many levels down.
pub struct Opener;

#[mobula::actor]
impl Opener {
    pub fn new() -> Self {
        Self
    }
    pub async fn open(&mut self, outer: Vec<ObjectRef<Crate>>, levels: u32) -> ObjectRef<Crate> {
        let mut inner = outer[0].clone();
        for _ in 0..levels {
            let inside = inner.get().await.unwrap().inside.clone();
            inner = inside.unwrap();
        }
        inner
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o9_references_inside_values_keep_what_they_lead_to_to_any_depth() {
    for size in SIZES {
        let town = Town::new(size).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                for house in others(&town) {
                    let opener = Opener::options().on(house.only()).remote();
                    let mut outer = mobula::put(Crate { label: 0, inside: None }).await.unwrap();
                    for label in 1..=20 {
                        outer = mobula::put(Crate { label, inside: Some(outer) }).await.unwrap();
                    }
                    let inner = opener.open(vec![outer.clone()], 10).await.unwrap();
                    drop(outer);
                    until(|| first.objects().0 == 11).await;
                    assert_eq!(inner.get().await.unwrap().label, 10);
                    drop(inner);
                    until(|| first.objects() == (0, 0)).await;
                }
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o13_freeing_by_hand_removes_every_copy_and_later_users_are_told() {
    for size in SIZES {
        let town = Town::new(size).await;
        let first = town.at(0);
        first
            .node
            .enter(async {
                let object = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                let mut shelves = Vec::new();
                for house in others(&town) {
                    let shelf = Shelf::options().on(house.only()).remote();
                    shelf.keep(vec![object.clone()]).await.unwrap();
                    assert_eq!(shelf.read_kept().await.unwrap(), LARGE);
                    shelves.push(shelf);
                }
                mobula::free(&object);
                until(|| town.houses().all(|house| house.objects().1 == 0)).await;
                assert!(object.get().await.unwrap_err().to_string().contains("freed"));
                for shelf in &shelves {
                    let error = shelf.read_kept().await.unwrap_err().to_string();
                    assert!(error.contains("freed"), "{error}");
                }
                let dependent = length::options().on(town.at(1).only()).remote(&object);
                let dependent = tokio::time::timeout(LIMIT, dependent.get()).await.unwrap();
                assert!(dependent.unwrap_err().to_string().contains("freed"));
            })
            .await;
        town.end().await;
    }
}
