//! Compute threads: they run plain functions one after another.
//!
//! Handing each call to a thread pool costs a wake-up each, many times what a small call takes. Here a
//! thread, once awake, takes call after call straight from the scheduler's core, and when there is
//! none it looks for a few more microseconds before it goes. The threads are those of the runtime
//! (`spawn_blocking`), so that idle ones are shared with whoever else blocks, and a paused clock stands
//! still while one works. (So under a paused clock a plain function must not wait for time to pass.)
//!
//! How many there are follows from the ledger: a thread takes a task only when its resources are free.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Instant,
};

use mobula_actor_core::{panic_capture, sync_scope};

use crate::{
    attempt,
    conclude::{Ending, panicked, task_error},
    dispatch::Shared,
    one_shot::{OneShot, place},
};

/// Looks at the bell this often before asking the clock and letting other threads run.
const ROUNDS: u32 = 50;

/// Starts a compute thread; the core has counted it already, as the searching one.
pub(crate) fn wake(shared: &Arc<Shared>) {
    let mine = Arc::clone(shared);
    let worker = move || Worker { shared: mine, is_searching: true, now: 0 }.work();
    drop(shared.system.runtime().spawn_blocking(worker));
}

struct Worker {
    shared: Arc<Shared>,
    /// Whether this is the one that the core counts as searching.
    is_searching: bool,
    /// When the last call ended, if the next one follows it at once; 0 otherwise. Saves asking the clock again.
    now: u64,
}

impl Worker {
    fn work(mut self) {
        let mut next = None;
        while let Some(task) = next.take().or_else(|| self.find()) {
            let began = if self.now == 0 { self.shared.micros() } else { self.now };
            task.begin_at(began, None);
            let ending = run(&self.shared, &task);
            let mut core = self.shared.core.lock();
            self.now = 0;
            if ending.is_some() {
                self.now = task.moment();
                core.release(&task);
            }
            let (call, work) = core.next_call(&self.shared.config);
            if call.is_none() {
                // What the result releases is for this thread, and nobody needs to be woken for it.
                self.is_searching = core.begin_search();
            }
            self.shared.has_searcher.store(core.is_searched(), Ordering::Relaxed);
            drop(core);
            if let Some(ending) = ending {
                self.shared.publish(&task, ending);
            }
            self.shared.perform(work);
            next = call;
        }
    }

    /// The next call, after looking for one for a while; `None` when this thread should go.
    fn find(&mut self) -> Option<Arc<OneShot>> {
        self.now = 0;
        let mut began = None;
        loop {
            let bell = self.shared.bell.load(Ordering::Acquire);
            let mut core = self.shared.core.lock();
            if std::mem::take(&mut self.is_searching) {
                core.end_search();
            }
            let (call, work) = core.next_call(&self.shared.config);
            let spin = self.shared.config.spin;
            let is_over = began.is_some_and(|began: Instant| began.elapsed() >= spin);
            if call.is_none() {
                self.is_searching = !is_over && !spin.is_zero() && core.begin_search();
                if !self.is_searching {
                    core.end_worker();
                }
            }
            self.shared.has_searcher.store(core.is_searched(), Ordering::Relaxed);
            drop(core);
            self.shared.perform(work);
            if call.is_some() || !self.is_searching {
                return call;
            }
            let began = *began.get_or_insert_with(Instant::now);
            while self.shared.bell.load(Ordering::Acquire) == bell && began.elapsed() < spin {
                for _ in 0..ROUNDS {
                    std::hint::spin_loop();
                }
                std::thread::yield_now();
            }
        }
    }
}

/// Runs one attempt on this thread; `None` when its body is a future and went to the executor.
fn run(shared: &Arc<Shared>, task: &Arc<OneShot>) -> Option<Ending> {
    // Whoever started the task finds its job there.
    let Some(mut job) = task.job.lock().take() else { return Some(Ending::Nothing) };
    let keep = task.may_repeat();
    let result = panic_capture::guard(|| sync_scope(place(task), || job.start(keep)));
    let result = match result {
        Ok(Poll::Ready(result)) => result.map_err(|failure| task_error(task, failure)),
        Ok(Poll::Pending) => {
            attempt::go_on(shared, Arc::clone(task), job);
            return None;
        }
        Err(report) => Err(panicked(task, report)),
    };
    Some(shared.settle(task, job, result))
}
