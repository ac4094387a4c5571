//! Giving away, before this store goes, what others need of it.

use super::Exchange;

impl Exchange {
    /// Offers every object that is kept here and needed elsewhere to a store that needs it; how many there still are.
    pub(crate) fn evacuate(&self) -> usize {
        let lent = self.decide(|desk| desk.state.core.owner.lent());
        for (object, to) in &lent {
            if let Some(hold) = self.revive(*object) {
                // One that cannot go yet stays among the lent, and is offered again.
                let _ = self.transfer(hold.entry(), *to);
            }
        }
        lent.len()
    }
}
