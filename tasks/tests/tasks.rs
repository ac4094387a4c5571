//! Behaviours T1 to T9 and T12: calling, nesting, dependencies.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, inside a task too")]

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Arc, mpsc},
};

use mobula_actor_core::{Arg, IntoArg as _};
use mobula_store::{ObjectRef, get, put};
use mobula_tasks::{TaskArgs, TaskFunction, TaskOptions, submit_many, task as this_task};
use serde::{Deserialize, Serialize};

#[path = "support/node.rs"]
mod node;
use node::{Node, cpus};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    name: String,
    parts: Vec<(u8, Option<f64>)>,
    by_key: BTreeMap<String, Vec<u64>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    inner: ObjectRef<u64>,
}

task! {
    fn increment(x: u64) -> u64 { x + 1 }
    fn add(x: u64, y: u64, z: u64) -> u64 { x * 100 + y * 10 + z }
    fn same(value: Nested) -> Nested { value }
    fn wait_for(gate: mpsc::Receiver<u64>) -> u64 { gate.recv().unwrap() }
    fn length(values: Arc<Vec<u8>>) -> usize { values.len() }
    fn open(holder: Holder) -> u64 { *holder.inner.get().blocking().unwrap() }
    fn open_ref(inner: ObjectRef<u64>) -> u64 { *inner.get().blocking().unwrap() }
    fn hand_out(x: u64) -> ObjectRef<u64> { increment::remote(x) }
    fn depth_of(levels: u32) -> u32 {
        if levels == 0 {
            this_task::current().unwrap().depth()
        } else {
            *remote(levels - 1).get().blocking().unwrap()
        }
    }
    fn h(x: u64) -> u64 { x + 1 }
    fn g(x: u64) -> u64 { *h::remote(x).get().blocking().unwrap() + 1 }
    fn f(x: u64) -> u64 { *g::remote(x).get().blocking().unwrap() + 1 }
}

task! {
    async fn increment_later(x: u64) -> u64 { tokio::task::yield_now().await; x + 1 }
    async fn sleep_long(x: u64) -> u64 {
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        x
    }
    async fn later_h(x: u64) -> u64 { x + 1 }
    async fn later_g(x: u64) -> u64 { *later_h::remote(x).get().await.unwrap() + 1 }
    async fn later_f(x: u64) -> u64 { *later_g::remote(x).get().await.unwrap() + 1 }
    async fn both(x: u64) -> u64 {
        // Two waits at once: the CPU must be free until both are over.
        let (a, b) = tokio::join!(later_g::remote(x).get(), later_g::remote(x).get());
        *a.unwrap() + *b.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn t1_a_call_returns_a_reference_at_once_and_values_arrive_unchanged() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let (open_gate, gate) = mpsc::channel();
        let blocked = wait_for::remote(gate);
        assert!(!blocked.is_ready());
        open_gate.send(7).unwrap();
        assert_eq!(*blocked.get().await.unwrap(), 7);
        let value = Nested {
            name: "ünïcode".into(),
            parts: vec![(1, None), (255, Some(f64::MIN_POSITIVE))],
            by_key: BTreeMap::from([("a".into(), vec![]), ("b".into(), vec![u64::MAX])]),
        };
        assert_eq!(*same::remote(value.clone()).get().await.unwrap(), value);
        assert_eq!(*sleep_long::remote(3).get().await.unwrap(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t2_a_reference_argument_is_resolved_and_a_nested_one_is_not() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let one = put(1).await.unwrap();
        assert_eq!(*increment::remote(&one).get().await.unwrap(), 2);
        assert_eq!(*open::remote(Holder { inner: one.clone() }).get().await.unwrap(), 1);
        assert_eq!(*open_ref::remote(&one).get().await.unwrap(), 1);
        let bytes = put(vec![0u8; 1000]).await.unwrap();
        assert_eq!(*length::remote(&bytes).get().await.unwrap(), 1000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t3_plain_and_async_tasks_consume_each_others_results_small_and_large() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let small = increment::remote(increment_later::remote(increment::remote(0)));
        assert_eq!(*small.get().await.unwrap(), 3);
        for size in [10, 1 << 20] {
            let large = put(vec![1u8; size]).await.unwrap();
            assert_eq!(*length::remote(large).get().await.unwrap(), size);
        }
        let inner = increment_later::remote(4);
        assert_eq!(*open::remote(Holder { inner }).get().await.unwrap(), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t4_chain_of_dependent_tasks_waits_for_its_inputs() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let (open_gate, gate) = mpsc::channel();
        let mut last = wait_for::remote(gate);
        for step in 0..100 {
            last = if step % 3 == 0 {
                increment_later::remote(&last)
            } else {
                increment::remote(&last)
            };
        }
        let states: Vec<_> = node.system.directory().list().iter().map(|row| row.state).collect();
        assert_eq!(states.iter().filter(|state| **state == "waiting").count(), 100);
        open_gate.send(0).unwrap();
        assert_eq!(*last.get().await.unwrap(), 100);
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn t5_the_same_reference_in_several_positions_is_resolved_in_each() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let later = increment_later::remote(2);
        let sum = add::remote(&later, 1, &later);
        assert_eq!(*sum.get().await.unwrap(), 313);
        assert_eq!(*add::remote(&later, &later, later.clone()).get().await.unwrap(), 333);
    })
    .await;
}

/// Says whether `A` can be submitted to `F`: an inherent constant is found before that of a trait.
struct Fits<A, F>(PhantomData<(A, F)>);

impl<F: TaskFunction, A: TaskArgs<Values = F::Args>> Fits<A, F> {
    const ANSWER: bool = true;
}

trait DoesNotFit {
    const ANSWER: bool = false;
}

impl<A, F> DoesNotFit for Fits<A, F> {}

#[test]
fn t6_wrong_arity_and_wrong_types_do_not_compile() {
    type Number = Arg<u64>;
    const { assert!(Fits::<(Number, Number, Number), add::Function>::ANSWER) };
    const { assert!(!Fits::<(Number, Number), add::Function>::ANSWER) };
    const { assert!(!Fits::<(Number, Number, Number, Number), add::Function>::ANSWER) };
    const { assert!(!Fits::<(), increment::Function>::ANSWER) };
    const { assert!(!Fits::<(Arg<String>,), increment::Function>::ANSWER) };
}

#[tokio::test(start_paused = true)]
async fn t7_tasks_submit_tasks_and_return_references_to_them() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let outer = hand_out::remote(1).get().await.unwrap();
        assert_eq!(*outer.get().await.unwrap(), 2);
        assert_eq!(*depth_of::remote(40).get().await.unwrap(), 40);
    })
    .await;
    assert!(node.is_idle());
}

#[derive(Debug)]
enum Divide {}

impl TaskFunction for Divide {
    type Args = (u64, u64);
    type Output = (u64, String);
    const NAME: &'static str = "tests::divide";
    const SIGNATURE: &'static str = "fn(u64, u64) -> Result<(u64, String), String>";

    fn run((x, y): (u64, u64)) -> mobula_tasks::Body<(u64, String)> {
        mobula_tasks::Body::sync(move || {
            let quotient = x.checked_div(y).ok_or("division by zero");
            let quotient = quotient.map_err(mobula_tasks::UserError::from_user)?;
            Ok((quotient, format!("{} left", x % y)))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn t8_several_results_are_independent_references_and_fail_together() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let divide = |x: u64, y: u64| {
            submit_many::<Divide, _>(TaskOptions::new(), (x.into_arg(), y.into_arg()))
        };
        let (quotient, rest) = divide(7, 2);
        drop(quotient);
        assert_eq!(*rest.get().await.unwrap(), "1 left");
        let (quotient, rest) = divide(7, 0);
        let (a, b) = (quotient.get().await.unwrap_err(), rest.get().await.unwrap_err());
        assert_eq!(a.to_string(), b.to_string());
        assert!(a.to_string().contains("division by zero"), "{a}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t9_functions_of_one_name_and_different_bodies_are_never_mixed() {
    mod first {
        crate::task! { fn answer() -> u64 { 1 } }
        pub(super) fn call() -> mobula_store::ObjectRef<u64> {
            answer::remote()
        }
    }
    mod second {
        crate::task! { fn answer() -> u64 { 2 } }
        pub(super) fn call() -> mobula_store::ObjectRef<u64> {
            answer::remote()
        }
    }
    let node = Node::new(cpus(2));
    node.enter(async {
        let refs: Vec<_> =
            (0..100).map(|n| if n % 2 == 0 { first::call() } else { second::call() }).collect();
        for (n, value) in get(&refs).await.unwrap().into_iter().enumerate() {
            assert_eq!(*value, 1 + (n as u64) % 2);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t12_nested_plain_tasks_on_one_cpu_finish_with_few_threads() {
    let node = Node::new(cpus(1).compute_threads_max(8));
    node.enter(async {
        let refs: Vec<_> = (0..1000).map(f::remote).collect();
        for (n, value) in get(&refs).await.unwrap().into_iter().enumerate() {
            assert_eq!(*value, n as u64 + 3);
        }
    })
    .await;
    assert!(node.is_idle());
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test(start_paused = true)]
async fn t12_nested_async_tasks_on_one_cpu_finish() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let refs: Vec<_> = (0..1000).map(later_f::remote).collect();
        for (n, value) in get(&refs).await.unwrap().into_iter().enumerate() {
            assert_eq!(*value, n as u64 + 3);
        }
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn t12_a_task_with_two_waits_at_once_gives_its_cpu_back_until_both_are_over() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let refs: Vec<_> = (0..100).map(both::remote).collect();
        for (n, value) in get(&refs).await.unwrap().into_iter().enumerate() {
            assert_eq!(*value, 2 * (n as u64 + 2));
        }
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_bound_graph_runs_when_submitted_and_shared_parts_run_once() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let shared = increment::bind(1);
        let graph = add::bind(&shared, increment::bind(&shared), 0);
        assert_eq!(node.scheduler.unfinished(), 0);
        assert_eq!(*graph.submit().get().await.unwrap(), 230);
        assert_eq!(shared.submit(), shared.submit());
    })
    .await;
}
