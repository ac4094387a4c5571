//! From a failing script to a small failing script.
//!
//! Forty faults explain nothing. Delta debugging (Zeller, Hildebrandt: Simplifying and isolating failure-inducing
//! input, 2002) takes away ever smaller pieces as long as the rest still fails.
//! Whatever is left is needed: without any one of its faults the run passes, or the budget of runs is spent.
//!
//! Invariant: the result fails, if the input did.

use crate::faults::{Fault, Script};

/// A smaller script for which `fails` still holds; `fails` is called at most `runs_max` times.
///
/// Boots stay: a cluster without nodes proves nothing.
pub fn shrink(script: &Script, runs_max: usize, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut best = script.clone();
    let mut runs = 0;
    let mut pieces = 2;
    loop {
        let removable: Vec<usize> = (0..best.0.len())
            .filter(|index| best.0[*index].0 > 0 || !matches!(best.0[*index].1, Fault::Boot(_)))
            .collect();
        if removable.is_empty() || runs >= runs_max {
            return best;
        }
        pieces = pieces.min(removable.len());
        let length = removable.len().div_ceil(pieces);
        let mut smaller = None;
        for piece in removable.chunks(length) {
            if runs >= runs_max {
                break;
            }
            runs += 1;
            let kept = best.0.iter().enumerate().filter(|(index, _)| !piece.contains(index));
            let candidate = Script(kept.map(|(_, step)| step.clone()).collect());
            if fails(&candidate) {
                smaller = Some(candidate);
                break;
            }
        }
        match smaller {
            Some(candidate) => {
                best = candidate;
                pieces = pieces.saturating_sub(1).max(2);
            }
            None if length == 1 => return best,
            None => pieces *= 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Hosts;

    #[test]
    fn what_is_left_is_what_matters() {
        let mut script = Script::default();
        for second in 1..40 {
            script.add(second, Fault::Kill(Hosts::of([u32::try_from(second).unwrap()])));
        }
        let guilty = [Fault::Kill(Hosts::of([7])), Fault::Kill(Hosts::of([31]))];
        let small = shrink(&script, 500, |candidate| {
            guilty.iter().all(|fault| candidate.0.iter().any(|(_, other)| other == fault))
        });
        assert_eq!(small.0.into_iter().map(|(_, fault)| fault).collect::<Vec<_>>(), guilty);
    }
}
