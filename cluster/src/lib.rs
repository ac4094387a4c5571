//! Many nodes, no head: how members find, trust and reach each other.
//!
//! Reading order: [`identity`] (who a node is), [`admission`] (who may come in), [`transport`] (the port towards the
//! network and its two implementations), [`lanes`] (messages) and [`bulk`] (object bytes) over it, `driver` (membership),
//! [`handle`] (the cluster as the rooms above see it), [`scheduling`] (where things go).

pub mod identity;
pub mod admission;
pub mod transport;
pub mod lanes;
pub mod bulk;
pub mod view;
mod neighbours;
pub mod topics;
pub mod postings;
mod driver;
mod join;
pub mod probe;
mod life;
pub mod handle;
pub mod exchange;
pub mod scheduling;
#[doc(hidden)]
pub mod strangers;
pub mod error;

pub use handle::{Cluster, ClusterConfig, Upper};
pub use identity::Identity;
pub use life::new_life;
pub use mobula_proto::error::PostError;
pub use mobula_proto::id::{Incarnation, NodeId};
pub use mobula_proto::member::{Details, Record, Status};
pub use mobula_proto::membership::MembershipEvent;
