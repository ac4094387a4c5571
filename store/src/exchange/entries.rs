//! What entries say of objects that several stores know, and what they ask.

use std::{any::Any, sync::Arc};

use mobula_actor_core::wire::baggage::Ticket;

use super::{Carried, Exchange, GetError, Kept, ObjectId, State, get_error};
use crate::{
    address::{Address, Keepers},
    elsewhere::Elsewhere,
};

impl Elsewhere for Exchange {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn wanted(&self, object: ObjectId) {
        self.want(object);
    }

    fn place_wanted(&self, object: ObjectId) {
        // Kept or copied here, it costs no more to have it.
        let (is_near, is_known) = self.decide(|desk| {
            let State { core, copies, .. } = &mut *desk.state;
            let is_near = copies.contains_key(&object) || core.keeps(object);
            let is_known = !is_near && core.borrower.place(object).is_some();
            if !is_near && !is_known {
                core.borrower.want_place(object, desk.now, &mut desk.effects);
            }
            (is_near, is_known)
        });
        if is_near {
            self.want(object);
        } else if is_known && let Some(entry) = self.find(object) {
            entry.set_made();
        }
    }

    fn hold(&self, address: Address) {
        let Address { object, keepers } = address;
        self.decide(|desk| {
            let core = &desk.state.core;
            let moved = core.owner.moved_to(object).map(|keeper| (keeper, None));
            let known = keepers.or_else(|| core.borrower.keeper(object)).or(moved);
            let (keeper, backup) = known.unwrap_or((object.owner(), None));
            let carried = Carried { object, keeper, backup };
            desk.state.core.borrower.hold(carried, desk.now, &mut desk.effects);
        });
    }

    fn keepers(&self, object: ObjectId) -> Option<Keepers> {
        let state = self.state.lock();
        let core = &state.core;
        if core.owner.knows(object) {
            return Some((self.me, core.owner.backup(object)));
        }
        core.borrower.keeper(object).or_else(|| Some((core.owner.moved_to(object)?, None)))
    }

    fn arrived(&self, object: ObjectId, ticket: Ticket) {
        // If it is counted already, the ticket goes at once.
        self.decide(|desk| {
            desk.state.tickets.entry(object).or_default().push(ticket);
            desk.may_be_counted(object);
        });
    }

    fn let_go(&self, object: ObjectId) {
        self.decide(|desk| {
            desk.let_go(Kept::Bare(object));
            if !desk.state.core.borrower.holds(object) {
                desk.stop_serving(object);
                desk.cancel_pull(object);
            }
        });
    }

    fn unreferenced(&self, object: ObjectId) {
        self.decide(|desk| self.end(desk, object));
    }

    fn freed(&self, object: ObjectId) {
        self.decide(|desk| {
            let State { core, rng, .. } = &mut *desk.state;
            core.owner.freed(object, rng, &mut desk.effects);
            desk.stop_serving(object);
        });
    }

    fn loss(&self, object: ObjectId) -> Option<GetError> {
        let state = self.state.lock();
        state.core.borrower.loss(object).map(|loss| get_error(object, loss))
    }
}
