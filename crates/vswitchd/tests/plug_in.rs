//! The example of a program that plugs in by a descriptor, plugged into a real service.
#![cfg(target_os = "linux")]

mod common;
#[allow(dead_code, reason = "its main is the test's")]
#[path = "../examples/plug_in.rs"]
mod plug_in;

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;

use common::PATIENCE;
use common::controlled::Controlled;

const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ITS_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

/// Answers whoever asks who has the address.
fn answer(card: &UnixDatagram) {
    let mut asked = [0; 2048];
    let length = card.recv(&mut asked).expect("somebody asks");
    assert_eq!((length, &asked[12..14]), (42, &[8, 6][..]), "an ARP request");
    assert_eq!(asked[38..42], TARGET.octets());
    let mut reply = [0; 60];
    reply[..6].copy_from_slice(&asked[6..12]);
    reply[6..12].copy_from_slice(&ITS_MAC);
    reply[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    reply[22..28].copy_from_slice(&ITS_MAC);
    reply[28..32].copy_from_slice(&TARGET.octets());
    reply[32..38].copy_from_slice(&asked[22..28]);
    reply[38..42].copy_from_slice(&asked[28..32]);
    card.send(&reply).expect("it can be answered");
}

#[test]
fn the_example_plugs_in_asks_and_goes() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    let card = UnixDatagram::bind(of.path("p0.vm")).unwrap();
    card.connect(of.path("p0")).unwrap();
    card.set_read_timeout(Some(PATIENCE)).unwrap();
    card.send(b"VFKT").unwrap();
    let answers = std::thread::spawn(move || answer(&card));
    assert_eq!(plug_in::who_has(&of.path("c"), TARGET).expect("an answer"), ITS_MAC);
    answers.join().expect("it was asked");
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0"]), "its port went with it");
}

#[test]
fn what_is_wrong_is_told() {
    let of = Controlled::start(1, &["plug-in=unixgram:DIR/p0"]);
    let told = plug_in::who_has(&of.path("c"), TARGET).unwrap_err().to_string();
    assert!(told.contains("two ports named plug-in"), "{told}");
    let nobody = plug_in::who_has(&of.path("none"), TARGET).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::NotFound);
}
