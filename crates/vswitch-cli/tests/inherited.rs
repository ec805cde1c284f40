//! `fd:N`: sockets that the switch is started with.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use common::{Ended, PATIENCE, failure, frame, start, vswitch};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

/// `vswitch run` with these sockets as its descriptors.
fn with(sockets: Vec<(i32, OwnedFd)>, ports: &str) -> Command {
    let mut command = vswitch(&format!("run --uplink none {ports}"));
    let mappings = sockets
        .into_iter()
        .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd })
        .collect();
    command.fd_mappings(mappings).unwrap();
    command
}

fn datagram_pair() -> (UnixDatagram, OwnedFd) {
    let (near, far) = UnixDatagram::pair().unwrap();
    near.set_read_timeout(Some(PATIENCE)).unwrap();
    (near, far.into())
}

fn stream_pair() -> (UnixStream, OwnedFd) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(PATIENCE)).unwrap();
    (near, far.into())
}

fn receive(socket: &UnixDatagram) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let len = socket.recv(&mut buffer).expect("a frame comes through");
    buffer.truncate(len);
    buffer
}

fn send_framed(stream: &mut UnixStream, frame: &[u8]) {
    let len = u32::try_from(frame.len()).unwrap();
    stream.write_all(&[&len.to_be_bytes(), frame].concat()).unwrap();
}

fn receive_framed(stream: &mut UnixStream) -> Vec<u8> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).expect("a frame comes through");
    let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
    stream.read_exact(&mut frame).unwrap();
    frame
}

/// A counter of the port at this place.
fn count(ended: &Ended, place: usize, counter: &str) -> u64 {
    ended.stopped["ports"][place][counter].as_u64().unwrap()
}

#[test]
fn datagrams_and_streams_are_told_apart_and_carried() {
    let dir = testkit::scratch_dir();
    let ((a, a_far), (b, b_far), (mut c, c_far)) =
        (datagram_pair(), datagram_pair(), stream_pair());
    let shared = a_far.try_clone().unwrap();
    // Not in order, not without gaps, and 3 where `exec` puts a card.
    let sockets = vec![(7, a_far), (3, b_far), (12, c_far)];
    let running = start(dir.path(), with(sockets, "--port a=fd:7 --port b=fd:3 --port c=fd:12"));
    // The first frame need not come from the card: a peer of a pair is known from the start.
    a.send(&frame(2, 1, 60)).unwrap();
    assert_eq!(receive(&b), frame(2, 1, 60));
    assert_eq!(receive_framed(&mut c), frame(2, 1, 60), "unknown: to all");
    b.send(&frame(1, 2, 60)).unwrap();
    assert_eq!(receive(&a), frame(1, 2, 60));
    send_framed(&mut c, &frame(1, 3, 60));
    assert_eq!(receive(&a), frame(1, 3, 60));
    for size in [14, 15, 1514, 1518, 9014, 65_550] {
        a.send(&frame(2, 1, size)).unwrap();
        assert_eq!(receive(&b), frame(2, 1, size));
        b.send(&frame(3, 2, size)).unwrap();
        assert_eq!(receive_framed(&mut c), frame(3, 2, size));
        send_framed(&mut c, &frame(1, 3, size));
        assert_eq!(receive(&a), frame(1, 3, size));
    }
    // vfkit speaks its handshake on a pair too; it is no frame. Nor are these.
    a.send(b"VFKT").unwrap();
    for size in [0, 1, 13, 65_551] {
        a.send(&vec![2; size]).unwrap();
    }
    a.send(&frame(2, 1, 99)).unwrap();
    assert_eq!(receive(&b), frame(2, 1, 99));
    let flags = nix::fcntl::fcntl(&shared, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    let nonblocking = nix::fcntl::OFlag::from_bits_retain(flags) & nix::fcntl::OFlag::O_NONBLOCK;
    assert!(nonblocking.is_empty(), "the socket is shared: its mode is not the switch's to change");
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(count(&ended, 0, "received_frames"), 1 + 6 + 4 + 1);
    assert_eq!(ended.stopped["ports"][0]["drops"], serde_json::json!({ "runt": 3, "oversize": 1 }));
}

#[test]
fn a_peer_that_closes_harms_nobody() {
    let dir = testkit::scratch_dir();
    let ((a, a_far), (b, b_far)) = (datagram_pair(), datagram_pair());
    let ((dead, dead_far), (mut ended, ended_far)) = (datagram_pair(), stream_pair());
    let sockets = vec![(5, a_far), (6, b_far), (7, dead_far), (8, ended_far)];
    let ports = "--port a=fd:5 --port b=fd:6 --port dead=fd:7 --port ended=fd:8";
    let running = start(dir.path(), with(sockets, ports));
    // What they said before they went counts; then one is gone with half a frame.
    dead.send(&frame(1, 8, 60)).unwrap();
    assert_eq!(receive(&a), frame(1, 8, 60));
    drop(dead);
    send_framed(&mut ended, &frame(1, 9, 60));
    assert_eq!(receive(&a), frame(1, 9, 60));
    ended.write_all(&[0, 0, 5, 0, 1, 2, 3]).unwrap();
    drop(ended);
    assert_eq!(receive(&b), frame(1, 8, 60), "flooded, as was the next");
    assert_eq!(receive(&b), frame(1, 9, 60));
    a.send(&frame(2, 1, 60)).unwrap();
    for _ in 0..2000 {
        a.send(&frame(8, 1, 200)).unwrap();
        a.send(&frame(9, 1, 200)).unwrap();
    }
    a.send(&frame(2, 1, 61)).unwrap();
    assert_eq!(receive(&b), frame(2, 1, 60));
    while receive(&b) != frame(2, 1, 61) {}
    // A switch with dead ports idles.
    let before = running.busy();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let used = running.busy() - before;
    assert!(used < std::time::Duration::from_millis(150), "it spins: {used:?} of 0.7 s");
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "a port that ended is no failure: {}", ended.stderr);
    for place in [2, 3] {
        let port = &ended.stopped["ports"][place];
        assert!(port["drops"]["no_peer"].as_u64().unwrap() >= 2000, "{port}");
        assert_eq!(port["queued_frames"], 0);
        assert_eq!(port["received_frames"], 1, "half a frame is none: {port}");
    }
}

#[test]
fn what_cannot_be_a_port_is_named_with_the_reason() {
    let none = SockFlag::empty();
    let (_near, packets) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, none).unwrap();
    let said = failure(with(vec![(5, packets)], "--port a=fd:5"), 1);
    assert_eq!(
        said,
        "vswitch: start the switch: port a (fd:5): descriptor 5 is a socket of type SeqPacket; \
         SOCK_DGRAM or SOCK_STREAM is needed\n"
    );
    let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let said = failure(with(vec![(5, file)], "--port a=fd:5"), 1);
    assert!(said.contains("descriptor 5: Socket operation on non-socket"), "{said}");
    let said = failure(with(Vec::new(), "--port a=fd:9"), 1);
    assert!(said.contains("descriptor 9: Bad file descriptor"), "{said}");
    for number in [0, 1, 2] {
        let said = failure(with(Vec::new(), &format!("--port a=fd:{number}")), 1);
        assert!(said.contains("standard") && said.contains("3 or above"), "{said}");
    }
    let (_near, far) = datagram_pair();
    let said = failure(with(vec![(5, far)], "--port a=fd:5 --port b=fd:5"), 1);
    let why = "port default/b cannot have fd:5: port default/a has it already";
    assert!(said.contains(why), "{said}");
}
