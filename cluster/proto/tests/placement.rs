//! Many placers with old rumours: nobody is sent what it cannot take, and nobody is buried.
//!
//! A failing run prints its seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobula_proto::error::PlacementError;
use mobula_proto::id::NodeId;
use mobula_proto::load::Load;
use mobula_proto::placement::resources::{CPU, ONE};
use mobula_proto::placement::task::{Arguments, Choice, Submission};
use mobula_proto::placement::{LabelRule, Placer, Policy, Provision, Request, Resources, Site};
use mobula_proto::time::Time;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const NOW: Time = Time(1);

fn site(node: u64, rng: &mut SmallRng) -> Site {
    let labels = rng.random::<bool>().then(|| ("zone".into(), "a".into()));
    Site {
        node: NodeId(node),
        is_suspect: rng.random_range(0..5) == 0,
        total: Resources::of([
            (CPU, rng.random_range(0..4) * ONE),
            ("gpu", rng.random_range(0..2)),
        ]),
        roles: if rng.random() { vec!["worker".into()] } else { Vec::new() },
        labels: labels.into_iter().collect(),
        provides: (0..3).filter(|_| rng.random()).collect::<Vec<u64>>().into(),
    }
}

fn request(rng: &mut SmallRng) -> Request {
    let node = NodeId(rng.random_range(0..8));
    let rule = |is_hard| LabelRule { name: "zone".into(), value: "a".into(), is_hard };
    Request {
        demand: Resources::of([
            (CPU, rng.random_range(0..3) * ONE),
            ("gpu", rng.random_range(0..2)),
        ]),
        provision: rng.random::<bool>().then(|| Provision { hash: 1, name: "f".into() }),
        role: rng.random_range(0..3_u8).eq(&0).then(|| Arc::from("worker")),
        labels: if rng.random() { vec![rule(rng.random())] } else { Vec::new() },
        policy: match rng.random_range(0..5) {
            0 => Policy::LeastLoaded,
            1 => Policy::Spread,
            2 => Policy::Pack,
            3 => Policy::OnNode { node, is_hard: rng.random() },
            _ => Policy::Near { bytes: BTreeMap::from([(node, 5)]) },
        },
    }
}

/// The rules, said the plain way.
fn can_ever(request: &Request, site: &Site) -> bool {
    let hard_node = match request.policy {
        Policy::OnNode { node, is_hard: true } => site.node == node,
        _ => true,
    };
    let fits = |rule: &LabelRule| site.labels.get(&rule.name) == Some(&rule.value);
    hard_node
        && request.provision.as_ref().is_none_or(|wanted| site.provides.contains(&wanted.hash))
        && request.role.as_ref().is_none_or(|role| site.roles.contains(role))
        && request.labels.iter().filter(|rule| rule.is_hard).all(fits)
        && site.total.covers(&request.demand)
}

#[test]
fn whatever_is_asked_the_rules_hold_and_refusals_are_true() {
    for seed in 0..20_000 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let count = rng.random_range(0..8);
        let sites: Vec<Site> = (0..count).map(|node| site(node, &mut rng)).collect();
        let mut placer = Placer::new();
        for site in &sites {
            if rng.random() {
                let free_cpu = rng.random_range(0..40_000);
                let queue_length = rng.random_range(0..3);
                let load = Load { free_cpu, queue_length, ..Load::default() };
                placer.loads.hear(NOW, site.node, load);
            }
        }
        let request = request(&mut rng);
        let able = || sites.iter().filter(|site| can_ever(&request, site));
        let submission = Submission {
            here: NodeId(0),
            has_room_here: rng.random(),
            request: &request,
            arguments: &Arguments::default(),
        };
        let answers = [
            placer.place(NOW, &request, &sites, &mut rng).map(|node| vec![node]),
            placer.place_task(NOW, &submission, &sites, &mut rng).map(|choice| match choice {
                Choice::Here => vec![NodeId(0)],
                Choice::Ask(nodes) => nodes,
            }),
        ];
        for answer in answers {
            match answer {
                Ok(nodes) => {
                    assert!(!nodes.is_empty() && nodes.len() <= 4, "seed {seed}");
                    for node in nodes {
                        let is_right = able().any(|site| site.node == node && !site.is_suspect);
                        assert!(is_right, "seed {seed}: {node} for {request:?}");
                    }
                }
                Err(PlacementError::Busy { feasible }) => {
                    let all: Vec<NodeId> = able().map(|site| site.node).collect();
                    assert_eq!(feasible, all, "seed {seed}");
                    assert!(!all.is_empty() && able().all(|site| site.is_suspect), "seed {seed}");
                }
                Err(PlacementError::NoProvider { .. } | PlacementError::Infeasible { .. }) => {
                    assert_eq!(able().count(), 0, "seed {seed}: {request:?}");
                }
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
    }
}

#[test]
fn placers_with_one_old_rumour_do_not_run_to_the_same_node() {
    let mut rng = SmallRng::seed_from_u64(3);
    let sites: Vec<Site> = (0..100)
        .map(|node| Site {
            node: NodeId(node),
            is_suspect: false,
            total: Resources::of([(CPU, 4 * ONE)]),
            roles: Vec::new(),
            labels: BTreeMap::new(),
            provides: [].into(),
        })
        .collect();
    let request = Request { demand: Resources::of([(CPU, ONE)]), ..Request::default() };
    let submission = Submission {
        here: NodeId(500),
        has_room_here: false,
        request: &request,
        arguments: &Arguments::default(),
    };
    let mut first_choices: BTreeMap<NodeId, u32> = BTreeMap::new();
    for _ in 0..100 {
        let mut placer = Placer::new();
        for site in &sites {
            // Node 7 was idle when the rumour began.
            let free_cpu = if site.node == NodeId(7) { 40_000 } else { 20_000 };
            placer.loads.hear(NOW, site.node, Load { free_cpu, ..Load::default() });
        }
        for _ in 0..4 {
            let choice = placer.place_task(NOW, &submission, &sites, &mut rng);
            let Ok(Choice::Ask(asked)) = choice else {
                panic!("there is room elsewhere");
            };
            placer.pushed(asked[0], &request);
            *first_choices.entry(asked[0]).or_default() += 1;
        }
    }
    // Four hundred tasks for a hundred nodes of four CPUs: the idle-looking one gets its share, not the herd.
    let most = first_choices.values().max().copied();
    assert!(most < Some(20), "{first_choices:?}");
    assert!(first_choices.len() > 80, "{first_choices:?}");
}
