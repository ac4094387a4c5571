//! The budget of a node's store: what does not fit is refused or waits, and room comes back.
//!
//! The store's own tests drive a store alone. What they cannot show is that the budget which a program sets, in code or in
//! the environment, is the one that `put` and tasks meet on its node.

use mobula::prelude::*;
use mobula::{Kind, NodeBuilder, NodeConfig, StoreError, testkit};

fn small_node() -> NodeBuilder {
    Node::builder().num_cpus(1.0).store_bytes(100)
}

#[mobula::task]
async fn zeros(count: usize) -> Vec<u8> {
    vec![0; count]
}

#[test]
fn a_put_beyond_the_budget_is_refused_or_waits_as_its_caller_says() {
    testkit::run_with(small_node(), |node| async move {
        let first = mobula::put(vec![0_u8; 60]).await.unwrap();
        let is_full = |error: StoreError| {
            let StoreError::StoreFull { bytes, used_bytes, capacity_bytes } = error else {
                panic!("{error}");
            };
            (bytes, used_bytes, capacity_bytes) == (60, 60, 100)
        };
        // Not at all, for a while, or as long as it takes.
        assert!(is_full(mobula::put(vec![1_u8; 60]).try_now().unwrap_err()));
        assert!(is_full(mobula::put(vec![1_u8; 60]).timeout(secs(1)).await.unwrap_err()));
        let waiting = tokio::spawn(mobula::put(vec![2_u8; 60]));
        testkit::advance(secs(3_600)).await;
        assert!(!waiting.is_finished());
        assert_eq!(node.status().store.waiting_puts, 1);

        drop(first);
        let second = waiting.await.unwrap().unwrap();
        assert_eq!(second.get().await.unwrap()[0], 2);
        assert_eq!(node.status().store.bytes, 60);
        drop(second);
        let usage = node.status().store;
        assert_eq!((usage.objects, usage.bytes, usage.waiting_puts), (0, 0, 0));
    });
}

#[test]
fn what_is_larger_than_the_whole_store_is_refused_at_once() {
    testkit::run_with(small_node(), |node| async move {
        let error = mobula::put(vec![0_u8; 101]).await.unwrap_err();
        let full = StoreError::StoreFull { bytes: 101, used_bytes: 0, capacity_bytes: 100 };
        assert_eq!(error, full);
        assert!(error.to_string().contains("drop references"), "{error}");

        let result = zeros::remote(101);
        let error = result.get().await.unwrap_err();
        assert!(
            matches!(
                error.task(),
                Some(TaskError::StoreFull { bytes: 101, capacity_bytes: 100, .. })
            ),
            "{error}"
        );
        drop(result);
        assert_eq!(zeros::remote(100).get().await.unwrap().len(), 100);
        testkit::advance(ms(1)).await;
        assert_eq!(node.status().store.bytes, 0);
    });
}

#[test]
fn the_environment_sets_the_budget_and_code_wins() {
    let read = |name: &str| (name == "MOBULA_STORE_BYTES").then(|| "4096".to_owned());
    let config = NodeConfig::from_environment(read).unwrap();
    let builder = || Node::builder().config(config.clone()).num_cpus(1.0);
    for (builder, bytes) in [(builder(), 4096), (builder().store_bytes(512), 512)] {
        testkit::run_with(builder, |node| async move {
            assert_eq!(node.status().store.capacity_bytes, bytes);
            let error = mobula::put(vec![0_u8; 5000]).try_now().unwrap_err();
            assert!(error.to_string().contains(&format!("0 of {bytes} bytes")), "{error}");
        });
    }
}

#[test]
fn the_store_is_listed_among_the_actors_of_its_node() {
    testkit::run(|node| async move {
        let actors = node.actors();
        let stores: Vec<_> = actors.iter().filter(|citizen| citizen.kind == Kind::Store).collect();
        assert_eq!(stores.len(), 1, "{actors:?}");
        assert_eq!(stores[0].name.as_deref(), Some("mobula:store"));
    });
}
