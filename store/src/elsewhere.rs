//! The port through which objects reach beyond their store.
//!
//! An entry knows nothing of other nodes; it only has to say when somebody wants a value that is not here, and
//! when nobody needs an object that others know. Whoever joins stores listens here; a store on its own has
//! nobody to tell, and pays one load for it.

use std::{any::Any, fmt, sync::Arc};

use mobula_actor_core::wire::baggage::Ticket;

use crate::{
    address::{Address, Keepers},
    error::GetError,
    object_id::ObjectId,
};

/// Who is told of objects that several stores know. Called with no lock of an entry or the index held.
pub(crate) trait Elsewhere: Any + Send + Sync + fmt::Debug {
    /// As itself, for whoever knows what it is.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;

    /// Somebody waits for the value of an object that may be elsewhere.
    fn wanted(&self, object: ObjectId);

    /// Somebody waits for a foreign object to be made, wherever that is.
    fn place_wanted(&self, object: ObjectId);

    /// An entry for a foreign object is about to be made, or was made in vain: see [`let_go`](Self::let_go).
    fn hold(&self, address: Address);

    /// Who keeps an object that others know, as far as is known here.
    fn keepers(&self, object: ObjectId) -> Option<Keepers>;

    /// A reference to a foreign object arrived in a message whose sender keeps it until the ticket is dropped.
    fn arrived(&self, object: ObjectId, ticket: Ticket);

    /// An entry for a foreign object is needed no longer.
    fn let_go(&self, object: ObjectId);

    /// Nobody needs an own object any more that others knew.
    fn unreferenced(&self, object: ObjectId);

    /// An own object was freed by hand that others know.
    fn freed(&self, object: ObjectId);

    /// Why a foreign object will never have a value, if that is known already.
    fn loss(&self, object: ObjectId) -> Option<GetError>;
}
