//! Probes: how long a word takes there and back on the control connection, the way a heartbeat goes.
//!
//! A ping of the transport's own would be answered below the driver, and say nothing of a driver that is busy.
//! So a probe is a frame like the others: queued, written, read and answered by the drivers of both nodes.
//!
//! Invariant: at most [`PROBES_MAX`] wait at one time; one that nobody waits for any more makes room.

use std::collections::BTreeMap;
use std::time::Duration;

use mobula_proto::id::NodeId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::ProbeError;

/// Most probes that wait for their echo.
pub const PROBES_MAX: usize = 256;

/// How long an echo may take.
pub const ECHO_LIMIT: Duration = Duration::from_secs(5);

/// Learns how long it took.
pub(crate) type Probe = oneshot::Sender<Result<Duration, ProbeError>>;

/// Probes under way.
#[derive(Default)]
pub(crate) struct Probes {
    count: u64,
    waiting: BTreeMap<u64, (NodeId, Instant, Probe)>,
}

impl Probes {
    /// Notes a probe that is about to be sent; what to send. `None`: too many wait, and it has been told so.
    pub(crate) fn begin(&mut self, node: NodeId, now: Instant, probe: Probe) -> Option<[u8; 8]> {
        if self.waiting.len() >= PROBES_MAX {
            self.waiting.retain(|_, (_, _, probe)| !probe.is_closed());
        }
        if self.waiting.len() >= PROBES_MAX {
            let _gone = probe.send(Err(ProbeError::TooMany));
            return None;
        }
        self.count += 1;
        self.waiting.insert(self.count, (node, now, probe));
        Some(self.count.to_le_bytes())
    }

    /// An echo came, or (`came` is false) the probe could not be sent.
    pub(crate) fn end(&mut self, node: NodeId, body: &[u8], now: Instant, came: bool) {
        let number = body.try_into().map(u64::from_le_bytes).unwrap_or(0);
        if self.waiting.get(&number).is_none_or(|(asked, ..)| *asked != node) {
            return;
        }
        if let Some((_, begun, probe)) = self.waiting.remove(&number) {
            let answer = if came { Ok(now - begun) } else { Err(ProbeError::NoNeighbour { node }) };
            let _gone = probe.send(answer);
        }
    }
}
