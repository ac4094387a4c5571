//! Choices by what is known, and refusals by what was seen.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::resources::{CPU, ONE};
use super::task::{Arguments, Choice, Submission};
use super::*;

const NOW: Time = Time(1_000);

fn site(node: u64) -> Site {
    Site {
        node: NodeId(node),
        is_suspect: false,
        total: Resources::of([(CPU, 4 * ONE)]),
        roles: vec!["member".into()],
        labels: BTreeMap::new(),
        provides: [7].into(),
    }
}

fn load(cpus: u32, queue_length: u32) -> Load {
    let queue_wait = Duration::from_millis(10) * queue_length;
    Load { free_cpu: cpus * 10_000, queue_length, queue_wait, free_memory_mib: 1_000 }
}

fn placer(loads: &[(u64, Load)]) -> Placer {
    let mut placer = Placer::new();
    for &(node, load) in loads {
        placer.loads.hear(NOW, NodeId(node), load);
    }
    placer
}

fn one_cpu(policy: Policy) -> Request {
    Request { demand: Resources::of([(CPU, ONE)]), policy, ..Request::default() }
}

/// Places so many, and says where they went.
fn spread_of(placer: &mut Placer, request: &Request, sites: &[Site], count: usize) -> Vec<u64> {
    let mut rng = SmallRng::seed_from_u64(5);
    (0..count).map(|_| placer.place(NOW, request, sites, &mut rng).unwrap().0).collect()
}

#[test]
fn least_loaded_counts_what_it_placed_itself() {
    let sites = [site(1), site(2), site(3)];
    let mut placer = placer(&[(1, load(4, 0)), (2, load(2, 0)), (3, load(0, 5))]);
    let chosen = spread_of(&mut placer, &one_cpu(Policy::LeastLoaded), &sites, 6);
    let count = |node| chosen.iter().filter(|&&at| at == node).count();
    assert_eq!((count(1), count(2), count(3)), (4, 2, 0), "{chosen:?}");
    assert_eq!(chosen[..2], [1, 1]);
    assert_eq!(placer.placed_count(NodeId(1)), 4);
    placer.ended(NodeId(1));
    assert_eq!(placer.placed_count(NodeId(1)), 3);
}

#[test]
fn spread_takes_turns_and_pack_fills_one_first() {
    let sites = [site(1), site(2), site(3)];
    let loads = [(1, load(4, 0)), (2, load(4, 0)), (3, load(3, 0))];
    let mut chosen = spread_of(&mut placer(&loads), &one_cpu(Policy::Spread), &sites, 3);
    chosen.sort_unstable();
    assert_eq!(chosen, [1, 2, 3]);
    let chosen = spread_of(&mut placer(&loads), &one_cpu(Policy::Pack), &sites, 8);
    assert_eq!(chosen, [3, 3, 3, 1, 1, 1, 1, 2]);
}

#[test]
fn equal_nodes_get_equal_shares_whether_their_loads_are_known_or_not() {
    let sites = [site(1), site(2), site(3)];
    for known in [&[][..], &[(1, load(4, 0))], &[(1, load(4, 0)), (2, load(4, 0)), (3, load(4, 0))]]
    {
        let mut placer = placer(known);
        let chosen = spread_of(&mut placer, &one_cpu(Policy::LeastLoaded), &sites, 30);
        for node in 1..=3 {
            let count = chosen.iter().filter(|&&at| at == node).count();
            assert!((8..=12).contains(&count), "{known:?}: {chosen:?}");
        }
    }
}

#[test]
fn spread_never_takes_one_twice_in_a_row_and_a_new_node_is_not_flooded() {
    let mut sites = vec![site(1), site(2), site(3)];
    let mut placer = placer(&[]);
    let request = Request { policy: Policy::Spread, ..Request::default() };
    let chosen = spread_of(&mut placer, &request, &sites, 30);
    assert!(chosen.windows(2).all(|two| two[0] != two[1]), "{chosen:?}");
    sites.push(site(4));
    placer.welcome(NodeId(4));
    let chosen = spread_of(&mut placer, &request, &sites, 8);
    assert_eq!(chosen.iter().filter(|&&at| at == 4).count(), 2, "{chosen:?}");
}

/// A report written while a task ran says that it takes room; the task, counted here as well, has long ended.
#[test]
fn spread_takes_turns_whatever_reports_come_between() {
    let sites = [site(1), site(2), site(3)];
    let mut placer = placer(&[(1, load(2, 0)), (2, load(2, 0)), (3, load(2, 0))]);
    let mut rng = SmallRng::seed_from_u64(5);
    let mut chosen = Vec::new();
    for _ in 0..12 {
        let node = placer.place(NOW, &one_cpu(Policy::Spread), &sites, &mut rng).unwrap();
        placer.loads.hear(NOW, node, load(1, 0));
        // One of them is quicker to say that it is idle again.
        (0..2).for_each(|_| placer.loads.hear(NOW, NodeId(3), load(2, 0)));
        chosen.push(node.0);
    }
    assert!(chosen.windows(2).all(|two| two[0] != two[1]), "{chosen:?}");
    // Who says itself that it is full is left out.
    placer.loads.hear(NOW, NodeId(2), load(0, 0));
    assert!(!spread_of(&mut placer, &one_cpu(Policy::Spread), &sites, 6).contains(&2));
}

#[test]
fn on_node_is_an_order_or_a_wish() {
    let sites = [site(1), site(2)];
    let on = |is_hard| one_cpu(Policy::OnNode { node: NodeId(2), is_hard });
    let full = [(1, load(4, 0)), (2, load(0, 9))];
    assert_eq!(spread_of(&mut placer(&full), &on(true), &sites, 1), [2]);
    assert_eq!(spread_of(&mut placer(&full), &on(false), &sites, 1), [2], "it waits there");
    let alone = &sites[..1];
    assert_eq!(spread_of(&mut placer(&full), &on(false), alone, 1), [1], "it is not there");
    assert_eq!(spread_of(&mut placer(&[]), &on(false), &sites, 1), [2]);
    let mut rng = SmallRng::seed_from_u64(1);
    let refused = placer(&[]).place(NOW, &on(true), &sites[..1], &mut rng);
    assert!(matches!(refused, Err(PlacementError::Infeasible { .. })), "{refused:?}");
}

#[test]
fn near_goes_to_the_bytes_if_there_is_room() {
    let sites = [site(1), site(2), site(3)];
    let bytes = BTreeMap::from([(NodeId(2), 10), (NodeId(3), 99)]);
    let near = one_cpu(Policy::Near { bytes });
    let chosen = spread_of(&mut placer(&[(3, load(1, 0))]), &near, &sites, 2);
    assert_eq!(chosen, [3, 2]);
}

#[test]
fn hard_labels_bind_and_soft_ones_are_preferred() {
    let mut sites = [site(1), site(2)];
    sites[1].labels.insert("zone".into(), "b".into());
    let rule = |value: &str, is_hard| {
        let rule = LabelRule { name: "zone".into(), value: value.into(), is_hard };
        Request { labels: vec![rule], ..one_cpu(Policy::LeastLoaded) }
    };
    let mut rng = SmallRng::seed_from_u64(1);
    for is_hard in [true, false] {
        assert_eq!(spread_of(&mut placer(&[]), &rule("b", is_hard), &sites, 1), [2]);
    }
    assert!(placer(&[]).place(NOW, &rule("c", false), &sites, &mut rng).is_ok());
    let refused = placer(&[]).place(NOW, &rule("c", true), &sites, &mut rng);
    let reason = |node: u64| format!("{}: has not the label zone=c", NodeId(node));
    let reasons = vec![reason(1), reason(2)];
    assert_eq!(refused, Err(PlacementError::Infeasible { reasons }));
}

#[test]
fn refusals_say_what_was_seen() {
    let sites = [site(1), site(2)];
    let mut rng = SmallRng::seed_from_u64(1);
    let mut place =
        |request: &Request, sites: &[Site]| placer(&[]).place(NOW, request, sites, &mut rng);
    let provision = Some(Provision { hash: 8, name: "render/2".into() });
    let unknown = Request { provision, ..one_cpu(Policy::LeastLoaded) };
    let seen = vec![NodeId(1), NodeId(2)];
    let expected = PlacementError::NoProvider { provision: "render/2".into(), seen };
    assert_eq!(place(&unknown, &sites), Err(expected));

    let large = Request { demand: Resources::of([(CPU, 5 * ONE)]), ..Request::default() };
    let reason = |node: u64| format!("{}: lacks 1 cpu", NodeId(node));
    let reasons = vec![reason(1), reason(2)];
    assert_eq!(place(&large, &sites), Err(PlacementError::Infeasible { reasons }));

    let mut suspected = sites.clone();
    suspected[0].is_suspect = true;
    assert_eq!(place(&one_cpu(Policy::LeastLoaded), &suspected), Ok(NodeId(2)));
    suspected[1].is_suspect = true;
    let feasible = vec![NodeId(1), NodeId(2)];
    let busy = Err(PlacementError::Busy { feasible });
    assert_eq!(place(&one_cpu(Policy::LeastLoaded), &suspected), busy);
}

#[test]
fn a_task_runs_here_unless_there_is_no_room_or_much_to_fetch() {
    let sites: Vec<Site> = (1..=5).map(site).collect();
    let placer = placer(&[(5, load(1, 50))]);
    let request = one_cpu(Policy::LeastLoaded);
    let here = NodeId(1);
    let choose = |has_room, arguments: &Arguments, seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let submission = Submission { here, has_room_here: has_room, request: &request, arguments };
        placer.place_task(NOW, &submission, &sites, &mut rng).unwrap()
    };
    assert_eq!(choose(true, &Arguments::default(), 1), Choice::Here);
    let small = Arguments { total_bytes: 1_000_000, bytes_by_node: BTreeMap::new() };
    assert_eq!(choose(true, &small, 1), Choice::Here);
    let large = Arguments {
        total_bytes: 1 << 30,
        bytes_by_node: BTreeMap::from([(NodeId(4), 1 << 30), (NodeId(3), 1 << 29)]),
    };
    let mut drawn = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let Choice::Ask(asked) = choose(true, &large, seed) else {
            panic!("the arguments are elsewhere");
        };
        assert_eq!((asked.len(), asked[0]), (4, NodeId(4)), "{asked:?}");
        assert!(asked.contains(&NodeId(3)));
        drawn.extend(asked);
    }
    assert_eq!(drawn.len(), 5, "chance reaches everybody");
    let Choice::Ask(asked) = choose(false, &Arguments::default(), 1) else {
        panic!("there is no room");
    };
    assert_eq!(asked.len(), 2);
}
