//! What can run as a task: functions with a name, a version and a signature, known at link time.
//!
//! A closure cannot be named on another node, and a name alone does not say whether two builds mean the
//! same thing by it. So every task function has an entry in a read-only table that the linker fills:
//! its name, a version that its author raises when its meaning changes, and a hash of both together with
//! its signature. Two nodes agree on a function when their hashes agree.
//!
//! A crate that the binary never names is not linked, and its functions are then missing from the
//! table without a word; that is why the table can be printed ([`functions`]).

use std::fmt;

use mobula_actor_core::wire::Codec;

use crate::{body::Body, input::ArgTuple, options::TaskOptions};

/// A function that can run as a task. Written by `#[mobula::task]`, seldom by hand.
pub trait TaskFunction: Sized + 'static {
    /// The arguments, as a tuple.
    type Args: ArgTuple;
    /// What the function gives when it succeeds.
    type Output: Send + 'static;
    /// The function's path, `crate::module::function`.
    const NAME: &'static str;
    /// Raised by the author when the meaning changes and the signature does not.
    const VERSION: u32 = 1;
    /// The signature as written.
    const SIGNATURE: &'static str;
    /// Whether the body is a plain function, for compute threads, and not an `async fn`. A wrong
    /// answer costs a detour, not correctness.
    const BLOCKING: bool = true;

    /// How the arguments travel to another node, each; `None` where a type of theirs cannot.
    const ARGS: Option<<Self::Args as ArgTuple>::Wires> = None;
    /// How the result travels back.
    const OUTPUT: Option<Codec<Self::Output>> = None;
    /// What all nodes of one build mean by this function.
    const HASH: u64 = FunctionEntry::of::<Self>().hash;

    /// The options written at the function.
    #[must_use]
    fn defaults() -> TaskOptions {
        TaskOptions::new()
    }

    /// Makes the body for one attempt; does not run it.
    fn run(args: Self::Args) -> Body<Self::Output>;

    /// A copy of the arguments for another attempt; `None` when they cannot be copied, and then the
    /// task cannot be retried.
    #[must_use]
    fn duplicate(args: &Self::Args) -> Option<Self::Args> {
        let _ = args;
        None
    }
}

/// Copies arguments if their type can be copied; for the code that `#[mobula::task]` writes.
///
/// `CloneProbe(&args).duplicate()` finds this type's own method when `T: Clone`, and the one of
/// [`MaybeClone`] otherwise. It works on concrete types only, which is what the macro has.
#[doc(hidden)]
#[derive(Debug)]
pub struct CloneProbe<'a, T>(pub &'a T);

impl<T: Clone> CloneProbe<'_, T> {
    /// A copy.
    #[must_use]
    pub fn duplicate(&self) -> Option<T> {
        Some(self.0.clone())
    }
}

/// The other half of [`CloneProbe`].
#[doc(hidden)]
pub trait MaybeClone<T> {
    /// No copy.
    fn duplicate(&self) -> Option<T>;
}

impl<T> MaybeClone<T> for CloneProbe<'_, T> {
    fn duplicate(&self) -> Option<T> {
        None
    }
}

/// One row of the function table.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionEntry {
    /// The function's path.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// Its signature as written.
    pub signature: &'static str,
    /// A hash of the three above, the same on every build and machine.
    pub hash: u64,
}

impl FunctionEntry {
    /// The row of a function.
    #[must_use]
    pub const fn of<F: TaskFunction>() -> Self {
        let hash = fnv1a(FNV_OFFSET, F::NAME.as_bytes());
        // The separator keeps `ab` + `c` apart from `a` + `bc`.
        let hash = fnv1a(hash, &[0]);
        let hash = fnv1a(hash, F::SIGNATURE.as_bytes());
        let hash = fnv1a(hash, &F::VERSION.to_le_bytes());
        Self { name: F::NAME, version: F::VERSION, signature: F::SIGNATURE, hash }
    }
}

impl fmt::Debug for FunctionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FunctionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} {} {:016x}", self.name, self.version, self.signature, self.hash)
    }
}

inventory::collect!(FunctionEntry);

/// All task functions linked into this program, by name.
#[must_use]
pub fn functions() -> Vec<&'static FunctionEntry> {
    let mut entries: Vec<_> = inventory::iter::<FunctionEntry>.into_iter().collect();
    entries.sort_by_key(|entry| (entry.name, entry.version));
    entries
}

/// The last part of a path: what people call the function.
pub(crate) fn short_name(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a, 64 bits: short, `const`, and the same for ever (unlike the standard library's hasher).
const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // From the FNV reference test suite.
        assert_eq!(fnv1a(FNV_OFFSET, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_probe_copies_what_can_be_copied() {
        struct NoCopy;
        assert_eq!(CloneProbe(&(1, "a")).duplicate(), Some((1, "a")));
        assert!(CloneProbe(&(NoCopy,)).duplicate().is_none());
    }
}
