//! What Linux lets a filter ask about a frame beside its bytes.

use crate::opcode;

/// An ancillary load: on Linux an absolute load from `SKF_AD_OFF + n` gives a fact about the frame
/// instead of its bytes (`include/uapi/linux/filter.h`, `net/core/filter.c`
/// `convert_bpf_extensions`). XNU has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ancillary {
    /// EtherType as the kernel classified the frame (`SKF_AD_PROTOCOL`).
    Protocol,
    /// `PACKET_HOST`, `PACKET_BROADCAST`, … (`SKF_AD_PKTTYPE`).
    PacketType,
    /// Index of the interface (`SKF_AD_IFINDEX`); without one the program ends, with A as it is.
    InterfaceIndex,
    /// Offset of the netlink attribute of type X at or after offset A, or 0 (`SKF_AD_NLATTR`).
    NetlinkAttribute,
    /// The same inside the attribute at offset A (`SKF_AD_NLATTR_NEST`).
    NestedNetlinkAttribute,
    /// The frame's mark (`SKF_AD_MARK`).
    Mark,
    /// Hardware queue (`SKF_AD_QUEUE`).
    Queue,
    /// `ARPHRD_*` of the interface (`SKF_AD_HATYPE`); without one as for the index.
    HardwareType,
    /// Flow hash from the hardware (`SKF_AD_RXHASH`).
    ReceiveHash,
    /// The processor that runs the filter (`SKF_AD_CPU`).
    Cpu,
    /// No load at all: `A ^= X` (`SKF_AD_ALU_XOR_X`).
    XorX,
    /// TCI of the VLAN tag that was taken out of the frame, or 0 (`SKF_AD_VLAN_TAG`).
    VlanTag,
    /// 1 when a VLAN tag was taken out of the frame, else 0 (`SKF_AD_VLAN_TAG_PRESENT`).
    VlanTagPresent,
    /// Offset of the transport payload, or 0 (`SKF_AD_PAY_OFFSET`).
    PayloadOffset,
    /// A random number (`SKF_AD_RANDOM`).
    Random,
    /// TPID of the VLAN tag that was taken out of the frame, or 0 (`SKF_AD_VLAN_TPID`).
    VlanProtocol,
}

impl Ancillary {
    /// The field that the absolute load from `offset` asks for.
    #[must_use]
    pub fn at(offset: u32) -> Option<Self> {
        let number = offset.checked_sub(opcode::ANCILLARY)?;
        let index = usize::try_from(number / 4).ok()?;
        if number % 4 == 0 { ALL.get(index).copied() } else { None }
    }

    /// The offset that asks for this field.
    #[must_use]
    pub fn offset(self) -> u32 {
        opcode::ANCILLARY + 4 * self as u32
    }

    /// The name in the kernel's assembler (`bpf_asm`), without `#`; it has none for `A ^= X`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Protocol => "proto",
            Self::PacketType => "type",
            Self::InterfaceIndex => "ifidx",
            Self::NetlinkAttribute => "nla",
            Self::NestedNetlinkAttribute => "nlan",
            Self::Mark => "mark",
            Self::Queue => "queue",
            Self::HardwareType => "hatype",
            Self::ReceiveHash => "rxhash",
            Self::Cpu => "cpu",
            Self::XorX => return None,
            Self::VlanTag => "vlan_tci",
            Self::VlanTagPresent => "vlan_avail",
            Self::PayloadOffset => "poff",
            Self::Random => "rand",
            Self::VlanProtocol => "vlan_tpid",
        })
    }

    /// The field of that name; `vlan_pr` is an older spelling of `vlan_avail`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "vlan_pr" { "vlan_avail" } else { name };
        ALL.into_iter().find(|field| field.name() == Some(name))
    }
}

/// In the order of their numbers, four apart.
const ALL: [Ancillary; 16] = [
    Ancillary::Protocol,
    Ancillary::PacketType,
    Ancillary::InterfaceIndex,
    Ancillary::NetlinkAttribute,
    Ancillary::NestedNetlinkAttribute,
    Ancillary::Mark,
    Ancillary::Queue,
    Ancillary::HardwareType,
    Ancillary::ReceiveHash,
    Ancillary::Cpu,
    Ancillary::XorX,
    Ancillary::VlanTag,
    Ancillary::VlanTagPresent,
    Ancillary::PayloadOffset,
    Ancillary::Random,
    Ancillary::VlanProtocol,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_fields_are_one_to_one() {
        for (index, field) in ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Ancillary::at(field.offset()), Some(field));
        }
        let fields = (opcode::ANCILLARY..=u32::MAX).filter_map(Ancillary::at);
        assert_eq!(fields.count(), 16);
        assert_eq!(Ancillary::at(opcode::ANCILLARY - 4), None);
        assert_eq!(Ancillary::at(0), None);
    }

    #[test]
    fn names_lead_back() {
        for field in ALL {
            assert_eq!(field.name().and_then(Ancillary::named), field.name().map(|_| field));
        }
        assert_eq!(Ancillary::named("vlan_pr"), Some(Ancillary::VlanTagPresent));
        assert_eq!(Ancillary::named("pktlen"), None);
    }
}
