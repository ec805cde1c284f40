//! Descriptors pass both ways, and what is no request leaves nothing behind.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use vswitchd::api::pass;
use vswitchd::api::wire::PassRequest;

use crate::common::controlled::Controlled;
use crate::common::{PATIENCE, frame, station};

fn request(name: Option<&str>, hold: bool) -> PassRequest {
    PassRequest { name: name.map(str::to_owned), hold, ..PassRequest::default() }
}

fn card(socket: OwnedFd) -> UnixDatagram {
    let card = UnixDatagram::from(socket);
    card.set_read_timeout(Some(PATIENCE)).unwrap();
    card
}

/// Each hears what the other says to it.
fn talk(one: &UnixDatagram, two: &UnixDatagram) {
    let mut buffer = [0; 2000];
    for (from, to, sender, target) in [(one, two, 1, 2), (two, one, 2, 1)] {
        let sent = frame(station(target), station(sender), 7, 100);
        from.send(&sent).unwrap();
        let len = to.recv(&mut buffer).expect("a frame");
        assert_eq!(buffer[..len], sent);
    }
}

#[test]
fn cards_are_given_taken_and_go_when_they_are_closed() {
    for threads in [1, 2] {
        let of = Controlled::start(threads, &["p0=unixgram:DIR/p0", "p9=unixgram:DIR/p9"]);
        let fd = of.path("c.fd");
        let one = pass(&fd, &request(Some("one"), false), None).expect("a card");
        assert_eq!((&*one.reply.network, &*one.reply.port), ("test", "one"));
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let two = pass(&fd, &request(None, false), Some(&theirs.into())).expect("a port");
        assert_eq!(&*two.reply.port, "given1");
        assert!(two.card.is_none());
        let (one_card, two_card) = (card(one.card.expect("a socket")), card(ours.into()));
        talk(&one_card, &two_card);
        assert_eq!(of.ports(), ["p0", "p9", "one", "given1"]);

        // The connections are closed, the ports stay.
        drop((one.connection, two.connection));
        talk(&one_card, &two_card);
        let again = pass(&fd, &request(Some("one"), false), None).unwrap_err();
        assert!(again.to_string().contains("two ports named one"), "{again}");

        // Told by the first frame for it.
        drop(two_card);
        one_card.send(&frame(station(2), station(1), 8, 60)).unwrap();
        assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0", "p9", "one"]));
        of.client.change::<()>("DELETE", "/v1/networks/test/ports/one", &()).unwrap();
        assert_eq!(one_card.send(b"x").unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        drop(of.server);
        of.running.stop();
    }
}

#[test]
fn a_held_port_goes_with_its_connection() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    let held = pass(&of.path("c.fd"), &request(Some("vm"), true), None).expect("a card");
    assert_eq!(of.ports(), ["p0", "vm"]);
    drop(held.connection);
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0"]));
}

/// What is taken away is the port on its socket, and not one that has its name now.
#[test]
fn a_held_connection_takes_no_other_port_of_its_name() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    let fd = of.path("c.fd");
    let first = pass(&fd, &request(Some("vm"), true), None).expect("a card");
    of.client.change::<()>("DELETE", "/v1/networks/test/ports/vm", &()).unwrap();
    let second = pass(&fd, &request(Some("vm"), true), None).expect("a card");
    drop(first);
    // One that is added and goes later than the first's end is seen.
    drop(pass(&fd, &request(Some("other"), true), None).expect("a card"));
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0", "vm"]), "{:?}", of.ports());
    drop(second);
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0"]));
}

/// Lima sends a socket with one byte that says nothing, and reads no answer.
#[test]
fn a_socket_without_a_word_is_a_port() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let connection = UnixStream::connect(of.path("c.fd")).unwrap();
    let descriptors = [theirs.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let byte = [IoSlice::new(&[0])];
    sendmsg::<()>(connection.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None).unwrap();
    drop((connection, theirs));
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0", "given1"]));
    drop(ours);
}
