//! Which work a port takes over with a frame.

use super::{Gso, Offload};

/// A set of kinds of work that whoever is behind a port does itself, or passes on to somebody who
/// does. The default is none: frames are to be finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offloads(u8);

impl Offloads {
    /// No work: finished frames only.
    pub const NONE: Self = Self(0);
    /// Completing checksums.
    pub const CHECKSUM: Self = Self(1);
    /// Cutting TCP segments over IPv4, those with CWR too.
    pub const TSO4: Self = Self(1 << 1);
    /// Cutting TCP segments over IPv6, those with CWR too.
    pub const TSO6: Self = Self(1 << 2);
    /// Cutting UDP over IPv4 and IPv6 into datagrams.
    pub const USO: Self = Self(1 << 3);
    /// All of it.
    pub const ALL: Self = Self::CHECKSUM.with(Self::TSO4).with(Self::TSO6).with(Self::USO);

    /// What is in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a frame with this work left on it can be given as it is.
    #[must_use]
    pub const fn takes(self, offload: &Offload) -> bool {
        let cutting = match offload.gso {
            Gso::None => Self::NONE,
            Gso::TcpV4 => Self::TSO4,
            Gso::TcpV6 => Self::TSO6,
            Gso::UdpL4 => Self::USO,
        };
        let summing = if offload.needs_checksum() { Self::CHECKSUM } else { Self::NONE };
        self.contains(cutting.with(summing))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Checksum;
    use super::*;

    #[test]
    fn work_is_taken_by_those_who_take_each_kind_of_it() {
        let whole = Offload { checksum: Checksum::Unfinished, ..Offload::NONE };
        let kinds = [
            (Gso::None, Offloads::NONE),
            (Gso::TcpV4, Offloads::TSO4),
            (Gso::TcpV6, Offloads::TSO6),
            (Gso::UdpL4, Offloads::USO),
        ];
        for (gso, kind) in kinds {
            let summed = Offload { gso, ..Offload::NONE };
            let unsummed = Offload { gso, ..whole };
            assert!(kind.takes(&summed), "{gso:?}");
            assert!(!kind.takes(&unsummed), "{gso:?}");
            assert!(kind.with(Offloads::CHECKSUM).takes(&unsummed), "{gso:?}");
            assert!(Offloads::ALL.takes(&unsummed), "{gso:?}");
            assert_eq!(Offloads::NONE.takes(&summed), gso.is_none());
            for (_, other) in kinds.iter().filter(|(other, _)| *other != gso && !gso.is_none()) {
                assert!(!other.with(Offloads::CHECKSUM).takes(&unsummed), "{gso:?}, {other:?}");
            }
        }
    }
}
