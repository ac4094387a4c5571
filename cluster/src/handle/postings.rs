//! What a node says of its own actors to all others, and hears of theirs.

use std::sync::Arc;

use mobula_actor_core::postings::Posting;
use mobula_proto::error::PostError;

use super::Cluster;
use crate::postings::Reader;

impl Cluster {
    /// Says this of an actor of ours to all members, from now on. Said twice, it is said once.
    ///
    /// # Errors
    /// [`PostError::Full`]: at most 16 384 postings of one node.
    pub fn post(&self, posting: Posting) -> Result<(), PostError> {
        self.shared.board.post(posting)
    }

    /// Says it no longer.
    pub fn withdraw(&self, posting: &Posting) {
        self.shared.board.withdraw(posting);
    }

    /// Tells `reader` what the others have posted, and from now on what changes. The last one set is told.
    pub fn read_postings(&self, reader: Arc<dyn Reader>) {
        self.shared.board.set_reader(reader);
    }
}
