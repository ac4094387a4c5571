//! Tables and random histories for the ledger.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

fn quantity(amount: f64) -> Quantity {
    Quantity::try_new(amount).unwrap()
}

#[test]
fn acquire_takes_all_or_nothing() {
    let mut ledger = Ledger::new(quantity(2.0));
    ledger.grow("gpu", quantity(1.0));
    let both = Demand::default().with("gpu", quantity(1.0)).unwrap();
    assert!(ledger.acquire(&both));
    assert!(!ledger.acquire(&both));
    assert_eq!(ledger.shortage(&both), "1 gpu (0 of 1 free)");
    assert!(ledger.acquire(&Demand::default()), "the failed attempt left the second CPU alone");
}

#[test]
fn a_blocked_task_gives_back_cpus_and_keeps_the_rest() {
    let mut ledger = Ledger::new(Quantity::ONE);
    ledger.grow("licence", Quantity::ONE);
    let demand = Demand::default().with("licence", Quantity::ONE).unwrap();
    assert!(ledger.acquire(&demand));
    ledger.release_cpus(&demand);
    assert!(!ledger.fits(&demand));
    assert!(ledger.acquire(&Demand::default()));
    assert!(!ledger.reacquire_cpus(&demand));
    ledger.release(&Demand::default());
    assert!(ledger.reacquire_cpus(&demand));
    ledger.release(&demand);
    assert!(ledger.amounts().iter().all(|amount| amount.free == amount.total));
}

#[test]
fn demand_is_infeasible_until_the_node_grows() {
    let mut ledger = Ledger::new(Quantity::ONE);
    let demand = Demand::cpus(Quantity::ZERO).with("tpu", Quantity::ONE).unwrap();
    assert!(!ledger.is_feasible(&demand));
    ledger.grow("tpu", Quantity::ONE);
    assert!(ledger.is_feasible(&demand) && ledger.fits(&demand));
}

/// Random histories of acquire, block, unblock and release against plain sums in units.
#[test]
fn random_histories_never_oversubscribe_and_end_full() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut ledger = Ledger::new(Quantity::whole(rng.random_range(0..4)));
        ledger.grow("gpu", Quantity::whole(2));
        let mut held: Vec<(Demand, bool)> = Vec::new();
        for _ in 0..200 {
            let cpus = Quantity(rng.random_range(0..25_000));
            let gpus = Quantity(rng.random_range(0..10_000));
            let at = (!held.is_empty()).then(|| rng.random_range(0..held.len()));
            match (rng.random_range(0..4), at) {
                (1, Some(at)) if !held[at].1 => {
                    ledger.release_cpus(&held[at].0);
                    held[at].1 = true;
                }
                (2, Some(at)) if held[at].1 => {
                    held[at].1 = !ledger.reacquire_cpus(&held[at].0.clone());
                }
                (3, Some(at)) => match held.swap_remove(at) {
                    (demand, true) => ledger.release_held_while_blocked(&demand),
                    (demand, false) => ledger.release(&demand),
                },
                _ => {
                    let demand = Demand::cpus(cpus).with("gpu", gpus).unwrap();
                    if ledger.acquire(&demand) {
                        held.push((demand, false));
                    }
                }
            }
            let used: u64 = held.iter().filter(|(_, b)| !b).map(|(d, _)| d.cpu_count().0).sum();
            let gpus: u64 = held.iter().flat_map(|(d, _)| d.parts()).map(|part| part.1.0).sum();
            assert_eq!(ledger.cpus.free.0 + used, ledger.cpus.total.0, "seed {seed}");
            assert_eq!(ledger.others["gpu"].free.0 + gpus, 20_000, "seed {seed}");
        }
    }
}
