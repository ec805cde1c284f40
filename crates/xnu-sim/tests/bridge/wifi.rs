//! A Wi-Fi card in a bridge: MAC NAT (§3).

use xnu_sim::{EthernetOptions, MacOs};

use crate::support::bridge::*;
use crate::support::frames::*;
use crate::support::lan::{CARD, Lan};
use crate::support::packets::*;
use crate::support::*;

const GUEST_IP: [u8; 4] = [192, 168, 1, 20];
const LAN_IP: [u8; 4] = [192, 168, 1, 1];
const CARD_IP: [u8; 4] = [192, 168, 1, 5];

fn air(version: MacOs, guests: usize) -> Lan {
    let card = EthernetOptions { is_wifi: true, ..EthernetOptions::default() };
    Lan::with(machine(version), card, guests)
}

/// §3: a Wi-Fi card joins with MAC NAT.
#[test]
fn a_wifi_card_joins_with_mac_nat() {
    let lan = air(MacOs::V15, 0);
    let flags = lan.control.member_flags("bridge0", "en0").unwrap();
    assert_eq!(flags, LEARNING | DISCOVER | MAC_NAT);
    assert_eq!(lan.control.flags("en0").unwrap() & 0x300, 0x300, "all groups, too");
    lan.control.delete_member("bridge0", "en0").unwrap();
    assert_eq!(lan.control.flags("en0").unwrap() & 0x300, 0);
}

/// §3: out by the card every frame is the card's own, in ARP too; answers find their guest by IP
/// address, also when the answer is for the card's address.
#[test]
fn guests_share_the_cards_address() {
    for version in MacOs::ALL {
        let lan = air(version, 2);
        lan.send(0, &arp_request(GUEST, GUEST_IP, LAN_IP));
        let seen = lan.seen_on_lan();
        assert_eq!(seen, [arp_request(CARD, GUEST_IP, LAN_IP)], "{version:?}");
        assert_eq!(lan.seen_by(1), [arp_request(GUEST, GUEST_IP, LAN_IP)], "not to guests");
        lan.send_from_lan(&arp_reply(CARD, GUEST_IP, LAN_HOST, LAN_IP));
        assert_eq!(lan.seen_by(0), [arp_reply(GUEST, GUEST_IP, LAN_HOST, LAN_IP)], "{version:?}");
        lan.send(0, &udp_packet(LAN_HOST, GUEST, GUEST_IP, LAN_IP, 1, 2, b"out"));
        let seen = lan.seen_on_lan();
        assert_eq!(seen, [udp_packet(LAN_HOST, CARD, GUEST_IP, LAN_IP, 1, 2, b"out")]);
        // Up to 14 what is for the card itself teaches nothing (M13): this one was flooded.
        assert_eq!(lan.seen_by(1).len(), usize::from(version != MacOs::V15), "{version:?}");
        lan.send_from_lan(&udp_packet(CARD, LAN_HOST, LAN_IP, GUEST_IP, 2, 1, b"in"));
        assert_eq!(lan.seen_by(0), [udp_packet(GUEST, LAN_HOST, LAN_IP, GUEST_IP, 2, 1, b"in")]);
        assert!(lan.seen_by(1).is_empty());
        assert_eq!(lan.host_received("en0"), 0, "{version:?}");
    }
}

/// §3: what is for nobody behind the bridge is the card's own.
#[test]
fn what_is_for_no_guest_is_the_macs() {
    for version in MacOs::ALL {
        let lan = air(version, 1);
        lan.kernel.add_address("en0", CARD_IP, [255, 255, 255, 0]).unwrap();
        lan.send_from_lan(&udp_packet(CARD, LAN_HOST, LAN_IP, CARD_IP, 2, 1, b"for the Mac"));
        assert_eq!(lan.host_received("en0"), 1, "{version:?}");
        assert!(lan.seen_by(0).is_empty());
    }
}

/// §3: other protocols do not cross: they keep their source, which no access point takes.
#[test]
fn other_protocols_do_not_cross() {
    for version in MacOs::ALL {
        let lan = air(version, 1);
        lan.send(0, &frame(BROADCAST, GUEST, "no IP"));
        assert!(lan.seen_on_lan().is_empty(), "{version:?}");
        lan.send_from_lan(&frame(GUEST, LAN_HOST, "for a guest"));
        assert!(lan.seen_by(0).is_empty(), "{version:?}: a station hears its own only");
    }
}

/// §3 DHCP: a client without an address asks that the answer be broadcast, for its own address is
/// not known out there; the checksum follows.
#[test]
fn dhcp_asks_for_a_broadcast() {
    let lan = air(MacOs::V15, 1);
    let mut dhcp = vec![0; 300];
    put(&mut dhcp, 0, &[1, 1, 6]);
    put(&mut dhcp, 28, &GUEST);
    lan.send(0, &udp_packet(BROADCAST, GUEST, [0; 4], [255; 4], 68, 67, &dhcp));
    let seen = lan.seen_on_lan();
    assert_eq!(seen[0][6..12], CARD);
    assert_eq!(seen[0][52], 0x80, "the flag");
    assert!(has_right_checksums(&seen[0]));
    let mut offer = udp_packet(CARD, LAN_HOST, LAN_IP, [255; 4], 67, 68, &dhcp);
    lan.send_from_lan(&offer);
    put(&mut offer, 0, &BROADCAST);
    assert_eq!(lan.seen_by(0), [offer], "sent to the card, meant for all");
}

/// §3: neighbour discovery's link-layer addresses are replaced too.
#[test]
fn neighbour_discovery_tells_the_cards_address() {
    for version in MacOs::ALL {
        let lan = air(version, 1);
        let mut solicit = vec![0; 32];
        put(&mut solicit, 0, &[135]);
        put(&mut solicit, 8, &[0xfe, 0x80]);
        put(&mut solicit, 24, &[1, 1]);
        put(&mut solicit, 26, &GUEST);
        let group = [0x33, 0x33, 0xff, 0, 0, 1];
        let mut address = [0; 16];
        put(&mut address, 0, &[0xfe, 0x80]);
        put(&mut address, 15, &[9]);
        let sent = ipv6_packet(group, GUEST, address, [0xff; 16], 58, &solicit);
        lan.send(0, &completed(sent));
        let seen = lan.seen_on_lan();
        assert_eq!(seen[0][6..12], CARD, "{version:?}");
        assert_eq!(seen[0][80..86], CARD, "{version:?}: the option");
        assert!(has_right_checksums(&seen[0]), "{version:?}");
        let answer = ipv6_packet(CARD, LAN_HOST, [0xfd; 16], address, 58, &[136, 0, 0, 0, 0, 0]);
        lan.send_from_lan(&answer);
        assert_eq!(lan.seen_by(0)[0][..6], GUEST, "{version:?}: found by address");
    }
}

/// §3 `BRDGGMACNATLIST`: who has which address; the card's own are there from the start.
#[test]
fn known_addresses_are_listed() {
    let (kernel, control) = machine(MacOs::V15);
    let card = EthernetOptions { is_wifi: true, ..EthernetOptions::default() };
    let _wire = kernel.add_ethernet("en0", CARD, card);
    kernel.add_address("en0", CARD_IP, [255, 255, 255, 0]).unwrap();
    control.bridge("bridge0", &["en0"]);
    control.pair("feth10", "feth20");
    control.add_member("bridge0", "feth10").unwrap();
    let guest = taps::Ndrv::on(&kernel, "feth20");
    guest.send(&arp_request(GUEST, GUEST_IP, LAN_IP)).unwrap();
    let_frames_through(&kernel);
    let list = |room: u32| {
        let mut rows = vec![0_u8; room as usize];
        let mut argument = [0; 16];
        put(&mut argument, 0, &room.to_le_bytes());
        let pointer = rows.as_mut_ptr().expose_provenance() as u64;
        put(&mut argument, 8, &pointer.to_le_bytes());
        control.driver_get("bridge0", 36, &mut argument).unwrap();
        (rows, u32_at(&argument, 0), u16_at(&argument, 4))
    };
    assert_eq!(list(0), (Vec::new(), 96, 48));
    let (rows, len, _) = list(96);
    assert_eq!(len, 96);
    let row = |at: usize| {
        let row = &rows[48 * at..48 * (at + 1)];
        (name_at(row, 0), u64_at(row, 16), row[24..30].to_vec(), row[31], row[32..36].to_vec())
    };
    assert_eq!(row(0), ("feth10".to_owned(), 1200, GUEST.to_vec(), 2, GUEST_IP.to_vec()));
    assert_eq!(row(1), ("en0".to_owned(), 1200, CARD.to_vec(), 2, CARD_IP.to_vec()));
    assert_eq!(list(95).1, 48);
}

/// §3: who was known behind a member is forgotten when its link changes; with the card's, all are.
#[test]
fn a_link_that_changes_makes_the_card_forget() {
    let lan = air(MacOs::V15, 2);
    let known = || -> Vec<String> {
        let mut rows = [0_u8; 480];
        let mut argument = [0; 16];
        put(&mut argument, 0, &480_u32.to_le_bytes());
        let pointer = rows.as_mut_ptr().expose_provenance() as u64;
        put(&mut argument, 8, &pointer.to_le_bytes());
        lan.control.driver_get("bridge0", 36, &mut argument).unwrap();
        let len = u32_at(&argument, 0) as usize;
        rows[..len].chunks(48).map(|row| name_at(row, 0)).collect()
    };
    lan.send(0, &arp_request(GUEST, GUEST_IP, LAN_IP));
    lan.send(1, &arp_request(OTHER_GUEST, [192, 168, 1, 21], LAN_IP));
    assert_eq!(known(), ["feth11", "feth10"]);
    lan.control.set_peer("feth10", "").unwrap();
    assert_eq!(known(), ["feth11"]);
    lan.control.set_peer("feth10", "feth20").unwrap();
    lan.send(0, &arp_request(GUEST, GUEST_IP, LAN_IP));
    assert_eq!(known(), ["feth10", "feth11"]);
    lan.control.delete_member("bridge0", "feth11").unwrap();
    assert_eq!(known(), ["feth10"]);
    lan.wire.set_link(false);
    assert!(known().is_empty());
}
