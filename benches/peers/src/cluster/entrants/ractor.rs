//! `ractor_cluster` 0.16: a node server on each side, an actor that joins a process group and is found there.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::{NodeServer, RactorClusterMessage};

use crate::cluster::caller::{Caller, Tally};
use crate::cluster::ground::serve_at;
use crate::cluster::pattern::TEXT;
use crate::error::BenchError;

const GROUP: &str = "tallier";
const COOKIE: &str = "peers";
/// Between two looks at the group.
const PAUSE: Duration = Duration::from_millis(10);
/// Looks at the group.
const ATTEMPTS: u32 = 1000;

pub(crate) struct Tallier;

#[derive(RactorClusterMessage)]
pub(crate) enum TallierMessage {
    Note(u64, String),
    #[rpc]
    Add(u64, String, RpcReplyPort<u64>),
    #[rpc]
    Count(RpcReplyPort<Vec<u64>>),
}

impl Actor for Tallier {
    type Msg = TallierMessage;
    type State = Tally;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<Tally, ActorProcessingErr> {
        Ok(Tally::default())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: TallierMessage,
        tally: &mut Tally,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TallierMessage::Note(number, text) => tally.take(number, &text),
            TallierMessage::Add(number, text, reply) => {
                tally.take(number, &text);
                // An asker that went away needs no answer.
                let _ = reply.send(tally.sum);
            }
            TallierMessage::Count(reply) => {
                let _ = reply.send(tally.to_numbers().to_vec());
            }
        }
        Ok(())
    }
}

fn refused(error: impl std::fmt::Display) -> BenchError {
    BenchError::refused("ractor")(error.to_string())
}

async fn node(
    name: &str,
    port: u16,
) -> Result<ActorRef<ractor_cluster::NodeServerMessage>, BenchError> {
    let host = "localhost".to_owned();
    let server = NodeServer::new(port, COOKIE.to_owned(), name.to_owned(), host, None, None)
        .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (server, _ended) = Actor::spawn(None, server, ()).await.map_err(refused)?;
    Ok(server)
}

/// Counts for whoever connects.
pub(crate) async fn far() -> Result<(), BenchError> {
    // The server does not say which port it was given, so it is given one that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server = node("far", port).await?;
    let (tallier, _ended) = Actor::spawn(None, Tallier, ()).await.map_err(refused)?;
    ractor::pg::join(GROUP.to_owned(), vec![tallier.get_cell()]);
    serve_at(&format!("127.0.0.1:{port}")).await?;
    server.stop(None);
    Ok(())
}

/// A reference to the actor on the far side, and the node that leads there.
#[derive(Clone)]
pub(crate) struct Ractor {
    tallier: ActorRef<TallierMessage>,
    _server: ActorRef<ractor_cluster::NodeServerMessage>,
}

/// Connects and waits until the actor is in the group here, too.
pub(crate) async fn call(address: String) -> Result<Ractor, BenchError> {
    let server = node("near", 0).await?;
    ractor_cluster::client_connect(&server, address).await.map_err(refused)?;
    for _ in 0..ATTEMPTS {
        if let Some(member) = ractor::pg::get_members(&GROUP.to_owned()).into_iter().next() {
            return Ok(Ractor { tallier: member.into(), _server: server });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(refused("its far side never joined the group"))
}

async fn call_of<T: Send + 'static>(
    tallier: &ActorRef<TallierMessage>,
    message: impl FnOnce(RpcReplyPort<T>) -> TallierMessage,
) -> Result<T, BenchError> {
    match tallier.call(message, None).await {
        Ok(CallResult::Success(value)) => Ok(value),
        Ok(_) => Err(refused("no reply")),
        Err(error) => Err(refused(error)),
    }
}

impl Caller for Ractor {
    async fn ask(&self, number: u64) -> Result<u64, BenchError> {
        call_of(&self.tallier, |reply| TallierMessage::Add(number, TEXT.to_owned(), reply)).await
    }

    async fn tell(&self, number: u64) -> Result<(), BenchError> {
        self.tallier.cast(TallierMessage::Note(number, TEXT.to_owned())).map_err(refused)
    }

    async fn tally(&self) -> Result<Tally, BenchError> {
        let numbers = call_of(&self.tallier, TallierMessage::Count).await?;
        let numbers = numbers.try_into().map_err(|_other| refused("a tally of another length"))?;
        Ok(Tally::from_numbers(numbers))
    }
}
