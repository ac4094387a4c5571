//! Whether a failed attempt is worth another, and when.
//!
//! "Retry three times at once" turns one overloaded dependency into four times the load, in step. So
//! attempts back off exponentially, each delay drawn from the upper half of its range, and what cannot
//! get better by trying again is never tried again: a cancelled task, a failed dependency.
//!
//! A panic counts as a crash and is retried whenever retries are allowed; an error the function itself
//! returned is an answer, and is retried only when the task says so.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use mobula_store::TaskError;
use rand::Rng;

/// Says whether an error is worth another attempt.
pub type RetryPredicate = Arc<dyn Fn(&TaskError) -> bool + Send + Sync>;

/// Stands for "as often as it takes" among numbers of retries.
pub const RETRY_FOREVER: u32 = u32::MAX;

/// How a task is retried. The default: not at all.
#[derive(Clone)]
pub(crate) struct RetryRule {
    /// Attempts after the first; [`RETRY_FOREVER`] has no end.
    pub(crate) retries_max: u32,
    /// Which errors are worth another attempt.
    pub(crate) on: RetryOn,
    /// The first delay, and the one that it grows to.
    pub(crate) backoff: Range<Duration>,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self {
            retries_max: 0,
            on: RetryOn::Crashes,
            backoff: Duration::from_millis(10)..Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for RetryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryRule")
            .field("retries_max", &self.retries_max)
            .field("on", &self.on)
            .field("backoff", &self.backoff)
            .finish()
    }
}

/// Which errors are worth another attempt.
#[derive(Clone, Default)]
pub(crate) enum RetryOn {
    /// Panics, and what a node does to a task; not the function's own errors.
    #[default]
    Crashes,
    /// The function's own errors too.
    Errors,
    /// Panics and own errors for which the predicate holds.
    If(RetryPredicate),
}

impl fmt::Debug for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crashes => "Crashes",
            Self::Errors => "Errors",
            Self::If(_) => "If(..)",
        })
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// The error is the task's result.
    GiveUp,
    /// Run it again after this long.
    Again {
        /// The delay, jitter included.
        after: Duration,
    },
}

impl RetryRule {
    /// Judges the failure of attempt number `attempt` (the first is 1).
    pub(crate) fn judge(&self, attempt: u32, error: &TaskError, rng: &mut impl Rng) -> Verdict {
        let is_left = self.retries_max == RETRY_FOREVER || attempt <= self.retries_max;
        if !is_left || !self.is_worth_it(error) {
            return Verdict::GiveUp;
        }
        Verdict::Again { after: self.delay(attempt, rng) }
    }

    fn is_worth_it(&self, error: &TaskError) -> bool {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what may be retried is listed; everything else, also of later days, is not"
        )]
        match error {
            TaskError::Panicked { .. } | TaskError::Lost { .. } => match &self.on {
                RetryOn::Crashes | RetryOn::Errors => true,
                RetryOn::If(predicate) => predicate(error),
            },
            TaskError::UserError { .. } => match &self.on {
                RetryOn::Crashes => false,
                RetryOn::Errors => true,
                RetryOn::If(predicate) => predicate(error),
            },
            _ => false,
        }
    }

    /// `first * 2^(attempt - 1)`, at most the last, and of that between a half and the whole.
    fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let ceiling = self.backoff.start.saturating_mul(1 << doublings);
        let ceiling = ceiling.min(self.backoff.end.max(self.backoff.start));
        ceiling.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn errors() -> [(TaskError, &'static str); 5] {
        let task = || "f a1".into();
        let user = TaskError::user_error("f a1", "no");
        let lost = TaskError::Lost { task: task(), node: None, attempt: 1, text: "gone".into() };
        let panic = TaskError::Panicked { task: task(), message: "boom".into(), location: None };
        let dependency = TaskError::dependency("g a2", &user);
        let cancelled = TaskError::Cancelled { task: task() };
        [
            (panic, "crash"),
            (lost, "crash"),
            (user, "error"),
            (dependency, "never"),
            (cancelled, "never"),
        ]
    }

    #[test]
    fn crashes_errors_and_hopeless_cases_are_told_apart() {
        let only_boom: RetryPredicate = Arc::new(|error| error.to_string().contains("boom"));
        for (error, kind) in errors() {
            for (on, expected) in [
                (RetryOn::Crashes, kind == "crash"),
                (RetryOn::Errors, kind != "never"),
                (RetryOn::If(Arc::clone(&only_boom)), error.to_string().contains("boom")),
            ] {
                let rule = RetryRule { retries_max: 1, on, ..RetryRule::default() };
                let verdict = rule.judge(1, &error, &mut StdRng::seed_from_u64(1));
                assert_eq!(verdict != Verdict::GiveUp, expected, "{error} {rule:?}");
                let last = rule.judge(2, &error, &mut StdRng::seed_from_u64(1));
                assert_eq!(last, Verdict::GiveUp);
            }
        }
    }

    #[test]
    fn delays_double_within_their_range_and_never_overflow() {
        let mut rng = StdRng::seed_from_u64(2);
        let rule = RetryRule {
            retries_max: RETRY_FOREVER,
            backoff: Duration::from_secs(1)..Duration::from_secs(60),
            ..RetryRule::default()
        };
        for (attempt, ceiling) in [(1, 1.0), (2, 2.0), (6, 32.0), (7, 60.0), (u32::MAX, 60.0)] {
            for _ in 0..100 {
                let delay = rule.delay(attempt, &mut rng).as_secs_f64();
                assert!((ceiling / 2.0..=ceiling).contains(&delay), "{attempt}: {delay}");
            }
        }
        let odd = RetryRule { backoff: Duration::from_secs(5)..Duration::ZERO, ..rule };
        assert!(odd.delay(9, &mut rng) <= Duration::from_secs(5));
    }
}
