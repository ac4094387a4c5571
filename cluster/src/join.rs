//! Joining: reaching any member, and being let in.
//!
//! The first address may be the one node that is down, and a wrong secret does not become right by waiting.
//! So addresses are tried in turn, silence is met with a growing pause, and a refusal ends the attempt when nobody else
//! is left to ask.
//!
//! Invariant: the call returns by its limit, with the last error of each address.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mobula_proto::membership::{Input, MembershipEvent};
use rand::Rng as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{JoinError, OpenError};
use crate::handle::{Cluster, WeakCluster};

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn join(
    cluster: &Cluster,
    addresses: &[String],
    limit: Duration,
) -> Result<(), JoinError> {
    let deadline = Instant::now() + limit;
    let mut tried = BTreeMap::new();
    let mut pause = PAUSE_MIN;
    loop {
        for address in addresses {
            let attempt = timeout_at(deadline, attempt(cluster, address));
            match attempt.await.unwrap_or(Err(OpenError::TimedOut { limit })) {
                Ok(()) => return Ok(()),
                Err(OpenError::Closed) => return Err(JoinError::Closed),
                Err(error) => drop(tried.insert(address.clone(), error)),
            }
        }
        let refused = |error: &OpenError| match error {
            OpenError::NotAdmitted(source) if source.refusal().is_some() => Some(source.clone()),
            _ => None,
        };
        // One that may still come up is worth waiting for; if there is none, the refusal stands.
        let hopeless = |e: &OpenError| refused(e).is_some() || matches!(e, OpenError::Oneself);
        if tried.values().all(hopeless)
            && let Some((address, source)) =
                tried.iter().find_map(|(a, e)| Some((a.clone(), refused(e)?)))
        {
            return Err(JoinError::NotAdmitted { address, source });
        }
        if Instant::now() >= deadline || addresses.is_empty() {
            return Err(JoinError::NobodyThere { limit, tried: tried.into_iter().collect() });
        }
        let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        sleep(jittered.min(deadline.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Reaches one address and waits until the cluster has let us in.
async fn attempt(cluster: &Cluster, address: &str) -> Result<(), OpenError> {
    let mut events = cluster.events();
    cluster.open_control(address).await?;
    cluster.tell(Input::Join).await;
    loop {
        match events.recv().await {
            Ok(MembershipEvent::JoinCompleted { .. }) => return Ok(()),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(OpenError::Closed),
        }
    }
}

/// How often one of the seeds that are no members is dialed.
const SEED_PAUSE: Duration = Duration::from_secs(5);

/// Dials seeds that are no members, one at a time, as long as the node runs. Two halves of one cluster that formed
/// apart know nothing of each other: only an address from outside can join them.
pub(crate) async fn keep_dialing(cluster: WeakCluster, seeds: Vec<String>) {
    loop {
        let pause = SEED_PAUSE.mul_f64(rand::rng().random_range(0.5..1.5));
        sleep(pause).await;
        let Some(cluster) = cluster.upgrade() else { return };
        let view = cluster.view();
        let known: BTreeSet<&String> =
            view.live().flat_map(|record| &record.details.addresses).collect();
        let strangers: Vec<&String> = seeds.iter().filter(|seed| !known.contains(seed)).collect();
        if strangers.is_empty() {
            continue;
        }
        let one = strangers[rand::rng().random_range(0..strangers.len())];
        // Nobody there, or ourselves by another name: there will be another time.
        if cluster.open_control(one).await.is_ok() {
            cluster.tell(Input::Join).await;
        }
    }
}

/// Joins whoever was discovered and is no member yet, as long as the node runs. One that is not there, or not let in,
/// announces itself again.
pub(crate) async fn meet(cluster: WeakCluster, mut discovered: mpsc::Receiver<String>) {
    while let Some(address) = discovered.recv().await {
        let Some(cluster) = cluster.upgrade() else { return };
        let view = cluster.view();
        let is_known = view.live().any(|record| record.details.addresses.contains(&address));
        if !is_known && cluster.open_control(&address).await.is_ok() {
            cluster.tell(Input::Join).await;
        }
    }
}
