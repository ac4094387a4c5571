//! Carries the admission frames over an encrypted stream.
//!
//! The rules are in [`rules`]; here are the clock, the randomness and the waiting.
//! A peer that says nothing must not hold a place for ever, and one that lies about a length must not make us allocate:
//! the whole handshake has three seconds, and a frame has its limit before its first byte is read.
//!
//! Invariant: [`Admission::dial`] and [`Admission::listen`] return a peer only after both ends have proved membership.

use std::fmt;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::io::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use rand::RngCore as _;

pub mod certificate;
pub mod ledger;
pub mod rules;
pub mod clock;
pub(crate) mod frames;
mod mode;

pub use self::mode::{AdmissionMode, CaMode};

use certificate::{Capabilities, Certificate, Revocation, Role, Signed};
use ledger::{Issuer, Revocations};
use rules::{
    ADDRESSES_MAX, Answer, CLUSTER_NAME_BYTES_MAX, Closing, Gate, HELLO_BYTES_MAX, Opening, Own,
    PROTOCOL_VERSION, Presence, Proof, Purpose, Refusal, SECRET_BYTES_MIN, Scene, Side, Standing,
    Verdict,
};

use self::clock::{Clock, wall_time};
use self::frames::{LARGE_FRAME_BYTES_MAX, SMALL_FRAME_BYTES_MAX, receive, send, within_limit};
use crate::error::{AdmissionError, ConfigError};
use crate::identity::PublicKey;

/// How long a handshake may take.
pub const ADMISSION_LIMIT: Duration = Duration::from_secs(3);

/// A peer that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its key, proved by the encryption.
    pub key: PublicKey,
    /// What it says of itself.
    pub presence: Presence,
    /// What it may do.
    pub standing: Standing,
}

impl Admitted {
    /// A peer may do what it proved that it may, and no more than it says that it will.
    fn new(key: PublicKey, presence: Presence, proved: Standing) -> Self {
        let standing = proved.within(presence.limits);
        Self { key, presence, standing }
    }
}

/// The doorkeeper of one node.
pub struct Admission {
    own: PublicKey,
    cluster: String,
    presence: ArcSwap<Presence>,
    state: Mutex<State>,
    clock: Clock,
}

struct State {
    gate: Gate,
    issuer: Option<Issuer>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.state.lock().gate.mode();
        f.debug_struct("Admission")
            .field("own", &self.own)
            .field("cluster", &self.cluster)
            .field("mode", &mode)
            .finish_non_exhaustive()
    }
}

impl Admission {
    /// The doorkeeper of the node with the key `own`.
    ///
    /// # Errors
    /// - [`ConfigError::ClusterName`], [`ConfigError::ShortSecret`], [`ConfigError::NothingToShow`]: correct and retry.
    /// - [`ConfigError::TooLarge`]: `presence` is beyond its limits.
    pub fn new(
        own: PublicKey,
        cluster: impl Into<String>,
        mode: AdmissionMode,
        presence: Presence,
    ) -> Result<Self, ConfigError> {
        Self::with_clock(own, cluster.into(), mode, presence, wall_time)
    }

    /// As [`Admission::new`], with a clock of one's own, so that tests can let certificates expire.
    ///
    /// # Errors
    /// As [`Admission::new`].
    pub fn with_clock(
        own: PublicKey,
        cluster: String,
        mode: AdmissionMode,
        presence: Presence,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        if cluster.is_empty() || cluster.len() > CLUSTER_NAME_BYTES_MAX {
            return Err(ConfigError::ClusterName { length: cluster.len() });
        }
        check_presence(&presence)?;
        let mut issuer = None;
        let gate = match mode {
            AdmissionMode::Open => Gate::Open,
            AdmissionMode::Secret(secret) => {
                if secret.len() < SECRET_BYTES_MIN {
                    let min = SECRET_BYTES_MIN;
                    return Err(ConfigError::ShortSecret { length: secret.len(), min });
                }
                Gate::Secret(secret)
            }
            AdmissionMode::Ca(ca) => {
                let mut ca = *ca;
                if let (Some(issuer), None) = (&ca.issuer, &ca.certificate) {
                    let terms = (Role::Member, Capabilities::ALL);
                    ca.certificate = Some(issuer.certify(own, terms, clock()));
                }
                if ca.certificate.is_none() && ca.token.is_none() {
                    return Err(ConfigError::NothingToShow);
                }
                issuer = ca.issuer;
                Gate::Ca {
                    authority: ca.authority,
                    own: Own { certificate: ca.certificate, token: ca.token },
                    revocations: Revocations::default(),
                }
            }
        };
        let state = Mutex::new(State { gate, issuer });
        Ok(Self { own, cluster, presence: ArcSwap::from_pointee(presence), state, clock })
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether anyone is let in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state.lock().gate, Gate::Open)
    }

    /// What we say of ourselves at present.
    #[must_use]
    pub fn presence(&self) -> Presence {
        Presence::clone(&self.presence.load())
    }

    /// Changes what later handshakes say of us.
    ///
    /// # Errors
    /// [`ConfigError::TooLarge`]: the old presence stays.
    pub fn describe(&self, presence: Presence) -> Result<(), ConfigError> {
        check_presence(&presence)?;
        self.presence.store(presence.into());
        Ok(())
    }

    /// Our certificate, if we have one: keep it over restarts.
    #[must_use]
    pub fn certificate(&self) -> Option<Signed<Certificate>> {
        match &self.state.lock().gate {
            Gate::Ca { own, .. } => own.certificate.clone(),
            Gate::Open | Gate::Secret(_) => None,
        }
    }

    /// Takes up a revocation; `Some` if it was news, and then it should be passed on.
    ///
    /// # Errors
    /// [`Refusal::Forged`] or [`Refusal::Full`]; [`Refusal::Unproved`] where there is no authority. Nothing changes.
    pub fn revoke(&self, entry: &Signed<Revocation>) -> Result<Option<Revocation>, Refusal> {
        match &mut self.state.lock().gate {
            Gate::Ca { authority, revocations, .. } => {
                revocations.merge(entry, authority, &self.cluster)
            }
            Gate::Open | Gate::Secret(_) => Err(Refusal::Unproved),
        }
    }

    /// All revocations known here, for a peer that was just connected.
    #[must_use]
    pub fn revocations(&self) -> Vec<Signed<Revocation>> {
        match &self.state.lock().gate {
            Gate::Ca { revocations, .. } => revocations.iter().cloned().collect(),
            Gate::Open | Gate::Secret(_) => Vec::new(),
        }
    }

    /// Whether the connection of a node that was let in must be closed now: expired or revoked.
    #[must_use]
    pub fn takes_back(&self, node: &PublicKey, standing: &Standing) -> bool {
        self.state.lock().gate.takes_back(node, standing, (self.clock)())
    }

    /// Proves membership to the listener `remote` and has it prove its own. At most [`ADMISSION_LIMIT`].
    ///
    /// # Errors
    /// [`AdmissionError`]; drop the stream then.
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the stream with the future.
    pub async fn dial<S>(
        &self,
        stream: &mut S,
        remote: PublicKey,
        purpose: Purpose,
    ) -> Result<Admitted, AdmissionError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        within_limit(self.dial_unbounded(stream, remote, purpose)).await
    }

    async fn dial_unbounded<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        remote: PublicKey,
        purpose: Purpose,
    ) -> Result<Admitted, AdmissionError> {
        let mode = self.state.lock().gate.mode();
        let (version, cluster) = (PROTOCOL_VERSION, self.cluster.clone());
        let opening = Opening { version, cluster, purpose, mode, nonce: nonce() };
        send(stream, &opening).await?;
        let challenge = match receive(stream, SMALL_FRAME_BYTES_MAX).await? {
            Answer::Challenge(nonce) => nonce,
            Answer::Refused(refusal) => return Err(AdmissionError::RefusedByPeer(refusal)),
        };
        let scene = Scene { opening: &opening, dialer: self.own, listener: remote, challenge };
        let proof = self.state.lock().gate.proof(&scene, Side::Dialer, (self.clock)());
        send(stream, &proof).await?;
        let (proof, issued, presence) = match receive(stream, LARGE_FRAME_BYTES_MAX).await? {
            Verdict::Accepted { proof, issued, presence } => (proof, issued, presence),
            Verdict::Refused(refusal) => return Err(AdmissionError::RefusedByPeer(refusal)),
        };
        let standing = {
            let mut state = self.state.lock();
            let standing = state.gate.judge(&scene, Side::Listener, &proof, (self.clock)());
            if let (Ok(_), Some(issued), Gate::Ca { own, .. }) =
                (&standing, issued, &mut state.gate)
            {
                own.certificate = Some(issued);
            }
            standing
        };
        match standing.and_then(|standing| Ok((standing, legible(&presence)?))) {
            Ok((standing, ())) => {
                send(stream, &Closing::Accepted(self.presence_for(purpose))).await?;
                Ok(Admitted::new(remote, presence, standing))
            }
            Err(refusal) => {
                send(stream, &Closing::Refused(refusal.clone())).await?;
                Err(AdmissionError::Refused(refusal))
            }
        }
    }

    /// Has the dialer `remote` prove its membership, and proves ours. At most [`ADMISSION_LIMIT`].
    ///
    /// # Errors
    /// [`AdmissionError`]; drop the stream then.
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the stream with the future.
    pub async fn listen<S>(
        &self,
        stream: &mut S,
        remote: PublicKey,
    ) -> Result<(Purpose, Admitted), AdmissionError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        within_limit(self.listen_unbounded(stream, remote)).await
    }

    async fn listen_unbounded<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        remote: PublicKey,
    ) -> Result<(Purpose, Admitted), AdmissionError> {
        let opening: Opening = receive(stream, SMALL_FRAME_BYTES_MAX).await?;
        let reviewed = self.state.lock().gate.review(&self.cluster, &opening);
        if let Err(refusal) = reviewed {
            send(stream, &Answer::Refused(refusal.clone())).await?;
            return Err(AdmissionError::Refused(refusal));
        }
        let challenge = nonce();
        send(stream, &Answer::Challenge(challenge)).await?;
        let shown: Proof = receive(stream, SMALL_FRAME_BYTES_MAX).await?;
        let scene = Scene { opening: &opening, dialer: remote, listener: self.own, challenge };
        let (standing, issued, proof) = match self.weigh(&scene, shown) {
            Ok(weighed) => weighed,
            Err(refusal) => {
                send(stream, &Verdict::Refused(refusal.clone())).await?;
                return Err(AdmissionError::Refused(refusal));
            }
        };
        let presence = self.presence_for(opening.purpose);
        send(stream, &Verdict::Accepted { proof, issued, presence }).await?;
        let presence = match receive(stream, LARGE_FRAME_BYTES_MAX).await? {
            Closing::Accepted(presence) => presence,
            Closing::Refused(refusal) => return Err(AdmissionError::RefusedByPeer(refusal)),
        };
        legible(&presence).map_err(AdmissionError::Refused)?;
        Ok((opening.purpose, Admitted::new(remote, presence, standing)))
    }

    /// The listener's decision: exchanges a token first, if one is shown here, and then judges the certificate.
    fn weigh(
        &self,
        scene: &Scene<'_>,
        mut shown: Proof,
    ) -> Result<(Standing, Option<Signed<Certificate>>, Proof), Refusal> {
        let (mut state, now) = (self.state.lock(), (self.clock)());
        let mut issued = None;
        if let (Proof::Token(token), Some(issuer)) = (&shown, &mut state.issuer) {
            let certificate = issuer.redeem(token, scene.dialer, now)?;
            issued = Some(certificate.clone());
            shown = Proof::Certificate(certificate);
        }
        let standing = state.gate.judge(scene, Side::Dialer, &shown, now)?;
        Ok((standing, issued, state.gate.proof(scene, Side::Listener, now)))
    }

    /// Lanes and bulk follow a control connection, which has carried the hello already.
    fn presence_for(&self, purpose: Purpose) -> Presence {
        let presence = self.presence.load();
        match purpose {
            Purpose::Control => Presence::clone(&presence),
            Purpose::Messages { .. } | Purpose::Bulk => Presence {
                incarnation: presence.incarnation,
                limits: presence.limits,
                ..Presence::default()
            },
        }
    }
}

fn check_presence(presence: &Presence) -> Result<(), ConfigError> {
    let hello = presence.hello.len();
    if hello > HELLO_BYTES_MAX {
        let max = HELLO_BYTES_MAX;
        return Err(ConfigError::TooLarge { what: "hello bytes", size: hello, max });
    }
    let size = presence.addresses.len();
    if size > ADDRESSES_MAX || presence.addresses.iter().any(|address| address.len() > 255) {
        return Err(ConfigError::TooLarge { what: "listen addresses", size, max: ADDRESSES_MAX });
    }
    Ok(())
}

fn legible(presence: &Presence) -> Result<(), Refusal> {
    check_presence(presence).map_err(|_beyond_limits| Refusal::Malformed)
}

fn nonce() -> [u8; 32] {
    let mut nonce = [0; 32];
    rand::rng().fill_bytes(&mut nonce);
    nonce
}
