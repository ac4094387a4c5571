//! Chains, trees and limits.

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::*;
use crate::object_id::StoreId;

fn object(number: u64) -> ObjectId {
    ObjectId::new(StoreId::alone(1), number).unwrap()
}

fn recipe(inputs: &[u64], outputs: &[u64]) -> Recipe {
    Recipe {
        call: vec![0; 100],
        beside: Beside::default(),
        inputs: inputs.iter().copied().map(object).collect(),
        outputs: outputs.iter().copied().map(object).collect(),
        attempts_left: 2,
        attempts: 0,
        refusal: None,
    }
}

#[test]
fn f18_a_lost_object_is_made_again_with_its_lost_inputs_first_and_each_task_once() {
    let mut lineage = Lineage::default();
    let first = lineage.remember(recipe(&[], &[1]));
    let left = lineage.remember(recipe(&[1], &[2]));
    let right = lineage.remember(recipe(&[1], &[3]));
    let last = lineage.remember(recipe(&[2, 3], &[4]));
    assert_eq!(lineage.plan(object(4), |_| false), Ok(vec![first, left, right, last]));
    assert_eq!(lineage.plan(object(4), |there| there == object(2)), Ok(vec![first, right, last]));
    assert_eq!(lineage.plan(object(4), |there| there != object(4)), Ok(vec![last]));
}

#[test]
fn a_recipe_is_kept_while_a_descendant_is_referenced() {
    let mut lineage = Lineage::default();
    for number in 1..=1000 {
        let inputs: &[u64] = if number == 1 { &[] } else { &[number - 1] };
        lineage.remember(recipe(inputs, &[number]));
    }
    for number in 1..1000 {
        lineage.forget(object(number));
    }
    assert_eq!(lineage.len(), 1000);
    assert_eq!(lineage.plan(object(1000), |_| false).map(|plan| plan.len()), Ok(1000));
    lineage.forget(object(1000));
    assert!(lineage.is_empty() && lineage.bytes() == 0);
}

#[test]
fn f19_used_up_attempts_and_evicted_recipes_say_so() {
    let mut lineage = Lineage::new(LineageLimits { bytes_max: 1000, plan_max: 10 });
    let id = lineage.remember(recipe(&[], &[1]));
    assert_eq!(lineage.begin(id).map(|recipe| recipe.attempts), Some(1));
    assert!(lineage.plan(object(1), |_| false).is_ok());
    assert_eq!(lineage.begin(id).map(|recipe| recipe.attempts), Some(2));
    assert_eq!(lineage.begin(id), None);
    let used = lineage.plan(object(1), |_| false);
    assert_eq!(used, Err(LossReason::AttemptsUsed { attempts: 2 }));
    for number in 2..=8 {
        lineage.remember(recipe(&[], &[number]));
        assert!(lineage.bytes() <= 1000);
    }
    assert_eq!(lineage.plan(object(1), |_| false), Err(LossReason::LineageEvicted));
    assert!(lineage.plan(object(8), |_| false).is_ok());
    lineage.remember(Recipe { call: vec![0; 2000], ..recipe(&[], &[9]) });
    assert_eq!(lineage.plan(object(9), |_| false), Err(LossReason::LineageEvicted));
}

#[test]
fn f20_what_was_put_or_must_not_run_twice_says_so() {
    let mut lineage = Lineage::default();
    let error = lineage.plan(object(1), |_| false).unwrap_err();
    assert!(matches!(&error, LossReason::NotRebuildable { text } if text.contains("put by hand")));
    let text = "task `pay` is not retryable".to_owned();
    lineage.remember(Recipe { refusal: Some(text.clone()), ..recipe(&[1], &[2]) });
    let error = LossReason::NotRebuildable { text };
    assert_eq!(lineage.plan(object(2), |_| false), Err(error));
}

#[test]
fn f23_of_several_results_all_share_the_recipe() {
    let mut lineage = Lineage::default();
    let id = lineage.remember(recipe(&[], &[1, 2]));
    lineage.forget(object(1));
    assert_eq!(lineage.plan(object(2), |_| false), Ok(vec![id]));
    lineage.forget(object(2));
    assert!(lineage.is_empty());
}

#[test]
fn a_plan_too_long_is_refused_and_a_long_one_does_not_exhaust_the_stack() {
    let mut lineage = Lineage::new(LineageLimits { bytes_max: 1 << 30, plan_max: 99_999 });
    for number in 1..=100_000 {
        let inputs: &[u64] = if number == 1 { &[] } else { &[number - 1] };
        lineage.remember(recipe(inputs, &[number]));
    }
    assert_eq!(lineage.plan(object(99_999), |_| false).map(|plan| plan.len()), Ok(99_999));
    let error = lineage.plan(object(100_000), |_| false).unwrap_err();
    assert!(matches!(error, LossReason::NotRebuildable { .. }));
}

#[test]
fn random_graphs_give_complete_plans_in_order_and_leave_nothing_behind() {
    for seed in 0..300 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut lineage = Lineage::default();
        let mut recipes = Vec::new();
        for number in 1..=rng.random_range(1..30_u64) {
            let inputs: Vec<u64> = (1..number).filter(|_| rng.random_ratio(1, 4)).collect();
            recipes.push((lineage.remember(recipe(&inputs, &[number])), inputs));
        }
        let lost: Vec<bool> = recipes.iter().map(|_| rng.random_bool(0.5)).collect();
        let target = rng.random_range(1..=recipes.len() as u64);
        let is_there = |id: ObjectId| !lost[id.number() as usize - 1];
        let plan = lineage.plan(object(target), is_there).expect("nothing forbids it");
        let mut made = BTreeSet::new();
        for id in &plan {
            let place = recipes.iter().position(|(known, _)| known == id).unwrap();
            for input in &recipes[place].1 {
                let there = is_there(object(*input)) || made.contains(input);
                assert!(there, "seed {seed}: {id:?} before its input {input}");
            }
            assert!(made.insert(place as u64 + 1), "seed {seed}: twice");
        }
        assert!(made.contains(&target), "seed {seed}");
        for number in 1..=recipes.len() as u64 {
            lineage.forget(object(number));
        }
        assert!(lineage.is_empty() && lineage.bytes() == 0, "seed {seed}: something is left");
    }
}

#[test]
fn what_lies_beside_a_recipe_is_given_to_whoever_may_drop_it() {
    let beside = Arc::new(());
    let with = |outputs: &[u64]| Recipe {
        beside: Beside(Some(Arc::clone(&beside) as Arc<dyn Any + Send + Sync>)),
        ..recipe(&[], outputs)
    };
    let limits = LineageLimits { bytes_max: 2 * cost(&recipe(&[], &[1])), ..Default::default() };
    let mut lineage = Lineage::new(limits);
    lineage.remember(with(&[1]));
    lineage.remember(with(&[2]));
    lineage.forget(object(1));
    assert_eq!(Arc::strong_count(&beside), 3, "nothing is dropped in here");
    assert_eq!(lineage.take_let_go().len(), 1);
    assert_eq!(Arc::strong_count(&beside), 2);
    // Given up for others, and too large to be kept at all.
    lineage.remember(with(&[3]));
    lineage.remember(with(&[4]));
    lineage.remember(Recipe { call: vec![0; 1000], ..with(&[5]) });
    assert_eq!(lineage.take_let_go().len(), 2);
    assert!(lineage.take_let_go().is_empty());
}
