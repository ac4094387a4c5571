//! Rows about handles that travel, and about the last of them: A5, A6, A7.

use mobula::prelude::*;

use crate::cast::{Counter, LIMIT, SIZES, count, id, nodes, on, stop, until};

#[mobula::task]
async fn add_in_a_task(counter: ActorRef<Counter>, by: u64) -> u64 {
    counter.add(by).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_handles_reach_one_instance_from_every_node_by_every_way() {
    for size in SIZES {
        let nodes = nodes(size).await;
        nodes[0]
            .enter(async {
                let there = on(id(&nodes[1]));
                let counter = Counter::options().on(there.clone()).remote(0);
                let mut expected = 0;
                for node in nodes.iter() {
                    let place = on(id(node));
                    // To a task, in an object, to an actor and back.
                    let added =
                        add_in_a_task::options().on(place.clone()).remote(counter.clone(), 1);
                    expected += 1;
                    assert_eq!(*added.get().await.unwrap(), expected);
                    let stored = mobula::put(counter.clone()).await.unwrap();
                    let added = add_in_a_task::options().on(place.clone()).remote(&stored, 1);
                    expected += 1;
                    assert_eq!(*added.get().await.unwrap(), expected);
                    let messenger = Counter::options().on(place).remote(0);
                    expected += 1;
                    assert_eq!(messenger.add_to(counter.clone(), 1).await.unwrap(), expected);
                    messenger.keep(counter.clone()).await.unwrap();
                    let back = messenger.kept().await.unwrap();
                    expected += 1;
                    assert_eq!(back[0].add(1).await.unwrap(), expected);
                    assert_eq!(back[0], counter, "one reference, wherever it was");
                }
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_an_actor_ends_with_its_last_handle_anywhere_after_what_is_pending() {
    for size in SIZES {
        let nodes = nodes(size).await;
        let (home, holder) = (&nodes[1], &nodes[size - 1]);
        nodes[0]
            .enter(async {
                // A temporary handle: the call is still answered, a tell still heard.
                let answer = Counter::options().on(on(id(home))).remote(1).add(3).remote();
                assert_eq!(*answer.get().await.unwrap(), 4);
                let log = crate::cast::Log::remote();
                let messenger = Counter::options().on(on(id(home))).remote(0);
                messenger.repeat(log.clone(), 5, 10).tell().await.unwrap();
                drop(messenger);
                let heard = async {
                    while log.entries().await.unwrap().len() < 10 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(LIMIT, heard).await.expect("the tell was handled");
                until("they end", || count(home, "Counter") == 0).await;

                // One handle is kept on another node.
                let counter = Counter::options().on(on(id(home))).remote(0);
                let keeper = Counter::options().detached().on(on(id(holder))).remote(0);
                keeper.keep(counter.clone()).await.unwrap();
                counter.add(1).await.unwrap();
                let expected = count(home, "Counter");
                drop(counter);
                let back = keeper.kept().await.unwrap().remove(0);
                assert_eq!(back.add(1).await.unwrap(), 2, "the keeper's handle keeps it");
                drop(back);
                keeper.forget().await.unwrap();
                until("the last handle goes", || count(home, "Counter") == expected - 1).await;
                keeper.kill().await.unwrap();
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_a_restartable_actor_that_went_out_of_scope_is_not_restarted() {
    for size in SIZES {
        let nodes = nodes(size).await;
        let home = &nodes[size - 1];
        nodes[0]
            .enter(async {
                let counter = Counter::options().max_restarts(5).on(on(id(home))).remote(1);
                assert_eq!(counter.add(1).await.unwrap(), 2);
                assert!(counter.fall().await.is_err());
                assert_eq!(counter.add(1).await.unwrap(), 2, "restarted while it is in scope");
                drop(counter);
                until("it ends", || count(home, "Counter") == 0).await;
                // Whatever was to be restarted would be back by the time that another has come and gone.
                let other = Counter::options().on(on(id(home))).remote(1);
                assert_eq!(other.add(1).await.unwrap(), 2);
                assert_eq!(count(home, "Counter"), 1);
            })
            .await;
        stop(nodes).await;
    }
}
