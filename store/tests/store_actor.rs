//! The store is an actor: listed among the citizens, and asked by messages.

use mobula_actor_core::{Kind, System};
use mobula_store::{
    GetError, Store, StoreActor, StoreConfig,
    store_actor::{Free, List, Usage},
};

#[tokio::test(start_paused = true)]
async fn the_store_is_listed_and_answers_questions_about_its_objects() {
    let system = System::builder().build();
    let store = Store::new(StoreConfig::default());
    let actor = StoreActor::spawn(&system, &store);
    actor.ready().await.unwrap();
    let listed = system.directory().list();
    let citizen = listed.iter().find(|citizen| citizen.kind == Kind::Store).unwrap();
    assert_eq!(citizen.name.as_deref(), Some("mobula:store"));

    let object = store.put(vec![0_u8; 100]).await.unwrap();
    assert_eq!(actor.ask(Usage).await.unwrap(), store.usage());
    assert_eq!(actor.ask(List).await.unwrap(), store.list());
    assert!(actor.ask(Free(object.id())).await.unwrap());
    assert_eq!(actor.ask(Usage).await.unwrap().bytes, 0);
    assert!(matches!(object.get().await, Err(GetError::Freed { .. })));

    let id = object.id();
    drop(object);
    assert!(!actor.ask(Free(id)).await.unwrap(), "unknown by now");
}
