//! Random histories of whole nodes, and the cases that broke simpler schedulers.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

fn cpus(amount: f64) -> Demand {
    Demand::cpus(Quantity::try_new(amount).unwrap())
}

fn node(amount: f64) -> Admission<u32> {
    Admission::new(Ledger::new(Quantity::try_new(amount).unwrap()))
}

fn take_all(admission: &mut Admission<u32>) -> Vec<u32> {
    std::iter::from_fn(|| admission.next().map(|(_, task)| task)).collect()
}

#[test]
fn a_rare_demand_does_not_block_the_tasks_behind_it() {
    let mut admission = node(2.0);
    admission.grow("gpu", Quantity::ONE);
    let gpu = admission.intern(&Demand::default().with("gpu", Quantity::ONE).unwrap());
    for (shape, task) in [(gpu, 1), (gpu, 2), (ShapeId::ONE_CPU, 3)] {
        assert_eq!(admission.enqueue(shape, 0, task), Enqueued::Ready);
    }
    assert_eq!(take_all(&mut admission), [1, 3]);
    assert_eq!(admission.why(gpu), "waiting for 1 CPU (0 of 2 free) and 1 gpu (0 of 1 free)");
    admission.finish(gpu);
    assert_eq!(take_all(&mut admission), [2]);
}

#[test]
fn a_blocked_parent_is_followed_by_its_child() {
    let mut admission = node(1.0);
    let one = ShapeId::ONE_CPU;
    for parent in 0..3 {
        let _ = admission.enqueue(one, 0, parent);
    }
    assert_eq!(take_all(&mut admission), [0]);
    let _ = admission.enqueue(one, 1, 100);
    admission.block(one);
    assert_eq!(take_all(&mut admission), [100]);
    assert!(!admission.unblock(one, 0), "the child still holds the CPU");
    admission.finish(one);
    assert_eq!(admission.next(), None, "the CPU is promised to the returning parent");
    assert_eq!(admission.grant(), Some(0));
    admission.finish(one);
    assert_eq!(take_all(&mut admission), [1]);
}

#[test]
fn a_large_demand_is_passed_over_only_so_often() {
    let mut admission = node(2.0);
    let one = ShapeId::ONE_CPU;
    let _ = admission.enqueue(one, 0, 1);
    assert_eq!(take_all(&mut admission), [1]);
    let two = admission.intern(&cpus(2.0));
    let _ = admission.enqueue(two, 0, 999);
    let mut small = 0;
    // A stream of small tasks: there is always one running and one more waiting.
    let large_ran = (0..1000).any(|_| {
        let _ = admission.enqueue(one, 0, 1);
        let ran = take_all(&mut admission);
        small += ran.iter().filter(|task| **task == 1).count();
        admission.finish(one);
        ran.contains(&999)
    });
    assert!(large_ran, "it ran");
    assert!(small <= PATIENCE as usize + 2, "after {small} others");
}

#[test]
fn a_shallow_head_of_another_shape_is_passed_over_by_deeper_ones_only_so_often() {
    let mut admission = node(1.0);
    let (one, half) = (ShapeId::ONE_CPU, admission.intern(&cpus(0.75)));
    let _ = admission.enqueue(half, 0, 999);
    let _ = admission.enqueue(one, 1, 1);
    let mut deep = 0;
    // Each deep one submits the next one, deeper still, before it ends.
    let ran = (2..1000).any(|depth| {
        let ran = take_all(&mut admission);
        if ran == [999] {
            return true;
        }
        assert_eq!(ran, [1]);
        deep += 1;
        let _ = admission.enqueue(one, depth, 1);
        admission.finish(one);
        false
    });
    assert!(ran && deep <= PATIENCE + 1, "after {deep} others");
}

#[test]
fn an_infeasible_demand_warns_once_and_runs_when_the_node_grows() {
    let mut admission = node(1.0);
    let shape = admission.intern(&cpus(0.0).with("tpu", Quantity::ONE).unwrap());
    assert_eq!(admission.enqueue(shape, 0, 1), Enqueued::InfeasibleFirst);
    assert_eq!(admission.enqueue(shape, 0, 2), Enqueued::Infeasible);
    assert_eq!(admission.next(), None);
    assert_eq!(
        admission.why(shape),
        "needs 1 tpu, which no node can ever meet; this node has 1 cpu"
    );
    admission.grow("tpu", Quantity::ONE);
    assert_eq!(take_all(&mut admission), [1]);
}

#[test]
fn a_task_without_cpus_runs_on_a_node_without_cpus() {
    let mut admission = node(0.0);
    let none = admission.intern(&cpus(0.0));
    assert_eq!(admission.enqueue(none, 0, 1), Enqueued::Ready);
    assert_eq!(take_all(&mut admission), [1]);
}

/// Random histories: what runs never exceeds the node, and everything feasible runs in the end.
#[test]
fn random_histories_never_oversubscribe_and_leave_nobody_behind() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut admission = node(3.0);
        admission.grow("gpu", Quantity::whole(2));
        let full = admission.amounts();
        let demands: Vec<Demand> = vec![
            cpus(1.0),
            cpus(0.5),
            cpus(3.0),
            cpus(0.0).with("gpu", Quantity::ONE).unwrap(),
            cpus(1.0).with("gpu", Quantity::whole(2)).unwrap(),
        ];
        let shapes: Vec<ShapeId> = demands.iter().map(|d| admission.intern(d)).collect();
        let (mut submitted, mut ran) = (0, 0);
        let mut running: Vec<(ShapeId, u32)> = Vec::new();
        let mut blocked: Vec<(ShapeId, u32)> = Vec::new();
        let mut returning: Vec<(ShapeId, u32)> = Vec::new();
        for step in 0..2000 {
            match rng.random_range(0..5) {
                0 if step < 1000 => {
                    submitted += 1;
                    let shape = shapes[rng.random_range(0..shapes.len())];
                    let _ = admission.enqueue(shape, rng.random_range(0..3), submitted);
                }
                1 if !running.is_empty() => {
                    let (shape, _) = running.swap_remove(rng.random_range(0..running.len()));
                    admission.finish(shape);
                }
                2 if !running.is_empty() => {
                    let task = running.swap_remove(rng.random_range(0..running.len()));
                    admission.block(task.0);
                    blocked.push(task);
                }
                3 if !blocked.is_empty() => {
                    let task = blocked.swap_remove(rng.random_range(0..blocked.len()));
                    if rng.random_bool(0.2) {
                        admission.finish_blocked(task.0, |other| *other == task.1);
                    } else if admission.unblock(task.0, task.1) {
                        running.push(task);
                    } else {
                        returning.push(task);
                    }
                }
                _ => {
                    while let Some(granted) = admission.grant() {
                        let at = returning.iter().position(|(_, task)| *task == granted).unwrap();
                        running.push(returning.remove(at));
                    }
                    if let Some(task) = admission.next() {
                        ran += 1;
                        running.push(task);
                    }
                }
            }
            check(&admission, &full, &demands, &shapes, &running);
        }
        for task in blocked.drain(..) {
            admission.finish_blocked(task.0, |other| *other == task.1);
        }
        for task in returning.drain(..) {
            admission.finish_blocked(task.0, |other| *other == task.1);
        }
        while !running.is_empty() || admission.ready_count() > 0 {
            if let Some((shape, _)) = running.pop() {
                admission.finish(shape);
            }
            while let Some(task) = admission.next() {
                ran += 1;
                running.push(task);
            }
            assert!(!running.is_empty() || admission.ready_count() == 0, "stuck, seed {seed}");
        }
        assert_eq!(ran, submitted, "seed {seed}");
        assert_eq!(admission.amounts(), full, "seed {seed}");
    }
}

/// CPUs in use are exactly those of the tasks that run (the devices of blocked ones are checked by
/// the ledger's own model).
fn check(
    admission: &Admission<u32>,
    full: &[ResourceAmount],
    demands: &[Demand],
    shapes: &[ShapeId],
    running: &[(ShapeId, u32)],
) {
    let mut ledger = Ledger::new(full[0].total);
    for (shape, _) in running {
        let at = shapes.iter().position(|other| other == shape).unwrap();
        assert!(ledger.acquire(&Demand::cpus(demands[at].cpu_count())), "oversubscribed");
    }
    assert_eq!(ledger.amounts()[0].free, admission.amounts()[0].free);
}

#[test]
fn unused_shapes_make_room_for_new_ones() {
    let mut admission = node(1.0);
    for n in 0..1000 {
        let demand = cpus(0.0).with(&format!("r{n}"), Quantity::ONE).unwrap();
        let shape = admission.intern(&demand);
        assert_eq!(admission.intern(&demand), shape);
        admission.forget(shape);
        admission.forget(shape);
    }
    assert!(admission.shapes.len() <= IDLE_SHAPES_MAX + 1);
}
