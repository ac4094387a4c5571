//! A task as the node lists it, and ends it.

use std::borrow::Cow;

use mobula_actor_core::{ActorId, Citizen, GroupId, Kind};

use super::OneShot;
use crate::function::short_name;

impl Citizen for OneShot {
    fn id(&self) -> ActorId {
        self.id
    }

    fn kind(&self) -> Kind {
        Kind::Task
    }

    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(short_name(self.function))
    }

    fn name(&self) -> Option<String> {
        self.extras.as_ref().and_then(|extras| extras.name.clone())
    }

    fn state(&self) -> &'static str {
        self.phase().word()
    }

    fn generation(&self) -> u64 {
        u64::from(self.attempt())
    }

    fn group(&self) -> Option<GroupId> {
        self.demand.place().map(|within| within.group)
    }

    fn kill(&self) {
        Self::cancel(self, true);
    }

    fn end_with_group(&self, why: &str) {
        self.lose_group(why);
    }

    fn why(&self) -> Option<String> {
        Some(Self::why(self))
    }
}
