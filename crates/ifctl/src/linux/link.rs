//! Links: what rtnetlink tells of an interface, and the requests about one (rtnetlink(7),
//! include/uapi/linux/if_link.h).

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoData, InfoKind, InfoVeth,
    LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo, LinkMessage,
};

use super::attributes::{attributes, find, text_in, u8_in, u16_in, u32_in};
use crate::{Flags, Kind, Member, OperState, PortState};

/// What one `RTM_NEWLINK` says, its references still indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// Whatever somebody wrote about it.
    pub(super) alias: Option<String>,
    pub(super) kind: Kind,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mtu: u32,
    /// The smallest and largest MTU its driver takes, of kernels that tell (4.19).
    pub(super) mtu_range: Option<(u32, u32)>,
    pub(super) flags: Flags,
    pub(super) state: OperState,
    pub(super) master: Option<u32>,
    /// The other end of a pair, if that is in this namespace.
    pub(super) peer: Option<u32>,
    /// Its port on a bridge.
    pub(super) port: Option<Port>,
    /// IPv6 on it; nothing where there is none at all.
    pub(super) ipv6: Option<Ipv6>,
}

/// A bridge's port (`IFLA_INFO_SLAVE_DATA`, `IFLA_BRPORT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    state: PortState,
    port_no: u16,
    path_cost: u32,
    priority: u16,
    learning: bool,
    flooding: bool,
    isolated: bool,
}

/// IPv6 on an interface (`IFLA_AF_SPEC`, `AF_INET6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ipv6 {
    /// `net.ipv6.conf.NAME.disable_ipv6`
    pub(super) is_disabled: bool,
}

impl Link {
    /// Reads a message of type `kind`; nothing if that is no link, or has not even a header.
    pub(super) fn read(kind: u16, payload: &[u8]) -> Option<Self> {
        if kind != libc::RTM_NEWLINK {
            return None;
        }
        // struct ifinfomsg: family, pad, type, index, flags, change.
        let (header, body) = payload.split_at_checked(HEADER_LEN)?;
        let hardware = u16_in(&header[2..])?;
        let mut link = Self {
            index: u32_in(&header[4..])?,
            name: String::new(),
            alias: None,
            kind: kind_of(hardware, None, None),
            mac: None,
            mtu: 0,
            mtu_range: None,
            flags: Flags::from_bits_retain(u32_in(&header[8..])?),
            state: OperState::Unknown,
            master: None,
            peer: None,
            port: None,
            ipv6: None,
        };
        for (kind, value) in attributes(body) {
            link.take(kind, value, hardware);
        }
        link.mtu_range = mtu_range(body);
        let is_peer_here = link.kind == Kind::Veth && find(body, libc::IFLA_LINK_NETNSID).is_none();
        link.peer = link.peer.filter(|_| is_peer_here);
        Some(link)
    }

    fn take(&mut self, kind: u16, value: &[u8], hardware: u16) {
        match kind {
            libc::IFLA_IFNAME => self.name = text_in(value),
            libc::IFLA_IFALIAS => self.alias = Some(text_in(value)),
            libc::IFLA_ADDRESS => self.mac = value.try_into().ok(),
            libc::IFLA_MTU => self.mtu = u32_in(value).unwrap_or(self.mtu),
            libc::IFLA_OPERSTATE => {
                self.state = u8_in(value).map_or(OperState::Unknown, oper_state);
            }
            libc::IFLA_MASTER => self.master = u32_in(value).filter(|&index| index != 0),
            libc::IFLA_LINK => self.peer = u32_in(value).filter(|&index| index != 0),
            libc::IFLA_LINKINFO => {
                self.kind = kind_of(
                    hardware,
                    find(value, libc::IFLA_INFO_KIND).map(text_in),
                    find(value, libc::IFLA_INFO_DATA),
                );
                self.port = port_of(value);
            }
            libc::IFLA_AF_SPEC => {
                self.ipv6 = find(value, AF_INET6)
                    .and_then(|value| find(value, IFLA_INET6_CONF))
                    .map(ipv6_of);
            }
            _ => {}
        }
    }

    /// It as a member of its bridge, if it is one.
    pub(super) fn member(&self) -> Option<Member> {
        let port = self.port?;
        Some(Member {
            index: self.index,
            name: self.name.clone(),
            state: port.state,
            port_no: port.port_no,
            path_cost: port.path_cost,
            priority: port.priority,
            learning: port.learning,
            flooding: port.flooding,
            isolated: port.isolated,
        })
    }
}

/// Asks for the link `index`.
pub(super) fn get_by_index(index: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(message(index, vec![no_statistics()]))
}

/// Asks for the link `name`.
pub(super) fn get_by_name(name: &str) -> RouteNetlinkMessage {
    let name = LinkAttribute::IfName(name.to_owned());
    RouteNetlinkMessage::GetLink(message(0, vec![name, no_statistics()]))
}

/// Asks, in a dump, for all links.
pub(super) fn get_all() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(message(0, vec![no_statistics()]))
}

/// Asks, in a dump, for the links whose master is `master`; older kernels send all.
pub(super) fn get_by_master(master: u32) -> RouteNetlinkMessage {
    let master = LinkAttribute::Controller(master);
    RouteNetlinkMessage::GetLink(message(0, vec![master, no_statistics()]))
}

/// One end of a pair to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) name: &'a str,
    pub(super) mac: [u8; 6],
    pub(super) mtu: Option<u32>,
}

/// Makes a veth pair.
pub(super) fn create_pair(a: End<'_>, b: End<'_>) -> RouteNetlinkMessage {
    let peer = InfoData::Veth(InfoVeth::Peer(message(0, end(b))));
    let mut attributes = end(a);
    let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(peer)];
    attributes.push(LinkAttribute::LinkInfo(info));
    RouteNetlinkMessage::NewLink(message(0, attributes))
}

/// Makes a bridge.
pub(super) fn create_bridge(name: &str) -> RouteNetlinkMessage {
    let name = LinkAttribute::IfName(name.to_owned());
    let data = InfoData::Bridge(Vec::<InfoBridge>::new());
    let info = vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(data)];
    RouteNetlinkMessage::NewLink(message(0, vec![name, LinkAttribute::LinkInfo(info)]))
}

/// Takes the link `index` away.
pub(super) fn delete(index: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelLink(message(index, Vec::new()))
}

/// Sets one flag of the link `index`, or clears it, and leaves all others as they are.
pub(super) fn set_flag(index: u32, flag: Flags, is_on: bool) -> RouteNetlinkMessage {
    let mut request = message(index, Vec::new());
    request.header.change_mask = LinkFlags::from_bits_retain(flag.bits());
    if is_on {
        request.header.flags = request.header.change_mask;
    }
    RouteNetlinkMessage::SetLink(request)
}

/// Sets the MTU of the link `index`.
pub(super) fn set_mtu(index: u32, mtu: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::SetLink(message(index, vec![LinkAttribute::Mtu(mtu)]))
}

/// Writes something about the link `index`, 255 bytes at most; nothing takes it away.
pub(super) fn set_alias(index: u32, alias: &str) -> RouteNetlinkMessage {
    let alias = LinkAttribute::IfAlias(alias.to_owned());
    RouteNetlinkMessage::SetLink(message(index, vec![alias]))
}

/// Makes the kernel give the link `index` no IPv6 address of its own accord.
pub(super) fn set_no_ipv6_addresses(index: u32) -> RouteNetlinkMessage {
    let mode = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    let attributes = vec![LinkAttribute::AfSpecUnspec(vec![mode])];
    RouteNetlinkMessage::SetLink(message(index, attributes))
}

fn message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header = LinkHeader { index, ..LinkHeader::default() };
    message.attributes = attributes;
    message
}

fn end(end: End<'_>) -> Vec<LinkAttribute> {
    let name = LinkAttribute::IfName(end.name.to_owned());
    let mac = LinkAttribute::Address(end.mac.to_vec());
    [name, mac].into_iter().chain(end.mtu.map(LinkAttribute::Mtu)).collect()
}

/// Nobody here looks at counters, and they are half of a dump.
fn no_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

/// `hardware` is an `ARPHRD_*`, `made_by` the name of the driver that software interfaces have,
/// `data` that driver's attributes.
fn kind_of(hardware: u16, made_by: Option<String>, data: Option<&[u8]>) -> Kind {
    let Some(made_by) = made_by else {
        return match hardware {
            libc::ARPHRD_LOOPBACK => Kind::Loopback,
            libc::ARPHRD_ETHER => Kind::Ethernet,
            other => Kind::Other(format!("arphrd-{other}")),
        };
    };
    match made_by.as_str() {
        "bridge" => Kind::Bridge,
        "veth" => Kind::Veth,
        "vlan" => Kind::Vlan,
        "tun" => match data.and_then(|data| find(data, IFLA_TUN_TYPE)).and_then(u8_in) {
            Some(IFF_TAP) => Kind::Tap,
            Some(_) => Kind::Tun,
            // Kernels before 4.18 do not tell.
            None if hardware == libc::ARPHRD_ETHER => Kind::Tap,
            None => Kind::Tun,
        },
        _ => Kind::Other(made_by),
    }
}

fn port_of(link_info: &[u8]) -> Option<Port> {
    let kind = find(link_info, IFLA_INFO_SLAVE_KIND)?;
    let data = find(link_info, IFLA_INFO_SLAVE_DATA)?;
    if text_in(kind) != "bridge" {
        return None;
    }
    let is_on = |kind| find(data, kind).and_then(u8_in).is_some_and(|value| value != 0);
    Some(Port {
        state: port_state(find(data, IFLA_BRPORT_STATE).and_then(u8_in)?),
        port_no: find(data, IFLA_BRPORT_NO).and_then(u16_in).unwrap_or(0),
        path_cost: find(data, IFLA_BRPORT_COST).and_then(u32_in).unwrap_or(0),
        priority: find(data, IFLA_BRPORT_PRIORITY).and_then(u16_in).unwrap_or(0),
        learning: is_on(IFLA_BRPORT_LEARNING),
        flooding: is_on(IFLA_BRPORT_UNICAST_FLOOD),
        isolated: is_on(IFLA_BRPORT_ISOLATED),
    })
}

/// `conf` is an array of 32-bit values (include/uapi/linux/ipv6.h, `DEVCONF_*`).
fn ipv6_of(conf: &[u8]) -> Ipv6 {
    let value = conf.get(4 * DEVCONF_DISABLE_IPV6..).and_then(u32_in);
    Ipv6 { is_disabled: value.is_some_and(|value| value != 0) }
}

/// A largest MTU of 0 stands for "no limit but the number's".
fn mtu_range(attributes: &[u8]) -> Option<(u32, u32)> {
    let min = find(attributes, IFLA_MIN_MTU).and_then(u32_in)?;
    let max = find(attributes, IFLA_MAX_MTU).and_then(u32_in)?;
    Some((min, if max == 0 { i32::MAX.cast_unsigned() } else { max }))
}

fn oper_state(number: u8) -> OperState {
    match number {
        1 => OperState::NotPresent,
        2 => OperState::Down,
        3 => OperState::LowerLayerDown,
        4 => OperState::Testing,
        5 => OperState::Dormant,
        6 => OperState::Up,
        _ => OperState::Unknown,
    }
}

/// include/uapi/linux/if_bridge.h, `BR_STATE_*`.
fn port_state(number: u8) -> PortState {
    match number {
        0 => PortState::Disabled,
        1 => PortState::Listening,
        2 => PortState::Learning,
        3 => PortState::Forwarding,
        4 => PortState::Blocking,
        other => PortState::Other(other),
    }
}

const HEADER_LEN: usize = 16;
const AF_INET6: u16 = 10;
const IFF_TAP: u8 = 2;

// include/uapi/linux/if_link.h
const IFLA_MIN_MTU: u16 = 50;
const IFLA_MAX_MTU: u16 = 51;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_INET6_CONF: u16 = 2;
const IFLA_BRPORT_STATE: u16 = 1;
const IFLA_BRPORT_PRIORITY: u16 = 2;
const IFLA_BRPORT_COST: u16 = 3;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_NO: u16 = 18;
const IFLA_BRPORT_ISOLATED: u16 = 33;
/// include/uapi/linux/ipv6.h
const DEVCONF_DISABLE_IPV6: usize = 26;

#[cfg(test)]
mod tests {
    use netlink_packet_core::{DefaultNla, Emitable as _};
    use netlink_packet_route::link::{
        BridgePortState, Inet6DevConf, InfoBridgePort, InfoPortData, InfoPortKind, InfoTun,
        LinkLayerType, State,
    };
    use proptest::prelude::*;

    use super::*;

    /// A message in the encoding of netlink-packet-route, read by this file.
    fn read(hardware: LinkLayerType, attributes: Vec<LinkAttribute>) -> Link {
        let mut sent = message(9, attributes);
        sent.header.link_layer_type = hardware;
        sent.header.flags = LinkFlags::Up | LinkFlags::Noarp;
        let mut bytes = vec![0; sent.buffer_len()];
        sent.emit(&mut bytes);
        assert_eq!(Link::read(libc::RTM_DELLINK, &bytes), None);
        Link::read(libc::RTM_NEWLINK, &bytes).unwrap()
    }

    fn made_by(kind: InfoKind) -> LinkAttribute {
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])
    }

    #[test]
    fn a_veth_end() {
        let mut conf = Inet6DevConf::default();
        conf.disable_ipv6 = 1;
        let v6 = AfSpecUnspec::Inet6(vec![AfSpecInet6::DevConf(conf)]);
        let attributes = vec![
            LinkAttribute::IfName("vsw0".into()),
            LinkAttribute::IfAlias("whose".into()),
            LinkAttribute::Address(vec![0xfe, 1, 2, 3, 4, 5]),
            LinkAttribute::Mtu(9000),
            LinkAttribute::MinMtu(68),
            LinkAttribute::MaxMtu(65535),
            LinkAttribute::OperState(State::LowerLayerDown),
            LinkAttribute::Controller(3),
            LinkAttribute::Link(8),
            made_by(InfoKind::Veth),
            LinkAttribute::AfSpecUnspec(vec![v6]),
        ];
        let expected = Link {
            index: 9,
            name: "vsw0".into(),
            alias: Some("whose".into()),
            kind: Kind::Veth,
            mac: Some([0xfe, 1, 2, 3, 4, 5]),
            mtu: 9000,
            mtu_range: Some((68, 65535)),
            flags: Flags::UP | Flags::NOARP,
            state: OperState::LowerLayerDown,
            master: Some(3),
            peer: Some(8),
            port: None,
            ipv6: Some(Ipv6 { is_disabled: true }),
        };
        assert_eq!(read(LinkLayerType::Ether, attributes.clone()), expected);
        let elsewhere = [attributes, vec![LinkAttribute::LinkNetNsId(0)]].concat();
        let expected = Link { peer: None, ..expected };
        assert_eq!(read(LinkLayerType::Ether, elsewhere), expected);
    }

    #[test]
    fn a_bridges_port() {
        let port = |state| {
            InfoPortData::BridgePort(vec![
                InfoBridgePort::State(state),
                InfoBridgePort::Priority(32),
                InfoBridgePort::Cost(2),
                InfoBridgePort::Learning(true),
                InfoBridgePort::UnicastFlood(false),
                InfoBridgePort::PortNumber(7),
                InfoBridgePort::Isolated(true),
            ])
        };
        let member = |data| {
            let kind = LinkInfo::PortKind(InfoPortKind::Bridge);
            let info = LinkAttribute::LinkInfo(vec![kind, LinkInfo::PortData(data)]);
            read(LinkLayerType::Ether, vec![info, LinkAttribute::IfName("a".into())]).member()
        };
        let expected = Member {
            index: 9,
            name: "a".into(),
            state: PortState::Blocking,
            port_no: 7,
            path_cost: 2,
            priority: 32,
            learning: true,
            flooding: false,
            isolated: true,
        };
        assert_eq!(member(port(BridgePortState::Blocking)), Some(expected.clone()));
        let strange = Member { state: PortState::Other(9), ..expected };
        assert_eq!(member(port(BridgePortState::Other(9))), Some(strange));
    }

    #[test]
    fn kinds() {
        use Kind as K;
        use LinkLayerType as L;
        let tun = |number| {
            let data = InfoTun::Other(DefaultNla::new(IFLA_TUN_TYPE, vec![number]));
            let data = LinkInfo::Data(InfoData::Tun(vec![data]));
            vec![LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Tun), data])]
        };
        for (hardware, attributes, kind) in [
            (L::Loopback, vec![], K::Loopback),
            (L::Ether, vec![], K::Ethernet),
            (L::Infiniband, vec![], K::Other("arphrd-32".into())),
            (L::Ether, vec![made_by(InfoKind::Bridge)], K::Bridge),
            (L::Ether, vec![made_by(InfoKind::Vlan)], K::Vlan),
            (L::Ether, vec![made_by(InfoKind::Dummy)], K::Other("dummy".into())),
            (L::Ether, vec![made_by(InfoKind::Other("new".into()))], K::Other("new".into())),
            (L::None, tun(1), K::Tun),
            (L::Ether, tun(2), K::Tap),
            (L::Ether, vec![made_by(InfoKind::Tun)], K::Tap),
            (L::None, vec![made_by(InfoKind::Tun)], K::Tun),
        ] {
            assert_eq!(read(hardware, attributes.clone()).kind, kind, "{attributes:?}");
        }
    }

    #[test]
    fn no_limit_is_the_numbers() {
        let limits = |max| vec![LinkAttribute::MinMtu(0), LinkAttribute::MaxMtu(max)];
        let range = |max| read(LinkLayerType::Loopback, limits(max)).mtu_range;
        assert_eq!(range(0), Some((0, 0x7fff_ffff)));
        assert_eq!(range(9), Some((0, 9)));
        assert_eq!(read(LinkLayerType::Loopback, vec![]).mtu_range, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_link_or_not(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let link = Link::read(libc::RTM_NEWLINK, &bytes);
            prop_assert_eq!(link.is_some(), bytes.len() >= HEADER_LEN);
        }
    }
}
