//! Many nodes, no head: how members find, trust and reach each other.
//!
//! Reading order: [`identity`] (who a node is), [`admission`] (who may come in), [`transport`] (the port towards the
//! network and its two implementations).

pub mod identity;
pub mod admission;
pub mod transport;
pub mod lanes;
pub mod exchange;
pub mod error;
