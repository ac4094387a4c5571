//! What a node does that has nothing to do: asks others for what waits there. See [`Thief`] for when and whom.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::steal::ANSWER_WITHIN;
use mobula_cluster::scheduling::{CPU, ONE, Thief};
use mobula_tasks::{ResourceAmount, Scheduler};

use super::TaskPort;
use crate::wiring::placement::id;
use crate::wiring::rooms::Amounts;

/// How often a busy node looks whether it has become idle, while others have work waiting.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Tasks that are asked for, for each free CPU: small ones are gone before the next raid.
const TASKS_PER_CPU: u64 = 4;

/// Raids others as long as this node and its scheduler live.
pub(crate) async fn keep_raiding(port: Weak<TaskPort>, scheduler: Weak<Scheduler>) {
    let Some(mut news) = port.upgrade().map(|port| port.cluster.loads_changed()) else { return };
    let mut thief = Thief::new();
    loop {
        let wait = {
            let (Some(port), Some(scheduler)) = (port.upgrade(), scheduler.upgrade()) else {
                return;
            };
            raid(&port, &scheduler, &mut thief).await
        };
        let heard = async {
            // The cluster has ended: the next look finds the port gone, too.
            if news.changed().await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match wait {
            Some(wait) => {
                let _early = tokio::time::timeout(wait, heard).await;
            }
            None => heard.await,
        }
    }
}

/// One look, and perhaps one raid; how long until the next, `None` while nobody has work to give.
async fn raid(
    port: &Arc<TaskPort>,
    scheduler: &Arc<Scheduler>,
    thief: &mut Thief,
) -> Option<Duration> {
    let seen = port.placing.seen();
    let busy = |node: &Name| {
        let loads = port.placing.planner.estimates([*node]);
        loads.iter().any(|(_, load)| load.is_some_and(|load| load.queue_length > 0))
    };
    let is_observer = !seen.sites.iter().any(|site| site.node == port.cluster.node());
    let victims: Vec<Name> = seen.others.iter().map(|site| site.node).filter(busy).collect();
    if victims.is_empty() || is_observer {
        return None;
    }
    let resources = scheduler.resources();
    let cpus = resources.iter().find(|amount| amount.resource == CPU).map_or(0, |a| a.free.units());
    thief.set_idle(cpus > 0 && scheduler.queued() == 0);
    let planner = &port.placing.planner;
    let chosen = planner.with_rng(|rng| thief.tick(planner.now(), &victims, rng));
    let free =
        resources.into_iter().map(|amount: ResourceAmount| (amount.resource, amount.free.units()));
    let free = Amounts(free.collect());
    let most = usize::try_from(cpus.div_ceil(ONE) * TASKS_PER_CPU).unwrap_or(usize::MAX);
    let raids = chosen.into_iter().map(|victim| {
        let (service, free) = (port.service(id(victim)), free.clone());
        async move {
            let Some(service) = service else { return (victim, 0) };
            let asked = service.steal(port.here, free, most).timeout(ANSWER_WITHIN);
            (victim, asked.await.unwrap_or(0))
        }
    });
    for (victim, loot) in join_all(raids).await {
        thief.answered(planner.now(), victim, loot);
    }
    let now = planner.now();
    Some(thief.next_wake().map_or(LOOK_EVERY, |wake| wake.since(now)))
}
