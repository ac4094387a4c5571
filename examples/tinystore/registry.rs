//! The registry: what there is, and where. It holds metadata only, never a row.
//!
//! Three things must survive whatever happens to a shard: which features exist, which aggregations
//! people have named, and which batches every shard has taken. The last is the *log*: a shard
//! writes a batch's reference here before it counts as taken, and reads its part of the log when
//! it starts. A reference keeps its object alive, so a shard that is killed loses nothing but time.

use mobula::prelude::*;

use super::{
    aggregate::{AggregationError, Definition},
    batch::Batch,
    feature::Feature,
};

/// The actor's name on the node.
pub(crate) const NAME: &str = "tinystore/registry";

/// The state of the registry actor.
pub(crate) struct Registry {
    features: Vec<Feature>,
    aggregations: Vec<Definition>,
    log: Vec<Vec<ObjectRef<Batch>>>,
}

#[mobula::actor]
impl Registry {
    /// A registry for so many shards, with a few aggregations already named.
    pub(crate) fn new(shard_count: usize) -> Result<Self, AggregationError> {
        let named = ["p90=quantile(0.9)", "p99=quantile(0.99)", "late_share=share_above(15)"];
        Ok(Self {
            features: Vec::new(),
            aggregations: named.into_iter().map(Definition::parse).collect::<Result<_, _>>()?,
            log: vec![Vec::new(); shard_count],
        })
    }

    /// Makes features known. One of the same table and name is replaced.
    pub(crate) fn register_features(&mut self, features: Vec<Feature>) {
        for feature in features {
            let same = |known: &Feature| known.table == feature.table && known.name == feature.name;
            self.features.retain(|known| !same(known));
            self.features.push(feature);
        }
    }

    /// Names an aggregation. One of the same name is replaced.
    pub(crate) fn register_aggregation(&mut self, definition: Definition) {
        self.aggregations.retain(|known| known.name != definition.name);
        self.aggregations.push(definition);
    }

    /// All features, in order of registration.
    pub(crate) fn features(&self) -> Vec<Feature> {
        self.features.clone()
    }

    /// The aggregations that were given a name.
    pub(crate) fn aggregations(&self) -> Vec<Definition> {
        self.aggregations.clone()
    }

    /// Writes down that `shard` takes `batch`. Saying it twice is saying it once, so that a shard
    /// that is unsure whether it was heard may repeat itself.
    pub(crate) fn record(&mut self, shard: usize, batch: ObjectRef<Batch>) {
        if let Some(log) = self.log.get_mut(shard)
            && log.iter().all(|known| known.id() != batch.id())
        {
            log.push(batch);
        }
    }

    /// Everything that `shard` has ever taken.
    pub(crate) fn log_of(&self, shard: usize) -> Vec<ObjectRef<Batch>> {
        self.log.get(shard).cloned().unwrap_or_default()
    }
}
