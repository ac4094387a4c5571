//! The names of simulated nodes, from host numbers and back.
//!
//! Names in the order of the hosts would put neighbours by number on neighbouring places of a ring; real names are
//! hashes. So a host's number is scrambled, by a permutation, which is its own directory.
//!
//! Invariant: no two hosts have one name.

use mobula_proto::id::NodeId;

use crate::protocol::Host;

/// The name of the node on a host; a permutation of all numbers, so that names are spread and none is twice.
#[must_use]
pub fn name_of(host: Host) -> NodeId {
    let mut x = u64::from(host.0).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    NodeId(x ^ (x >> 31))
}

/// The host on which the node of that name is.
#[must_use]
pub fn host_of(node: NodeId) -> Host {
    let mut x = node.0;
    x = (x ^ (x >> 31) ^ (x >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    x = (x ^ (x >> 27) ^ (x >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    x = x ^ (x >> 30) ^ (x >> 60);
    Host(u32::try_from(x.wrapping_sub(0x9e37_79b9_7f4a_7c15)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spread_and_can_be_read_back() {
        for number in [0, 1, 2, 77, 9_999, 65_535] {
            assert_eq!(host_of(name_of(Host(number))), Host(number));
        }
    }
}
