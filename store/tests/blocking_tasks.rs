//! A task that waits gives its CPU back and has it again before it goes on: the store's side of T12.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use mobula_actor_core::{Current, System, scope, sync_scope};
use mobula_store::{BlockHook, Store, StoreConfig, TaskSlot, wait};
use parking_lot::Mutex;

/// Writes down what it is told; a CPU is there when `cpu_free` says so.
#[derive(Default)]
struct Cpu {
    heard: Mutex<Vec<&'static str>>,
    cpu_free: Mutex<bool>,
}

impl Cpu {
    fn hear(&self, what: &'static str) {
        self.heard.lock().push(what);
    }

    fn heard(&self) -> Vec<&'static str> {
        self.heard.lock().clone()
    }
}

struct Hook(Arc<Cpu>);

impl BlockHook for Hook {
    fn blocked(&self) {
        self.0.hear("blocked");
    }

    fn poll_unblocked(&self, _: &mut Context<'_>) -> Poll<()> {
        if *self.0.cpu_free.lock() {
            self.0.hear("unblocked");
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn unblocked_blocking(&self) {
        self.0.hear("unblocked on a thread");
    }

    fn abandoned(&self) {
        self.0.hear("abandoned");
    }
}

fn in_task() -> (Arc<Cpu>, Current, Store) {
    let cpu = Arc::new(Cpu::default());
    let slot = TaskSlot(Arc::new(Hook(Arc::clone(&cpu))));
    let current = Current::root(System::builder().build()).with_task(Arc::new(slot));
    (cpu, current, Store::new(StoreConfig::default()))
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn t12_a_get_that_waits_returns_only_with_a_cpu() {
    let (cpu, current, store) = in_task();
    let (object, sealer) = store.create_pending::<u8>();
    let mut got = pin!(scope(current, object.get()));
    assert!(poll_once(got.as_mut()).is_pending());
    assert!(poll_once(got.as_mut()).is_pending());
    assert_eq!(cpu.heard(), ["blocked"]);
    sealer.seal(Ok(1));
    assert!(poll_once(got.as_mut()).is_pending(), "the value is there, a CPU is not");
    *cpu.cpu_free.lock() = true;
    assert!(poll_once(got.as_mut()).is_ready());
    assert_eq!(cpu.heard(), ["blocked", "unblocked"]);
}

#[tokio::test(start_paused = true)]
async fn t12_what_is_ready_costs_no_cpu() {
    let (cpu, current, store) = in_task();
    let object = store.put(1_u8).await.unwrap();
    scope(current, async {
        assert!(object.get().await.is_ok());
        assert_eq!(wait(vec![object]).await.unwrap().0.len(), 1);
        let (pending, _sealer) = store.create_pending::<u8>();
        assert!(pending.get().timeout(std::time::Duration::ZERO).await.is_err());
    })
    .await;
    assert!(cpu.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn t12_a_wait_dropped_midway_takes_the_cpu_back() {
    let (cpu, current, store) = in_task();
    let (object, sealer) = store.create_pending::<u8>();
    scope(current, async {
        let mut waiting = Box::pin(wait(vec![object.clone()]).into_future());
        assert!(poll_once(waiting.as_mut()).is_pending());
        drop(waiting);
        assert_eq!(cpu.heard(), ["blocked", "abandoned"]);

        let mut got = Box::pin(object.get());
        assert!(poll_once(got.as_mut()).is_pending());
        sealer.seal(Ok(1));
        assert!(poll_once(got.as_mut()).is_pending());
        drop(got);
    })
    .await;
    assert_eq!(cpu.heard(), ["blocked", "abandoned", "blocked", "abandoned"]);
}

#[tokio::test(start_paused = true)]
async fn t12_a_timeout_too_returns_only_with_a_cpu() {
    let (cpu, current, store) = in_task();
    *cpu.cpu_free.lock() = true;
    let (object, _sealer) = store.create_pending::<u8>();
    let late = scope(current, object.get().timeout(std::time::Duration::from_secs(1))).await;
    assert!(late.unwrap_err().is_timeout());
    assert_eq!(cpu.heard(), ["blocked", "unblocked"]);
}

#[tokio::test(start_paused = true)]
async fn t12_a_put_that_waits_for_room_gives_its_cpu_back() {
    let (cpu, current, _) = in_task();
    *cpu.cpu_free.lock() = true;
    let store = Store::new(StoreConfig::default().capacity_bytes(8));
    let first = store.put(1_u64).await.unwrap();
    let mut second = pin!(scope(current, store.put(2_u64)));
    assert!(poll_once(second.as_mut()).is_pending());
    drop(first);
    assert!(poll_once(second.as_mut()).is_ready());
    assert_eq!(cpu.heard(), ["blocked", "unblocked"]);
}

#[tokio::test]
async fn t12_a_compute_thread_gives_its_cpu_back_while_parked() {
    let (cpu, current, store) = in_task();
    let (object, sealer) = store.create_pending::<u8>();
    let thread = {
        let heard = Arc::clone(&cpu);
        std::thread::spawn(move || {
            let got = sync_scope(current, || object.get().blocking());
            assert_eq!(heard.heard(), ["blocked", "unblocked on a thread"]);
            *got.unwrap()
        })
    };
    while cpu.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    sealer.seal(Ok(3));
    assert_eq!(thread.join().unwrap(), 3);
}
