//! Keeps a reservation at one relay, for as long as the node runs, and says to all where the node is reached by it.
//!
//! A relay may be down when we start, restart later, or have no room: none of it is an end, only a pause. With more than
//! one relay all are kept at once, so that the loss of one leaves an address that is known already.
//!
//! Invariant: a circuit's address is announced while there is a reservation behind it, and not longer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::address::{CircuitAddress, listener};
use crate::admission::Admission;
use crate::admission::rules::ADDRESSES_MAX;
use crate::error::OpenError;
use crate::transport::Arrival;
use crate::transport::libp2p::notation::multiaddr;
use crate::transport::libp2p::swarm::{Command, Wish};
use crate::transport::libp2p::upgrade::key_of;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Says to all where the node is reached.
#[derive(Clone)]
pub(crate) struct Announcer {
    pub(crate) addresses: Arc<Mutex<Vec<String>>>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
}

impl Announcer {
    /// Changes the addresses, for later handshakes and for those who are members already.
    async fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        {
            // Under the lock, so that of two changes at once neither is forgotten.
            let mut addresses = self.addresses.lock();
            change(&mut addresses);
            let mut presence = self.admission.presence();
            presence.addresses = addresses.iter().take(ADDRESSES_MAX).cloned().collect();
            if let Err(error) = self.admission.describe(presence) {
                tracing::warn!(%error, "addresses not announced");
            }
        }
        let _closed = self.arrivals.send(Arrival::Moved).await;
    }
}

/// Keeps a reservation at each of `relays`, by tasks that join `tasks`. What is returned says when the first one is
/// granted, and ends when each has failed once.
pub(crate) fn keep(
    relays: &[String],
    own: PeerId,
    commands: &mpsc::Sender<Command>,
    announcer: &Announcer,
    tasks: &mut Vec<AbortHandle>,
) -> mpsc::Receiver<()> {
    let (begun, first) = mpsc::channel(1);
    for at in relays {
        let keeper = Keeper {
            at: at.clone(),
            own,
            commands: commands.clone(),
            announcer: announcer.clone(),
            begun: Some(begun.clone()),
            known: None,
        };
        tasks.push(tokio::spawn(keeper.run()).abort_handle());
    }
    first
}

/// The keeper of one reservation.
struct Keeper {
    /// Where the relay is: `host:port`.
    at: String,
    own: PeerId,
    commands: mpsc::Sender<Command>,
    announcer: Announcer,
    /// Told when the first reservation is granted; dropped after the first attempt.
    begun: Option<mpsc::Sender<()>>,
    /// Who was there the last time.
    known: Option<NodeId>,
}

/// A reservation that was granted.
struct Held {
    circuit: String,
    ended: oneshot::Receiver<io::Error>,
}

impl Keeper {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            match self.reserve().await {
                Ok(held) => {
                    failures = 0;
                    self.hold(held).await;
                }
                Err(OpenError::Oneself | OpenError::Closed) => return,
                Err(error) => {
                    if let OpenError::AnotherNode { .. } = error {
                        self.known = None;
                    }
                    failures += 1;
                    // Once for each outage; later ones are for who looks closer.
                    if failures == 1 {
                        tracing::warn!(relay = %self.at, %error, "no reservation");
                    } else {
                        tracing::debug!(relay = %self.at, %error, "no reservation");
                    }
                }
            }
            self.begun = None;
            let pause = pause(failures, rand::rng().random_range(0.5..1.0));
            sleep(pause).await;
        }
    }

    /// Announces a reservation until it ends.
    async fn hold(&mut self, held: Held) {
        let Held { circuit, ended } = held;
        tracing::info!(relay = %self.at, "reached by a relay");
        self.announcer.change(|addresses| addresses.push(circuit.clone())).await;
        if let Some(begun) = self.begun.take() {
            let _nobody_waits = begun.try_send(());
        }
        match ended.await {
            Ok(error) => tracing::warn!(relay = %self.at, %error, "reservation lost"),
            Err(_closed) => tracing::debug!(relay = %self.at, "endpoint closed"),
        }
        self.announcer.change(|addresses| addresses.retain(|known| *known != circuit)).await;
    }

    async fn reserve(&mut self) -> Result<Held, OpenError> {
        let unreachable = |error: io::Error| OpenError::Unreachable(Arc::new(error));
        let found = tokio::net::lookup_host(&self.at).await.map_err(unreachable)?;
        let at: Vec<SocketAddr> = found.collect();
        let Some(&first) = at.first() else { return Err(OpenError::NoAddress) };
        let (reply, answer) = oneshot::channel();
        let addresses = at.into_iter().map(multiaddr).collect();
        self.tell(Command::Reach(Wish { node: self.known, addresses, is_leg: true, reply }))
            .await?;
        let relay = answer.await.map_err(|_closed| OpenError::Closed)??;
        self.known = key_of(&relay).ok().map(|key| key.node());
        let (granted_in, granted) = oneshot::channel();
        let (ended_in, mut ended) = oneshot::channel();
        let listener = listener(relay, first);
        self.tell(Command::Reserve { relay, listener, granted: granted_in, ended: ended_in })
            .await?;
        tokio::select! {
            biased;
            error = &mut ended => Err(error.map_or(OpenError::Closed, unreachable)),
            Ok(()) = granted => {
                let address = CircuitAddress { at: self.at.clone(), relay, node: self.own };
                Ok(Held { circuit: address.to_string(), ended })
            }
        }
    }

    async fn tell(&self, command: Command) -> Result<(), OpenError> {
        self.commands.send(command).await.map_err(|_closed| OpenError::Closed)
    }
}

/// How long after the nth failure in a row: twice as long each time, times `chance`.
fn pause(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (PAUSE_MIN * 2_u32.pow(doublings)).min(PAUSE_MAX).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let pauses: Vec<_> = (0..5).map(|n| pause(n, 1.0).as_millis()).collect();
        assert_eq!(pauses, [50, 50, 100, 200, 400]);
        assert_eq!(pause(u32::MAX, 1.0), PAUSE_MAX);
        assert_eq!(pause(u32::MAX, 0.5), PAUSE_MAX / 2);
    }
}
