//! Values that are lost with a node, and made again.

use std::sync::Arc;

use mobula::prelude::*;
use mobula::{GetError, Placement, TaskError};

use super::town::{LARGE, LIMIT, Shelf, Town, longer, make, ran, runs, until};

async fn get(object: &ObjectRef<Vec<u8>>) -> Result<Arc<Vec<u8>>, GetError> {
    tokio::time::timeout(LIMIT, object.get()).await.expect("a get ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_a_result_lost_with_its_node_is_made_again_and_what_it_was_made_of_too() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let (base, top) = first
        .enter(async {
            let there = town.at(1);
            let base = make::options().on(there.rather()).max_retries(2);
            let base = base.remote("f18 base".to_owned(), LARGE);
            let top = longer::options().on(there.rather()).max_retries(2);
            let top = top.remote("f18 top".to_owned(), &base);
            town.at(0).made_elsewhere(top.id()).await;
            assert!(!town.at(0).node.store().whereabouts(base.id()).unwrap().is_here);
            (base, top)
        })
        .await;
    assert_eq!((runs("f18 base"), runs("f18 top")), (1, 1));
    town.lose(1).await;
    assert_eq!(get(&top).await.unwrap().len(), LARGE + 1);
    assert_eq!((runs("f18 base"), runs("f18 top")), (2, 2));
    assert_eq!(get(&base).await.unwrap().len(), LARGE);
    assert_eq!(runs("f18 base"), 2, "made again once");
    drop((base, top));
    town.is_empty().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_what_nobody_needed_any_more_is_made_again_for_what_was_made_of_it() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let top = first
        .enter(async {
            let there = town.at(1);
            // One was made elsewhere, the other here.
            let far = make::options().on(there.rather()).max_retries(1);
            let far = far.remote("f18 far".to_owned(), LARGE);
            let near = make::options().on(town.at(0).rather()).max_retries(1);
            let near = near.remote("f18 near".to_owned(), LARGE);
            let join = join::options().on(there.rather()).max_retries(1);
            let top = join.remote(&far, &near);
            town.at(0).made_elsewhere(top.id()).await;
            top
        })
        .await;
    until(|| town.at(0).objects().0 == 1).await;
    town.lose(1).await;
    assert_eq!(get(&top).await.unwrap().len(), 2 * LARGE);
    assert_eq!((runs("f18 far"), runs("f18 near"), runs("f18 join")), (2, 2, 2));
    drop(top);
    town.is_empty().await;
    town.end().await;
}

#[mobula::task]
fn join(left: Vec<u8>, right: Arc<Vec<u8>>) -> Vec<u8> {
    ran("f18 join");
    [left.as_slice(), right.as_slice()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_whoever_waits_on_another_node_gets_what_was_made_again() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let (object, reader) = first
        .enter(async {
            let object = make::options().on(town.at(1).rather()).max_retries(1);
            let object = object.remote("f18 reader".to_owned(), LARGE);
            town.at(0).made_elsewhere(object.id()).await;
            (object, Shelf::options().on(town.at(2).only()).remote())
        })
        .await;
    reader.ready().await.unwrap();
    town.lose(1).await;
    let length = first.enter(async { reader.read(vec![object.clone()]).await }).await;
    assert_eq!(length.unwrap(), LARGE);
    assert_eq!(runs("f18 reader"), 2);
    drop((object, reader));
    town.end().await;
}

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("not at the moment")]
struct NotNow;

/// Fails the second time.
#[mobula::task]
fn moody(size: usize) -> Result<Vec<u8>, NotNow> {
    ran("f18 moody");
    if runs("f18 moody") == 2 { Err(NotNow) } else { Ok(vec![7; size]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_a_task_that_is_made_again_is_retried_as_it_was_said() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let object = first
        .enter(async {
            let moody = moody::options().on(town.at(1).rather()).max_retries(3);
            let moody = moody.retry_if(|error| matches!(error, TaskError::UserError { .. }));
            let object = moody.remote(LARGE);
            town.at(0).made_elsewhere(object.id()).await;
            object
        })
        .await;
    town.lose(1).await;
    assert_eq!(get(&object).await.unwrap().len(), LARGE);
    assert_eq!(runs("f18 moody"), 3);
    drop(object);
    town.is_empty().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_a_task_runs_no_more_often_than_it_may_and_then_the_error_says_so() {
    let mut town = Town::new(4).await;
    let first = town.at(0).node.clone();
    // Two nodes may run it, one after the other; both will be lost.
    let object = first
        .enter(async {
            let works = Placement::Labelled {
                name: "zone".to_owned(),
                value: "works".to_owned(),
                or_elsewhere: false,
            };
            make::options().on(works).max_retries(1).remote("f19 twice".to_owned(), LARGE)
        })
        .await;
    let house = town.at(0).node.clone();
    let copies = |object: &ObjectRef<Vec<u8>>| {
        let place = house.store().whereabouts(object.id()).unwrap();
        assert!(!place.is_here);
        place.copies.iter().map(|store| store.node.0).collect::<Vec<u64>>()
    };
    until(|| !copies(&object).is_empty()).await;
    for _ in 0..2 {
        let at = copies(&object)[0];
        let place = (1..3).find(|place| town.holds(*place, at)).unwrap();
        town.lose(place).await;
        if runs("f19 twice") == 2 {
            break;
        }
        // Somebody wants it, and lets go of it again.
        first
            .enter(async {
                let shelf = Shelf::options().on(town.at(3).only()).remote();
                assert_eq!(shelf.read(vec![object.clone()]).await.unwrap(), LARGE);
            })
            .await;
        until(|| copies(&object).len() == 1).await;
    }
    let error = get(&object).await.unwrap_err();
    assert!(matches!(error, GetError::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("run again 1 times, which is the limit"), "{error}");
    assert_eq!(runs("f19 twice"), 2);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_recipes_that_were_given_up_for_lack_of_room_say_so() {
    let mut town = Town::with(2, || Node::builder().num_cpus(2.0).lineage_bytes(2000)).await;
    let first = town.at(0).node.clone();
    let many: Vec<ObjectRef<Vec<u8>>> = first
        .enter(async {
            let there = town.at(1).rather();
            let task = || make::options().on(there.clone()).max_retries(1);
            (0..16).map(|number| task().remote(format!("f19 {number}"), LARGE)).collect()
        })
        .await;
    for object in &many {
        town.at(0).made_elsewhere(object.id()).await;
    }
    town.lose(1).await;
    let (mut evicted, mut again) = (0, 0);
    for object in &many {
        match get(object).await {
            Ok(bytes) => again += usize::from(bytes.len() == LARGE),
            Err(error) => {
                assert!(error.to_string().contains("given up for lack of room"), "{error}");
                evicted += 1;
            }
        }
    }
    assert!(evicted > 0 && again > 0 && evicted + again == 16, "{evicted} and {again}");
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_what_was_put_or_must_not_run_twice_is_lost_and_says_why() {
    let mut town = Town::new(2).await;
    let first = town.at(0).node.clone();
    let (of_put, once) = first
        .enter(async {
            let there = town.at(1);
            let put = mobula::put(vec![7_u8; LARGE]).await.unwrap();
            let of_put = longer::options().on(there.rather()).max_retries(3);
            let of_put = of_put.remote("f20 of put".to_owned(), &put);
            let once = make::options().on(there.rather()).remote("f20 once".to_owned(), LARGE);
            town.at(0).made_elsewhere(of_put.id()).await;
            town.at(0).made_elsewhere(once.id()).await;
            (of_put, once)
        })
        .await;
    town.lose(1).await;
    let error = get(&of_put).await.unwrap_err();
    assert!(matches!(error, GetError::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("put by hand"), "{error}");
    let error = get(&once).await.unwrap_err();
    assert!(matches!(error, GetError::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("max_retries"), "{error}");
    assert_eq!((runs("f20 of put"), runs("f20 once")), (1, 1));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_a_surviving_copy_is_used_instead_of_running_again() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let (object, shelf) = first
        .enter(async {
            let object = make::options().on(town.at(1).rather()).max_retries(3);
            let object = object.remote("f22".to_owned(), LARGE);
            town.at(0).made_elsewhere(object.id()).await;
            let shelf = Shelf::options().on(town.at(2).only()).remote();
            shelf.keep(vec![object.clone()]).await.unwrap();
            assert_eq!(shelf.read_kept().await.unwrap(), LARGE);
            (object, shelf)
        })
        .await;
    until(|| town.at(0).copies(object.id()).len() == 2).await;
    town.lose(1).await;
    assert_eq!(get(&object).await.unwrap().len(), LARGE);
    // The same for what a task needs.
    let longer = first.enter(async { longer::remote("f22 longer".to_owned(), &object) }).await;
    assert_eq!(get(&longer).await.unwrap().len(), LARGE + 1);
    assert_eq!(runs("f22"), 1);
    drop((object, longer, shelf));
    town.end().await;
}

#[mobula::task(num_returns = 2)]
fn halves(size: usize) -> (Vec<u8>, Vec<u8>) {
    ran("f23");
    (vec![1; size], vec![2; size])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_of_several_results_the_lost_one_is_made_again_and_the_others_stay_valid() {
    let mut town = Town::new(2).await;
    let first = town.at(0).node.clone();
    let (left, right) = first
        .enter(async {
            let halves = halves::options().on(town.at(1).rather()).max_retries(1);
            halves.remote(LARGE)
        })
        .await;
    let before = get(&left).await.unwrap();
    assert!(!town.at(0).node.store().whereabouts(right.id()).unwrap().is_here);
    town.lose(1).await;
    assert_eq!(*get(&right).await.unwrap(), vec![2; LARGE]);
    assert_eq!(runs("f23"), 2);
    let after = get(&left).await.unwrap();
    assert!(Arc::ptr_eq(&before, &after), "what was here is what it was");
    drop((left, right));
    town.is_empty().await;
    town.end().await;
}
