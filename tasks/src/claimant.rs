//! Actors that hold resources: they wait in the same line as tasks, and hold what they were given until they end.
//!
//! A line of their own would be simpler, and unfair: a stream of small tasks would keep two CPUs from an actor that needs
//! both, or waiting actors would stop all tasks. So what waits for resources is a task or an actor, and admission does not
//! know the difference.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use mobula_actor_core::{ActorDemand, BoxFuture, Held, ResourceBook};
use tokio::sync::oneshot;

use crate::{
    admission::Enqueued,
    dispatch::Shared,
    one_shot::{Host, OneShot},
    resources::{Demand, Quantity, QuantityError, Within},
    scheduler::Scheduler,
    waiter::{Claimant, Grant, UsedShape, Waiter},
};

/// A place in line.
struct Waiting {
    shared: Weak<Shared>,
    granted: oneshot::Receiver<Grant>,
    is_over: bool,
}

impl Future for Waiting {
    type Output = Held;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Held> {
        match Pin::new(&mut self.granted).poll(cx) {
            Poll::Ready(Ok(grant)) => {
                self.is_over = true;
                Poll::Ready(Box::new(grant))
            }
            // A scheduler that is no more gives nothing; the node's end is the actor's.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.granted.close();
        match (self.granted.try_recv(), self.shared.upgrade()) {
            (Ok(grant), _) => drop(grant),
            (Err(_), Some(shared)) => shared.bury(),
            (Err(_), None) => {}
        }
    }
}

impl ResourceBook for Scheduler {
    fn check(&self, demand: &ActorDemand) -> Result<(), String> {
        demand_of(demand).map(drop).map_err(|error| error.to_string())
    }

    fn take(&self, actor: &'static str, demand: &ActorDemand) -> BoxFuture<'static, Held> {
        let shared = self.shared();
        // It was checked.
        let Ok(demand) = demand_of(demand) else { return Box::pin(std::future::pending()) };
        let weak = Arc::downgrade(shared);
        let host: Weak<dyn Host> = Weak::<Shared>::clone(&weak) as _;
        let shape = UsedShape { host, shape: shared.intern(&demand) };
        let depth = OneShot::current().map_or(0, |parent| parent.depth.saturating_add(1));
        let (sender, granted) = oneshot::channel();
        let shape_id = shape.shape;
        let claimant = Claimant { shape, depth, granted: sender };
        let mut enqueued = Enqueued::Ready;
        shared.change(|core| {
            core.count_claimant();
            enqueued = core.admission.enqueue(shape_id, depth, Waiter::Actor(claimant));
        });
        if enqueued == Enqueued::InfeasibleFirst {
            let why = shared.core.lock().admission.why(shape_id);
            tracing::warn!(actor, "actor `{actor}` stays pending: it {why}");
        }
        Box::pin(Waiting { shared: weak, granted, is_over: false })
    }

    fn why(&self, demand: &ActorDemand) -> String {
        match demand_of(demand) {
            Ok(demand) => self.shared().core.lock().admission.why_not(&demand),
            Err(error) => error.to_string(),
        }
    }

    fn can_ever(&self, demand: &ActorDemand) -> bool {
        demand_of(demand).is_ok_and(|demand| self.is_feasible(&demand))
    }
}

/// What an actor demands, exactly; nothing of what it does not name.
///
/// # Errors
/// An amount that cannot be counted.
pub fn demand_of(demand: &ActorDemand) -> Result<Demand, QuantityError> {
    let within = demand.within().map(|(group, bundle)| Within { group, bundle });
    let nothing = Demand::cpus(Quantity::ZERO).within(within);
    demand
        .amounts()
        .try_fold(nothing, |sum, (name, amount)| sum.with(name, Quantity::try_new(amount)?))
}
