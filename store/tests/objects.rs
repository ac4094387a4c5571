//! Rows O1, O3, O9 of the behaviours: what an object is.

use std::sync::Arc;

use mobula_actor_core::{Current, System, scope};
use mobula_store::{ObjectRef, Store, StoreConfig, StoreError, put};
use serde::{Deserialize, Serialize};

fn node() -> (System, Store) {
    let system = System::builder().build();
    let store = Store::new(StoreConfig::default());
    system.set_extension(Arc::new(store.clone()));
    (system, store)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Batch {
    name: String,
    rows: Vec<(u32, f64)>,
    inner: Option<Box<Self>>,
}

fn batch() -> Batch {
    let inner = Batch { name: String::new(), rows: Vec::new(), inner: None };
    Batch { name: "b".into(), rows: vec![(1, 0.5), (2, f64::MAX)], inner: Some(Box::new(inner)) }
}

#[tokio::test(start_paused = true)]
async fn o1_get_of_put_equals_value_for_plain_and_nested_types() {
    let (system, store) = node();
    scope(Current::root(system), async {
        assert_eq!(*put(17_u64).await.unwrap().get().await.unwrap(), 17);
        assert_eq!(*put(()).await.unwrap().get().await.unwrap(), ());
        assert_eq!(*put("text".to_owned()).await.unwrap().await.unwrap(), "text");
        assert_eq!(*put(batch()).await.unwrap().get().await.unwrap(), batch());
    })
    .await;
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn o1_every_get_shares_the_one_value_without_a_copy() {
    let (_, store) = node();
    let value = Arc::new(vec![7_u8; 1 << 20]);
    let object = store.put_shared(Arc::clone(&value)).await.unwrap();
    assert_eq!(store.usage().bytes, 1 << 20);
    let (a, b) = (object.get().await.unwrap(), object.get().await.unwrap());
    assert!(Arc::ptr_eq(&a, &value) && Arc::ptr_eq(&b, &value));
}

#[tokio::test(start_paused = true)]
async fn o3_put_of_a_reference_is_an_error_that_names_the_object() {
    let (_, store) = node();
    let object = store.put(1_u8).await.unwrap();
    let refused = store.put(object.clone()).await.unwrap_err();
    assert_eq!(refused, StoreError::IsReference { object: object.id() });
    assert!(refused.to_string().contains(&object.id().to_string()), "{refused}");
    assert!(store.put(vec![object]).await.is_ok(), "inside another value it is welcome");
}

#[tokio::test(start_paused = true)]
async fn put_outside_a_node_says_so() {
    assert_eq!(put(1_u8).await.unwrap_err(), StoreError::NoNode);
}

#[tokio::test(start_paused = true)]
async fn o9_an_object_pins_the_objects_it_contains_to_any_depth() {
    let (_, store) = node();
    let innermost = store.put(1_u64).await.unwrap();
    let id = innermost.id();
    let middle = store.put(vec![innermost]).await.unwrap();
    let outer = store.put((middle, "x".to_owned())).await.unwrap();
    assert_eq!(store.usage().objects, 3);

    let value = outer.get().await.unwrap();
    let middle: ObjectRef<Vec<ObjectRef<u64>>> = value.0.clone();
    drop((value, outer));
    assert_eq!(store.usage().objects, 2);
    let innermost = middle.get().await.unwrap()[0].clone();
    drop(middle);
    assert_eq!(store.usage().objects, 1);
    assert_eq!((innermost.id(), *innermost.get().await.unwrap()), (id, 1));
    drop(innermost);
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}
