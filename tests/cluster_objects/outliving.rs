//! Objects that outlive the node that made them.

use mobula::prelude::*;

use super::town::{LARGE, LIMIT, Shelf, Town, forever, make, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_object_is_read_after_its_maker_died_large_and_small() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let objects = first
        .enter(async {
            let maker = Shelf::options().on(town.at(2).only()).remote();
            let mut objects = Vec::new();
            for size in [10, LARGE] {
                objects.push((maker.put_durable(size).await.unwrap(), size));
            }
            objects
        })
        .await;
    town.lose(2).await;
    for (object, size) in &objects {
        let bytes = tokio::time::timeout(LIMIT, object.get()).await.unwrap().unwrap();
        assert_eq!(bytes.len(), *size);
        // And by one who had never heard of it.
        let read = first.enter(async {
            let reader = Shelf::options().on(town.at(1).only()).remote();
            reader.read(vec![object.clone()]).await.unwrap()
        });
        assert_eq!(read.await, *size);
    }
    drop(objects);
    town.is_empty().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_object_finds_a_new_backup_when_the_first_is_lost() {
    let mut town = Town::new(4).await;
    let maker = town.at(3).node.clone();
    let object = maker.enter(async { mobula::put(vec![7_u8; LARGE]).durable().await.unwrap() });
    let object = object.await;
    let id = object.id();
    let first = town.at(0).node.clone();
    let reader = first.enter(async { Shelf::options().on(town.at(0).only()).remote() }).await;
    maker.enter(async { reader.keep(vec![object.clone()]).await.unwrap() }).await;
    drop(object);
    let backup = town.at(3).copies(id)[0];
    let Some(lost) = (1..3).find(|place| town.holds(*place, backup)) else {
        // The reader's own node is the backup: that is the case of the other test.
        return town.end().await;
    };
    town.lose(lost).await;
    until(|| town.at(3).copies(id).iter().any(|copy| *copy != backup)).await;
    drop(maker);
    town.lose(3).await;
    let read = first.enter(async { reader.read_kept().await.unwrap() });
    assert_eq!(tokio::time::timeout(LIMIT, read).await.unwrap(), LARGE);
    drop(reader);
    town.is_empty().await;
    town.end().await;
}

/// A node's part in a test that it does not survive.
pub struct Maker;

#[mobula::actor]
impl Maker {
    pub fn new() -> Self {
        Self
    }
    pub async fn durable_result(&mut self, label: String) -> ObjectRef<Vec<u8>> {
        let made = make::options().durable().remote(label, LARGE);
        made.get().await.unwrap();
        let store = mobula::Store::current().unwrap();
        // A copy may be where the task ran; what counts is that of the backup.
        until(|| store.whereabouts(made.id()).unwrap().backup.is_some()).await;
        made
    }
    pub fn durable_pending(&mut self) -> ObjectRef<Vec<u8>> {
        forever::options().durable().remote()
    }
    pub async fn give(&mut self, size: usize, to: Vec<ActorRef<Shelf>>) -> ObjectRef<Vec<u8>> {
        let object = mobula::put(vec![7; size]).await.unwrap();
        object.transfer(&to[0]).await.unwrap();
        object
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_results_of_a_durable_task_outlive_its_node_once_they_are_made() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let (made, pending) = first
        .enter(async {
            let maker = Maker::options().on(town.at(2).only()).remote();
            let made = maker.durable_result("durable".to_owned()).await.unwrap();
            (made, maker.durable_pending().await.unwrap())
        })
        .await;
    let gone = town.at(2).id().to_string();
    town.lose(2).await;
    let bytes = tokio::time::timeout(LIMIT, made.get()).await.unwrap().unwrap();
    assert_eq!(bytes.len(), LARGE);
    // What was not made yet is lost with its task, and nobody waits for it for ever. Whether a backup had heard of it is
    // promised for made ones only, and says by which error.
    let error = tokio::time::timeout(LIMIT, pending.get()).await.unwrap().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("before it was made") || text.contains(&gone), "{text}");
    drop((made, pending));
    town.is_empty().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_handed_to_an_actor_lives_and_dies_with_that_actors_node() {
    let mut town = Town::new(4).await;
    let first = town.at(0).node.clone();
    let (object, small) = first
        .enter(async {
            let host = Shelf::options().on(town.at(1).only()).detached().remote();
            let maker = Maker::options().on(town.at(2).only()).remote();
            let object = maker.give(LARGE, vec![host.clone()]).await.unwrap();
            let small = maker.give(10, vec![host.clone()]).await.unwrap();
            (object, small)
        })
        .await;
    town.lose(2).await;
    assert_eq!(tokio::time::timeout(LIMIT, small.get()).await.unwrap().unwrap().len(), 10);
    let read = first.enter(async {
        let reader = Shelf::options().on(town.at(3).only()).remote();
        reader.read(vec![object.clone()]).await.unwrap()
    });
    assert_eq!(tokio::time::timeout(LIMIT, read).await.unwrap(), LARGE);
    assert_eq!(
        town.at(1).node.store().whereabouts(object.id()).unwrap().keeper.node.0,
        town.at(1).id().0
    );
    let gone = town.at(1).id();
    town.lose(1).await;
    let error = tokio::time::timeout(LIMIT, object.get()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains(&gone.to_string()), "{error}");
    drop((object, small));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_handed_to_an_actor_here_stays_and_one_of_another_node_cannot_be() {
    let town = Town::new(2).await;
    let first = town.at(0).node.clone();
    first
        .enter(async {
            let here = Shelf::options().on(town.at(0).only()).remote();
            let there = Shelf::options().on(town.at(1).only()).remote();
            let object = mobula::put(vec![7_u8; 10]).await.unwrap();
            object.transfer(&here).await.unwrap();
            assert_eq!(object.get().await.unwrap().len(), 10);
            let theirs = there.put(10).await.unwrap();
            let error = theirs.transfer(&there).await.unwrap_err().to_string();
            assert!(error.contains("is kept by"), "{error}");
            let pending = forever::remote();
            let error = pending.transfer(&there).await.unwrap_err().to_string();
            assert!(error.contains("when it has a value"), "{error}");
            pending.cancel();
            there.kill().await.unwrap();
            let error = object.transfer(&there).await.unwrap_err().to_string();
            assert!(error.contains("has ended"), "{error}");
        })
        .await;
    town.end().await;
}
