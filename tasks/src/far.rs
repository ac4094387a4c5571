//! One attempt on another node, as this node sees it: the task runs, and holds nothing here.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, atomic::Ordering};
use std::task::{Context, Poll};

use mobula_actor_core::{BoxFuture, Current, NodeId, panic_capture, sync_scope};
use mobula_store::{StoreId, TaskError, collect_refs, message::Message};

use crate::{
    conclude::{panicked, task_error},
    dispatch::Shared,
    elsewhere::{Elsewhere, FarCall, FarError, FarValue, Lease},
    job::{Delivery, Job},
    one_shot::{OneShot, Phase, place},
    recipe::Written,
    wires::FarArg,
};

/// Where an attempt goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journey {
    pub(crate) node: NodeId,
    /// No other node will do.
    pub(crate) only: bool,
    pub(crate) lease: Option<Lease>,
}

/// Starts an attempt of a queued task elsewhere; it holds no resources here. `false` if it was cancelled in the queue.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    task: Arc<OneShot>,
    port: &Arc<dyn Elsewhere>,
    journey: Journey,
) -> bool {
    if !task.try_start() {
        return false;
    }
    let Some(mut job) = task.job.lock().take() else { return false };
    task.begin_at(shared.micros(), Some(journey.node));
    let (written, met) =
        collect_refs(|| panic_capture::guard(|| sync_scope(place(&task), || job.write())));
    let error = match written {
        Ok(Ok(written)) => {
            // By name: while the task runs, its own pins keep them.
            let args = written.iter().map(FarArg::unheld).collect();
            let call = call(shared, &task, &*job, (written, journey.only));
            let run = port.run(journey.node, journey.lease, call);
            let runtime = shared.system.runtime().clone();
            let shared = Arc::clone(shared);
            let written = Written { args, nested: met.objects().collect() };
            let job = Some(job);
            drop(runtime.spawn(FarAttempt { shared, task, job, run, journey, written }));
            return true;
        }
        Ok(Err(failure)) => task_error(&task, failure),
        Err(report) => panicked(&task, report),
    };
    conclude(shared, &task, job, Err(error));
    false
}

fn call(
    shared: &Shared,
    task: &OneShot,
    job: &dyn Job,
    (args, is_bound): (Vec<FarArg>, bool),
) -> FarCall {
    let demand = &task.demand;
    let resources = demand.parts().map(|(name, amount)| (name.to_string(), amount.as_f64()));
    FarCall {
        outputs: job.objects(),
        keeper: shared.store.id(),
        function: task.function_hash,
        name: task.display_name().to_owned(),
        args,
        cpus: demand.cpu_count().as_f64(),
        resources: resources.collect(),
        attempt: task.attempt(),
        is_bound,
        depth: task.depth,
        within: demand.place(),
        is_expected: false,
    }
}

fn conclude(
    shared: &Arc<Shared>,
    task: &Arc<OneShot>,
    job: Box<dyn Job>,
    result: Result<(), TaskError>,
) {
    let ending = shared.settle(task, job, result);
    shared.publish(task, ending);
}

struct FarAttempt {
    shared: Arc<Shared>,
    task: Arc<OneShot>,
    job: Option<Box<dyn Job>>,
    run: BoxFuture<'static, Result<FarValue, FarError>>,
    journey: Journey,
    /// For the recipe, should results stay there.
    written: Written,
}

impl Future for FarAttempt {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.task.driver.register(cx.waker());
        if this.task.phase() == Phase::Abandoned {
            let error = TaskError::Cancelled { task: this.task.label() };
            this.end(Err(error));
            return Poll::Ready(());
        }
        // Not as the task: what waits here holds no CPU that it could give back meanwhile.
        let here = Current::citizen(this.shared.system.clone(), this.task.id);
        let run = &mut this.run;
        let Poll::Ready(outcome) = sync_scope(here, || run.as_mut().poll(cx)) else {
            return Poll::Pending;
        };
        match outcome {
            Ok(FarValue::Here(value)) => {
                let Some(job) = &mut this.job else { return Poll::Ready(()) };
                let here = place(&this.task);
                let read = panic_capture::guard(|| sync_scope(here, || job.read(&value)));
                let result = match read {
                    Ok(read) => read.map_err(|failure| task_error(&this.task, failure)),
                    Err(report) => Err(panicked(&this.task, report)),
                };
                this.end(result);
            }
            Ok(FarValue::There { store, messages }) => this.stays(store, messages),
            Err(FarError::Failed(failure)) => {
                let error = this.task.own_failure(failure);
                this.end(Err(error));
            }
            Err(FarError::Refused(_) | FarError::Unprovided(_) | FarError::Denied(_))
                if !this.journey.only =>
            {
                this.back();
            }
            Err(FarError::GroupGone { was_hearsay: true, .. }) => this.back(),
            Err(FarError::GroupGone { text, .. }) => {
                let task = this.task.label();
                this.end(Err(TaskError::GroupGone { task, text: text.into() }));
            }
            Err(FarError::Unprovided(seen)) => {
                let task = this.task.label();
                this.end(Err(TaskError::NoProvider { task, seen: seen.into() }));
            }
            Err(FarError::Denied(text)) => {
                let task = this.task.label();
                this.end(Err(TaskError::Denied { task, text: text.into() }));
            }
            Err(FarError::Refused(text) | FarError::Lost(text)) => {
                let error = TaskError::Lost {
                    task: this.task.label(),
                    node: Some(this.journey.node.to_string().into()),
                    attempt: this.task.attempt(),
                    text: text.into(),
                };
                this.end(Err(error));
            }
        }
        Poll::Ready(())
    }
}

impl FarAttempt {
    /// The result stays where it was made. How it was made is remembered before anybody hears of it.
    fn stays(&mut self, from: StoreId, messages: Vec<Message>) {
        let Some(job) = &mut self.job else { return };
        let store = Arc::clone(&self.shared.store);
        self.shared.remember(&self.task, job.objects(), &self.written);
        job.deliver(Delivery { store, from, messages });
        self.end(Ok(()));
    }

    fn end(&mut self, result: Result<(), TaskError>) {
        if let Some(job) = self.job.take() {
            conclude(&self.shared, &self.task, job, result);
        }
    }

    /// It was not begun there: this node takes it, or places it anew if it belongs into a group.
    fn back(&mut self) {
        let Some(job) = self.job.take() else { return };
        // What did not begin was no attempt.
        self.task.take_back_attempt();
        *self.task.job.lock() = Some(job);
        if self.task.advance(Phase::Running, Phase::BackingOff) {
            let task = Arc::clone(&self.task);
            if task.demand.place().is_some() {
                return self.shared.enqueue(task, Phase::BackingOff);
            }
            self.shared.queue_here(task, Phase::BackingOff);
            self.shared.watch_queue();
        } else if let Some(job) = self.task.job.lock().take() {
            let error = TaskError::Cancelled { task: self.task.label() };
            conclude(&self.shared, &self.task, job, Err(error));
        }
    }
}

impl Drop for FarAttempt {
    /// The runtime shuts down with the attempt under way.
    fn drop(&mut self) {
        if self.job.is_some() {
            self.shared.is_closed.store(true, Ordering::Release);
            let error = TaskError::Lost {
                task: self.task.label(),
                node: Some(self.journey.node.to_string().into()),
                attempt: self.task.attempt(),
                text: "the executor was shut down while it ran".into(),
            };
            self.end(Err(error));
        }
    }
}
