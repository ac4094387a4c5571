//! Publish and subscribe: small facts for whoever wants them, anywhere in the cluster.
//!
//! The network carries a publication to other nodes and drops it where a queue is full; it neither tells the publisher
//! nor brings his own words back to him.
//! So the subscribers of this process share one subscription of the node, hear the node's own publications as well, and
//! each learns when it was too slow.
//!
//! Invariant: the node subscribes to a topic exactly while somebody here listens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::error::TopicError;
use crate::transport::Transport;

/// Publications that wait for one subscriber; a slower one misses the oldest.
const WAITING_MAX: usize = 256;
/// What users' topics begin with on the network, apart from our own.
const PREFIX: &str = "t/";

pub(crate) struct Topics {
    transport: Arc<dyn Transport>,
    own: NodeId,
    listeners: Mutex<BTreeMap<String, broadcast::Sender<Publication>>>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("own", &self.own).finish_non_exhaustive()
    }
}

/// One publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Who published it, proved by its signature.
    pub from: NodeId,
    /// What it says.
    pub payload: Bytes,
}

/// A subscription; dropping it ends it.
pub struct Subscription {
    topics: Arc<Topics>,
    topic: String,
    publications: Option<broadcast::Receiver<Publication>>,
    missed: u64,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("topic", &self.topic)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

impl Topics {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { own: transport.node(), transport, listeners: Mutex::default() }
    }

    pub(crate) fn publish(&self, topic: &str, payload: Bytes) -> Result<(), TopicError> {
        let name = format!("{PREFIX}{topic}");
        self.transport.publish(&name, payload.clone())?;
        self.deliver(&name, self.own, payload);
        Ok(())
    }

    pub(crate) fn subscribe(this: &Arc<Self>, topic: &str) -> Result<Subscription, TopicError> {
        let topic = format!("{PREFIX}{topic}");
        let mut listeners = this.listeners.lock();
        let publications = match listeners.get(&topic) {
            Some(sender) => sender.subscribe(),
            None => {
                this.transport.subscribe(&topic)?;
                let (sender, publications) = broadcast::channel(WAITING_MAX);
                listeners.insert(topic.clone(), sender);
                publications
            }
        };
        drop(listeners);
        let publications = Some(publications);
        Ok(Subscription { topics: Arc::clone(this), topic, publications, missed: 0 })
    }

    pub(crate) fn deliver(&self, topic: &str, from: NodeId, payload: Bytes) {
        if let Some(sender) = self.listeners.lock().get(topic) {
            let _nobody = sender.send(Publication { from, payload });
        }
    }
}

impl Subscription {
    /// The next publication; `None` once the node was shut down.
    ///
    /// Publications of one node come in no promised order, each at most once.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Publication> {
        loop {
            match self.publications.as_mut()?.recv().await {
                Ok(publication) => return Some(publication),
                Err(broadcast::error::RecvError::Lagged(count)) => self.missed += count,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// How many publications this subscriber missed because it was too slow.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.publications = None;
        let mut listeners = self.topics.listeners.lock();
        if listeners.get(&self.topic).is_some_and(|sender| sender.receiver_count() == 0) {
            listeners.remove(&self.topic);
            self.topics.transport.unsubscribe(&self.topic);
        }
    }
}
