//! Many nodes, no head: how members find, trust and reach each other.
//!
//! Reading order: [`identity`] (who a node is), [`admission`] (who may come in).

pub mod identity;
pub mod admission;
pub mod error;
