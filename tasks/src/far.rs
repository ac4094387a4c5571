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
    elsewhere::{Elsewhere, FarCall, FarError, FarValue},
    job::{Delivery, Job},
    one_shot::{OneShot, Phase, place},
    recipe::Written,
    wires::FarArg,
};

/// Starts an attempt of a queued task on `node`. The task holds no resources here.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    task: Arc<OneShot>,
    port: &Arc<dyn Elsewhere>,
    (node, only): (NodeId, bool),
) {
    if !task.try_start() {
        return;
    }
    let Some(mut job) = task.job.lock().take() else { return };
    task.begin_at(shared.micros(), Some(node));
    let (written, met) =
        collect_refs(|| panic_capture::guard(|| sync_scope(place(&task), || job.write())));
    let args = match &written {
        // By name: while the task runs, its own pins keep them.
        Ok(Ok(args)) => args.iter().map(FarArg::unheld).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let call = match written {
        Ok(Ok(args)) => FarCall {
            outputs: job.objects(),
            keeper: shared.store.id(),
            function: task.function_hash,
            name: task.display_name().to_owned(),
            args,
            cpus: task.demand.cpu_count().as_f64(),
            resources: task
                .demand
                .parts()
                .map(|(name, amount)| (name.to_string(), amount.as_f64()))
                .collect(),
            attempt: task.attempt(),
            is_bound: only,
        },
        Ok(Err(failure)) => {
            let error = task_error(&task, failure);
            return conclude(shared, &task, job, Err(error));
        }
        Err(report) => {
            let error = panicked(&task, report);
            return conclude(shared, &task, job, Err(error));
        }
    };
    let runtime = shared.system.runtime().clone();
    let run = port.run(node, call);
    let shared = Arc::clone(shared);
    let written = Written { args, nested: met.objects().collect() };
    drop(runtime.spawn(FarAttempt { shared, task, job: Some(job), run, node, only, written }));
}

fn conclude(
    shared: &Arc<Shared>,
    task: &Arc<OneShot>,
    job: Box<dyn Job>,
    result: Result<(), TaskError>,
) {
    let ending = shared.settle(task, job, result);
    shared.publish(task, ending);
    shared.spill();
}

struct FarAttempt {
    shared: Arc<Shared>,
    task: Arc<OneShot>,
    job: Option<Box<dyn Job>>,
    run: BoxFuture<'static, Result<FarValue, FarError>>,
    node: NodeId,
    only: bool,
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
                if !this.only =>
            {
                this.back();
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
                    node: Some(this.node.to_string().into()),
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

    /// It was not begun there: this node takes it.
    fn back(&mut self) {
        let Some(job) = self.job.take() else { return };
        // What did not begin was no attempt.
        self.task.take_back_attempt();
        *self.task.job.lock() = Some(job);
        if self.task.advance(Phase::Running, Phase::BackingOff) {
            self.shared.queue_here(Arc::clone(&self.task), Phase::BackingOff);
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
                node: Some(self.node.to_string().into()),
                attempt: self.task.attempt(),
                text: "the executor was shut down while it ran".into(),
            };
            self.end(Err(error));
        }
    }
}
