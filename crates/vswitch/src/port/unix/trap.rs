//! What a switch that runs as root may be lured into.

use nix::unistd::Uid;

/// Whether a peer has the switch connect to a socket to which it could not connect itself: one of
/// root's, for a port that is not root's alone. A switch that runs as root may connect to any
/// socket of the machine, and where a peer is, is the peer's word.
pub(in crate::port) fn is_trap(switch: Uid, own_path_owner: Uid, there: Uid) -> bool {
    switch.is_root() && !own_path_owner.is_root() && there.is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_sockets_are_only_for_roots_ports() {
        let (root, user) = (Uid::from_raw(0), Uid::from_raw(1000));
        assert!(is_trap(root, user, root));
        assert!(!is_trap(root, user, user));
        assert!(!is_trap(root, root, root));
        assert!(!is_trap(user, user, root), "the kernel decides");
    }
}
