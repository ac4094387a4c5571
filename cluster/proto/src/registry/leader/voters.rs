//! Who should vote, and the next step on the way there.
//!
//! More voters survive more losses and cost more for each entry; voters on one machine are lost together.
//! So there is one for up to two members, three for up to six and five beyond; those who have been up longest, for
//! they are likely to stay up, and on different zones and machines as far as there are.
//!
//! Invariants: a voter that is up and not draining stays as long as the number allows; a step replaces at most one
//! voter, and goes by way of a joint configuration; a joint configuration is followed by its own voters alone.
//!
//! Pure: no clock, no I/O, no tasks.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Candidate, Candidates};
use crate::registry::config::Config;
use crate::registry::id::VoterId;

/// What the next configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who votes, or will.
    pub voters: BTreeSet<VoterId>,
    /// Who voted so far, if this is a step on the way.
    pub outgoing: BTreeSet<VoterId>,
}

/// How many voters a cluster of so many members has.
#[must_use]
pub const fn count_for(members: usize) -> usize {
    match members {
        0..=2 => 1,
        3..=6 => 3,
        _ => 5,
    }
}

/// Who should vote. `given_up`: voters that are not waited for any more.
#[must_use]
pub fn choose(
    current: &Config,
    members: &Candidates,
    given_up: &BTreeSet<VoterId>,
) -> BTreeSet<VoterId> {
    let is_up =
        |voter: &VoterId| members.get(&voter.node).is_some_and(|member| member.host == *voter);
    let is_draining = |voter: &VoterId| {
        members.get(&voter.node).is_some_and(|member| member.host == *voter && member.is_draining)
    };
    let stays = |voter: &&VoterId| !given_up.contains(*voter) && !is_draining(voter);
    let silent = current.voters.iter().filter(stays).filter(|voter| !is_up(voter)).count();
    let fit: Vec<&Candidate> = members.values().filter(|member| !member.is_draining).collect();
    let count = count_for(fit.len() + silent);

    // Whoever is silent for a moment stays before anybody is added.
    let mut kept: Vec<VoterId> = current.voters.iter().filter(stays).copied().collect();
    kept.sort_by_key(|voter| Reverse(members.get(&voter.node).map(|member| member.uptime)));
    kept.truncate(count);
    let mut chosen: Vec<&Candidate> =
        fit.iter().copied().filter(|member| kept.contains(&member.host)).collect();
    let mut voters: BTreeSet<VoterId> = kept.into_iter().collect();
    while voters.len() < count {
        let others = fit.iter().copied().filter(|member| !voters.contains(&member.host));
        let Some(best) = others.min_by_key(|member| rank(member, &chosen)) else { break };
        voters.insert(best.host);
        chosen.push(best);
    }
    voters
}

/// Lower is better: few voters in its zone, few on its machine, long up.
fn rank<'a>(
    member: &'a Candidate,
    chosen: &[&Candidate],
) -> (usize, usize, Reverse<std::time::Duration>, &'a VoterId) {
    let in_zone = chosen.iter().filter(|other| member.zone.is_some() && other.zone == member.zone);
    let on_machine =
        chosen.iter().filter(|other| member.machine.is_some() && other.machine == member.machine);
    (in_zone.count(), on_machine.count(), Reverse(member.uptime), &member.host)
}

/// The next configuration on the way to `target`; `None` if it is reached, or there is nobody to choose.
#[must_use]
pub fn next_step(
    current: &Config,
    target: &BTreeSet<VoterId>,
    given_up: &BTreeSet<VoterId>,
) -> Option<Step> {
    // A way that was begun is gone to its end: another end need not meet what the first one has made.
    if current.is_joint() {
        return Some(Step { voters: current.voters.clone(), outgoing: BTreeSet::new() });
    }
    if *target == current.voters || target.is_empty() {
        return None;
    }
    let mut leaving: Vec<VoterId> = current.voters.difference(target).copied().collect();
    leaving.sort_by_key(|voter| (!given_up.contains(voter), *voter));
    let mut voters = current.voters.clone();
    match (leaving.first(), target.difference(&current.voters).next()) {
        (Some(leaving), Some(coming)) => {
            voters.remove(leaving);
            voters.insert(*coming);
        }
        (Some(_), None) | (None, _) => voters.clone_from(target),
    }
    Some(Step { voters, outgoing: current.voters.clone() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{Incarnation, NodeId};
    use crate::registry::id::{ConfigId, Host};

    fn host(node: u64) -> Host {
        Host { node: NodeId(node), life: Incarnation(1) }
    }

    fn hosts(nodes: &[u64]) -> BTreeSet<VoterId> {
        nodes.iter().map(|&node| host(node)).collect()
    }

    /// Node, uptime, machine, zone.
    fn members(of: &[(u64, u64, &str, &str)]) -> Candidates {
        let candidate = |&(node, uptime, machine, zone): &(u64, u64, &str, &str)| {
            let label = |label: &str| (!label.is_empty()).then(|| label.into());
            let candidate = Candidate {
                host: host(node),
                uptime: Duration::from_secs(uptime),
                machine: label(machine),
                zone: label(zone),
                is_draining: false,
            };
            (NodeId(node), candidate)
        };
        of.iter().map(candidate).collect()
    }

    fn plain(nodes: &[u64]) -> Candidates {
        members(&nodes.iter().map(|&node| (node, 100 - node, "", "")).collect::<Vec<_>>())
    }

    fn config(voters: &[u64]) -> Config {
        Config::uniform(ConfigId(1), hosts(voters))
    }

    #[test]
    fn there_are_one_three_or_five() {
        let counts: Vec<usize> = (0..9).map(count_for).collect();
        assert_eq!(counts, [1, 1, 1, 3, 3, 3, 3, 5, 5]);
        let none = BTreeSet::new();
        let choose =
            |current: &[u64], nodes: &[u64]| choose(&config(current), &plain(nodes), &none);
        assert_eq!(choose(&[2], &[1, 2]), hosts(&[2]));
        assert_eq!(choose(&[2], &[1, 2, 3, 4]), hosts(&[1, 2, 3]));
        assert_eq!(choose(&[2, 3, 7], &[1, 2, 3, 4, 5, 6, 7]), hosts(&[1, 2, 3, 4, 7]));
        assert_eq!(choose(&[1, 2, 3, 4, 7], &[1, 2, 3, 4, 7]), hosts(&[1, 2, 3]));
    }

    #[test]
    fn zones_count_before_machines_and_machines_before_uptime() {
        let of = [
            (1, 90, "m1", "a"),
            (2, 80, "m1", "a"),
            (3, 70, "m2", "a"),
            (4, 60, "m3", "b"),
            (5, 50, "m3", "b"),
        ];
        let none = BTreeSet::new();
        assert_eq!(choose(&config(&[1]), &members(&of), &none), hosts(&[1, 4, 3]));
        let mut draining = members(&of);
        draining.get_mut(&NodeId(4)).unwrap().is_draining = true;
        assert_eq!(choose(&config(&[1, 3, 4]), &draining, &none), hosts(&[1, 3, 5]));
    }

    #[test]
    fn a_silent_voter_stays_until_it_is_given_up_and_a_new_life_is_another() {
        let mut nodes = plain(&[1, 2, 4, 5]);
        assert_eq!(choose(&config(&[1, 2, 3]), &nodes, &BTreeSet::new()), hosts(&[1, 2, 3]));
        assert_eq!(choose(&config(&[1, 2, 3]), &nodes, &hosts(&[3])), hosts(&[1, 2, 4]));
        let reborn = Host { node: NodeId(1), life: Incarnation(2) };
        nodes.get_mut(&NodeId(1)).unwrap().host = reborn;
        let chosen = choose(&config(&[1, 2, 3]), &nodes, &hosts(&[1, 3]));
        assert_eq!(chosen, &hosts(&[2, 4]) | &BTreeSet::from([reborn]));
    }

    #[test]
    fn steps_replace_one_and_lead_through_joint_ones() {
        let given_up = hosts(&[3]);
        let current = config(&[1, 2, 3]);
        let step = next_step(&current, &hosts(&[1, 4, 5]), &given_up).unwrap();
        assert_eq!(step, Step { voters: hosts(&[1, 2, 4]), outgoing: hosts(&[1, 2, 3]) });
        let joint = Config { id: ConfigId(2), voters: step.voters, outgoing: step.outgoing };
        assert!(joint.meets(&current));
        // Whatever is wanted by now: to its end first.
        let step = next_step(&joint, &hosts(&[7]), &given_up).unwrap();
        assert_eq!(step, Step { voters: hosts(&[1, 2, 4]), outgoing: hosts(&[]) });
        assert_eq!(next_step(&current, &hosts(&[1, 2, 3]), &given_up), None);
        assert_eq!(next_step(&current, &hosts(&[]), &given_up), None);
        let grown = next_step(&config(&[1]), &hosts(&[1, 2, 3]), &hosts(&[])).unwrap();
        assert_eq!(grown, Step { voters: hosts(&[1, 2, 3]), outgoing: hosts(&[1]) });
    }
}
