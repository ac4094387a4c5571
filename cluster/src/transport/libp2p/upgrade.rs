//! The security upgrade of libp2p connections: Noise, and then admission, as one step.
//!
//! A check in a protocol of its own would run beside identify, ping and gossipsub, which answer from the first moment.
//! Here the multiplexer is not even started before both ends have proved membership, so there is nothing to ask.
//!
//! Invariant: the swarm sees no connection whose peer is not in [`Table`].

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::io::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::{PeerId, noise};
use parking_lot::Mutex;

use crate::admission::rules::{Purpose, Refusal};
use crate::admission::{Admission, Admitted};
use crate::error::AdmissionError;
use crate::identity::PublicKey;

/// Why an upgrade failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("encryption failed")]
    Noise(#[from] noise::Error),
    #[error("not admitted")]
    Admission(#[from] Arc<AdmissionError>),
}

/// What peers said of themselves when they were let in.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Mutex<HashMap<PeerId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    admitted: Arc<Admitted>,
    fresh: bool,
}

impl Table {
    fn insert(&self, peer: PeerId, admitted: Admitted) {
        let entry = Entry { admitted: Arc::new(admitted), fresh: true };
        self.entries.lock().insert(peer, entry);
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<Arc<Admitted>> {
        self.entries.lock().get(peer).map(|entry| Arc::clone(&entry.admitted))
    }

    /// Forgets who is neither connected nor was let in since the last sweep (it may be about to be connected).
    pub(crate) fn sweep(&self, connected: impl Fn(&PeerId) -> bool) {
        self.entries
            .lock()
            .retain(|peer, entry| std::mem::take(&mut entry.fresh) || connected(peer));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

/// The upgrade. Its protocol has a name of its own, so that strangers who speak plain Noise end at the negotiation.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) noise: noise::Config,
    pub(crate) admission: Arc<Admission>,
    pub(crate) table: Arc<Table>,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("admission", &self.admission).finish_non_exhaustive()
    }
}

/// The name under which the upgrade is negotiated.
pub(crate) const UPGRADE_NAME: &str = "/mobula/noise";

const NOISE_NAME: &str = "/noise";

type Upgraded<T> = Result<(PeerId, noise::Output<T>), UpgradeError>;

impl UpgradeInfo for Guarded {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(UPGRADE_NAME)
    }
}

impl<T> InboundConnectionUpgrade<T> for Guarded
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = (PeerId, noise::Output<T>);
    type Error = UpgradeError;
    type Future = Pin<Box<dyn Future<Output = Upgraded<T>> + Send>>;

    fn upgrade_inbound(self, socket: T, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            let (peer, mut stream) = self.noise.upgrade_inbound(socket, NOISE_NAME).await?;
            let (purpose, admitted) =
                self.admission.listen(&mut stream, key_of(&peer)?).await.map_err(Arc::new)?;
            if purpose != Purpose::Control {
                return Err(malformed());
            }
            self.table.insert(peer, admitted);
            Ok((peer, stream))
        })
    }
}

impl<T> OutboundConnectionUpgrade<T> for Guarded
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = (PeerId, noise::Output<T>);
    type Error = UpgradeError;
    type Future = Pin<Box<dyn Future<Output = Upgraded<T>> + Send>>;

    fn upgrade_outbound(self, socket: T, _: Self::Info) -> Self::Future {
        Box::pin(async move {
            let (peer, mut stream) = self.noise.upgrade_outbound(socket, NOISE_NAME).await?;
            let dialing = self.admission.dial(&mut stream, key_of(&peer)?, Purpose::Control);
            let admitted = dialing.await.map_err(Arc::new)?;
            self.table.insert(peer, admitted);
            Ok((peer, stream))
        })
    }
}

/// The key behind the transport's name. Noise has verified that the other end holds its private half.
pub(crate) fn key_of(peer: &PeerId) -> Result<PublicKey, UpgradeError> {
    PublicKey::of_peer(peer).ok_or_else(malformed)
}

pub(super) fn malformed() -> UpgradeError {
    UpgradeError::Admission(Arc::new(AdmissionError::Refused(Refusal::Malformed)))
}
