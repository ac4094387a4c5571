//! A worker that writes down its life, and does on command what workers do to their supervisors.

use std::{
    error::Error,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use mobula::{ActorRef, Context, ExitReason, System, actor};
use mobula_supervision::{ChildSpec, Supervisor};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }

    pub(crate) fn spec(&self, name: &'static str) -> ChildSpec<Worker> {
        let log = self.clone();
        ChildSpec::new(name, move || Worker::new(name.to_owned(), log.clone()))
    }
}

pub(crate) struct Worker {
    name: String,
    log: Log,
    count: u32,
    hangs_in_stopping: bool,
}

#[actor]
impl Worker {
    pub(crate) fn new(name: String, log: Log) -> Self {
        Self { name, log, count: 0, hangs_in_stopping: false }
    }

    fn started(&mut self) {
        self.log.push(format!("+{}", self.name));
    }

    async fn stopping(&mut self) {
        self.log.push(format!("-{}", self.name));
        if self.hangs_in_stopping {
            pending::<()>().await;
        }
    }

    /// How often this generation was asked.
    pub(crate) fn count(&mut self) -> u32 {
        self.count += 1;
        self.count
    }

    pub(crate) fn crash(&mut self) {
        panic!("boom in {}", self.name);
    }

    pub(crate) fn give_up(&mut self, ctx: &mut Context<Self>) {
        ctx.fail("out of ideas");
    }

    pub(crate) fn leave(&mut self, ctx: &mut Context<Self>) {
        ctx.exit();
    }

    pub(crate) fn hang_in_stopping(&mut self) {
        self.hangs_in_stopping = true;
    }

    pub(crate) async fn hang(&mut self) {
        pending::<()>().await;
    }
}

/// A worker that cannot be made as long as its `broken` says so.
pub(crate) fn fragile(log: &Log, name: &'static str, broken: Arc<Mutex<u32>>) -> ChildSpec<Worker> {
    let log = log.clone();
    ChildSpec::new(name, move || {
        let mut times = broken.lock().unwrap();
        if *times > 0 {
            *times -= 1;
            return Err(Box::<dyn Error + Send + Sync>::from("no disk"));
        }
        Ok(Worker::new(name.to_owned(), log.clone()))
    })
}

pub(crate) fn node() -> System {
    System::builder().build()
}

/// Lets everything happen that happens without further doing, for so long (virtual time).
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

pub(crate) async fn settle() {
    pass(Duration::from_millis(1)).await;
}

pub(crate) async fn child(supervisor: &ActorRef<Supervisor>, name: &str) -> ActorRef<Worker> {
    supervisor.child::<Worker>(name).await.unwrap()
}

/// Crashes the worker and waits until that has been dealt with.
pub(crate) async fn crash(worker: &ActorRef<Worker>) {
    assert!(worker.crash().await.is_err());
    settle().await;
}

pub(crate) fn is_escalation(reason: &ExitReason, of: &str) -> bool {
    matches!(reason, ExitReason::Escalated { child, .. } if child == of)
}
