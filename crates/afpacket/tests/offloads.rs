//! Frames that are not finished: told as such, and passed on untouched.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use afpacket::{
    Checksum, Gso, Options, Outgoing, PacketSocket, ReceiveError, SendError, Slot, VnetHdr,
};
use common::{LIMIT, TYPE_TEST, add_pair, frame, ip, open, open_with, pair, receive_all, send_all};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};

const IPV4: [&str; 2] = ["10.9.0.1", "10.9.0.2"];
const IPV6: [&str; 2] = ["fd09::1", "fd09::2"];

#[test]
fn checksum_left_unfinished_is_told() {
    if !pair(1500) {
        return;
    }
    let sender = host_sender();
    let mut finished = open("v1");
    let mut aware = open_with("v1", &VNET);
    sender.send_to(b"some words", peer()).expect("send");

    let plain = receive_all(&mut finished, 1).remove(0);
    assert_eq!((plain.checksum, plain.vnet), (Checksum::Unfinished, VnetHdr::default()));
    let told = receive_all(&mut aware, 1).remove(0);
    assert_eq!(told.bytes, plain.bytes);
    assert_eq!(told.checksum, Checksum::Unfinished);
    let expected = VnetHdr {
        flags: VnetHdr::NEEDS_CSUM,
        csum_start: 34,
        csum_offset: 6,
        ..VnetHdr::default()
    };
    assert_eq!(told.vnet, expected);

    let mut finished_frame = open("v0");
    send_all(&mut finished_frame, &[frame(60, TYPE_TEST, 1)]);
    let told = receive_all(&mut aware, 1).remove(0);
    assert_eq!((told.checksum, told.vnet), (Checksum::Unknown, VnetHdr::default()));
}

#[test]
fn segments_of_udp_come_as_one_frame() {
    if !pair(1500) {
        return;
    }
    let sender = host_sender();
    setsockopt(&sender, UdpGsoSegment, &1000).expect("UDP_SEGMENT");
    let mut finished = open("v1");
    let mut aware = open_with("v1", &VNET);
    let payload = frame(10_500, TYPE_TEST, 1);
    sender.send_to(&payload, peer()).expect("send");

    let told = receive_all(&mut aware, 1).remove(0);
    assert_eq!(told.bytes[42..], payload);
    assert_eq!((told.vnet.gso(), told.vnet.gso_size), (Gso::UdpL4, 1000));
    assert!(told.vnet.needs_checksum());
    let plain = receive_all(&mut finished, 1).remove(0);
    assert_eq!((plain.bytes.len(), plain.checksum), (42 + 10_500, Checksum::Unfinished));
}

#[test]
fn place_of_the_checksum_moves_with_a_restored_tag() {
    if !pair(1500) {
        return;
    }
    let sender = host_sender();
    let mut from_host = open_with("v1", &VNET);
    sender.send_to(b"some words", peer()).expect("send");
    let untagged = receive_all(&mut from_host, 1).remove(0);

    let (mut one, mut other) = (open_with("v0", &VNET), open_with("v1", &VNET));
    let mut tagged = untagged.bytes;
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    let vnet = VnetHdr { csum_start: 38, ..untagged.vnet };
    let outgoing = Outgoing::new(&tagged).with_vnet(vnet);
    assert!(matches!(one.send(&[outgoing]), (1, None)));
    let told = receive_all(&mut other, 1).remove(0);
    assert_eq!((told.bytes, told.vnet), (tagged, vnet));
}

#[test]
fn frame_in_two_pieces_is_sent_as_one() {
    if !pair(1500) {
        return;
    }
    for options in [VNET, Options::default()] {
        let (mut one, mut other) = (open_with("v0", &options), open("v1"));
        let whole = frame(1000, TYPE_TEST, 1);
        for cut in [1, 13, 14, 500, 999] {
            let (head, tail) = whole.split_at(cut);
            assert!(matches!(one.send(&[Outgoing::new(head).with_tail(tail)]), (1, None)));
            assert_eq!(receive_all(&mut other, 1)[0].bytes, whole);
        }
    }
}

#[test]
fn header_that_does_not_fit_is_refused_and_the_rest_goes() {
    if !pair(1500) {
        return;
    }
    let (mut aware, mut plain, mut other) = (open_with("v0", &VNET), open("v0"), open("v1"));
    let bytes = frame(60, TYPE_TEST, 1);
    let good = Outgoing::new(&bytes);
    let needs = VnetHdr { flags: VnetHdr::NEEDS_CSUM, ..VnetHdr::default() };
    let wrong = [
        VnetHdr { csum_start: 100, csum_offset: 16, ..needs },
        VnetHdr { csum_start: 60, csum_offset: 0, ..needs },
        VnetHdr { gso_type: 77, gso_size: 100, ..needs },
        VnetHdr { gso_type: 1, gso_size: 0, hdr_len: 54, ..needs },
        VnetHdr { gso_type: 1, gso_size: 100, hdr_len: 61, csum_start: 34, ..needs },
    ];
    for vnet in wrong {
        let frames = [good, good, Outgoing::new(&bytes).with_vnet(vnet), good];
        for socket in [&mut aware, &mut plain] {
            let answer = socket.send(&frames);
            assert!(matches!(answer, (2, Some(SendError::Invalid))), "{vnet:?}: {answer:?}");
            assert!(matches!(socket.send(&frames[3..]), (1, None)));
        }
        receive_all(&mut other, 6);
    }
}

/// Two hosts' own TCP stacks, joined by nothing but two packet sockets: big segments go through
/// untouched both ways, and every byte arrives.
#[test]
fn tcp_between_two_hosts_passes_in_big_segments() {
    if !pair(1500) {
        return;
    }
    let (ready, started) = mpsc::channel();
    let (done, all_done) = mpsc::channel::<()>();
    let far_host = std::thread::spawn(move || far_host(&ready, &all_done));
    let Ok(thread) = started.recv_timeout(LIMIT) else {
        return; // it said why it was skipped
    };
    add_pair("w0", "w1", 1500);
    ip(&format!("link set w1 netns {thread}"));
    for relayed in ["v1", "w0"] {
        ip(&format!("link set {relayed} arp off")); // else the near host answers on w0 as well
    }
    add_addresses("v0", 0);
    let ends = [open_with("v1", &VNET), open_with("w0", &VNET)];
    let stop = AtomicBool::new(false);
    let big = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let relay = scope.spawn(|| relay(ends, &stop, &big));
        let echoed: Vec<bool> = [IPV4, IPV6].map(|hosts| echo_through(hosts[1])).to_vec();
        stop.store(true, Ordering::Relaxed);
        relay.join().expect("the relay");
        assert_eq!(echoed, [true, true]);
    });
    drop(done);
    far_host.join().expect("the far host");
    let big = big.into_inner();
    assert!(big > 100, "{big} big segments passed");
}

const VNET: Options = Options {
    promiscuous: false,
    vnet_hdr: true,
    receive_buffer_bytes: Some(4 << 20),
    send_buffer_bytes: Some(4 << 20),
    receive_ring_slots: None,
    xdp_send: false,
};
const PORT: u16 = 7777;
const TRANSFER_BYTES: usize = 4 << 20;

/// A socket of the host's own stack on v0; the peer behind v1 has a fixed address.
fn host_sender() -> UdpSocket {
    ip(&format!("address add {}/24 dev v0", IPV4[0]));
    ip(&format!("neighbour add {} lladdr 02:00:00:00:00:02 dev v0 nud permanent", IPV4[1]));
    UdpSocket::bind((IPV4[0], 0)).expect("bind")
}

fn peer() -> SocketAddr {
    let address: IpAddr = IPV4[1].parse().expect("an address");
    (address, PORT).into()
}

fn add_addresses(interface: &str, host: usize) {
    ip(&format!("address add {}/24 dev {interface}", IPV4[host]));
    ip(&format!("address add {}/64 dev {interface} nodad", IPV6[host]));
}

/// A host in its own namespace that echoes two connections, once its interface has come; it (and
/// so its namespace with the interface) lasts until all is done.
fn far_host(ready: &mpsc::Sender<nix::unistd::Pid>, all_done: &mpsc::Receiver<()>) {
    if !testkit::netns::enter_or_skip() {
        return;
    }
    ready.send(nix::unistd::gettid()).expect("the near host waits");
    let there =
        || std::fs::read_to_string("/proc/thread-self/net/dev").is_ok_and(|s| s.contains("w1"));
    assert!(testkit::wait_until(LIMIT, there), "w1 came");
    common::silence("w1");
    ip("link set w1 up");
    testkit::netns::wait_until_active(&["w1"]);
    add_addresses("w1", 1);
    let listener = TcpListener::bind(("::", PORT)).expect("listen");
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.set_read_timeout(Some(LIMIT)).expect("set a limit");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("read");
        stream.write_all(&all).expect("write");
    }
    let _ = all_done.recv();
}

/// Sends bytes to the far host and says whether the same came back.
fn echo_through(address: &str) -> bool {
    let address: IpAddr = address.parse().expect("an address");
    let mut stream = None;
    let connected = testkit::wait_until(LIMIT, || {
        stream = TcpStream::connect_timeout(&(address, PORT).into(), LIMIT).ok();
        stream.is_some()
    });
    assert!(connected, "{address} does not answer");
    let mut stream = stream.expect("connected");
    stream.set_read_timeout(Some(LIMIT)).expect("set a limit");
    let sent = frame(TRANSFER_BYTES, TYPE_TEST, 1);
    stream.write_all(&sent).expect("write");
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).expect("read");
    echoed == sent
}

/// Passes every frame between two sockets with its header, and counts the big segments.
fn relay([mut one, mut other]: [PacketSocket; 2], stop: &AtomicBool, big: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let wanted = PollFlags::POLLIN;
        let mut fds = [PollFd::new(one.as_fd(), wanted), PollFd::new(other.as_fd(), wanted)];
        poll(&mut fds, PollTimeout::from(20_u8)).expect("poll");
        pass(&mut one, &mut other, big);
        pass(&mut other, &mut one, big);
    }
}

fn pass(from: &mut PacketSocket, to: &mut PacketSocket, big: &AtomicUsize) {
    let (mut buffers, mut spills) = (vec![[0; 2048]; 16], vec![vec![0; 65_536]; 16]);
    let mut slots: Vec<Slot<'_>> = buffers
        .iter_mut()
        .zip(&mut spills)
        .map(|(buffer, spill)| Slot::new(buffer).with_spill(spill))
        .collect();
    let count = match from.receive(&mut slots) {
        Err(ReceiveError::WouldBlock) => return,
        other => other.expect("receive"),
    };
    let frames: Vec<Outgoing<'_>> = slots[..count]
        .iter()
        .inspect(|slot| assert!(!slot.is_truncated()))
        .map(|slot| Outgoing::new(slot.head()).with_tail(slot.tail()).with_vnet(slot.vnet()))
        .collect();
    let segments = slots[..count].iter().filter(|slot| {
        let is_big = slot.frame_len() > 1514;
        assert!(!is_big || matches!(slot.vnet().gso(), Gso::TcpV4 | Gso::TcpV6));
        assert_eq!(slot.is_tcp_super_frame(), slot.vnet().gso() != Gso::None);
        is_big
    });
    big.fetch_add(segments.count(), Ordering::Relaxed);
    let (taken, why_not) = to.send(&frames);
    assert_eq!(taken, count, "{why_not:?}");
}
