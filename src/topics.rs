//! Topics: publish to whoever listens, on any node.
//!
//! A group must know its members and a message its receiver; a price that a thousand actors watch is neither. Who
//! publishes here knows nobody, and whoever listens hears from then on.
//!
//! What is promised: each publication reaches a subscriber at most once. It may be lost: on the way, while the nodes
//! learn who listens (about a second after the first subscription of a node), or when a subscriber is more than 256
//! publications behind, which it can count. Publications of different publishers come in no order, and those of one in
//! none on other nodes; on one node they come in order. A node hears its own.
//! What must arrive belongs into a message to an actor, and what is large into an object.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{Stream, StreamExt as _, unfold};
use mobula_actor_core::wire::Codec;
use mobula_actor_core::{System, current};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::{self, error::RecvError};

#[cfg(feature = "cluster")]
use crate::node::Node;

/// Most bytes of one publication, in its wire form: the network's 64 KiB less the envelope.
pub const PUBLICATION_BYTES_MAX: usize = 63 * 1024;
/// Topics that one node listens to at the same time.
pub const TOPICS_MAX: usize = 98;
/// Longest name of a topic in bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 126;
/// Publications that wait for one subscriber; of a slower one the oldest are lost.
const WAITING_MAX: usize = 256;

/// Something was not published or subscribed to. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Larger than a publication may be. Put it into an object, and publish the reference's key or a summary.
    #[error("a publication of {size_bytes} bytes, at most {max_bytes}; put it into an object")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The node listens to too many topics. Use one topic for several kinds of values.
    #[error("this node listens to {max} topics already")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// A name that is empty or too long.
    #[error("a topic's name has 1 to {max_bytes} bytes, not {length}")]
    Name {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The value's own `Serialize` refused. Mend the type.
    #[error("the value has no wire form: {0}")]
    Unencodable(String),
    /// The queue towards the network is full. Publish less, or again later.
    #[error("too many publications at once; publish less, or again later")]
    Busy,
    /// The node was shut down.
    #[error("the node is shut down")]
    Closed,
}

/// A topic of values of type `T`; cheap to make. It exists whether anybody listens or not.
///
/// Values travel as MessagePack with named fields, so that publishers and subscribers may be of different builds; what
/// a subscriber cannot read it counts and leaves out.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// struct Price { of: String, cents: u64 }
///
/// #[mobula::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let prices = mobula::topic::<Price>("prices");
///     let mut feed = prices.subscribe()?;
///     prices.publish(&Price { of: "tea".into(), cents: 250 })?;
///     assert_eq!(feed.recv().await.map(|price| price.cents), Some(250));
///     Ok(())
/// }
/// ```
pub struct Topic<T> {
    system: System,
    name: Arc<str>,
    values: PhantomData<fn(T) -> T>,
}

/// The topic of this name, on all nodes.
///
/// # Panics
/// Outside a node.
#[must_use]
pub fn topic<T: Serialize + DeserializeOwned>(name: &str) -> Topic<T> {
    Topic { system: current::expect_system(), name: name.into(), values: PhantomData }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Topic<T> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Publishes to every subscriber in the cluster, those of this node included. Does not wait, and does not say who
    /// heard it. A reference in the value keeps nothing alive on the way.
    ///
    /// # Errors
    /// [`TopicError`], but for [`TopicError::TooMany`].
    pub fn publish(&self, value: &T) -> Result<(), TopicError> {
        check_name(&self.name)?;
        let mut bytes = Vec::new();
        let written = Codec::<T>::serde().encode(value, &mut bytes);
        written.map_err(|error| TopicError::Unencodable(error.to_string()))?;
        let (size_bytes, max_bytes) = (bytes.len(), PUBLICATION_BYTES_MAX);
        if size_bytes > max_bytes {
            return Err(TopicError::TooLarge { size_bytes, max_bytes });
        }
        #[cfg(feature = "cluster")]
        if let Some(node) = Node::of_system(&self.system)
            && let Some(cluster) = node.cluster()
        {
            return cluster.publish(&self.name, bytes.into()).map_err(translated);
        }
        self.here()?.publish(&self.name, &bytes.into());
        Ok(())
    }

    /// Listens from now on, until the subscription is dropped. At most 98 topics on one node; any number of
    /// subscriptions to each.
    ///
    /// # Errors
    /// [`TopicError::Name`], [`TopicError::TooMany`], [`TopicError::Busy`], [`TopicError::Closed`].
    pub fn subscribe(&self) -> Result<Subscription<T>, TopicError> {
        check_name(&self.name)?;
        let counts = Arc::<Counts>::default();
        #[cfg(feature = "cluster")]
        if let Some(node) = Node::of_system(&self.system)
            && let Some(cluster) = node.cluster()
        {
            let feed = cluster.subscribe(&self.name).map_err(translated)?;
            let seen = Arc::clone(&counts);
            let payloads = unfold(feed, move |mut feed| {
                let seen = Arc::clone(&seen);
                async move {
                    let publication = feed.recv().await?;
                    seen.missed.store(feed.missed(), Ordering::Relaxed);
                    Some((publication.payload, feed))
                }
            });
            return Ok(Subscription::new(payloads, counts));
        }
        let feed = Here::subscribe(&self.here()?, &self.name)?;
        let seen = Arc::clone(&counts);
        let payloads = unfold(feed, move |mut feed| {
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    match feed.publications.as_mut()?.recv().await {
                        Ok(payload) => return Some((payload, feed)),
                        Err(RecvError::Lagged(count)) => {
                            seen.missed.fetch_add(count, Ordering::Relaxed);
                        }
                        Err(RecvError::Closed) => return None,
                    }
                }
            }
        });
        Ok(Subscription::new(payloads, counts))
    }

    /// The topics of a node without others.
    fn here(&self) -> Result<Arc<Here>, TopicError> {
        self.system.extension::<Here>().ok_or(TopicError::Closed)
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self { system: self.system.clone(), name: Arc::clone(&self.name), values: PhantomData }
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic<{}>({})", std::any::type_name::<T>(), self.name)
    }
}

#[derive(Debug, Default)]
struct Counts {
    missed: AtomicU64,
    unreadable: AtomicU64,
}

/// What is published on a topic, from the subscription on, as a stream; dropping it ends it. Up to 256 publications
/// wait for it.
///
/// An actor hears a topic by attaching the stream: `ctx.attach(topic.subscribe()?)`, for values that are messages.
pub struct Subscription<T> {
    values: Pin<Box<dyn Stream<Item = T> + Send>>,
    counts: Arc<Counts>,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Subscription<T> {
    fn new<B>(payloads: impl Stream<Item = B> + Send + 'static, counts: Arc<Counts>) -> Self
    where
        B: AsRef<[u8]> + Send + 'static,
    {
        let seen = Arc::clone(&counts);
        let values = payloads.filter_map(move |payload| {
            let value = decode(payload.as_ref());
            if value.is_none() {
                seen.unreadable.fetch_add(1, Ordering::Relaxed);
            }
            std::future::ready(value)
        });
        Self { values: values.boxed(), counts }
    }
}

impl<T> Subscription<T> {
    /// The next value; `None` once the node was shut down.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<T> {
        self.values.next().await
    }

    /// How many publications this subscriber missed because it was too slow, as of the last value it got.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.counts.missed.load(Ordering::Relaxed)
    }

    /// How many publications were no `T` that this build can read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.counts.unreadable.load(Ordering::Relaxed)
    }
}

impl<T> Stream for Subscription<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.values.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("counts", &self.counts).finish_non_exhaustive()
    }
}

fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match Codec::<T>::serde().decode(bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::debug!(%error, "a publication could not be read");
            None
        }
    }
}

fn check_name(name: &str) -> Result<(), TopicError> {
    let (length, max_bytes) = (name.len(), TOPIC_NAME_BYTES_MAX);
    if length == 0 || length > max_bytes {
        return Err(TopicError::Name { length, max_bytes });
    }
    Ok(())
}

#[cfg(feature = "cluster")]
fn translated(error: mobula_cluster::error::TopicError) -> TopicError {
    use mobula_cluster::error::TopicError as Far;
    match error {
        Far::TooLarge { size_bytes, max_bytes } => TopicError::TooLarge { size_bytes, max_bytes },
        Far::TooMany { .. } => TopicError::TooMany { max: TOPICS_MAX },
        Far::Name { length } => TopicError::Name { length, max_bytes: TOPIC_NAME_BYTES_MAX },
        Far::Busy => TopicError::Busy,
        _ => TopicError::Closed,
    }
}

/// Who listens to one topic, on a node that is alone.
type Listeners = broadcast::Sender<Arc<[u8]>>;

/// The topics of a node that is alone: the same limits, and nobody else to hear.
#[derive(Default)]
pub(crate) struct Here {
    listeners: Mutex<BTreeMap<Arc<str>, Listeners>>,
}

struct HereFeed {
    here: Arc<Here>,
    name: Arc<str>,
    /// `None` only while it is dropped.
    publications: Option<broadcast::Receiver<Arc<[u8]>>>,
}

impl Here {
    fn publish(&self, name: &str, bytes: &Arc<[u8]>) {
        if let Some(sender) = self.listeners.lock().get(name) {
            // Nobody listens just now.
            let _ = sender.send(Arc::clone(bytes));
        }
    }

    fn subscribe(this: &Arc<Self>, name: &Arc<str>) -> Result<HereFeed, TopicError> {
        let mut listeners = this.listeners.lock();
        if listeners.len() >= TOPICS_MAX && !listeners.contains_key(name) {
            return Err(TopicError::TooMany { max: TOPICS_MAX });
        }
        let sender =
            listeners.entry(Arc::clone(name)).or_insert_with(|| Listeners::new(WAITING_MAX));
        let publications = Some(sender.subscribe());
        drop(listeners);
        Ok(HereFeed { here: Arc::clone(this), name: Arc::clone(name), publications })
    }
}

impl Drop for HereFeed {
    fn drop(&mut self) {
        self.publications = None;
        let mut listeners = self.here.listeners.lock();
        if listeners.get(&self.name).is_some_and(|sender| sender.receiver_count() == 0) {
            listeners.remove(&self.name);
        }
    }
}
