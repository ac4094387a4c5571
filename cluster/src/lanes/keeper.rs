//! Keeps one lane connected for as long as it has something to say.
//!
//! Both ends may dial at once, and two connections for one lane would break its order.
//! A fixed dialer would need the other's help to send, so either may dial; when two connections meet, both ends keep
//! the one that the node with the smaller name dialed.
//!
//! Invariant: a lane has at most one connection that is fed to its association.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Peer, pump};
use crate::admission::rules::Purpose;
use crate::error::{LinkError, OpenError};
use crate::transport::{Link, Target};

const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Two dials count as simultaneous within this time.
const RACE: Duration = Duration::from_secs(2);

/// Starts the task of a lane; the links that the peer dials go to what is returned.
pub(super) fn start(peer: Arc<Peer>, lane: u8) -> mpsc::Sender<Link> {
    let (offers_in, offers) = mpsc::channel(1);
    let runtime = peer.shared.runtime.clone();
    runtime.spawn(Keeper { peer, lane, offers, failures: 0 }.run());
    offers_in
}

struct Keeper {
    peer: Arc<Peer>,
    lane: u8,
    offers: mpsc::Receiver<Link>,
    failures: u32,
}

/// A connection and which end dialed it.
struct Held {
    link: Link,
    is_ours: bool,
}

impl Keeper {
    async fn run(mut self) {
        let mut next = None;
        loop {
            let held = match next.take() {
                Some(held) => held,
                None => match self.connect().await {
                    Some(held) => held,
                    None => return,
                },
            };
            next = self.use_up(held).await;
        }
    }

    /// Waits for a reason to be connected, and then for a connection; `None` when the association was closed.
    async fn connect(&mut self) -> Option<Held> {
        loop {
            tokio::select! {
                offer = self.offers.recv() => return offer.map(|link| Held { link, is_ours: false }),
                () = wanted(&self.peer, self.lane) => {}
            }
            let node = self.peer.node;
            let addresses = self.peer.shared.book.addresses(node);
            let target = Target { node: Some(node), addresses };
            let purpose = Purpose::Messages { lane: self.lane };
            let pause = self.pause();
            let dialing = async {
                sleep_until(Instant::now() + pause).await;
                self.peer.shared.transport.open(target, purpose).await
            };
            tokio::select! {
                biased;
                offer = self.offers.recv() => return offer.map(|link| Held { link, is_ours: false }),
                dialed = dialing => match dialed {
                    Ok(link) => return Some(Held { link, is_ours: true }),
                    Err(error) => self.failed(&error),
                },
                () = aging(&self.peer) => {}
            }
        }
    }

    fn failed(&mut self, error: &OpenError) {
        tracing::debug!(node = %self.peer.node, lane = self.lane, %error, "lane not connected");
        self.failures = self.failures.saturating_add(1);
    }

    /// None for the first attempt, then twice as long each time, with up to half of it by chance.
    fn pause(&self) -> Duration {
        if self.failures == 0 {
            return Duration::ZERO;
        }
        let full = (BACKOFF_MIN * 2u32.saturating_pow(self.failures - 1)).min(BACKOFF_MAX);
        full.mul_f64(rand::rng().random_range(0.5..1.0))
    }

    /// Moves messages until the connection ends; returns the one that took its place, if any.
    async fn use_up(&mut self, held: Held) -> Option<Held> {
        let Self { peer, lane, offers, .. } = self;
        let begun = Instant::now();
        let Held { link, is_ours } = held;
        let smaller = peer.shared.transport.node() < peer.node;
        peer.connected(*lane, Some(Arc::clone(&link.peer)));
        let mut pumping = std::pin::pin!(pump::run(peer, *lane, link));
        let (error, next) = loop {
            tokio::select! {
                biased;
                error = &mut pumping => break (Some(error), None),
                offer = offers.recv() => match offer {
                    // Ours stands: the other end drops its own when it sees ours.
                    Some(_) if is_ours && smaller && begun.elapsed() < RACE => {}
                    Some(link) => break (None, Some(Held { link, is_ours: false })),
                    None => break (None, None),
                },
            }
        };
        peer.connected(*lane, None);
        if let Some((has_served, error)) = error {
            tracing::debug!(node = %peer.node, lane, %error, "lane cut");
            // One that served is dialed anew almost at once; one that never spoke is a failure like a refused dial.
            let served = has_served && matches!(error, LinkError::Broken(_));
            self.failures = if served { 1 } else { self.failures.saturating_add(1) };
        }
        next
    }
}

/// Ready when the lane has something to send, or the association was closed.
async fn wanted(peer: &Peer, lane: u8) {
    poll_fn(|context| {
        let mut core = peer.core.lock();
        if core.is_closed || core.association.buffered_bytes(lane) > 0 {
            return Poll::Ready(());
        }
        core.slots[usize::from(lane)].waker = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}

/// While there is no connection, what waits grows too old; returns when something was given up.
async fn aging(peer: &Peer) {
    let mut outputs = Vec::new();
    loop {
        let Some(wake) = peer.core.lock().association.next_wake() else {
            return std::future::pending().await;
        };
        let wake = peer.shared.at(wake).max(Instant::now() + Duration::from_millis(1));
        sleep_until(wake).await;
        peer.core.lock().association.tick(peer.shared.now(), &mut outputs);
        if !outputs.is_empty() {
            peer.report(&mut outputs);
            return;
        }
    }
}
