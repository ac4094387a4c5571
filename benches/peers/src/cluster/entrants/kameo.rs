//! kameo 0.22 with its feature `remote`: libp2p, a stream for each message, actors found by name in a Kademlia.
//!
//! Its own `bootstrap` finds others by multicast, which loopback does not have; so the swarm is built here as its
//! documentation shows, with its behaviour, TCP, Noise and yamux, and each side tells its Kademlia where the other
//! listens, as the multicast would. The far side therefore chooses the near one's port, too.

use std::time::Duration;

use futures_util::StreamExt as _;
use kameo::actor::{RemoteActorRef, Spawn as _};
use kameo::message::{Context, Message};
use kameo::remote::{self, messaging};
use kameo::{Actor, RemoteActor, Reply, mailbox, remote_message};
use libp2p_of_kameo::multiaddr::Protocol;
use libp2p_of_kameo::swarm::SwarmEvent;
use libp2p_of_kameo::{Multiaddr, Swarm, SwarmBuilder, noise, tcp, yamux};
use serde::{Deserialize, Serialize};

use crate::cluster::caller::{Caller, Tally};
use crate::cluster::ground::serve_at;
use crate::cluster::pattern::TEXT;
use crate::contender::MAILBOX_BOUND;
use crate::error::BenchError;

const NAME: &str = "tallier";
/// Between two attempts to enter or find the name.
const PAUSE: Duration = Duration::from_millis(20);
/// Attempts to do so.
const ATTEMPTS: u32 = 500;
/// Connections without a stream are closed after ten seconds otherwise.
const IDLE: Duration = Duration::from_secs(600);

#[derive(Actor, RemoteActor)]
pub(crate) struct Tallier(Tally);

#[derive(Serialize, Deserialize)]
pub(crate) struct Note {
    number: u64,
    text: String,
}

#[remote_message]
impl Message<Note> for Tallier {
    type Reply = ();

    async fn handle(&mut self, note: Note, _context: &mut Context<Self, ()>) {
        self.0.take(note.number, &note.text);
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Add {
    number: u64,
    text: String,
}

#[remote_message]
impl Message<Add> for Tallier {
    type Reply = u64;

    async fn handle(&mut self, add: Add, _context: &mut Context<Self, u64>) -> u64 {
        self.0.take(add.number, &add.text);
        self.0.sum
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Count;

#[derive(Reply, Serialize, Deserialize)]
pub(crate) struct Counted([u64; 4]);

#[remote_message]
impl Message<Count> for Tallier {
    type Reply = Counted;

    async fn handle(&mut self, _: Count, _context: &mut Context<Self, Counted>) -> Counted {
        Counted(self.0.to_numbers())
    }
}

fn refused(error: impl std::fmt::Display) -> BenchError {
    BenchError::refused("kameo")(error.to_string())
}

fn swarm() -> Result<Swarm<remote::Behaviour>, BenchError> {
    let built = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .map_err(refused)?
        .with_behaviour(|key| {
            remote::Behaviour::new(key.public().to_peer_id(), messaging::Config::default())
        })
        .map_err(refused)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    built.behaviour().try_init_global().map_err(refused)?;
    Ok(built)
}

fn loopback(port: u16) -> Result<Multiaddr, BenchError> {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().map_err(refused)
}

/// Runs the swarm for as long as the process lives; whoever connects listens at `other`.
async fn keep_running(mut swarm: Swarm<remote::Behaviour>, other: Multiaddr) {
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            swarm.add_peer_address(peer_id, other.clone());
        }
    }
}

/// Counts for whoever finds the name.
pub(crate) async fn far() -> Result<(), BenchError> {
    let mut swarm = swarm()?;
    swarm.listen_on(loopback(0)?).map_err(refused)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    // Free a moment ago.
    let near = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("{address}/p2p/{},{near}", swarm.local_peer_id());
    tokio::spawn(keep_running(swarm, loopback(near)?));
    let tallier =
        Tallier::spawn_with_mailbox(Tallier(Tally::default()), mailbox::bounded(MAILBOX_BOUND));
    // Refused as long as there is no other node to keep the entry; the caller waits for it.
    tokio::spawn(async move {
        for _ in 0..ATTEMPTS {
            if tallier.register(NAME).await.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        std::future::pending::<()>().await;
        drop(tallier);
    });
    serve_at(&address).await
}

/// A reference to the actor on the far side.
#[derive(Clone)]
pub(crate) struct Kameo(RemoteActorRef<Tallier>);

/// Dials the far side and looks the name up.
pub(crate) async fn call(address: String) -> Result<Kameo, BenchError> {
    let unreadable = || refused(format!("`{address}` is no address"));
    let (far, port) = address.split_once(',').ok_or_else(unreadable)?;
    let mut at: Multiaddr = far.parse().map_err(refused)?;
    let Some(Protocol::P2p(peer)) = at.pop() else { return Err(unreadable()) };
    let mut swarm = swarm()?;
    let port = port.parse().map_err(|_no_number| unreadable())?;
    swarm.listen_on(loopback(port)?).map_err(refused)?;
    swarm.add_peer_address(peer, at.clone());
    swarm.dial(at.clone()).map_err(refused)?;
    tokio::spawn(keep_running(swarm, at));
    for _ in 0..ATTEMPTS {
        if let Ok(Some(tallier)) = RemoteActorRef::<Tallier>::lookup(NAME).await {
            return Ok(Kameo(tallier));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(refused("its far side is not found by name"))
}

impl Caller for Kameo {
    /// More are lost: yamux ends a connection on which too many streams are opened at once.
    const WAVE: u64 = 50;
    const MAY_LOSE: bool = true;

    async fn ask(&self, number: u64) -> Result<u64, BenchError> {
        self.0.ask(&Add { number, text: TEXT.to_owned() }).send().await.map_err(refused)
    }

    async fn tell(&self, number: u64) -> Result<(), BenchError> {
        self.0.tell(&Note { number, text: TEXT.to_owned() }).send().map_err(refused)
    }

    async fn tally(&self) -> Result<Tally, BenchError> {
        let Counted(numbers) = self.0.ask(&Count).send().await.map_err(refused)?;
        Ok(Tally::from_numbers(numbers))
    }
}
