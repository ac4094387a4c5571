//! The driver's side: starts the actors, asks all shards, combines what comes back.
//!
//! A question is checked against the registry first, then every shard is asked for its part, and
//! parts are combined in whatever order they finish (`gather.rs`). The answer cannot depend on that
//! order, because aggregations do not.

use std::collections::BTreeMap;

use mobula::prelude::*;

use super::{
    aggregate::Definition,
    as_of::{Events, EventsByKey, History},
    fold::Fold,
    gather::gather,
    groups::Key,
    query::{Answer, Apply, Select},
    registry::{self, Registry},
    steward::Steward,
    value::Value,
};

/// More restarts in a second than this mean that a shard cannot live at all.
const RESTARTS_MAX: u32 = 1000;

/// A running store.
pub(crate) struct Engine {
    registry: ActorRef<Registry>,
    shards: Vec<ActorRef<Steward>>,
    supervisor: ActorRef<Supervisor>,
}

impl Engine {
    /// Starts the registry, detached and by name, and under a supervisor a steward for each shard.
    pub(crate) async fn start(shard_count: usize) -> anyhow::Result<Self> {
        let registry = Registry::options().name(registry::NAME).detached().remote(shard_count);
        let mut children = Supervisor::one_for_one().intensity(RESTARTS_MAX, secs(1));
        for index in 0..shard_count {
            let registry = registry.clone();
            let steward = move || Steward::new(index, registry.clone());
            let name = format!("shard-{index}");
            children = children.child(ChildSpec::new(name, steward).permanent());
        }
        let supervisor = children.spawn();
        let mut shards = Vec::with_capacity(shard_count);
        for index in 0..shard_count {
            shards.push(supervisor.child::<Steward>(format!("shard-{index}")).await?);
        }
        Ok(Self { registry, shards, supervisor })
    }

    /// Stops the shards in order, so that none is missed and started again while the node ends.
    pub(crate) async fn stop(self) {
        // The reason is always the same: it was asked to.
        let _ = self.supervisor.stop().await;
    }

    pub(crate) fn registry(&self) -> &ActorRef<Registry> {
        &self.registry
    }

    /// The shards, by their stewards.
    pub(crate) fn shards(&self) -> &[ActorRef<Steward>] {
        &self.shards
    }

    /// The table that is meant when none is named: flights, or the first there is.
    pub(crate) async fn default_table(&self) -> anyhow::Result<String> {
        let features = self.registry.features().await?;
        let flights = features.iter().find(|feature| feature.table == "flights");
        let table = flights.or(features.first()).map(|feature| feature.table.clone());
        table.ok_or_else(|| anyhow::anyhow!("there is no table: no file was read"))
    }

    /// What people's words for aggregations mean: registered names first, then functions.
    pub(crate) async fn definitions(&self, words: &[String]) -> anyhow::Result<Vec<Definition>> {
        let registered = self.registry.aggregations().await?;
        words.iter().map(|word| Ok(Definition::resolve(word, &registered)?)).collect()
    }

    /// Applies aggregation functions to a feature.
    pub(crate) async fn apply(&self, question: &Apply) -> anyhow::Result<Answer> {
        question.check(&self.registry.features().await?)?;
        let mut fold = Fold::new(question)?;
        let ask = async |shard: &&ActorRef<Steward>| Ok(shard.apply(question.clone()).await?);
        gather(&self.shards, ask, |_, partial| Ok(fold.add_partial(partial)?)).await?;
        Ok(fold.finish())
    }

    /// Shows features of rows.
    pub(crate) async fn select(&self, question: &Select) -> anyhow::Result<Answer> {
        question.check(&self.registry.features().await?)?;
        let mut parts = Vec::new();
        let ask = async |shard: &&ActorRef<Steward>| Ok(shard.select(question.clone()).await?);
        let keep = |_: &_, part: &Answer| {
            parts.push(part.clone());
            Ok(())
        };
        gather(&self.shards, ask, keep).await?;
        Ok(question.join(parts))
    }

    /// Shows features of rows, and the past of a feature as it was known at each row's own time.
    ///
    /// Shards deliver events, not partial results: every point looks at another stretch of them,
    /// and there are far more points than events worth sending.
    pub(crate) async fn select_with_past(
        &self,
        question: &Select,
        history: &History,
    ) -> anyhow::Result<Answer> {
        let features = self.registry.features().await?;
        history.check(&features, &question.rows.table)?;
        let shown = question.features.len();
        // The points carry their key at the end; it is taken off again below.
        let mut with_key = question.clone();
        with_key.features.extend(history.by.iter().cloned());
        let mut answer = self.select(&with_key).await?;

        let mut points: BTreeMap<Key, Vec<(usize, i64)>> = BTreeMap::new();
        for (index, row) in answer.rows.iter_mut().enumerate() {
            let key = row.split_off(1 + shown);
            if let Some(Value::Time(time)) = row.first() {
                points.entry(key).or_default().push((index, *time));
            }
        }
        answer.columns.truncate(1 + shown);
        answer.columns.extend(history.columns());

        let mut events = self.events(history, &points).await?;
        let jobs = points.into_iter().map(|(key, points)| {
            let events = events.remove(&key).unwrap_or_default();
            let (rows, times): (Vec<usize>, Vec<i64>) = points.into_iter().unzip();
            (rows, times, events)
        });
        let look = async |(_, times, events): &(_, Vec<i64>, Events)| {
            Ok(look_back::remote(history.clone(), events.clone(), times.clone()))
        };
        let fill = |(rows, _, _): &(Vec<usize>, _, _), values: &Vec<Vec<Value>>| {
            for (row, values) in rows.iter().zip(values) {
                answer.rows[*row].extend(values.iter().cloned());
            }
            Ok(())
        };
        gather(jobs, look, fill).await?;
        // Rows without event time have no past.
        answer.rows.iter_mut().for_each(|row| row.resize(answer.columns.len(), Value::Null));
        Ok(answer)
    }

    async fn events(
        &self,
        history: &History,
        points: &BTreeMap<Key, Vec<(usize, i64)>>,
    ) -> anyhow::Result<EventsByKey> {
        let times = || points.values().flatten().map(|(_, time)| *time);
        let mut events = EventsByKey::new();
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(events);
        };
        let ask =
            async |shard: &&ActorRef<Steward>| Ok(shard.past(history.clone(), first, last).await?);
        let take = |_: &_, part: &EventsByKey| {
            for (key, of_key) in part {
                events.entry(key.clone()).or_default().append(of_key.clone());
            }
            Ok(())
        };
        gather(&self.shards, ask, take).await?;
        Ok(events)
    }
}

#[mobula::task]
fn look_back(
    history: History,
    mut events: Events,
    points: Vec<i64>,
) -> Result<Vec<Vec<Value>>, super::aggregate::AggregationError> {
    history.answer(&mut events, &points)
}
