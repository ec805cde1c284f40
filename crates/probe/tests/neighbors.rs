//! Neighbour discovery and group membership, judged by the bytes on the wire.

mod common;

use std::sync::{Arc, Mutex};

use common::{Lab, config, ip};
use probe::{Direction, MacAddress};

const GUEST: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
const GUEST_IP: &str = "2001:db8::2";

/// The frames that guest 0 sends while `act` runs.
fn sent(lab: &mut Lab, act: impl FnOnce(&mut Lab)) -> Vec<Vec<u8>> {
    let frames = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&frames);
    lab.guests[0].on_frame(move |direction, frame| {
        if direction == Direction::Sent {
            keep.lock().expect("a store").push(frame.to_vec());
        }
    });
    act(lab);
    lab.settle();
    let frames = frames.lock().expect("a store");
    frames.clone()
}

fn octets(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().expect("an address").octets()
}

/// A neighbour solicitation for the guest's address.
fn solicitation(from: &str, to: &str, destination: [u8; 6], hop_limit: u8) -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(octets(GUEST_IP));
    if from != "::" {
        message.extend([1, 1]);
        message.extend(PEER);
    }
    let len = u16::try_from(message.len()).expect("a short message");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([58, hop_limit]);
    packet.extend(octets(from));
    packet.extend(octets(to));
    packet.extend(message);
    let checksum = checksum(&packet);
    packet[42..44].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = destination.to_vec();
    frame.extend(PEER);
    frame.extend([0x86, 0xdd]);
    frame.extend(packet);
    frame
}

/// Of the ICMPv6 message behind an IPv6 header and, if there is one, a hop-by-hop header.
fn checksum(packet: &[u8]) -> u16 {
    let start = if packet[6] == 0 { 48 } else { 40 };
    let mut sum = 58 + u32::try_from(packet.len() - start).expect("a short packet");
    for word in packet[8..40].chunks(2).chain(packet[start..].chunks(2)) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// The one advertisement among `frames`: its frame's and packet's destination, and its flags.
fn advertisement(frames: &[Vec<u8>]) -> ([u8; 6], [u8; 16], u8) {
    let is_advertisement = |frame: &&Vec<u8>| frame[12..14] == [0x86, 0xdd] && frame[54] == 136;
    let found: Vec<_> = frames.iter().filter(is_advertisement).collect();
    let [frame] = found[..] else { panic!("{} advertisements", found.len()) };
    let packet = &frame[14..];
    assert_eq!(checksum(packet), 0, "a wrong checksum");
    assert_eq!((packet[7], &packet[48..64]), (255, &octets(GUEST_IP)[..]));
    assert_eq!(&packet[64..72], [&[2, 1], &GUEST.octets()[..]].concat());
    let destination = *frame.first_chunk().expect("a header");
    (destination, *packet[24..].first_chunk().expect("an address"), packet[44] & 0xe0)
}

#[test]
fn a_solicitation_to_its_group_is_answered_once() {
    let mut lab = Lab::new([config(2)]);
    lab.settle();
    let group = [0x33, 0x33, 0xff, 0, 0, 2];
    let question = solicitation("2001:db8::99", "ff02::1:ff00:2", group, 255);
    let frames = sent(&mut lab, |lab| lab.inject(&question));
    let (to_mac, to, flags) = advertisement(&frames);
    assert_eq!((to_mac, to, flags), (PEER, octets("2001:db8::99"), 0x40));
}

/// Linux checks a neighbour that way before it forgets it.
#[test]
fn a_solicitation_to_the_address_itself_is_answered_once() {
    let mut lab = Lab::new([config(2)]);
    lab.settle();
    let question = solicitation("2001:db8::99", GUEST_IP, GUEST.octets(), 255);
    let frames = sent(&mut lab, |lab| lab.inject(&question));
    let (to_mac, to, flags) = advertisement(&frames);
    assert_eq!((to_mac, to, flags), (PEER, octets("2001:db8::99"), 0x40));
}

/// Someone is about to take the guest's address (RFC 4862).
#[test]
fn a_duplicate_is_warned() {
    let mut lab = Lab::new([config(2)]);
    lab.settle();
    let question = solicitation("::", "ff02::1:ff00:2", [0x33, 0x33, 0xff, 0, 0, 2], 255);
    let frames = sent(&mut lab, |lab| lab.inject(&question));
    let all_nodes = [0x33, 0x33, 0, 0, 0, 1];
    assert_eq!(advertisement(&frames), (all_nodes, octets("ff02::1"), 0x20));
}

#[test]
fn a_solicitation_that_crossed_a_router_is_ignored() {
    let mut lab = Lab::new([config(2)]);
    lab.settle();
    let question = solicitation("2001:db8::99", GUEST_IP, GUEST.octets(), 254);
    let frames = sent(&mut lab, |lab| lab.inject(&question));
    assert!(frames.is_empty(), "{frames:?}");
}

/// RFC 3810, 5.2.12: joining with no sources excluded is CHANGE_TO_EXCLUDE (4), leaving is
/// CHANGE_TO_INCLUDE (3).
#[test]
fn listener_reports_say_what_they_mean() {
    let mut lab = Lab::new([config(2)]);
    lab.settle();
    let report = |frames: &[Vec<u8>]| {
        let is_report = |frame: &&Vec<u8>| frame[12..14] == [0x86, 0xdd] && frame[62] == 143;
        let frame = frames.iter().find(is_report).expect("a report").clone();
        assert_eq!(checksum(&frame[14..]), 0, "a wrong checksum");
        (frame[70], frame[74..90].to_vec())
    };
    let group = octets("ff05::1234").to_vec();
    let joined = sent(&mut lab, |lab| lab.guests[0].join(ip("ff05::1234")).expect("a group"));
    assert_eq!(report(&joined), (4, group.clone()));
    let left = sent(&mut lab, |lab| lab.guests[0].leave(ip("ff05::1234")).expect("a group"));
    assert_eq!(report(&left), (3, group));
}

#[test]
fn announcements_name_every_address() {
    let mut lab = Lab::new([config(2)]);
    lab.settle();
    let frames = sent(&mut lab, |lab| lab.guests[0].announce());
    let arp: Vec<_> = frames.iter().filter(|frame| frame[12..14] == [8, 6]).collect();
    assert_eq!(arp.len(), 1);
    // A request, for the address it comes from.
    assert_eq!(
        (&arp[0][20..22], &arp[0][28..32], &arp[0][38..42]),
        (&[0, 1][..], &[192, 0, 2, 2][..], &[192, 0, 2, 2][..])
    );
    let targets: Vec<_> = frames
        .iter()
        .filter(|frame| frame[12..14] == [0x86, 0xdd] && frame[54] == 136)
        .map(|frame| frame[62..78].to_vec())
        .collect();
    let link_local = GUEST.link_local().octets().to_vec();
    assert_eq!(targets, [link_local, octets(GUEST_IP).to_vec()]);
}
