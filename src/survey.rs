//! Questions to all nodes at once, by any of them: each answers for itself, with its own totals.

use mobula_actor_core::{ActorId, ActorRef, AskError, NodeId};

use crate::inspector::{ActorRow, ObjectRow, TaskRow};
use crate::listing::{Listing, Wanted};
use crate::members::{ANSWER_LIMIT, Members, insist};
use crate::node::Node;
use crate::warden::Warden;
use crate::wiring::cluster;

impl Node {
    /// Every node's citizens: actors, tasks, supervisors, services.
    pub async fn cluster_actors(&self, wanted: &Wanted) -> Members<Listing<ActorRow>> {
        self.gather(|inspector| {
            let wanted = wanted.clone();
            async move { inspector.actors(wanted).timeout(ANSWER_LIMIT).await }
        })
        .await
    }

    /// Every node's tasks that are not over.
    pub async fn cluster_tasks(&self, wanted: &Wanted) -> Members<Listing<TaskRow>> {
        self.tasks_of_all(false, wanted).await
    }

    /// Every node's tasks that are over, the newest first: of each node the last 4096 that have a result, and the last
    /// 1024 that have none.
    pub async fn cluster_ended_tasks(&self, wanted: &Wanted) -> Members<Listing<TaskRow>> {
        self.tasks_of_all(true, wanted).await
    }

    async fn tasks_of_all(&self, ended: bool, wanted: &Wanted) -> Members<Listing<TaskRow>> {
        self.gather(|inspector| {
            let wanted = wanted.clone();
            async move { inspector.tasks(ended, wanted).timeout(ANSWER_LIMIT).await }
        })
        .await
    }

    /// Every node's objects.
    pub async fn cluster_objects(&self, wanted: &Wanted) -> Members<Listing<ObjectRow>> {
        self.gather(|inspector| {
            let wanted = wanted.clone();
            async move { inspector.objects(wanted).timeout(ANSWER_LIMIT).await }
        })
        .await
    }

    /// Ends a citizen of some node at once; false if that node has none of this id. Needs the right to kill.
    ///
    /// # Errors
    /// Why the node did not answer.
    pub async fn end_on(&self, node: NodeId, id: ActorId) -> Result<bool, String> {
        let warden = self.warden_of(node)?;
        self.enter(insist(|| {
            let warden = warden.clone();
            async move { warden.end(id).timeout(ANSWER_LIMIT).await }
        }))
        .await
    }

    /// Asks a node to leave when its work is done or has moved, see [`drain`](Self::drain); returns when it has begun to. Needs
    /// the right to kill.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn drain_node(&self, node: NodeId) -> Result<(), String> {
        let warden = self.warden_of(node)?;
        self.enter(insist(|| {
            let warden = warden.clone();
            async move {
                // The refusal is an answer, and says enough by itself.
                match warden.leave().timeout(ANSWER_LIMIT).await {
                    Ok(()) => Ok(Ok(())),
                    Err(AskError::Refused(why)) => Ok(Err(why)),
                    Err(error) => Err(error),
                }
            }
        }))
        .await?
    }

    fn warden_of(&self, node: NodeId) -> Result<ActorRef<Warden>, String> {
        if self.id() == Some(node) {
            return self.own_warden().ok_or_else(|| "this node is stopped".to_owned());
        }
        let cluster = self.cluster().ok_or("this node is alone")?;
        let view = cluster.view();
        let record = view.live().find(|record| record.node.0 == node.0);
        let record = record.ok_or_else(|| format!("{node} is no living member"))?;
        cluster::warden(self.system(), record)
            .ok_or_else(|| format!("node {node} has no warden that this build knows"))
    }
}
