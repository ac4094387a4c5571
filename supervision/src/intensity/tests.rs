//! The window at its edges, and against the naive model that forgets nothing.

use super::*;

/// Records restarts at these milliseconds and says which were too many.
fn exceeded(restarts: u32, period_ms: u64, at_ms: &[u64]) -> Vec<u64> {
    let begin = Instant::now();
    let mut window = Window::new(Intensity::new(restarts, Duration::from_millis(period_ms)));
    at_ms
        .iter()
        .copied()
        .filter(|&at| window.record(begin + Duration::from_millis(at)) == Allowance::Exceeded)
        .collect()
}

#[test]
fn intensity_zero_gives_up_at_the_first_restart() {
    assert_eq!(exceeded(0, 1000, &[7]), [7]);
}

#[test]
fn as_many_as_allowed_are_not_too_many() {
    assert_eq!(exceeded(3, 1000, &[0, 1, 2]), Vec::<u64>::new());
    assert_eq!(exceeded(3, 1000, &[0, 1, 2, 3]), [3]);
}

#[test]
fn a_restart_exactly_one_period_ago_still_counts() {
    assert_eq!(exceeded(1, 1000, &[0, 1000]), [1000]);
    assert_eq!(exceeded(1, 1000, &[0, 1001]), Vec::<u64>::new());
}

#[test]
fn the_window_slides_and_does_not_jump() {
    // Fixed buckets of one second would see 2 + 2 and let this pass.
    assert_eq!(exceeded(2, 1000, &[800, 900, 1100]), [1100]);
    // And a steady rate just below the limit lives for ever.
    let steady: Vec<u64> = (0..1000).map(|i| i * 501).collect();
    assert_eq!(exceeded(2, 1000, &steady), Vec::<u64>::new());
}

#[test]
fn period_zero_counts_only_the_same_instant() {
    assert_eq!(exceeded(1, 0, &[5, 6, 7, 7]), [7]);
}

#[test]
fn the_allowance_counts_down_and_recovers() {
    let begin = Instant::now();
    let mut window = Window::new(Intensity::new(2, Duration::from_secs(1)));
    assert_eq!(window.record(begin), Allowance::Left(Some(1)));
    assert_eq!(window.record(begin), Allowance::Left(Some(0)));
    assert_eq!(window.record(begin + Duration::from_secs(9)), Allowance::Left(Some(1)));
}

#[test]
fn no_limit_remembers_nothing() {
    let mut window = Window::new(Intensity::unlimited());
    for _ in 0..100 {
        assert_eq!(window.record(Instant::now()), Allowance::Left(None));
    }
    assert!(window.times.is_empty());
}

#[test]
fn the_window_agrees_with_counting_every_restart_ever() {
    // Naive model: keep all times, count those in the period.
    for seed in 0..200_u64 {
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = |n: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x % n
        };
        let (allowed, period) = (next(4) as u32, next(50));
        let begin = Instant::now();
        let mut window = Window::new(Intensity::new(allowed, Duration::from_millis(period)));
        let (mut all, mut now) = (Vec::new(), 0);
        for _ in 0..60 {
            now += next(30);
            all.push(now);
            let count = all.iter().filter(|&&then| then + period >= now).count();
            let found = window.record(begin + Duration::from_millis(now));
            let expected = count > allowed as usize;
            assert_eq!(found == Allowance::Exceeded, expected, "seed {seed}");
            if expected {
                break;
            }
        }
    }
}
