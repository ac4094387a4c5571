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
            assert_eq!(ledger.own.cpus.free.0 + used, ledger.own.cpus.total.0, "seed {seed}");
            assert_eq!(ledger.own.others["gpu"].free.0 + gpus, 20_000, "seed {seed}");
        }
    }
}

const GROUP: GroupId = GroupId { node: mobula_actor_core::NodeId(1), incarnation: 1, number: 1 };

fn in_bundle(cpus: f64, bundle: Option<u32>) -> Demand {
    Demand::cpus(quantity(cpus)).within(Some(Within { group: GROUP, bundle }))
}

/// A node of four CPUs with a group of two and one.
fn with_group() -> Ledger {
    let mut ledger = Ledger::new(Quantity::whole(4));
    assert!(ledger.acquire(&Demand::cpus(Quantity::whole(3))));
    let bundles = [(0, Demand::cpus(Quantity::whole(2))), (3, Demand::cpus(Quantity::ONE))];
    ledger.open_group(GROUP, &bundles);
    ledger
}

fn free(ledger: &Ledger) -> f64 {
    ledger.amounts()[0].free.as_f64()
}

#[test]
fn tasks_of_a_group_take_from_its_bundles_and_from_nothing_else() {
    let mut ledger = with_group();
    assert!(ledger.acquire(&in_bundle(1.0, Some(3))));
    assert!(!ledger.acquire(&in_bundle(0.5, Some(3))), "that bundle is full");
    assert!(!ledger.is_feasible(&in_bundle(1.0, Some(1))), "that bundle is not here");
    assert!(!ledger.is_feasible(&in_bundle(3.0, None)), "no bundle is so large");
    assert!(ledger.acquire(&in_bundle(2.0, None)));
    assert!(!ledger.acquire(&in_bundle(1.0, None)));
    assert!(!ledger.acquire(&in_bundle(2.0, Some(0))), "others hold what the bundle would give");
    assert_eq!(free(&ledger), 1.0);
    ledger.release_cpus(&in_bundle(1.0, Some(3)));
    assert!(ledger.acquire(&in_bundle(1.0, Some(3))), "blocked, it lends its CPU inside the group");
    assert!(!ledger.reacquire_cpus(&in_bundle(1.0, Some(3))));
    assert_eq!(free(&ledger), 1.0);
}

#[test]
fn a_closed_group_gives_back_what_is_free_and_the_rest_as_its_tasks_end() {
    let mut ledger = with_group();
    let (one, other) = (in_bundle(1.0, Some(0)), in_bundle(1.0, None));
    assert!(ledger.acquire(&one) && ledger.acquire(&other));
    ledger.release_cpus(&other);
    assert!(ledger.close_group(GROUP) && !ledger.close_group(GROUP));
    assert_eq!(free(&ledger), 3.0);
    assert!(!ledger.is_feasible(&one) && !ledger.fits(&one));
    assert!(ledger.reacquire_cpus(&other));
    assert_eq!(free(&ledger), 2.0);
    ledger.release(&other);
    ledger.release(&one);
    assert_eq!(free(&ledger), 4.0);
    assert!(ledger.groups.is_empty());
}
