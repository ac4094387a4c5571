//! Names of actors, each in a namespace.
//!
//! A name from elsewhere is a claim on memory that every node of the cluster pays; an unbounded or blank one is a
//! mistake that only shows much later.
//!
//! Invariant: a [`Name`] is within its limits, also one that was read from bytes.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::NameError;

/// The longest namespace: 64 bytes.
pub const NAMESPACE_BYTES_MAX: usize = 64;
/// The longest name in its namespace: 255 bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// A name in a namespace. Copies are cheap.
///
/// # Examples
/// ```
/// use mobula_proto::registry::Name;
/// let name = Name::try_new("default", "clicks")?;
/// assert_eq!(name.to_string(), "default/clicks");
/// assert!(Name::try_new("default", " ").is_err());
/// # Ok::<(), mobula_proto::error::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written<'_>", into = "(Arc<str>, Arc<str>)")]
pub struct Name {
    namespace: Arc<str>,
    name: Arc<str>,
}

/// A name as it stands in bytes: looked at before it is copied.
#[derive(Deserialize)]
struct Written<'a>(#[serde(borrow)] &'a str, #[serde(borrow)] &'a str);

impl Name {
    /// A name, if it may be one.
    ///
    /// # Errors
    /// [`NameError`]: one of the two parts is blank or too long. Choose another.
    pub fn try_new(namespace: &str, name: &str) -> Result<Self, NameError> {
        for (part, max) in [(namespace, NAMESPACE_BYTES_MAX), (name, NAME_BYTES_MAX)] {
            if part.trim().is_empty() {
                return Err(NameError::Blank);
            }
            if part.len() > max {
                return Err(NameError::TooLong { size_bytes: part.len(), limit_bytes: max });
            }
        }
        Ok(Self { namespace: namespace.into(), name: name.into() })
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name within its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<Written<'_>> for Name {
    type Error = NameError;

    fn try_from(Written(namespace, name): Written<'_>) -> Result<Self, NameError> {
        Self::try_new(namespace, name)
    }
}

impl From<Name> for (Arc<str>, Arc<str>) {
    fn from(name: Name) -> Self {
        (name.namespace, name.name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;

    #[test]
    fn names_from_bytes_are_checked_like_others() {
        let name = Name::try_new("default", "clicks").unwrap();
        let bytes = codec::encode(&name).unwrap();
        assert_eq!(codec::decode::<Name>(&bytes), Ok(name));
        for (namespace, name) in [("", "x"), ("x", "\t"), ("x", &*"y".repeat(256))] {
            let bytes = codec::encode(&(namespace, name)).unwrap();
            assert!(codec::decode::<Name>(&bytes).is_err(), "{namespace:?} {name:?}");
        }
        assert_eq!(
            Name::try_new(&"n".repeat(65), "x"),
            Err(NameError::TooLong { size_bytes: 65, limit_bytes: 64 })
        );
    }
}
