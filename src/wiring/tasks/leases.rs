//! Room on other nodes: asked for, filled, given back, as the core says ([`Spill`](mobula_cluster::scheduling::Spill)).

use std::collections::VecDeque;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mobula_actor_core::{AskError, NodeId, Undelivered};
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::spill::{ANSWER_WITHIN, Output};
use mobula_cluster::scheduling::steal::loot_count;
use mobula_cluster::scheduling::{GrantId, grants};
use mobula_tasks::{Demand, Lease, Waiting};

use super::TaskPort;
use crate::wiring::placement::{id, needs};
use crate::wiring::rooms::Amounts;

/// How an attempt that never was counts for its lease: neither quick nor slow.
const NEUTRAL: Duration = Duration::from_millis(10);

impl TaskPort {
    /// Carries out what the core says. `false` if a task was to go and none waits any more.
    pub(super) fn perform(&self, out: Vec<Output<Demand, u64>>) -> bool {
        let mut out = VecDeque::from(out);
        let mut is_served = true;
        while let Some(output) = out.pop_front() {
            match output {
                Output::Reserve { to, id, shape } => self.ask(to, id, shape),
                Output::Push { to, id, shape, task } => {
                    if !self.send(to, id, &shape, task) {
                        is_served = false;
                        let mut more = Vec::new();
                        let ended = (NEUTRAL, true);
                        self.spill.lock().ended(self.now(), (id, &task), ended, &mut more);
                        out.extend(more);
                    }
                }
                Output::Release { to, id: grant } => {
                    if let Some(service) = self.service(id(to)) {
                        // Lost, it expires.
                        let _ = service.release(grant.holder.0, grant.number).try_tell();
                    }
                }
                // It never left its queue.
                Output::QueueHere { .. } => {}
            }
        }
        is_served
    }

    fn send(&self, to: Name, grant: GrantId, demand: &Demand, ticket: u64) -> bool {
        let Some(scheduler) = self.scheduler.upgrade() else { return false };
        let seen = self.placing.seen();
        let node = id(to);
        let may_go = |function| seen.provides(node, function);
        let lease = Lease { number: grant.number, ticket };
        scheduler.send(demand, node, Some(lease), &may_go)
    }

    /// Asks a node for room.
    fn ask(&self, to: Name, grant: GrantId, demand: Demand) {
        let (me, service) = (Weak::clone(&self.me), self.service(id(to)));
        self.system.runtime().spawn(async move {
            let has_room = match service {
                Some(service) => {
                    let room = Amounts::from(&demand);
                    let asked = service.reserve(grant.holder.0, grant.number, room, grants::TTL);
                    asked.timeout(ANSWER_WITHIN).await
                }
                None => Ok(false),
            };
            let Some(port) = me.upgrade() else { return };
            if let Err(AskError::NotDelivered { reason: Undelivered::Denied(_), .. }) = &has_room {
                port.deny(id(to));
            }
            let has_room = has_room.unwrap_or(false);
            let mut out = Vec::new();
            if has_room {
                port.placing.planner.pushed(to, &needs(&demand, None));
                port.spill.lock().granted(port.now(), grant, &mut out);
            } else {
                port.spill.lock().refused(port.now(), grant, &mut out);
            }
            if port.perform(out) && has_room {
                port.fill(&demand);
            }
        });
    }

    /// Sends what waits as long as leases take it.
    pub(super) fn fill(&self, demand: &Demand) {
        loop {
            let mut out = Vec::new();
            {
                let mut spill = self.spill.lock();
                if !spill.has_spare(demand) {
                    return;
                }
                let ticket = self.count.fetch_add(1, Ordering::Relaxed);
                spill.submit(self.now(), ticket, demand.clone(), &[], &mut out);
            }
            if !self.perform(out) {
                return;
            }
        }
    }

    pub(super) fn ended(&self, lease: Lease, took: Duration, is_welcome: bool) {
        let grant = GrantId { holder: Name(self.here.0), number: lease.number };
        let mut out = Vec::new();
        let demand = {
            let mut spill = self.spill.lock();
            let demand = spill.shape_of(grant).cloned();
            spill.ended(self.now(), (grant, &lease.ticket), (took, is_welcome), &mut out);
            demand
        };
        if self.perform(out)
            && let Some(demand) = demand
        {
            self.fill(&demand);
        }
    }

    /// Gives back leases that are not used, now and then.
    pub(super) fn tick(&self) {
        let mut out = Vec::new();
        self.spill.lock().tick(self.now(), &mut out);
        self.perform(out);
    }

    /// A node is gone: what ran there is told by its own call.
    pub(super) fn node_gone(&self, node: Name) {
        let mut out = Vec::new();
        let _told = self.spill.lock().node_down(self.now(), node, &mut out);
        self.perform(out);
        self.groups.node_gone(id(node));
    }

    /// Gives tasks that wait here to a node with nothing to do: half of them, at most `most`; those that cannot run
    /// here, all.
    pub(super) fn give_away(&self, thief: NodeId, free: &Amounts, most: usize) -> usize {
        let Some(scheduler) = self.scheduler.upgrade() else { return 0 };
        let (seen, free) = (self.placing.seen(), free.resources());
        let may_go = |function| seen.provides(thief, function);
        let mut given = 0;
        for Waiting { demand, count, .. } in scheduler.waiting() {
            if !free.covers(&Amounts::from(&demand).resources()) {
                continue;
            }
            let share = if scheduler.is_feasible(&demand) { loot_count(count) } else { count };
            for _ in 0..share.min(most.saturating_sub(given)) {
                if !scheduler.send(&demand, thief, None, &may_go) {
                    break;
                }
                given += 1;
            }
        }
        given
    }
}
