//! Groups that other nodes asked for: what this one knows of them, and what it tells of its own.
//!
//! The node that asked for a group owns it, and is asked where the bundles are by whoever has heard of the group and not
//! of that. It answers when the group is formed or gone, so that nobody has to ask again and again; a question that
//! waited long is answered all the same, and asked anew, for what waits must have an end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mobula_actor_core::{AskError, GroupId, NodeId, Undelivered};
use mobula_cluster::NodeId as Name;
use mobula_cluster::scheduling::hints::{Answer, Plan};
use mobula_store::{Sealer, TaskError};
use mobula_tasks::Demand;
use serde::{Deserialize, Serialize};

use super::seeking::Unformed;
use super::{Phase, PlacementGroups, RETRY_AFTER};
use crate::wiring::rooms::Amounts;

/// How long a question about a group that is being formed waits for its answer.
const HELD_FOR: Duration = Duration::from_secs(5);
/// How long an answer is awaited.
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
/// Questions of other nodes that may wait; more are answered at once.
const ASKERS_MAX: usize = 1024;
/// How often an owner is asked that does not answer.
const TRIES_MAX: u32 = 3;

/// What the owner of a group tells of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It is being formed.
    Forming,
    /// It is formed.
    Formed {
        /// What is in each bundle.
        bundles: Vec<Amounts>,
        /// Where each is; `None` for one whose node is lost.
        places: Vec<Option<NodeId>>,
    },
    /// It was removed, or never was.
    Removed,
}

/// Why the owner of a group did not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is lost, or cannot be reached.
    Gone(String),
    /// It does not let this node ask.
    Denied(String),
}

impl PlacementGroups {
    /// What a handle that came along said of a group.
    pub(crate) fn heard(&self, group: GroupId, bundles: &[Demand], places: &[Option<NodeId>]) {
        if self.owns(group) || places.is_empty() || places.len() != bundles.len() {
            return;
        }
        let bundles = bundles.iter().map(|bundle| Amounts::from(bundle).resources()).collect();
        let plan = Plan { bundles, places: names(places) };
        self.hints.lock().heard(group, Name(group.node.0), plan);
    }

    /// Seals what says that a group is ready: once it is, or when that will never be.
    pub(crate) fn seal_when_ready(&self, group: GroupId, sealer: Sealer<()>) {
        let (groups, news) = (Weak::clone(&self.me), Arc::clone(&self.news));
        drop(self.system.runtime().spawn(async move {
            // As long as the node is there, and anybody waits.
            while sealer.is_wanted() {
                let mut heard = std::pin::pin!(news.notified());
                heard.as_mut().enable();
                let Some(groups) = groups.upgrade() else { return };
                if let Some(outcome) = groups.is_ready(group) {
                    return sealer.seal(outcome);
                }
                drop(groups);
                let _late = tokio::time::timeout(HELD_FOR, heard).await;
            }
        }));
    }

    /// Whether a group is formed, or will never be; `None` while nobody knows.
    fn is_ready(&self, group: GroupId) -> Option<Result<(), TaskError>> {
        let task = format!("placement group {group}").into();
        let known = if self.owns(group) {
            self.tell(group).into_known()
        } else {
            self.inquire(group, |_, _| ())
        };
        match known {
            Ok(()) => Some(Ok(())),
            Err(Unformed::Asked | Unformed::Forming) => None,
            Err(Unformed::Removed) => Some(Err(TaskError::Cancelled { task })),
            Err(Unformed::Trouble(Trouble::Gone(text))) => {
                Some(Err(TaskError::GroupGone { task, text: text.into() }))
            }
            Err(Unformed::Trouble(Trouble::Denied(text))) => {
                Some(Err(TaskError::Denied { task, text: text.into() }))
            }
        }
    }

    /// What this node tells others of a group: at once, unless it is being formed, and then within a while.
    pub(crate) async fn tell_when_settled(&self, group: GroupId) -> Told {
        let is_one_too_many = self.askers.fetch_add(1, Ordering::AcqRel) >= ASKERS_MAX;
        let told = async {
            loop {
                let mut news = std::pin::pin!(self.news.notified());
                news.as_mut().enable();
                match self.tell(group) {
                    Told::Forming if !is_one_too_many => news.await,
                    told => return told,
                }
            }
        };
        let told = tokio::time::timeout(HELD_FOR, told).await.unwrap_or(Told::Forming);
        self.askers.fetch_sub(1, Ordering::AcqRel);
        told
    }

    fn tell(&self, group: GroupId) -> Told {
        let Some(state) = self.own(group) else { return Told::Removed };
        match &*state.phase.lock() {
            Phase::Forming => Told::Forming,
            Phase::Formed { places, .. } => Told::Formed {
                bundles: state.bundles.iter().map(Amounts::from).collect(),
                places: places.clone(),
            },
            Phase::Removed => Told::Removed,
        }
    }

    /// Asks the owner of a group until it tells, or does not answer.
    pub(super) fn begin_to_ask(&self, group: GroupId) {
        drop(self.system.runtime().spawn(keep_asking(Weak::clone(&self.me), group)));
    }

    async fn ask_owner(&self, group: GroupId) -> Result<Answer<Trouble>, String> {
        let port = self.port();
        let is_there = |port: &Arc<super::TaskPort>| port.is_there(group.node, group.incarnation);
        let service = port.filter(is_there).and_then(|port| port.service(group.node));
        let Some(service) = service else {
            let text = "that node is lost, or does not take part any more".to_owned();
            return Ok(Answer::Failed(unreachable(group, &text)));
        };
        match service.find_group(group).timeout(ANSWER_WITHIN).await {
            Ok(Told::Forming) => Ok(Answer::Forming),
            Ok(Told::Removed) => Ok(Answer::Removed),
            Ok(Told::Formed { bundles, places }) => {
                let bundles = bundles.iter().map(Amounts::resources).collect();
                Ok(Answer::Formed(Plan { bundles, places: names(&places) }))
            }
            Err(AskError::NotDelivered { reason: Undelivered::Denied(why), .. }) => {
                Ok(Answer::Failed(Trouble::Denied(why.to_string())))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The owner has told; whether there is no more to ask.
    fn hear(&self, group: GroupId, answer: Answer<Trouble>) -> bool {
        if !self.hints.lock().answered(self.rooms.now(), group, answer) {
            self.news.notify_waiters();
            return false;
        }
        self.settled(group);
        true
    }
}

async fn keep_asking(groups: Weak<PlacementGroups>, group: GroupId) {
    let mut tries = 0;
    loop {
        let Some(groups) = groups.upgrade() else { return };
        match groups.ask_owner(group).await {
            Ok(answer) => {
                tries = 0;
                if groups.hear(group, answer) {
                    return;
                }
            }
            Err(text) => {
                tries += 1;
                if tries == TRIES_MAX {
                    let _ = groups.hear(group, Answer::Failed(unreachable(group, &text)));
                    return;
                }
            }
        }
        drop(groups);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

impl Told {
    fn into_known(self) -> Result<(), Unformed> {
        match self {
            Self::Forming => Err(Unformed::Forming),
            Self::Formed { .. } => Ok(()),
            Self::Removed => Err(Unformed::Removed),
        }
    }
}

fn unreachable(group: GroupId, text: &str) -> Trouble {
    Trouble::Gone(format!(
        "placement group {group} belongs to node {}, which cannot be reached: {text}",
        group.node
    ))
}

fn names(places: &[Option<NodeId>]) -> Vec<Option<Name>> {
    places.iter().map(|place| place.map(|node| Name(node.0))).collect()
}
