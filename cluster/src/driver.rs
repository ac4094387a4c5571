//! The driver of the membership core: carries inputs in and outputs out, and decides nothing.
//!
//! The core says what to do and when to call again; libp2p's behaviours would decide by timers of their own.
//! So all that happens to a node comes as one [`Happening`] into one task, and goes through one `match`.
//!
//! Invariant: the core is called by this task alone, with a time that never runs backwards, and its outputs are carried
//! out in their order before the next input.

use std::sync::Arc;

use mobula_proto::id::NodeId;
use mobula_proto::membership::{Evidence, Input, Membership, MembershipEvent, Message, Output};
use mobula_proto::postings::Input as PostingsInput;
use mobula_proto::time::Time;
use mobula_proto::wire::codec;
use mobula_proto::wire::frame::Kind;
use rand::rngs::SmallRng;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep_until};

use crate::admission::certificate::{Revocation, Signed};
use crate::admission::rules::{Purpose, Refusal};
use crate::bulk::Bulk;
use crate::error::OpenError;
use crate::lanes::Lanes;
use crate::neighbours::{ECHO, Ended, Neighbours, Notice, POSTINGS, PROBE, REVOCATIONS};
use crate::postings::Board;
use crate::probe::Probe;
use crate::topics::Topics;
use crate::transport::{Arrival, Link, PUBLICATION_BYTES_MAX, Target, Transport};
use crate::view::{Directory, View};

mod addresses;
mod evidence;
mod postings;
mod revocations;

/// Where broadcasts of the membership travel.
pub(crate) const MEMBERS_TOPIC: &str = "mobula/members";
pub(crate) const REVOCATIONS_TOPIC: &str = "mobula/revocations";

/// How often certificates of those connected are looked at again.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How long farewells may take.
const FAREWELL_LIMIT: Duration = Duration::from_millis(200);

/// Everything that can happen to the driver.
pub(crate) enum Happening {
    Arrival(Arrival),
    Notice(Notice),
    Dialed { node: NodeId, result: Result<Link, OpenError> },
    Tell(Input),
    TickPostings,
    Opened(Link),
    Revoke(Signed<Revocation>, oneshot::Sender<Result<(), Refusal>>),
    Probe { node: NodeId, probe: Probe },
    Stop(oneshot::Sender<()>),
}

pub(crate) struct Driver {
    pub(crate) core: Membership,
    pub(crate) rng: SmallRng,
    pub(crate) origin: Instant,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) neighbours: Neighbours,
    pub(crate) directory: Arc<Directory>,
    pub(crate) lanes: Lanes,
    pub(crate) bulk: Bulk,
    pub(crate) topics: Arc<Topics>,
    pub(crate) board: Arc<Board>,
    pub(crate) events: broadcast::Sender<MembershipEvent>,
    pub(crate) discovered: mpsc::Sender<String>,
    pub(crate) happenings: mpsc::WeakSender<Happening>,
    pub(crate) outputs: Vec<Output>,
}

/// The queues into the driver.
pub(crate) struct Queues {
    pub(crate) happenings: mpsc::Receiver<Happening>,
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    pub(crate) notices: mpsc::Receiver<Notice>,
}

impl Driver {
    pub(crate) async fn run(mut self, mut queues: Queues) {
        let mut sweep = Instant::now() + SWEEP_EVERY;
        self.publish_view();
        loop {
            let wake = self.core.next_wake().map_or(sweep, |wake| self.at(wake).min(sweep));
            let postings_wake = self.board.next_wake();
            let happening = tokio::select! {
                Some(notice) = queues.notices.recv() => Happening::Notice(notice),
                Some(arrival) = queues.arrivals.recv() => Happening::Arrival(arrival),
                happening = queues.happenings.recv() => match happening {
                    Some(happening) => happening,
                    None => break,
                },
                () = sleep_until(wake) => Happening::Tell(Input::Tick),
                // Woken only to look again when to tick.
                () = self.board.woken.notified() => continue,
                () = sleep_until(postings_wake) => Happening::TickPostings,
            };
            if let Happening::Stop(done) = happening {
                self.stop().await;
                let _gone = done.send(());
                break;
            }
            self.on(happening);
            if Instant::now() >= sweep {
                sweep = Instant::now() + SWEEP_EVERY;
                self.sweep();
            }
        }
        self.lanes.close_all();
        self.bulk.close_all();
        self.transport.shutdown();
    }

    fn on(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival(arrival) => self.on_arrival(arrival),
            Happening::Notice(notice) => self.on_notice(notice),
            Happening::Dialed { node, result: Ok(link) } => {
                debug_assert_eq!(node, link.node(), "the transport checks whom it reached");
                self.connected(link);
            }
            Happening::Dialed { node, result: Err(error) } => {
                tracing::debug!(%node, %error, "neighbour not reached");
                self.neighbours.dial_failed(node);
                let evidence = evidence::of(&error);
                self.tell(Input::Disconnected { node, evidence });
            }
            Happening::Tell(input) => self.tell(input),
            Happening::TickPostings => self.tell_postings(PostingsInput::Tick),
            Happening::Opened(link) => self.connected(link),
            Happening::Revoke(entry, done) => {
                let _nobody_waits = done.send(self.revoke(&entry, true));
            }
            Happening::Probe { node, probe } => self.neighbours.probe(node, probe),
            Happening::Stop(_) => {}
        }
    }

    fn on_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Link(link) => match link.purpose {
                Purpose::Control => {
                    let node = link.node();
                    self.directory.met.lock().insert(node, Arc::clone(&link.peer));
                    self.neighbours.add_reader(link);
                }
                Purpose::Messages { .. } => self.lanes.accept(link),
                Purpose::Bulk => self.bulk.accept(link),
            },
            Arrival::Publication { topic, from, payload } => match topic.as_str() {
                MEMBERS_TOPIC => match codec::decode::<Message>(&payload) {
                    Ok(message) => self.tell(Input::Broadcast { from, message }),
                    Err(error) => tracing::debug!(%from, %error, "unreadable broadcast"),
                },
                REVOCATIONS_TOPIC => self.on_revocations(&payload),
                _ => self.topics.deliver(&topic, from, payload),
            },
            Arrival::Discovered { address } => {
                let _full = self.discovered.try_send(address);
            }
            Arrival::Moved => self.moved(),
            Arrival::Direct { node } => tracing::info!(%node, "connected without a relay"),
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Frame { from, kind: Kind::MEMBERSHIP, body } => {
                match codec::decode::<Message>(&body) {
                    Ok(message) => self.tell(Input::Received { from, message }),
                    Err(error) => tracing::debug!(%from, %error, "unreadable control frame"),
                }
            }
            Notice::Frame { from, kind: crate::neighbours::FAREWELL, .. } => {
                self.neighbours.farewell(from);
            }
            Notice::Frame { kind: REVOCATIONS, body, .. } => self.on_revocations(&body),
            Notice::Frame { from, kind: POSTINGS, body } => self.on_postings(from, &body),
            Notice::Frame { from, kind: PROBE, body } => self.neighbours.echo(from, &body),
            Notice::Frame { from, kind: ECHO, body } => self.neighbours.echoed(from, &body),
            Notice::Frame { from, kind, .. } => {
                tracing::debug!(%from, ?kind, "control frame of an unknown kind");
            }
            Notice::WriterEnded { node, serial } => {
                let ended = self.neighbours.writer_ended(node, serial);
                if ended != Ended::Stale {
                    self.tell_postings(PostingsInput::Disconnected { node });
                }
                self.on_end(node, ended);
                if ended == Ended::Silently {
                    self.dial(node, None);
                }
            }
            Notice::ReaderEnded { node } => {
                let ended = self.neighbours.reader_ended(node);
                self.release(node);
                self.on_end(node, ended);
            }
        }
    }

    /// The last stream of a neighbour ended, one way or the other.
    fn on_end(&mut self, node: NodeId, ended: Ended) {
        let evidence = match ended {
            Ended::Stale => return,
            Ended::Farewell => Evidence::Closed,
            Ended::Silently => Evidence::Reset,
        };
        self.tell(Input::Disconnected { node, evidence });
    }

    /// Gives the core an input and carries out what it says.
    fn tell(&mut self, input: Input) {
        let now = self.now();
        let mut outputs = std::mem::take(&mut self.outputs);
        self.core.on(now, input, &mut self.rng, &mut outputs);
        let mut events = Vec::new();
        let mut let_go = Vec::new();
        for output in outputs.drain(..) {
            match output {
                Output::Send { to, message } => self.send(to, &message),
                Output::Broadcast(message) => self.broadcast(message),
                Output::Connect { node, details } => {
                    self.dial(node, Some(details.addresses.clone()));
                }
                Output::Disconnect { node } => {
                    self.tell_postings(PostingsInput::Disconnected { node });
                    self.neighbours.let_go(node);
                    self.release(node);
                    let_go.push(node);
                }
                Output::Event(event) => events.push(event),
            }
        }
        self.outputs = outputs;
        self.directory.publish_loads(&self.core);
        if !events.is_empty() {
            self.publish_view();
            events.into_iter().for_each(|event| self.announce(event));
        }
        // The end of a writer that was let go is told by nobody else: believing it there, the core would talk to a node
        // beyond a healed cut on a connection that is none.
        for node in let_go {
            self.tell(Input::Disconnected { node, evidence: Evidence::Closed });
        }
    }

    fn announce(&mut self, event: MembershipEvent) {
        if let MembershipEvent::Down { node, .. } | MembershipEvent::Left(node) = &event {
            self.lanes.close(*node);
            self.bulk.close(*node);
            self.transport.give_up(*node);
        }
        self.tell_postings_of(&event);
        tracing::debug!(?event, "membership");
        let _nobody_listens = self.events.send(event);
    }

    fn send(&mut self, to: NodeId, message: &Message) {
        // To answer one that speaks to us is worth a stream of our own.
        if self.neighbours.is_heard(to) {
            self.dial(to, None);
        }
        match codec::encode(message) {
            Ok(body) => {
                if !self.neighbours.send(to, Kind::MEMBERSHIP, &body) {
                    tracing::debug!(%to, "not connected: message dropped");
                }
            }
            Err(error) => tracing::error!(%error, "membership message not encoded"),
        }
    }

    fn broadcast(&self, message: Message) {
        let body = match codec::encode(&message) {
            Ok(body) => body,
            Err(error) => return tracing::error!(%error, "broadcast not encoded"),
        };
        if body.len() > PUBLICATION_BYTES_MAX
            && let Message::Facts(mut facts) = message
        {
            let second = facts.split_off(facts.len() / 2);
            if !facts.is_empty() {
                self.broadcast(Message::Facts(facts));
                self.broadcast(Message::Facts(second));
            }
        } else if let Err(error) = self.transport.publish(MEMBERS_TOPIC, body.into()) {
            tracing::debug!(%error, "broadcast lost");
        }
    }

    fn dial(&mut self, node: NodeId, addresses: Option<Vec<String>>) {
        if !self.neighbours.must_dial(node) {
            return;
        }
        let book: &dyn crate::lanes::AddressBook = &*self.directory;
        let addresses = addresses.unwrap_or_else(|| book.addresses(node));
        let target = Target { node: Some(node), addresses };
        let opening = self.transport.open(target, Purpose::Control);
        let happenings = self.happenings.clone();
        tokio::spawn(async move {
            let result = opening.await;
            if let Some(happenings) = happenings.upgrade() {
                let _stopped = happenings.send(Happening::Dialed { node, result }).await;
            }
        });
    }

    fn connected(&mut self, link: Link) {
        let node = link.node();
        self.directory.met.lock().insert(node, Arc::clone(&link.peer));
        if !self.neighbours.add_writer(link) {
            return;
        }
        let known = self.transport.admission().revocations();
        for part in known.chunks(256) {
            if let Ok(body) = codec::encode(part) {
                self.neighbours.send(node, REVOCATIONS, &body);
            }
        }
        self.tell(Input::Connected { node });
        self.tell_postings(PostingsInput::Connected { node });
    }

    /// Closes the connection if neither end uses it any more.
    fn release(&self, node: NodeId) {
        if self.neighbours.is_idle(node) {
            self.directory.met.lock().remove(&node);
            self.transport.release(node);
        }
    }

    /// Says farewell to all and gives the words time to leave.
    async fn stop(&mut self) {
        self.tell(Input::Leave);
        for (node, _) in self.neighbours.connected() {
            self.neighbours.let_go(node);
        }
        tokio::time::sleep(FAREWELL_LIMIT).await;
    }

    fn publish_view(&self) {
        self.directory.view.store(Arc::new(View::new(self.core.view().clone())));
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn at(&self, time: Time) -> Instant {
        self.origin + time.since(Time::ZERO)
    }
}
