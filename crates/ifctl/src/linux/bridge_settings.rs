//! A bridge's own attributes (include/uapi/linux/if_link.h, `IFLA_BR_*`).

use std::time::Duration;

use super::attributes::{find, text_in, u8_in, u32_in};
use crate::BridgeSettings;

/// Reads a message of type `kind`; nothing if that is no bridge's link.
pub(super) fn read(kind: u16, payload: &[u8]) -> Option<BridgeSettings> {
    if kind != libc::RTM_NEWLINK {
        return None;
    }
    let (_, body) = payload.split_at_checked(HEADER_LEN)?;
    let info = find(body, libc::IFLA_LINKINFO)?;
    if text_in(find(info, libc::IFLA_INFO_KIND)?) != "bridge" {
        return None;
    }
    let data = find(info, libc::IFLA_INFO_DATA)?;
    let number = |kind| find(data, kind).and_then(u32_in).unwrap_or(0);
    let is_on = |kind| find(data, kind).and_then(u8_in).is_some_and(|value| value != 0);
    Some(BridgeSettings {
        spanning_tree: number(IFLA_BR_STP_STATE) != 0,
        forward_delay: Duration::from_millis(u64::from(number(IFLA_BR_FORWARD_DELAY)) * TICK_MS),
        vlan_filtering: is_on(IFLA_BR_VLAN_FILTERING),
        calls_iptables: is_on(IFLA_BR_NF_CALL_IPTABLES),
        calls_ip6tables: is_on(IFLA_BR_NF_CALL_IP6TABLES),
    })
}

/// `struct ifinfomsg`.
const HEADER_LEN: usize = 16;
/// Times are told in `USER_HZ`, 100 to a second (include/asm-generic/param.h).
const TICK_MS: u64 = 10;

const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_NF_CALL_IPTABLES: u16 = 36;
const IFLA_BR_NF_CALL_IP6TABLES: u16 = 37;

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;
    use netlink_packet_route::link::{
        BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage,
    };
    use proptest::prelude::*;

    use super::*;

    /// A message in the encoding of netlink-packet-route, read by this file.
    fn read_from(kind: InfoKind, data: Vec<InfoBridge>) -> Option<BridgeSettings> {
        let info = vec![LinkInfo::Kind(kind), LinkInfo::Data(InfoData::Bridge(data))];
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::LinkInfo(info)];
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        assert_eq!(read(libc::RTM_DELLINK, &bytes), None);
        read(libc::RTM_NEWLINK, &bytes)
    }

    #[test]
    fn what_a_bridge_is_set_to() {
        let data = vec![
            InfoBridge::ForwardDelay(1500),
            InfoBridge::StpState(BridgeStpState::KernelStp),
            InfoBridge::VlanFiltering(true),
            InfoBridge::NfCallIpTables(false),
            InfoBridge::NfCallIp6Tables(true),
        ];
        let settings = read_from(InfoKind::Bridge, data).unwrap();
        assert_eq!(settings.forward_delay, Duration::from_secs(15));
        assert!(settings.spanning_tree && settings.vlan_filtering);
        assert!(!settings.calls_iptables && settings.calls_ip6tables);
        let plain = read_from(InfoKind::Bridge, vec![]).unwrap();
        assert!(!plain.spanning_tree && plain.forward_delay.is_zero());
        assert_eq!(read_from(InfoKind::Bond, vec![InfoBridge::ForwardDelay(1)]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = read(libc::RTM_NEWLINK, &bytes);
        }
    }
}
