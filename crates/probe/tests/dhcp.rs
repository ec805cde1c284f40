//! DHCP against a server of a few lines, written from RFC 2131 and 2132 alone.

mod common;

use std::time::Duration;

use common::{Lab, ip};
use probe::{Dhcp, GuestConfig, MacAddress, Ping, PingConfig, Step, TaskError};

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// What the server answers to a message of each type; None: it is silent.
type Behaviour = fn(u8) -> Option<u8>;

/// One guest without an IPv4 address, and a server.
fn lab(behaviour: Behaviour) -> Lab {
    let mut lab = Lab::new([GuestConfig::new(MacAddress([2, 0, 0, 0, 0, 7])), common::config(9)]);
    lab.station = Some(Box::new(move |frame| {
        let answer = message_type(frame).and_then(|kind| Some(reply(frame, behaviour(kind)?)));
        answer.into_iter().collect()
    }));
    lab
}

fn well(kind: u8) -> Option<u8> {
    match kind {
        DISCOVER => Some(OFFER),
        REQUEST => Some(ACK),
        _ => None,
    }
}

/// The DHCP message type of a frame that a client broadcasts.
fn message_type(frame: &[u8]) -> Option<u8> {
    let is_dhcp = frame.len() > 282 && frame[12..14] == [8, 0] && frame[36..38] == [0, 67];
    let mut options = frame.get(282..).filter(|_| is_dhcp)?;
    while let [code, len, ..] = *options {
        if code == 53 {
            return options.get(2).copied();
        }
        options = options.get(2 + usize::from(len)..)?;
    }
    None
}

fn reply(request: &[u8], kind: u8) -> Vec<u8> {
    let dhcp = &request[42..];
    let mut message = vec![2, 1, 6, 0];
    message.extend(&dhcp[4..8]);
    message.extend([0; 8]);
    message.extend(if kind == NAK { [0; 4] } else { [192, 0, 2, 33] });
    message.extend([0; 8]);
    message.extend(&dhcp[28..44]);
    message.extend([0; 192]);
    message.extend([99, 130, 83, 99, 53, 1, kind, 54, 4, 192, 0, 2, 254]);
    if kind != NAK {
        message.extend([51, 4, 0, 0, 0x0e, 0x10, 1, 4, 255, 255, 255, 128]);
        message.extend([3, 4, 192, 0, 2, 9, 6, 8, 192, 0, 2, 53, 192, 0, 2, 54]);
    }
    message.push(255);
    let udp_len = u16::try_from(8 + message.len()).expect("a short message");
    let mut packet = vec![0x45, 0];
    packet.extend((20 + udp_len).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 254, 255, 255, 255, 255]);
    let sum: u32 = packet.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!u16::try_from(sum).expect("folded")).to_be_bytes());
    packet.extend([0, 67, 0, 68]);
    packet.extend(udp_len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(message);
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 0xfe, 8, 0]);
    frame.extend(packet);
    frame
}

#[test]
fn a_lease_is_taken_and_used() {
    let mut lab = lab(well);
    let lease = lab.run(0, Dhcp::new(Duration::from_secs(10))).expect("a lease");
    assert_eq!(lease.address, "192.0.2.33/25".parse().expect("an address"));
    assert_eq!(lease.router, Some([192, 0, 2, 9].into()));
    assert_eq!(lease.dns, [[192, 0, 2, 53], [192, 0, 2, 54]].map(std::net::Ipv4Addr::from));
    assert_eq!(lease.server, std::net::Ipv4Addr::from([192, 0, 2, 254]));
    assert_eq!(lease.time, Some(Duration::from_secs(3600)));
    let report = lab.run(0, Ping::new(PingConfig::new(ip("192.0.2.9")))).expect("a report");
    assert!(report.is_perfect(), "{report:?}");
    // The router is the way to everywhere else.
    assert_eq!(lab.guests[0].source_for(ip("203.0.113.1")), Ok(ip("192.0.2.33")));
    // A second lease takes the place of the first.
    lab.run(0, Dhcp::new(Duration::from_secs(10))).expect("a lease");
    assert_eq!(lab.guests[0].addresses().len(), 2);
}

#[test]
fn the_error_says_which_step_had_no_answer() {
    let silent: Behaviour = |_| None;
    let mute_after_offer: Behaviour = |kind| (kind == DISCOVER).then_some(OFFER);
    let refusing: Behaviour = |kind| Some(if kind == DISCOVER { OFFER } else { NAK });
    let timeout = Duration::from_secs(7);

    let error = lab(silent).run(0, Dhcp::new(timeout)).expect_err("no lease");
    let step = Step::DhcpOffer { discovers: 4 };
    assert_eq!(error, TaskError::TimedOut { step, waited: timeout });

    let error = lab(mute_after_offer).run(0, Dhcp::new(timeout)).expect_err("no lease");
    let TaskError::TimedOut { step: Step::DhcpAck { requests }, .. } = error else {
        panic!("{error}");
    };
    assert!(requests >= 2, "{requests}");

    let error = lab(refusing).run(0, Dhcp::new(timeout)).expect_err("no lease");
    assert_eq!(error, TaskError::DhcpRefused(ip("192.0.2.254")));
}
