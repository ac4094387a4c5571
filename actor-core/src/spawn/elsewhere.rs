//! Spawning on another node: what was chosen here, as it travels, and as it arrives.

use std::sync::Arc;

use super::{ActorOptions, Relocation};
use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::arbiters::Pin;
use crate::cell::Settings;
use crate::error::SpawnError;
use crate::exit::{ErrorText, ExitReason};
use crate::placement::Placement;
use crate::remote::{Baggage, NotSpawned, Place, SpawnKind, SpawnOptions, SpawnRequest, stand_in};
use crate::system::System;
use crate::wire::baggage::Hold;
use crate::wire::{Codec, CodecError, baggage};

impl<A: Actor> ActorOptions<A> {
    /// Options as they were chosen on another node.
    pub(crate) fn chosen(system: System, chosen: SpawnOptions) -> Self {
        let mut options = Self::new(system);
        options.namespace = chosen.namespace;
        options.name = chosen.name;
        options.get_if_exists = chosen.get_if_exists;
        options.settings.detached = chosen.detached;
        options.settings.max_restarts = chosen.max_restarts;
        options.settings.mailbox = chosen.mailbox;
        options.settings.flight_records = chosen.flight_records;
        options.settings.member_of = chosen.member_of;
        options.demand = chosen.demand;
        options.settings.pin = match chosen.group {
            Some(group) => Some(Pin::Group(group)),
            None => chosen.pinned.then_some(Pin::Near),
        };
        options
    }

    /// Spawns on another node, if the placement says so: `Ok(None)` where this node is the place, for now at least. What
    /// nobody has waits here, and goes to a node that comes to have it.
    ///
    /// # Errors
    /// [`SpawnError`]: no node fits, or the arguments cannot travel.
    #[doc(hidden)]
    pub fn spawn_elsewhere<Args>(
        &self,
        kind: SpawnKind,
        codec: Option<Codec<Args>>,
        args: &Args,
    ) -> Result<Option<ActorRef<A>>, SpawnError> {
        let Some(remote) = self.system.remote() else { return Ok(None) };
        let placed = match &self.placement {
            Some(placement) => remote.place(placement, &kind, &self.demand())?,
            // What nobody has now, this node or another may have one day.
            None if self.is_too_much_for_here() => {
                let anywhere = Placement::LeastLoaded;
                let placed = remote.place(&anywhere, &kind, &self.demand).unwrap_or(Place::Here);
                if matches!(placed, Place::Here) {
                    self.may_move(&kind, codec, args);
                }
                placed
            }
            None => Place::Here,
        };
        if matches!(placed, Place::Here) {
            return Ok(None);
        }
        let no_place = |why: String| SpawnError::NoPlace { actor: A::NAME, why };
        let codec = codec.ok_or_else(|| {
            no_place(
                "another node was chosen, and the constructor's arguments cannot travel: they \
                 need `Serialize` and `Deserialize`"
                    .to_owned(),
            )
        })?;
        let (args, baggage) = written(codec, args)
            .map_err(|error| no_place(format!("its arguments could not be written: {error}")))?;
        let options = self.as_chosen();
        let mailbox = options.mailbox;
        let request = SpawnRequest { key: kind.key, args, options, baggage: Baggage(baggage) };
        let home = match placed {
            Place::Here => return Ok(None),
            Place::There(node) => remote.spawn(node, request),
            Place::Later(node) => {
                let remote = Arc::clone(&remote);
                Box::pin(async move {
                    match node.await {
                        Ok(node) => remote.spawn(node, request).await,
                        Err(error) => {
                            Err(NotSpawned::Refused(ExitReason::StartFailed(ErrorText::new(error))))
                        }
                    }
                })
            }
        };
        Ok(Some(stand_in::expect(&self.system, &remote, mailbox, home)))
    }

    /// Keeps what is needed to start it elsewhere later. What cannot travel waits here, and so does the child of a
    /// supervisor, who would not see it end there.
    fn may_move<Args>(&self, kind: &SpawnKind, codec: Option<Codec<Args>>, args: &Args) {
        if self.settings.parent.is_none()
            && let Some(Ok((args, baggage))) = codec.map(|codec| written(codec, args))
        {
            let relocation = Relocation::new(kind.clone(), args, baggage, self.as_chosen());
            // Options spawn once.
            let _ = self.relocation.set(relocation);
        }
    }

    /// What was chosen, as it travels.
    fn as_chosen(&self) -> SpawnOptions {
        let Settings { pin, detached, max_restarts, mailbox, flight_records, member_of, .. } =
            &self.settings;
        SpawnOptions {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            get_if_exists: self.get_if_exists,
            detached: *detached,
            max_restarts: *max_restarts,
            mailbox: *mailbox,
            pinned: pin.is_some(),
            group: match pin {
                Some(Pin::Group(group)) => Some(group.clone()),
                Some(Pin::Near) | None => None,
            },
            flight_records: *flight_records,
            member_of: *member_of,
            demand: self.demand(),
        }
    }

    fn is_too_much_for_here(&self) -> bool {
        let book = || self.system.resource_book();
        !self.demand.is_empty() && book().is_some_and(|book| !book.can_ever(&self.demand))
    }
}

/// The wire form of a constructor's arguments, and what it keeps alive.
fn written<Args>(codec: Codec<Args>, args: &Args) -> Result<(Vec<u8>, Vec<Hold>), CodecError> {
    let mut bytes = Vec::new();
    let (written, baggage) = baggage::collect(|| codec.encode(args, &mut bytes));
    written.map(|()| (bytes, baggage))
}
