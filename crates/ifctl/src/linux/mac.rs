//! Link-layer addresses for interfaces that the switch makes.

use std::hash::{BuildHasher as _, RandomState};

/// A random address that is locally administered, unicast, and higher than nearly any other.
///
/// A bridge whose address was not set takes the lowest of its members' (net/bridge/br_stp_if.c,
/// `br_stp_recalculate_bridge_id`). A joining interface with a low address would change it, and
/// with it the one under which the host is known to its neighbours and to its DHCP server.
pub(super) fn random_high() -> [u8; 6] {
    // The state's keys are random for each new one; that is all the randomness needed here.
    let [a, b, c, d, e, ..] = RandomState::new().hash_one(0_u8).to_ne_bytes();
    [HIGHEST_LOCAL_UNICAST, a, b, c, d, e]
}

/// Bit 0 (group) clear, bit 1 (local) set, all others set.
const HIGHEST_LOCAL_UNICAST: u8 = 0xfe;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_unicast_and_differ() {
        let all: std::collections::HashSet<_> = (0..1000).map(|_| random_high()).collect();
        assert!(all.iter().all(|mac| mac[0] & 0b11 == 0b10));
        assert_eq!(all.len(), 1000);
    }
}
