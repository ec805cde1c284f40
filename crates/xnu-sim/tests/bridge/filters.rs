//! Host filters, checksums, and big segments: §3.

use xnu_sim::{EthernetOptions, MacOs};
use xnu_sys::Errno;

use crate::support::bridge::*;
use crate::support::frames::*;
use crate::support::lan::Lan;
use crate::support::packets::*;
use crate::support::*;

const ADDRESS: [u8; 4] = [192, 168, 64, 2];
const OTHER: [u8; 4] = [192, 168, 64, 3];

/// `BRDGSHOSTFILTER`.
fn set_filter(lan: &Lan, flags: u32, mac: [u8; 6], address: [u8; 4]) -> Result<()> {
    let mut request = [0; 32];
    put(&mut request, 0, &flags.to_le_bytes());
    put(&mut request, 4, b"feth10");
    put(&mut request, 20, &mac);
    put(&mut request, 28, &address);
    lan.control.driver_set("bridge0", 35, &mut request)
}

fn filter(lan: &Lan) -> [u8; 32] {
    let mut request = [0; 32];
    put(&mut request, 4, b"feth10");
    lan.control.driver_get("bridge0", 34, &mut request).unwrap();
    request
}

/// §3 `BRDGGHOSTFILTER`, `BRDGSHOSTFILTER`: parts are set one by one, and taken away by zeros.
#[test]
fn a_filter_is_set_in_parts() {
    let lan = Lan::new(MacOs::V15, 1);
    assert_eq!(filter(&lan), [0; 32], "not even the name comes back");
    set_filter(&lan, 1 | 2, GUEST, [0; 4]).unwrap();
    set_filter(&lan, 1 | 4, [0; 6], ADDRESS).unwrap();
    let told = filter(&lan);
    assert_eq!(u32_at(&told, 0), 1);
    assert_eq!((&told[20..26], &told[28..32]), (&GUEST[..], &ADDRESS[..]));
    set_filter(&lan, 1 | 2, [0; 6], [0; 4]).unwrap();
    assert_eq!(filter(&lan)[20..26], [0; 6]);
    set_filter(&lan, 0, [0; 6], [0; 4]).unwrap();
    assert_eq!(filter(&lan), [0; 32]);
}

/// §3 host filter: only the source that is set; only ARP and IP (IPv6 since 15).
#[test]
fn a_filter_lets_one_source_through() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        set_filter(&lan, 1 | 2 | 4, GUEST, ADDRESS).unwrap();
        let passes = |sent: &[u8]| {
            lan.send(0, sent);
            lan.receivers() == [0, 1, 1]
        };
        let is_new = version == MacOs::V15;
        let arp = |mac, address| arp_request(mac, address, OTHER);
        assert!(passes(&arp(GUEST, ADDRESS)), "{version:?}");
        assert!(passes(&arp(GUEST, [0; 4])), "{version:?}: a probe");
        assert!(!passes(&arp(GUEST, OTHER)), "{version:?}: another's address");
        assert!(!passes(&arp(OTHER_GUEST, ADDRESS)), "{version:?}: another's MAC");
        assert!(!passes(&frame(BROADCAST, GUEST, "no IP")), "{version:?}");
        let udp = |source| udp_packet(BROADCAST, GUEST, source, OTHER, 5000, 5001, b"x");
        assert!(passes(&udp(ADDRESS)), "{version:?}");
        assert_eq!(passes(&udp(OTHER)), is_new, "{version:?}: IP's source is not looked at");
        let igmp = ipv4_packet(BROADCAST, GUEST, ADDRESS, OTHER, 2, &[0; 8]);
        assert_eq!(passes(&igmp), is_new, "{version:?}");
        let gre = ipv4_packet(BROADCAST, GUEST, ADDRESS, OTHER, 47, &[0; 8]);
        assert_eq!(passes(&gre), !is_new, "{version:?}");
        let icmpv6 = ipv6_packet(BROADCAST, GUEST, [2; 16], [3; 16], 58, &[0; 8]);
        assert_eq!(passes(&icmpv6), is_new, "{version:?}");
        assert_eq!(lan.control.table("bridge0").len(), 1, "{version:?}: refused, not learned");
    }
}

/// §3 host filter up to 14: a DHCP client that has no address yet may ask; since 15 IP's source is
/// not looked at.
#[test]
fn a_filter_lets_dhcp_through() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        set_filter(&lan, 1 | 2 | 4, GUEST, ADDRESS).unwrap();
        let mut dhcp = vec![0; 300];
        put(&mut dhcp, 0, &[1, 1, 6]);
        put(&mut dhcp, 28, &GUEST);
        let asks = |dhcp: &[u8]| {
            lan.send(0, &udp_packet(BROADCAST, GUEST, [0; 4], [255; 4], 68, 67, dhcp));
            lan.receivers() == [0, 1]
        };
        assert!(asks(&dhcp), "{version:?}");
        put(&mut dhcp, 28, &OTHER_GUEST);
        assert_eq!(asks(&dhcp), version == MacOs::V15, "{version:?}: for another");
        put(&mut dhcp, 28, &GUEST);
        put(&mut dhcp, 12, &OTHER);
        assert_eq!(asks(&dhcp), version == MacOs::V15, "{version:?}: with another's address");
    }
}

/// §3: MAC NAT and a host filter exclude each other since 15.
#[test]
fn mac_nat_takes_no_filter() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        let expected = if version == MacOs::V15 { Err(Errno::EINVAL) } else { Ok(()) };
        set_filter(&lan, 1, [0; 6], [0; 4]).unwrap();
        let flags = LEARNING | DISCOVER | MAC_NAT;
        let set = lan.control.set_member_flags("bridge0", "feth10", flags);
        assert_eq!(set, expected, "{version:?}");
        set_filter(&lan, 0, [0; 6], [0; 4]).unwrap();
        lan.control.set_member_flags("bridge0", "feth10", flags).unwrap();
        assert_eq!(set_filter(&lan, 1, [0; 6], [0; 4]), expected, "{version:?}");
        let other = lan.control.set_member_flags("bridge0", "feth11", flags);
        assert_eq!(other, Err(Errno::EBUSY), "{version:?}: one is enough");
    }
}

/// §3 `CHECKSUM_OFFLOAD`: what comes in by such a member gets its checksums from the bridge; what
/// goes out by one must have right ones.
#[test]
fn a_bridge_makes_and_checks_checksums() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        let flags = LEARNING | DISCOVER | CHECKSUM_OFFLOAD;
        lan.control.set_member_flags("bridge0", "feth10", flags).unwrap();
        let right = udp_packet(BROADCAST, GUEST, ADDRESS, OTHER, 5000, 5001, b"hello");
        let mut without = right.clone();
        without[24..26].fill(0);
        without[40..42].fill(0);
        lan.send(0, &without);
        assert_eq!(lan.seen_by(1), [right.as_slice()], "{version:?}: made");
        lan.receivers();
        lan.send(1, &right);
        assert_eq!(lan.receivers(), [1, 0, 1], "{version:?}");
        for at in [24, 40, 44] {
            let mut wrong = right.clone();
            wrong[at] ^= 0x10;
            lan.send(1, &wrong);
            assert_eq!(lan.receivers(), [0, 0, 1], "{version:?} {at}: checked");
        }
    }
}

/// §3: TCP too big for a member that cannot cut it is cut; with TSO it passes whole.
#[test]
fn big_segments_are_cut_where_nobody_else_can() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        let payload: Vec<u8> = (0..4000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let big = tcp_packet(BROADCAST, LAN_HOST, ADDRESS, OTHER, 0x8000_1000, 0x99, &payload);
        lan.send_from_lan(&big);
        let seen = lan.seen_by(0);
        let lens: Vec<usize> = seen.iter().map(|segment| segment.len() - 54).collect();
        assert_eq!(lens, [1460, 1460, 1080], "{version:?}");
        let data: Vec<u8> = seen.iter().flat_map(|segment| segment[54..].to_vec()).collect();
        assert_eq!(data, payload);
        let sequences = seen.iter().map(|segment| be32_at(segment, 38));
        assert_eq!(sequences.collect::<Vec<_>>(), [0x8000_1000, 0x8000_15b4, 0x8000_1b68]);
        let numbers = seen.iter().map(|segment| be16_at(segment, 18));
        assert_eq!(numbers.collect::<Vec<_>>(), [7, 8, 9], "IP's");
        let flags: Vec<u8> = seen.iter().map(|segment| segment[47]).collect();
        assert_eq!(flags, [0x90, 0x10, 0x19], "CWR first; FIN and PUSH last");
        for segment in &seen {
            assert!(has_right_checksums(segment), "{version:?}");
        }
        lan.send(0, &big);
        assert_eq!(lan.seen_on_lan(), [big.as_slice()], "{version:?}: the card has TSO");
    }
}

/// §3: the card without TSO gets cut segments too, and IPv6 is cut as well.
#[test]
fn ipv6_segments_are_cut() {
    let card = EthernetOptions { has_tso: false, ..EthernetOptions::default() };
    let lan = Lan::with(machine(MacOs::V15), card, 1);
    let big = tcp6_packet(BROADCAST, GUEST, [2; 16], [3; 16], 1, 0x18, &[7; 3000]);
    lan.send(0, &big);
    let seen = lan.seen_on_lan();
    let lens: Vec<usize> = seen.iter().map(|segment| segment.len() - 74).collect();
    assert_eq!(lens, [1440, 1440, 120]);
    let told: Vec<u16> = seen.iter().map(|segment| be16_at(segment, 18)).collect();
    assert_eq!(told, [1460, 1460, 140], "payload lengths");
    for segment in &seen {
        assert!(has_right_checksums(segment));
    }
}

/// §3: what is big and not in order is thrown away; what is no TCP passes.
#[test]
fn big_packets_that_are_no_tcp_pass() {
    let lan = Lan::new(MacOs::V15, 1);
    let udp = udp_packet(BROADCAST, LAN_HOST, ADDRESS, OTHER, 1, 2, &[0; 3000]);
    lan.send_from_lan(&udp);
    assert_eq!(lan.seen_by(0), [udp.as_slice()]);
    let mut broken = udp;
    broken[14] = 0x41;
    lan.send_from_lan(&broken);
    assert!(lan.seen_by(0).is_empty());
}
