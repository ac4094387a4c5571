//! What another node may do with the actors of this one.
//!
//! Whoever asks says nothing of its rights: it would say what it likes. So they are taken from what its connection
//! proved (see [`crate::admission`]), and are checked here, where the request arrives, before anything of it is read.
//!
//! | Wants to | needs |
//! |---|---|
//! | send to an actor | not to be an observer; for a service, what the service was guarded with |
//! | start an actor | `spawn` |
//! | stop, kill or shut down an actor, or let a link end it | `kill`, or to have started it |
//!
//! Invariant: an observer does nothing but ask those services that an observer may ask.
//!
//! Pure: no clock, no I/O, no tasks.

use mobula_actor_core::Right;
use mobula_actor_core::remote::Control;

use crate::admission::certificate::{Capabilities, Role};

/// What one connection proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// How the node takes part.
    pub role: Role,
    /// What it may ask for.
    pub capabilities: Capabilities,
}

impl Rights {
    /// A member that may do everything.
    pub const FULL: Self = Self { role: Role::Member, capabilities: Capabilities::ALL };

    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_full(self) -> bool {
        self == Self::FULL
    }

    /// Whether it may send to an actor that was guarded with `needs`; `None` is an ordinary actor.
    ///
    /// # Errors
    /// The right that is missing.
    pub fn send(self, needs: Option<Capabilities>) -> Result<(), Right> {
        match needs {
            Some(needs) => self.have(needs),
            None if self.role == Role::Observer => Err(Right::Send),
            None => Ok(()),
        }
    }

    /// Whether it may start actors.
    ///
    /// # Errors
    /// The right that is missing.
    pub fn start(self) -> Result<(), Right> {
        self.have(Capabilities::SPAWN)
    }

    /// Whether it may do this to an actor, which it started itself if `is_theirs`.
    ///
    /// # Errors
    /// The right that is missing.
    pub fn control(self, control: &Control, is_theirs: bool) -> Result<(), Right> {
        match control {
            // Nobody ends by the normal end of another.
            Control::Linked { reason, .. } if !reason.is_abnormal() => Ok(()),
            Control::Linked { .. }
            | Control::Stop(_)
            | Control::Kill(_)
            | Control::Shutdown(_)
            | Control::Exit(_) => {
                if is_theirs {
                    Ok(())
                } else {
                    self.have(Capabilities::KILL)
                }
            }
        }
    }

    fn have(self, needs: Capabilities) -> Result<(), Right> {
        let rights = [
            (Capabilities::SPAWN, Right::Spawn),
            (Capabilities::SUBMIT, Right::Submit),
            (Capabilities::KILL, Right::Kill),
            (Capabilities::OBSERVE, Right::Observe),
        ];
        let has = |one: Capabilities| {
            self.capabilities.allow(one)
                && (self.role != Role::Observer || one == Capabilities::OBSERVE)
        };
        let missing = rights.iter().find(|(one, _)| needs.allow(*one) && !has(*one));
        missing.map_or(Ok(()), |(_, right)| Err(*right))
    }
}

#[cfg(test)]
mod tests {
    use mobula_actor_core::ExitReason;

    use super::*;

    const ROLES: [Role; 3] = [Role::Member, Role::Client, Role::Observer];

    fn rights(role: Role, capabilities: Capabilities) -> Rights {
        Rights { role, capabilities }
    }

    #[test]
    fn every_role_and_capability_does_what_the_table_says() {
        let all = [
            Capabilities::NONE,
            Capabilities::SPAWN,
            Capabilities::SUBMIT,
            Capabilities::KILL,
            Capabilities::OBSERVE,
            Capabilities::ALL,
        ];
        let kill = Control::Kill(ExitReason::Killed);
        for role in ROLES {
            for has in all {
                let rights = rights(role, has);
                let may = role != Role::Observer;
                let case = format!("{rights:?}");
                assert_eq!(rights.send(None).is_ok(), may, "{case}");
                assert!(rights.send(Some(Capabilities::NONE)).is_ok(), "{case}");
                assert_eq!(rights.start().is_ok(), may && has.allow(Capabilities::SPAWN), "{case}");
                assert_eq!(
                    rights.send(Some(Capabilities::SUBMIT)).is_ok(),
                    may && has.allow(Capabilities::SUBMIT),
                    "{case}"
                );
                assert_eq!(
                    rights.send(Some(Capabilities::OBSERVE)).is_ok(),
                    has.allow(Capabilities::OBSERVE),
                    "{case}"
                );
                let may_kill = may && has.allow(Capabilities::KILL);
                assert_eq!(rights.control(&kill, false).is_ok(), may_kill, "{case}");
                assert!(rights.control(&kill, true).is_ok(), "{case}");
            }
        }
        assert!(Rights::FULL.is_full());
    }

    #[test]
    fn what_is_missing_is_named() {
        let client = rights(Role::Client, Capabilities::SUBMIT);
        assert_eq!(client.start(), Err(Right::Spawn));
        assert_eq!(client.send(Some(Capabilities::OBSERVE)), Err(Right::Observe));
        let stop = Control::Stop(ExitReason::Shutdown);
        assert_eq!(client.control(&stop, false), Err(Right::Kill));
        let linked = |reason| Control::Linked {
            from: mobula_actor_core::ActorId::from_u64(1).unwrap(),
            reason,
        };
        assert_eq!(client.control(&linked(ExitReason::Killed), false), Err(Right::Kill));
        assert_eq!(client.control(&linked(ExitReason::Normal), false), Ok(()));
        assert_eq!(rights(Role::Observer, Capabilities::ALL).send(None), Err(Right::Send));
    }
}
