//! Circuits: streams through a relay that are connections of their own to both ends.
//!
//! The library gives circuits to its swarm alone, and would put all lanes to a node into one of them.
//! So its transport is shared: the swarm opens circuits for control connections, we open others for lanes and bulk, and
//! the node at the other end tells them apart by their first byte, as with sockets.
//!
//! Invariant: a circuit is bytes between two nodes, which the relay carries; who is at its other end is proved by Noise
//! and admission on it, as on a socket.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use futures_util::ready;
use futures_util::task::AtomicWaker;
use libp2p::core::Endpoint as Role;
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, TransportError, TransportEvent};
use libp2p::relay::client;
use libp2p::{Multiaddr, PeerId, Transport};
use parking_lot::Mutex;

/// The library's transport for circuits, which swarm and endpoint share.
#[derive(Clone)]
pub(crate) struct Circuits {
    transport: Arc<Mutex<client::Transport>>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Circuit, client::transport::Error>> + Send>>;

impl Circuits {
    pub(crate) fn new(transport: client::Transport) -> Self {
        Self { transport: Arc::new(Mutex::new(transport)) }
    }

    /// Opens a circuit beside the swarm's own.
    pub(crate) async fn open(mut self, address: Multiaddr) -> io::Result<Circuit> {
        let options = DialOpts { role: Role::Dialer, port_use: PortUse::New };
        let opening = self.dial(address, options).map_err(io::Error::other)?;
        opening.await.map_err(io::Error::other)
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Circuits")
    }
}

impl Transport for Circuits {
    type Output = Circuit;
    type Error = client::transport::Error;
    type ListenerUpgrade = Opening;
    type Dial = Opening;

    fn listen_on(
        &mut self,
        listener: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.transport.lock().listen_on(listener, address)
    }

    fn remove_listener(&mut self, listener: ListenerId) -> bool {
        self.transport.lock().remove_listener(listener)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let dialing = self.transport.lock().dial(address, options)?;
        Ok(Box::pin(async move { dialing.await.map(Circuit::new) }))
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let event = ready!(Pin::new(&mut *self.transport.lock()).poll(cx));
        Poll::Ready(event.map_upgrade(|upgrade| -> Opening {
            Box::pin(async move { upgrade.await.map(Circuit::new) })
        }))
    }
}

/// The scissors for the swarm's circuits, by who is at their other end.
///
/// A connection that the swarm closes by itself leaves those who read from its streams waiting for ever: its multiplexer
/// wakes them only when the connection breaks. So one through a relay is ended from below.
#[derive(Clone, Default)]
pub(crate) struct Cuts {
    circuits: Arc<Mutex<HashMap<PeerId, Vec<Weak<Cut>>>>>,
}

#[derive(Default)]
struct Cut {
    is_cut: AtomicBool,
    waker: AtomicWaker,
}

impl Cuts {
    /// Takes up a circuit with `peer`.
    pub(crate) fn watch(&self, mut circuit: Circuit, peer: PeerId) -> Circuit {
        let cut = Arc::new(Cut::default());
        let mut circuits = self.circuits.lock();
        circuits.retain(|_, known| {
            known.retain(|cut| cut.strong_count() > 0);
            !known.is_empty()
        });
        circuits.entry(peer).or_default().push(Arc::downgrade(&cut));
        drop(circuits);
        circuit.cut = Some(cut);
        circuit
    }

    /// Ends all circuits with `peer`.
    pub(crate) fn cut(&self, peer: &PeerId) {
        let known = self.circuits.lock().remove(peer).unwrap_or_default();
        for cut in known.iter().filter_map(Weak::upgrade) {
            cut.is_cut.store(true, Ordering::Release);
            cut.waker.wake();
        }
    }
}

/// One circuit. The task that writes is the one that reads.
pub(crate) struct Circuit {
    /// Was looked at and is still to be read.
    first: Option<u8>,
    cut: Option<Arc<Cut>>,
    stream: client::Connection,
}

impl Circuit {
    const fn new(stream: client::Connection) -> Self {
        Self { first: None, cut: None, stream }
    }

    /// Waits for the first byte and leaves it there.
    pub(crate) async fn peek(&mut self) -> io::Result<u8> {
        if let Some(first) = self.first {
            return Ok(first);
        }
        let mut first = [0];
        self.stream.read_exact(&mut first).await?;
        self.first = Some(first[0]);
        Ok(first[0])
    }

    /// Looks for the other end's end while there is no room to write: a relay tells it to those who read, and one whose
    /// reader has gone would wait for room for ever. (A multiplexer that has said that it will write no more does not
    /// say in addition that it reads no more; and none of our links is closed in one direction alone.)
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.first.is_some() {
            return Poll::Pending;
        }
        let mut first = [0];
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut first))? {
            0 => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            _ => {
                self.first = Some(first[0]);
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for Circuit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(cut) = &self.cut {
            cut.waker.register(cx.waker());
            if cut.is_cut.load(Ordering::Acquire) {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        if let Some(place) = into.first_mut()
            && let Some(first) = self.first.take()
        {
            *place = first;
            return Poll::Ready(Ok(1));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Circuit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, from);
        if written.is_pending() { self.poll_end(cx) } else { written }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
