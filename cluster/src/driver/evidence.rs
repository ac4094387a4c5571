//! What a dial that failed says of the node that was dialed.
//!
//! Pure: no clock, no I/O, no tasks.

use mobula_proto::membership::Evidence;

use crate::error::OpenError;

pub(super) const fn of(error: &OpenError) -> Evidence {
    match error {
        OpenError::Refused | OpenError::AnotherNode { .. } => Evidence::Refused,
        OpenError::Unreachable(_)
        | OpenError::TimedOut { .. }
        | OpenError::NotAdmitted(_)
        | OpenError::Oneself
        | OpenError::NoAddress
        | OpenError::Closed => Evidence::Unknown,
    }
}
