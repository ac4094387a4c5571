//! The sum of floats without rounding, so that it is the same in every order.
//!
//! `f64` addition is not associative: add the same delays per shard and per file, and the last
//! digits tell how many shards there were. Kahan's compensation makes that rarer, not impossible.
//! Shewchuk's expansion ("Adaptive precision floating-point arithmetic", 1997; Python's
//! `math.fsum`) keeps the exact sum as a short list of floats whose bits do not overlap, and
//! rounds once at the end: the result is the float nearest to the true sum, whatever the order.
//! Exact as long as no partial sum leaves the range of `f64`.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

/// An exact sum of floats.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ExactSum {
    /// Growing in magnitude; no two share a bit position; their exact sum is the sum.
    parts: Vec<f64>,
}

impl ExactSum {
    pub(crate) fn add(&mut self, mut term: f64) {
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let (sum, rest) = two_sum(term, self.parts[index]);
            if rest != 0.0 {
                self.parts[kept] = rest;
                kept += 1;
            }
            term = sum;
        }
        self.parts.truncate(kept);
        if term != 0.0 {
            self.parts.push(term);
        }
    }

    /// Adds `a * b` exactly: a fused multiply-add yields the rounding error of the product.
    pub(crate) fn add_product(&mut self, a: f64, b: f64) {
        let product = a * b;
        self.add(product);
        self.add(a.mul_add(b, -product));
    }

    /// Adds a whole number exactly, however large.
    #[expect(clippy::cast_precision_loss, reason = "each piece has at most 43 bits")]
    pub(crate) fn add_int(&mut self, int: i128) {
        const PIECE: i128 = 1 << 43;
        let (low, rest) = (int % PIECE, int / PIECE);
        let (middle, high) = (rest % PIECE, rest / PIECE);
        self.add(low as f64);
        self.add(middle as f64 * PIECE as f64);
        self.add(high as f64 * PIECE as f64 * PIECE as f64);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for part in &other.parts {
            self.add(*part);
        }
    }

    /// Floats whose exact sum is this sum.
    pub(crate) fn parts(&self) -> &[f64] {
        &self.parts
    }

    /// The float nearest to the exact sum, ties to even.
    pub(crate) fn value(&self) -> f64 {
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut sum) = parts.next() else {
            return 0.0;
        };
        let mut rest = 0.0;
        for part in parts.by_ref() {
            (sum, rest) = two_sum(sum, part);
            if rest != 0.0 {
                break;
            }
        }
        // The rest is exactly half a unit in the last place and more follows in its direction:
        // then rounding to even went the wrong way.
        if let Some(next) = parts.next()
            && next.is_sign_negative() == rest.is_sign_negative()
        {
            let doubled = rest * 2.0;
            let rounded = sum + doubled;
            if rounded - sum == doubled {
                return rounded;
            }
        }
        sum
    }
}

/// The rounded sum and what rounding dropped (Knuth): `a + b == sum + rest` exactly.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_rounded = sum - a;
    let a_rounded = sum - b_rounded;
    (sum, (a - a_rounded) + (b - b_rounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(terms: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        terms.iter().for_each(|term| sum.add(*term));
        sum.value()
    }

    #[test]
    fn what_plain_addition_loses_is_kept() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[1.0, 1e-16, 1e-16]), 1.000_000_000_000_000_2);
        assert_eq!(sum(&[5.0, -5.0]), 0.0);
    }

    #[test]
    fn products_and_whole_numbers_are_added_exactly() {
        let mut exact = ExactSum::default();
        exact.add_product(1e8 + 1.0, 1e8 + 1.0);
        exact.add_int(-10_000_000_000_000_000);
        exact.add_int(-200_000_000);
        assert_eq!(exact.value(), 1.0);
        let mut large = ExactSum::default();
        large.add_int(i128::MAX);
        large.add_int(-i128::MAX + 3);
        assert_eq!(large.value(), 3.0);
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(
            terms in prop::collection::vec(-1e12..1e12f64, 0..200),
            cut in 0usize..200,
        ) {
            let mut reversed = terms.clone();
            reversed.reverse();
            prop_assert_eq!(sum(&terms).to_bits(), sum(&reversed).to_bits());
            let (left, right) = terms.split_at(cut.min(terms.len()));
            let (mut a, mut b) = (ExactSum::default(), ExactSum::default());
            left.iter().for_each(|term| a.add(*term));
            right.iter().for_each(|term| b.add(*term));
            b.merge(&a);
            prop_assert_eq!(sum(&terms).to_bits(), b.value().to_bits());
        }
    }
}
