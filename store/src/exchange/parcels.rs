//! References that leave, and references that come.

use super::{Exchange, FarHold, Kept, State, StoreId};
use crate::{
    collect,
    message::{Parcel, PinId},
    object_id::ObjectId,
    ownership::PinError,
    remote::UnpackError,
    store::Store,
};

impl Exchange {
    pub(crate) fn pin(&self, to: StoreId, holds: Vec<FarHold>) -> Result<Parcel, PinError> {
        self.pin_kept(to, holds.into_iter().map(Kept::Entry).collect())
    }

    pub(super) fn pin_kept(&self, to: StoreId, kept: Vec<Kept>) -> Result<Parcel, PinError> {
        self.decide(|desk| {
            let objects: Vec<ObjectId> = kept.iter().map(Kept::object).collect();
            match desk.state.core.pin(to, objects) {
                Ok(parcel) => {
                    for each in &kept {
                        if let Kept::Entry(hold) = each {
                            hold.entry().set_known();
                        }
                    }
                    desk.state.pins.insert(parcel.pin, kept);
                    Ok(parcel)
                }
                Err(error) => {
                    kept.into_iter().for_each(|kept| desk.let_go(kept));
                    Err(error)
                }
            }
        })
    }

    pub(crate) fn undelivered(&self, pin: PinId) {
        self.decide(|desk| desk.state.core.pins.undelivered(pin, &mut desk.effects));
    }

    pub(crate) fn uncertain(&self, pin: PinId) {
        self.decide(|desk| desk.state.core.pins.uncertain(pin, desk.now, &mut desk.effects));
    }

    pub(crate) fn unpack<R>(
        &self,
        store: &Store,
        from: StoreId,
        parcel: &Parcel,
        decode: impl FnOnce() -> R,
    ) -> Result<R, UnpackError> {
        /// Puts down what was held for the decoder, also when that panics.
        struct PutDown<'a>(&'a Exchange, Vec<Kept>);
        impl Drop for PutDown<'_> {
            fn drop(&mut self) {
                self.0.put_down(std::mem::take(&mut self.1));
            }
        }
        let kept = self.take_parcels(&[(from, parcel.clone())]).ok_or(UnpackError::GivenUp)?;
        let _put_down = PutDown(self, kept);
        Ok(collect::arrive(store, decode))
    }

    /// Holds everything under the parcels; `None` if their sender has given one up.
    pub(super) fn take_parcels(&self, parcels: &[(StoreId, Parcel)]) -> Option<Vec<Kept>> {
        self.decide(|desk| {
            let is_late =
                |(from, parcel): &(StoreId, Parcel)| !desk.state.core.accepts(*from, parcel);
            if parcels.iter().any(is_late) {
                return None;
            }
            let mut kept = Vec::new();
            for (from, parcel) in parcels {
                for carried in &parcel.carried {
                    let is_own = desk.state.core.keeps(carried.object);
                    match is_own.then(|| self.revive(carried.object)).flatten() {
                        Some(hold) => kept.push(Kept::Entry(hold)),
                        None if carried.object.owner() == self.me && is_own => {}
                        None => {
                            desk.hold_bare(*carried);
                            kept.push(Kept::Bare(carried.object));
                        }
                    }
                }
                let State { core, .. } = &mut *desk.state;
                let objects = parcel.carried.iter().map(|carried| carried.object);
                core.borrower.arrived(*from, parcel.pin, objects, desk.now, &mut desk.effects);
            }
            Some(kept)
        })
    }

    pub(super) fn put_down(&self, kept: Vec<Kept>) {
        self.decide(|desk| kept.into_iter().for_each(|kept| desk.let_go(kept)));
    }
}

impl Kept {
    pub(super) fn object(&self) -> ObjectId {
        match self {
            Self::Entry(hold) => hold.entry().id(),
            Self::Bare(object) => *object,
        }
    }
}
