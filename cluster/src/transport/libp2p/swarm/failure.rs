//! What a dial that failed says, found again in the library's own errors.
//!
//! Pure: no clock, no I/O, no tasks.

use std::io;
use std::sync::Arc;

use libp2p::TransportError;
use libp2p::swarm::DialError;

use crate::error::OpenError;
use crate::transport::libp2p::upgrade::UpgradeError;
use crate::transport::more_telling;

/// The library boxes our errors into its own; this finds them again.
pub(super) fn dial_error(error: &DialError) -> OpenError {
    let errors = match error {
        DialError::Transport(errors) => errors,
        // The swarm strikes out the addresses it listens on itself, and one address was given.
        DialError::LocalPeerId { .. } | DialError::NoAddresses => return OpenError::Oneself,
        other => {
            let text = io::Error::other(other.to_string());
            return OpenError::Unreachable(Arc::new(text));
        }
    };
    let found = errors.iter().map(|(_, error)| match error {
        TransportError::Other(error) => cause(error),
        TransportError::MultiaddrNotSupported(_) => OpenError::NoAddress,
    });
    found.fold(None, |first, next| Some(more_telling(first, next))).unwrap_or(OpenError::NoAddress)
}

fn cause(error: &io::Error) -> OpenError {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(UpgradeError::Admission(refusal)) = error.downcast_ref() {
            return OpenError::NotAdmitted(Arc::clone(refusal));
        }
        next = match error.downcast_ref::<io::Error>() {
            Some(io) if io.kind() == io::ErrorKind::ConnectionRefused => return OpenError::Refused,
            // `source` of an io error skips the error inside it.
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    OpenError::Unreachable(Arc::new(io::Error::new(error.kind(), error.to_string())))
}
