//! What network stacks leave to their cards never reaches a guest undone: checksums, and segments
//! bigger than a frame may be. Between stacks they pass as they are.
#![cfg(target_os = "linux")]

mod support;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use probe::throughput::{Amount, PORT, Way};
use probe::{Direction, GuestConfig, GuestHandle, MacAddress};
use support::capture::{Capture, describe};
use support::frame::{guest_mac, text};
use support::host::Host;
use support::lab::{self, Room, ip};
use support::switch::{Stopped, Switch};
use support::{checksums, wait_for};

const FRAME_BYTES_MAX: usize = 1514;
const TRANSFER_BYTES: u64 = 3_000_000;

const GUEST_IPS: [&str; 2] = ["192.0.2.51", "2001:db8::51"];

/// A guest that serves TCP, and every frame that it was given.
struct Guest {
    handle: GuestHandle,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Guest {
    fn plug(room: &Room) -> Self {
        let mut config = GuestConfig::new(MacAddress(guest_mac(1))).serving();
        for (ip, prefix) in GUEST_IPS.iter().zip([24, 64]) {
            config = config.with_address(format!("{ip}/{prefix}").parse().expect("an address"));
        }
        let mut guest = room.guest("vm1", config);
        let received = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&received);
        guest.core_mut().on_frame(move |direction, frame| {
            if direction == Direction::Received {
                to.lock().expect("no panic").push(frame.to_vec());
            }
        });
        Self { handle: GuestHandle::start(guest), received }
    }

    /// Its frames, each looked at here and by tcpdump.
    fn checked_frames(self) -> Vec<Vec<u8>> {
        self.handle.stop().expect("a good end");
        let frames = std::mem::take(&mut *self.received.lock().expect("no panic"));
        for frame in &frames {
            assert!(frame.len() <= FRAME_BYTES_MAX, "{} bytes", frame.len());
            checksums::check(frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"));
        }
        let described = describe(&frames);
        let complaints: Vec<_> = described.lines().filter(|line| is_complaint(line)).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        assert!(described.contains("(correct)"), "nothing to look at: {described}");
        frames
    }
}

/// What tcpdump says of checksums that are wrong.
fn is_complaint(line: &str) -> bool {
    line.contains("incorrect") || line.contains("bad cksum") || line.contains("bad udp cksum")
}

/// Bytes both ways over IPv4 and IPv6, between the host that runs this and the guest.
fn transfer() {
    for guest in GUEST_IPS {
        let guest = SocketAddr::new(guest.parse::<IpAddr>().expect("an address"), PORT);
        for way in [Way::Upload, Way::Download] {
            let report = probe::host::transfer(guest, way, Amount::Bytes(TRANSFER_BYTES));
            let report = report.unwrap_or_else(|error| panic!("{way:?} with {guest}: {error}"));
            assert_eq!(report.bytes, TRANSFER_BYTES);
        }
    }
}

#[test]
fn from_the_host_itself_by_the_bridge() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    let guest = Guest::plug(&room);
    transfer();
    let stopped = end(switch, guest);
    let bytes = frame_bytes(&stopped, "uplink", "received");
    assert!(bytes > FRAME_BYTES_MAX as u64, "{bytes} bytes a frame: nothing was left to cut");
    assert!(stopped.count("vm1", "sent_frames") > stopped.count("uplink", "received_frames"));
}

/// A host on a TAP and everybody that it reaches by the bridge: the host with the bridge, one
/// behind a member, and one behind a member for which the kernel has to finish what comes. Every
/// byte is compared by who receives it. (In VLANs: `crates/vswitch/tests/tap_offload.rs`.)
#[test]
fn between_a_tap_and_all_of_a_bridge() {
    if !lab::enter() || !lab::can_make_taps() || !testkit::tool_or_skip("ethtool", "ethtool") {
        return;
    }
    lab::bridge(1500);
    let [lan, plain] = [("lan", "far", 8), ("plain", "end", 9)].map(|(member, end, n)| {
        let host = Host::behind("br0", member, end, &format!("192.0.2.{n}/24"));
        host.run(move || ip(&format!("-6 addr add 2001:db8::{n}/64 dev {end} nodad")));
        host
    });
    lab::output("ethtool", "-K plain tx off tso off gso off sg off");
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0", &["a=tap:tap20"]);
    let host = Host::on_tap(20);
    let arrivals = plain.run(|| Capture::incoming("end", ""));
    let transfers_with = |serving: &[probe::host::Server; 2]| {
        for peer in serving.each_ref().map(probe::host::Server::address) {
            host.run(move || both_ways(peer));
        }
    };
    transfers_with(&serve(1));
    for (neighbour, n) in [(&lan, 8), (&plain, 9)] {
        let serving = neighbour.run(move || serve(n));
        transfers_with(&serving);
        neighbour.run(move || drop(serving));
    }
    let arrivals = arrivals.frames();
    for frame in &arrivals {
        assert!(frame.len() <= FRAME_BYTES_MAX, "{} bytes", frame.len());
    }
    let described = describe(&arrivals);
    let complaints: Vec<_> = described.lines().filter(|line| is_complaint(line)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(described.contains("(correct)"), "{described}");
    let stopped = switch.stop();
    expect_no_drops(&stopped);
    for way in ["received", "sent"] {
        let bytes = frame_bytes(&stopped, "uplink", way);
        assert!(bytes > 2 * FRAME_BYTES_MAX as u64, "{way}: {bytes} bytes a frame");
    }
}

/// Servers on both addresses of the host with that number.
fn serve(n: u8) -> [probe::host::Server; 2] {
    [format!("192.0.2.{n}"), format!("2001:db8::{n}")].map(|address| {
        let address = address.parse::<IpAddr>().expect("an address");
        let listener = TcpListener::bind((address, PORT)).expect("a listener");
        probe::host::Server::start(listener).expect("a server")
    })
}

/// Bytes to a server and from it, each looked at by who receives it.
fn both_ways(peer: SocketAddr) {
    for way in [Way::Upload, Way::Download] {
        let report = probe::host::transfer(peer, way, Amount::Bytes(TRANSFER_BYTES));
        let report = report.unwrap_or_else(|error| panic!("{way:?} with {peer}: {error}"));
        assert_eq!(report.bytes, TRANSFER_BYTES);
    }
}

#[test]
fn from_a_host_behind_the_bridge() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let host = Host::behind("br0", "lan", "far", "192.0.2.9/24");
    host.run(|| ip("-6 addr add 2001:db8::9/64 dev far nodad"));
    transfer_from(&host, "lan", "bridge:br0");
}

#[test]
fn from_a_host_on_the_interfaces_cable() {
    if !lab::enter() {
        return;
    }
    let host = Host::on_cable("card", "far", "192.0.2.9/24", 1500);
    host.run(|| ip("-6 addr add 2001:db8::9/64 dev far nodad"));
    transfer_from(&host, "card", "iface:card");
}

#[test]
fn from_a_bridge_and_from_behind_it_on_the_interfaces_cable() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let host = Host::behind("br0", "lan", "far", "192.0.2.9/24");
    host.run(|| ip("-6 addr add 2001:db8::9/64 dev far nodad"));
    ip("link add wire type veth peer name card");
    ip("link set wire master br0 up");
    let machine = Host::new();
    machine.take("card", "198.51.100.1/24");
    let room = Arc::new(Room::new());
    let ports = Arc::clone(&room);
    let switch = machine.run(move || Switch::start(&ports, "iface:card", &["vm1"]));
    let guest = Guest::plug(&room);
    for from_behind in [false, true] {
        let undone = machine.run(|| Capture::incoming("card", "tcp"));
        if from_behind {
            host.run(transfer)
        } else {
            transfer()
        }
        expect_undone(&undone, "card");
    }
    end(switch, guest);
}

/// `entry` is where the host's frames come in.
fn transfer_from(host: &Host, entry: &str, uplink: &str) {
    let room = Room::new();
    let switch = Switch::start(&room, uplink, &["vm1"]);
    let guest = Guest::plug(&room);
    let undone = Capture::incoming(entry, "tcp");
    host.run(transfer);
    expect_undone(&undone, entry);
    end(switch, guest);
}

/// The test tests something: there were big segments, and unfinished checksums in small ones.
#[track_caller]
fn expect_undone(undone: &Capture, entry: &str) {
    let (mut big, mut small) = (0, 0);
    let is_undone = testkit::wait_until(support::SOON, || {
        let frames = undone.frames();
        big = frames.iter().filter(|frame| frame.len() > FRAME_BYTES_MAX).count();
        let rest = frames.iter().filter(|frame| frame.len() <= FRAME_BYTES_MAX);
        small = rest.filter(|frame| checksums::check(frame).is_err()).count();
        big > 10 && small > 10
    });
    assert!(is_undone, "{big} big segments and {small} unfinished checksums arrived at {entry}");
}

fn end(switch: Switch, guest: Guest) -> Stopped {
    let frames = guest.checked_frames();
    let payload: usize = frames.iter().map(|frame| frame.len().saturating_sub(54)).sum();
    assert!(payload as u64 > 2 * TRANSFER_BYTES, "{payload} bytes");
    let stopped = switch.stop();
    expect_no_drops(&stopped);
    stopped
}

fn expect_no_drops(stopped: &Stopped) {
    for port in stopped.names() {
        for reason in ["bad_offload", "oversize", "mtu", "kernel", "no_buffer"] {
            assert_eq!(stopped.drops(port, reason), 0, "{port}, {reason}: {}", stopped.log);
        }
    }
}

/// How many bytes a port's frames had on average, those that came in by it or went out.
fn frame_bytes(stopped: &Stopped, port: &str, way: &str) -> u64 {
    let count = |what: &str| stopped.count(port, &format!("{way}_{what}"));
    count("bytes") / count("frames")
}

#[test]
fn tcp_from_tap_to_tap_passes_in_big_segments() {
    if !lab::enter() || !lab::can_make_taps() {
        return;
    }
    let room = Room::new();
    let switch = Switch::start(&room, "none", &["a=tap:tap1", "b=tap:tap2"]);
    let hosts = [1, 2].map(Host::on_tap);
    let servers = hosts[1].run(|| serve(2));
    for peer in servers.iter().map(probe::host::Server::address) {
        // Enough that the windows grow.
        hosts[0].run(move || (0..5).for_each(|_| both_ways(peer)));
    }
    hosts[1].run(move || drop(servers));
    let stopped = switch.stop();
    expect_no_drops(&stopped);
    for port in ["a", "b"] {
        for way in ["received", "sent"] {
            let bytes = frame_bytes(&stopped, port, way);
            assert!(bytes > 3 * FRAME_BYTES_MAX as u64, "{port}: {bytes} bytes a frame");
        }
    }
}

#[test]
fn from_a_host_on_a_tap() {
    if !lab::enter() || !lab::can_make_taps() {
        return;
    }
    let room = Room::new();
    let switch = Switch::start(&room, "none", &["a=tap:tap1", "vm1"]);
    let host = Host::on_tap(1);
    let guest = Guest::plug(&room);
    host.run(transfer);
    let stopped = end(switch, guest);
    let bytes = frame_bytes(&stopped, "a", "received");
    assert!(bytes > FRAME_BYTES_MAX as u64, "{bytes} bytes a frame");
    assert!(stopped.count("vm1", "sent_frames") > 2 * stopped.count("a", "received_frames"));
}

/// One datagram, and a send of ten at once that the stack leaves to the card (UDP_SEGMENT).
const DATAGRAM_BYTES: usize = 1000;
const DATAGRAMS_AT_ONCE: usize = 10;

#[test]
fn udp_in_many_from_tap_to_tap() {
    if !lab::enter() || !lab::can_make_taps() {
        return;
    }
    let room = Room::new();
    let switch = Switch::start(&room, "none", &["a=tap:tap1", "b=tap:tap2"]);
    let hosts = [1, 2].map(Host::on_tap);
    for (from, to) in [("192.0.2.1:9", "192.0.2.2:9"), ("[2001:db8::1]:9", "[2001:db8::2]:9")] {
        let receiver = hosts[1].run(move || UdpSocket::bind(to).expect("a socket"));
        receiver.set_read_timeout(Some(support::SOON)).expect("a timeout");
        let content = datagrams();
        let to_send = content.clone();
        hosts[0].run(move || {
            let socket = UdpSocket::bind(from).expect("a socket");
            let size = i32::try_from(DATAGRAM_BYTES).expect("small");
            setsockopt(&socket, UdpGsoSegment, &size).expect("UDP_SEGMENT");
            socket.send_to(&to_send, to).expect("many datagrams");
        });
        let mut buffer = [0; 2 * DATAGRAM_BYTES];
        for expected in content.chunks(DATAGRAM_BYTES) {
            let (len, _) = receiver.recv_from(&mut buffer).expect("a datagram");
            assert!(buffer[..len] == *expected, "to {to}: {len} bytes");
        }
    }
    let stopped = switch.stop();
    expect_no_drops(&stopped);
    // Two big segments, and what it takes for two hosts to find each other.
    let (frames, bytes) = (stopped.count("b", "sent_frames"), stopped.count("b", "sent_bytes"));
    assert!(bytes > (2 * DATAGRAM_BYTES * DATAGRAMS_AT_ONCE) as u64, "{bytes} bytes");
    assert!(frames < 2 * DATAGRAMS_AT_ONCE as u64, "{frames} frames");
}

fn datagrams() -> Vec<u8> {
    (0..DATAGRAM_BYTES * DATAGRAMS_AT_ONCE).map(|at| (at / 7).to_le_bytes()[0]).collect()
}

#[test]
fn udp_in_one_and_in_many_through_every_uplink() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let host = Host::behind("br0", "lan", "far", "192.0.2.9/24");
    udp_from(&host, "lan", "bridge:br0");
    let host = Host::on_cable("card", "far", "192.0.2.9/24", 1500);
    udp_from(&host, "card", "iface:card");
}

/// Sends datagrams from a host to a guest; what the guest gets is compared and looked at.
fn udp_from(host: &Host, entry: &str, uplink: &str) {
    let room = Room::new();
    let switch = Switch::start(&room, uplink, &["vm1"]);
    let vm1 = room.card("vm1");
    let undone = Capture::incoming(entry, "");
    let (guest, mac) = (GUEST_IPS[0], text(guest_mac(1)));
    let neighbour = format!("neigh add {guest} lladdr {mac} nud permanent dev far");
    let content = datagrams();
    let to_send = content.clone();
    host.run(move || {
        ip(&neighbour);
        let socket = UdpSocket::bind("192.0.2.9:4000").expect("a socket");
        socket.send_to(&to_send[..DATAGRAM_BYTES], (guest, 9)).expect("one datagram");
        let size = i32::try_from(DATAGRAM_BYTES).expect("small");
        setsockopt(&socket, UdpGsoSegment, &size).expect("UDP_SEGMENT");
        socket.send_to(&to_send, (guest, 9)).expect("many datagrams");
    });
    let mut expected: Vec<_> = content.chunks(DATAGRAM_BYTES).collect();
    expected.insert(0, expected[0]);
    let header_bytes = 14 + 20 + 8;
    let mut frames = Vec::new();
    for content in expected {
        let frame = vm1.expect("a datagram", |frame| frame[..6] == guest_mac(1));
        assert_eq!(frame[header_bytes..], *content, "{uplink}");
        checksums::check(&frame).unwrap_or_else(|why| panic!("{uplink}: {why}"));
        frames.push(frame);
    }
    let described = describe(&frames);
    assert_eq!(described.matches("udp sum ok").count(), frames.len(), "{described}");
    assert!(!vm1.listen(Duration::from_millis(100)).iter().any(|f| f[..6] == guest_mac(1)));
    wait_for("the big segment at its entry", || {
        undone.frames().iter().any(|frame| frame.len() > DATAGRAM_BYTES * DATAGRAMS_AT_ONCE)
    });
    let stopped = switch.stop();
    assert_eq!(stopped.drops("uplink", "bad_offload"), 0, "{}", stopped.log);
}
