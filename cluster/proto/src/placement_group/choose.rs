//! Which bundle of a group takes something.
//!
//! Who names a bundle means it. Who does not is given the bundles in turn, or the first would fill while the others idle;
//! those that are too small, or whose node is lost, are passed over.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::id::NodeId;
use crate::placement::Resources;

/// No bundle of the group will ever take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// There is no bundle of this index. Name one that there is.
    #[error("has {count} bundles, counted from 0")]
    NoSuchBundle {
        /// How many there are.
        count: usize,
    },
    /// It needs more than the bundle has that it names, or than any has. Ask for less.
    #[error("has no bundle that is large enough")]
    TooLarge,
}

/// The bundles that can take what is `needed`, the first choice first: the one that is named, or all in turn.
///
/// # Errors
/// [`Misfit`]: there is none.
pub fn fitting(
    bundles: &[Resources],
    named: Option<u32>,
    needed: &Resources,
    turn: usize,
) -> Result<Vec<usize>, Misfit> {
    let count = bundles.len();
    let candidates: Vec<usize> = match named {
        Some(index) if index as usize >= count => return Err(Misfit::NoSuchBundle { count }),
        Some(index) => vec![index as usize],
        None => (0..count).map(|step| (turn % count + step) % count).collect(),
    };
    let fitting: Vec<usize> =
        candidates.into_iter().filter(|&index| bundles[index].covers(needed)).collect();
    if fitting.is_empty() { Err(Misfit::TooLarge) } else { Ok(fitting) }
}

/// The node of the first of these bundles whose node is there.
#[must_use]
pub fn place(fitting: &[usize], places: &[Option<NodeId>]) -> Option<NodeId> {
    fitting.iter().find_map(|&index| places.get(index).copied().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::resources::{CPU, ONE};

    fn cpus(count: u64) -> Resources {
        Resources::of([(CPU, count * ONE)])
    }

    #[test]
    fn a_named_bundle_is_taken_or_none() {
        let bundles = [cpus(1), cpus(2)];
        assert_eq!(fitting(&bundles, Some(1), &cpus(2), 7), Ok(vec![1]));
        assert_eq!(fitting(&bundles, Some(0), &cpus(2), 0), Err(Misfit::TooLarge));
        assert_eq!(fitting(&bundles, Some(2), &cpus(1), 0), Err(Misfit::NoSuchBundle { count: 2 }));
    }

    #[test]
    fn others_take_turns_among_those_that_fit() {
        let bundles = [cpus(1), cpus(2), cpus(2)];
        assert_eq!(fitting(&bundles, None, &cpus(1), 4), Ok(vec![1, 2, 0]));
        assert_eq!(fitting(&bundles, None, &cpus(2), 0), Ok(vec![1, 2]));
        assert_eq!(fitting(&bundles, None, &cpus(3), 0), Err(Misfit::TooLarge));
        assert_eq!(fitting(&[], None, &cpus(0), usize::MAX), Err(Misfit::TooLarge));
    }

    #[test]
    fn a_bundle_whose_node_is_lost_is_passed_over() {
        let places = [None, Some(NodeId(5)), Some(NodeId(6))];
        assert_eq!(place(&[0, 2, 1], &places), Some(NodeId(6)));
        assert_eq!(place(&[0], &places), None);
        assert_eq!(place(&[1], &[]), None);
    }
}
