//! One file per contender, each in its own idiom.

pub(crate) mod erlang;
pub(crate) mod kameo;
pub(crate) mod lane;
pub(crate) mod mobula;
pub(crate) mod ractor;
pub(crate) mod tcp;
