//! Rows O4 to O6 of the behaviours: who keeps an object, and what the counts say.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::{
    any::Any,
    future::poll_fn,
    sync::{Arc, Weak},
};

use mobula_actor_core::{Arg, Current, IntoArg, System, scope};
use mobula_store::{
    ArgPin, Canceller, GetError, ObjectRef, RefCounts, Store, StoreConfig, TaskError, WireError,
    decode, free,
};
use serde::{Deserialize, Serialize};

fn store() -> Store {
    Store::new(StoreConfig::default())
}

fn counts(local: u32, submitted: u32) -> RefCounts {
    RefCounts { local, submitted, elsewhere: 0 }
}

async fn resolved<T>(mut arg: Arg<T>) -> T {
    poll_fn(|cx| arg.poll_ready(cx)).await.unwrap();
    arg.take().unwrap()
}

fn pin_of<T: 'static>(arg: &Arg<T>) -> Arc<ArgPin> {
    let Arg::Later(resolve) = arg else { panic!("a reference comes later") };
    let dependency: Arc<dyn Any + Send + Sync> = resolve.dependency().unwrap();
    dependency.downcast().unwrap()
}

#[tokio::test(start_paused = true)]
async fn o4_an_object_lives_until_its_last_reference_and_usage_returns_to_zero() {
    let store = store();
    let value = Arc::new(vec![0_u8; 1000]);
    let alive: Weak<Vec<u8>> = Arc::downgrade(&value);
    let object = store.put_shared(value).await.unwrap();
    let copy = object.clone();
    drop(object);
    assert_eq!((store.usage().objects, store.usage().bytes), (1, 1000));
    drop(copy);
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
    assert!(alive.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn o4_a_pending_task_keeps_its_argument() {
    let store = store();
    let object = store.put("argument".to_owned()).await.unwrap();
    let arg: Arg<String> = object.into_arg();
    assert_eq!(store.usage().objects, 1);
    assert_eq!(resolved(arg).await, "argument");
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn o4_a_value_got_outlives_its_object() {
    let store = store();
    let object = store.put(vec![1_u8, 2]).await.unwrap();
    let value = object.get().await.unwrap();
    drop(object);
    assert_eq!(store.usage().bytes, 0);
    assert_eq!(*value, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn o4_a_result_that_nobody_wants_any_more_is_dropped_as_it_comes() {
    let store = store();
    let (object, sealer) = store.create_pending::<Vec<u8>>();
    assert!(sealer.is_wanted());
    drop(object);
    assert!(!sealer.is_wanted());
    sealer.seal(Ok(vec![0; 1000]));
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn o4_a_hundred_thousand_objects_one_inside_the_other_go_without_exhausting_the_stack() {
    #[derive(Serialize, Deserialize)]
    struct Link(Option<ObjectRef<Self>>);
    let store = store();
    let mut chain = store.put(Link(None)).await.unwrap();
    for _ in 0..100_000 {
        chain = store.put(Link(Some(chain))).await.unwrap();
    }
    assert_eq!(store.usage().objects, 100_001);
    drop(chain);
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn o5_counts_follow_copies_submission_and_completion_exactly() {
    let store = store();
    let (object, sealer) = store.create_pending::<u64>();
    assert_eq!(object.counts(), counts(1, 0));
    let copy = object.clone();
    assert_eq!(object.counts(), counts(2, 0));
    drop(copy);

    let by_reference: Arg<u64> = (&object).into_arg();
    let moved: Arg<Arc<u64>> = object.clone().into_arg();
    assert_eq!(object.counts(), counts(1, 2));
    let running = pin_of(&by_reference);
    assert_eq!(object.counts(), counts(1, 2), "a scheduler's pin is the argument's own");

    sealer.seal(Ok(5));
    assert_eq!((resolved(by_reference).await, *resolved(moved).await), (5, 5));
    assert_eq!(object.counts(), counts(1, 1), "the task still runs");
    drop(running);
    assert_eq!(object.counts(), counts(1, 0));

    let got = object.get();
    assert_eq!(object.counts(), counts(2, 0), "a get under way is a local need");
    drop(got);
    assert_eq!(object.counts(), counts(1, 0));
    assert_eq!(store.list()[0].counts, counts(1, 0));
}

#[tokio::test(start_paused = true)]
async fn o6_a_failure_releases_argument_pins() {
    let store = store();
    let (object, sealer) = store.create_pending::<u64>();
    let mut arg: Arg<u64> = (&object).into_arg();
    sealer.fail(TaskError::Cancelled { task: "first a1".into() });
    let failed = poll_fn(|cx| arg.poll_ready(cx)).await.unwrap_err();
    assert_eq!(object.counts(), counts(1, 0));
    let error = TaskError::from_dependency("second a2", &failed);
    assert!(matches!(&error, TaskError::DependencyFailed { cause, .. } if cause.is_cancelled()));

    let third = TaskError::dependency("third a3", &error);
    assert!(third.root().is_cancelled(), "the original cause, not a chain");
    assert_eq!(
        third.to_string(),
        "task `third a3` did not run because an argument failed: task `first a1` was cancelled; \
         submit it again if its result is still wanted"
    );
    let dropped: Arg<u64> = (&object).into_arg();
    drop(dropped);
    assert_eq!(object.counts(), counts(1, 0));
}

#[tokio::test(start_paused = true)]
async fn o6_a_freed_argument_fails_its_dependents() {
    let store = store();
    let object = store.put(1_u8).await.unwrap();
    let mut arg: Arg<u8> = (&object).into_arg();
    free(&object);
    let failed = poll_fn(|cx| arg.poll_ready(cx)).await.unwrap_err();
    let error = TaskError::from_dependency("t", &failed);
    assert!(
        matches!(error, TaskError::ArgumentFreed { object: freed, .. } if freed == object.id())
    );
}

#[tokio::test(start_paused = true)]
async fn t2_an_argument_is_resolved_or_shared_or_passed_as_a_reference() {
    let store = store();
    let object = store.put(vec![1_u8]).await.unwrap();
    let value = object.get().await.unwrap();
    let owned: Arg<Vec<u8>> = (&object).into_arg();
    let shared: Arg<Arc<Vec<u8>>> = (&object).into_arg();
    let reference: Arg<ObjectRef<Vec<u8>>> = (&object).into_arg();
    assert_eq!(resolved(owned).await, [1]);
    assert!(Arc::ptr_eq(&resolved(shared).await, &value));
    assert_eq!(resolved(reference).await, object);
}

#[derive(Debug, Serialize, Deserialize)]
struct Unclonable(u8);

#[test]
fn t2_the_sole_owner_of_a_value_gets_it_without_a_copy() {
    #[derive(Serialize, Deserialize)]
    struct Dear(u8);
    impl Clone for Dear {
        fn clone(&self) -> Self {
            panic!("copied although nobody else sees the value")
        }
    }
    let store = store();
    let object = store.put(Dear(9)).try_now().unwrap();
    let arg: Arg<Dear> = object.into_arg();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(resolved(arg)).0, 9);
}

#[tokio::test(start_paused = true)]
async fn references_travel_as_bytes_and_are_looked_up_on_arrival() {
    let system = System::builder().build();
    let store = store();
    system.set_extension(Arc::new(store.clone()));
    let object = store.put(Unclonable(3)).await.unwrap();
    let list = store.put(vec![object.clone()]).await.unwrap();
    let bytes = list.bytes().await.unwrap();

    let outside = decode::<Vec<ObjectRef<Unclonable>>>(&bytes).unwrap_err();
    assert!(chain(&outside).contains("does not run inside a node"), "{}", chain(&outside));
    scope(Current::root(system.clone()), async {
        let mut arrived: Vec<ObjectRef<Unclonable>> = decode(&bytes).unwrap();
        assert_eq!((object.counts(), arrived[0].id()), (counts(3, 0), object.id()));
        assert_eq!(arrived.pop().unwrap().get().await.unwrap().0, 3);

        let other_type = decode::<Vec<ObjectRef<u64>>>(&bytes).unwrap_err();
        assert!(chain(&other_type).contains("not a `u64`"), "{}", chain(&other_type));
        drop((object, list));
        let late = decode::<Vec<ObjectRef<Unclonable>>>(&bytes).unwrap_err();
        assert!(chain(&late).contains("its last reference is gone"), "{}", chain(&late));
    })
    .await;

    let elsewhere = System::builder().build();
    elsewhere.set_extension(Arc::new(Store::new(StoreConfig::default())));
    scope(Current::root(elsewhere), async {
        let foreign = decode::<Vec<ObjectRef<Unclonable>>>(&bytes).unwrap_err();
        assert!(chain(&foreign).contains("on its own node"), "{}", chain(&foreign));
    })
    .await;
}

fn chain(error: &WireError) -> String {
    mobula_actor_core::chain_text(error)
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_value_decode_to_an_equal_value() {
    let store = store();
    let object = store.put(vec![("a".to_owned(), 1.5_f64)]).await.unwrap();
    let bytes = object.bytes().await.unwrap();
    assert_eq!(decode::<Vec<(String, f64)>>(&bytes).unwrap(), [("a".to_owned(), 1.5)]);
    assert!(matches!(decode::<u8>(&bytes), Err(WireError::Decode { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_listing_shows_state_size_and_contents() {
    let store = store();
    let inner = store.put(vec![0_u8; 10]).await.unwrap();
    let outer = store.put(vec![inner.clone()]).await.unwrap();
    let (pending, _sealer) = store.create_pending::<u8>();
    let (failed, sealer) = store.create_pending::<u8>();
    sealer.fail(TaskError::Cancelled { task: "t".into() });
    let rows = store.list();
    let states: Vec<_> = rows.iter().map(|row| (row.id, row.state)).collect();
    let expected = [
        (inner.id(), "sealed"),
        (outer.id(), "sealed"),
        (pending.id(), "pending"),
        (failed.id(), "failed"),
    ];
    assert_eq!(states, expected);
    assert_eq!((rows[0].bytes, &rows[1].contained), (10, &vec![inner.id()]));
    assert!(store.free(inner.id()));
    assert_eq!(store.list()[0].state, "freed");
    assert!(matches!(inner.get().await, Err(GetError::Freed { .. })));
}

#[test]
fn a_reference_asks_its_canceller_until_the_object_is_ready() {
    struct Task;
    impl Canceller for Task {
        fn cancel(&self, recursive: bool) -> bool {
            assert!(!recursive);
            true
        }
    }
    let task: Arc<dyn Canceller> = Arc::new(Task);
    let (object, sealer) = store().create_pending::<u8>();
    assert!(!object.cancel_recursive(false), "nobody can yet");
    sealer.set_canceller(Arc::downgrade(&task));
    assert!(object.cancel_recursive(false));
    sealer.seal(Ok(1));
    assert!(!object.cancel_recursive(false), "too late");
}
