//! What can go wrong with groups, and with sending by way of one.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Returned;
use crate::id::NodeId;
use crate::message::Message;

/// An actor did not join or leave a group. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A name that is empty, blank or too long.
    #[error("a group's name has 1 to {max_bytes} bytes, not {length}")]
    Name {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The actor's node has too many memberships, or too many of groups and names together. Let some actors leave, or
    /// put one member in for many actors.
    #[error("the actor's node has {max} memberships and names already")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The actor has ended, so that it is in no group.
    #[error("the actor has ended")]
    ActorGone,
    /// The actor's node did not answer: it may have joined or left all the same. Ask again; it is done once.
    #[error("node {0} did not answer; ask again")]
    NoAnswer(NodeId),
}

/// A node says so much of its actors that there is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node has {max} memberships and names already")]
pub struct PostingsFull {
    /// The limit.
    pub max: usize,
}

/// A message was not sent by way of a group.
#[non_exhaustive]
pub enum RouteError<M, E> {
    /// The group has no living member. Wait for one ([`Group::wait_until`](crate::groups::Group::wait_until)), and send
    /// again.
    NoMember {
        /// The group.
        group: String,
        /// The message.
        message: Returned<M>,
    },
    /// What the last member said that was tried.
    Member(E),
}

impl<M: Message, E: fmt::Display> fmt::Display for RouteError<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMember { group, .. } => {
                write!(f, "`{}` was not sent: group `{group}` has no living member", M::NAME)
            }
            Self::Member(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl<M: Message, E: fmt::Display> fmt::Debug for RouteError<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteError({self})")
    }
}

impl<M: Message, E: Error + 'static> Error for RouteError<M, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoMember { .. } => None,
            // Displayed as it is: its own cause comes next.
            Self::Member(error) => error.source(),
        }
    }
}
