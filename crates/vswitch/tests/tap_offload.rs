//! Unfinished frames between TAPs, a bridge and a guest on a datagram socket, with tags and
//! without: a TAP gets them as they came, and so does the bridge, whose kernel finishes them for a
//! member that cannot take them; the guest gets them finished by the switch, and both agree in
//! every byte. A TAP that stays is left as it was.
#![cfg(target_os = "linux")]

mod common;
mod unfinished;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use afpacket::{Options, Outgoing, PacketSocket, ReceiveError, Slot, VnetHdr};
use common::Running;
use testkit::command::{ip, output};
use unfinished::{Example, Random, Shape, V4, V6, any_shape, finished, header, kernel_refuses};
use vswitch::counters::DropReason;
use vswitch::offload;
use vswitch::port::linux::{DatagramPort, PacketLink, PacketPort, TapPort};

/// A switch between two TAPs, a guest and a bridge, and a stack behind each TAP and behind a member
/// of the bridge: what one sends is flooded to all others.
struct Setting {
    stack: PacketSocket,
    other: PacketSocket,
    /// What comes to it, the kernel has to finish on the way; what it sends, not.
    behind: PacketSocket,
    guest: UnixDatagram,
    running: Running,
    /// Frames that came to the other stack whole, though they are several of a wire's.
    whole: usize,
}

#[test]
fn each_kind_of_unfinished_frame_under_each_number_of_tags() {
    let Some(mut setting) = Setting::new() else { return };
    for (version, tcp) in [(V4, true), (V4, false), (V6, true), (V6, false)] {
        for tags in 0..3 {
            for (payload, segment) in [(900, 0), (40_000, 1400), (64_000, 1000), (1100, 1000)] {
                let before = setting.whole;
                setting.passes(&Shape {
                    version,
                    tcp,
                    tags,
                    network_options: 0,
                    tcp_options: 3,
                    flags: 0x18,
                    payload,
                    segment,
                    seed: 5,
                });
                // From each of the two that send.
                let whole = 2 * usize::from(segment > 0);
                assert_eq!(setting.whole - before, whole, "{version}, {tcp}, {tags}, {payload}");
            }
        }
    }
    setting.end();
}

#[test]
fn random_unfinished_frames() {
    let Some(mut setting) = Setting::new() else { return };
    for seed in 0..300 {
        let shape = any_shape(seed);
        if !kernel_refuses(&shape) {
            setting.passes(&shape);
        }
    }
    assert!(setting.whole > 200, "{} of 600", setting.whole);
    setting.end();
}

/// Stacks that say anything of their frames: what their kernel lets through is followed rightly or
/// counted, nobody's addresses are changed by it, and everything goes on.
#[test]
fn hostile_headers_harm_nobody() {
    let Some(mut setting) = Setting::new() else { return };
    let mut random = Random(7);
    let mut let_through = [0; 2];
    for seed in 0..3000 {
        let mut example = Shape::any(seed, 3000).build();
        let header = hostile(&mut random, header(&example.offload));
        if random.below(3) == 0 {
            let place = 12 + random.below(60).min(example.bytes.len() - 13);
            example.bytes[place] ^= 1 << random.below(8);
        }
        let from = random.below(2);
        let socket = [&mut setting.stack, &mut setting.behind].into_iter().nth(from).unwrap();
        let (sent, _) = socket.send(&[Outgoing::new(&example.bytes).with_vnet(header)]);
        let_through[from] += sent;
        setting.drain();
    }
    assert!(let_through.iter().all(|sent| *sent > 300), "{let_through:?} were let through");
    let settled = testkit::wait_until(Duration::from_secs(5), || {
        setting.drain();
        let report = setting.running.handle.report().expect("it runs");
        report.ports.iter().all(|port| port.queued_frames + port.held_frames == 0)
    });
    let report = setting.running.handle.report().expect("it runs");
    assert!(settled, "{report:?}");
    common::assert_balanced(&report);
    assert!(report.ports.iter().all(|port| !port.gone), "{report:?}");
    let bad: u64 = report
        .ports
        .iter()
        .map(|port| {
            port.counters.ingress.dropped.of(DropReason::BadOffload)
                + port.counters.egress.dropped.of(DropReason::BadOffload)
        })
        .sum();
    assert!(bad > 0, "the kernel let through only what is right: {report:?}");
    assert_eq!(setting.running.handle.call(|switch| switch.memory().1), Some(0), "buffers in use");
    // The last may still be on their way through the kernel.
    std::thread::sleep(Duration::from_millis(100));
    setting.drain();
    for tags in 0..3 {
        setting.passes(&Shape { tags, segment: 1000, ..Shape::any(1, 20_000) });
    }
}

/// Something else than the header of a valid frame, in a few fields or in all.
fn hostile(random: &mut Random, mut header: VnetHdr) -> VnetHdr {
    let number = |random: &mut Random| {
        let below = [20, 100, 3000, 1 << 16][random.below(4)];
        u16::try_from(random.below(below)).expect("16 bits")
    };
    for _ in 0..random.below(4) {
        match random.below(6) {
            0 => header.flags = u8::try_from(random.below(4)).expect("small"),
            1 => header.gso_type = [0, 1, 3, 4, 5, 0x81, 0x84, 7][random.below(8)],
            2 => header.gso_size = number(random),
            3 => header.csum_start = number(random),
            4 => header.csum_offset = number(random),
            _ => header.hdr_len = number(random),
        }
    }
    header
}

impl Setting {
    /// Takes what has come, looking at its addresses.
    fn drain(&mut self) {
        let sound = |bytes: &[u8]| assert_eq!(bytes[..12], ADDRESSES, "{:02x?}", &bytes[..18]);
        self.guest.set_nonblocking(true).expect("non-blocking");
        let mut buffer = vec![0; 70_000];
        while let Ok(len) = self.guest.recv(&mut buffer) {
            sound(&buffer[..len]);
        }
        self.guest.set_nonblocking(false).expect("blocking");
        for socket in [&mut self.stack, &mut self.other, &mut self.behind] {
            loop {
                let mut slots = [Slot::new(&mut buffer)];
                match socket.receive(&mut slots) {
                    Ok(_) => sound(slots[0].head()),
                    Err(ReceiveError::Inexpressible) => {}
                    Err(_) => break,
                }
            }
        }
    }

    fn new() -> Option<Self> {
        if !common::may_make_taps() {
            return None;
        }
        // The kernel's own stack has nothing to say here.
        let quiet = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
        std::fs::write(quiet, "1").expect("no IPv6 in this namespace");
        make_bridge();
        let (guest, port) = UnixDatagram::pair().expect("a pair of sockets");
        guest.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let running = Running::start(|switch, network| {
            for name in ["tap0", "tap1"] {
                let tap = TapPort::attach(name).expect("a TAP");
                common::add(switch, network, name, Box::new(tap));
            }
            let uplink = PacketPort::open("vsw0", None, PacketLink::Pair).expect("open the uplink");
            common::add(switch, network, "uplink", Box::new(uplink));
            common::add(switch, network, "vm", Box::new(DatagramPort::new(port.into())));
        });
        for name in ["tap0", "tap1"] {
            ip(&format!("link set {name} addrgenmode none mtu 2000 up"));
        }
        let open = |name| {
            let options = Options {
                vnet_hdr: true,
                send_buffer_bytes: Some(4 << 20),
                receive_buffer_bytes: Some(16 << 20),
                ..Options::default()
            };
            PacketSocket::open(name, &[], &options).expect("open a packet socket")
        };
        let [stack, other, behind] = ["tap0", "tap1", "far"].map(open);
        Some(Self { stack, other, behind, guest, running, whole: 0 })
    }

    /// Sends the unfinished frame by a TAP, then by the bridge; each gets it as it takes it, and
    /// nothing else.
    #[track_caller]
    fn passes(&mut self, shape: &Shape) {
        let example = shape.build();
        let outgoing = Outgoing::new(&example.bytes).with_vnet(header(&example.offload));
        let pieces = finished(&example);
        let answer = self.stack.send(&[outgoing]);
        assert!(matches!(answer, (1, None)), "{shape:?}: {answer:?}");
        self.arrives(shape, &example, &pieces);
        for (index, expected) in pieces.iter().enumerate() {
            let (bytes, header) = receive(&mut self.behind);
            assert!(header.is_finished() && bytes == *expected, "{shape:?}: piece {index}");
        }
        let answer = self.behind.send(&[outgoing]);
        assert!(matches!(answer, (1, None)), "{shape:?}: {answer:?}");
        self.arrives(shape, &example, &pieces);
    }

    #[track_caller]
    fn arrives(&mut self, shape: &Shape, example: &Example, pieces: &[Vec<u8>]) {
        for (index, expected) in pieces.iter().enumerate() {
            let mut buffer = vec![0; 70_000];
            let got = self.guest.recv(&mut buffer);
            let len = got.unwrap_or_else(|error| {
                panic!("{shape:?}: piece {index}: {error}; {:?}", self.running.handle.report())
            });
            assert!(buffer[..len] == expected[..], "{shape:?}: piece {index}, {len} bytes");
        }
        let first = receive(&mut self.other);
        if first.1.is_finished() {
            assert!(first.0 == pieces[0], "{shape:?}");
            for (index, expected) in pieces.iter().enumerate().skip(1) {
                let (bytes, header) = receive(&mut self.other);
                assert!(header.is_finished() && bytes == *expected, "{shape:?}: piece {index}");
            }
        } else {
            let sent = header(&example.offload);
            assert_eq!((first.1.csum_start, first.1.csum_offset), place(&sent), "{shape:?}");
            assert!(first.0 == example.bytes, "{shape:?}");
            if first.1.gso_type != 0 {
                // It says of all TCP segments with CWR that they are such, its sender does not.
                let kind = |header: &VnetHdr| (header.gso(), header.gso_size);
                assert_eq!(kind(&first.1), kind(&sent), "{shape:?}");
                self.whole += 1;
            }
        }
    }

    fn end(mut self) {
        self.guest.set_nonblocking(true).expect("non-blocking");
        assert!(self.guest.recv(&mut [0; 60]).is_err(), "more came than was sent");
        let mut buffer = vec![0; 100];
        for socket in [&mut self.other, &mut self.behind] {
            let more = socket.receive(&mut [Slot::new(&mut buffer)]);
            assert!(matches!(more, Err(ReceiveError::WouldBlock)), "{more:?}");
        }
        let report = self.running.stop();
        common::assert_balanced(&report);
        for port in &report.ports {
            assert_eq!(port.counters.ingress.dropped.total(), 0, "{port:?}");
            assert_eq!(port.counters.egress.dropped.total(), 0, "{port:?}");
        }
    }
}

fn place(header: &VnetHdr) -> (u16, u16) {
    (header.csum_start, header.csum_offset)
}

#[track_caller]
fn receive(socket: &mut PacketSocket) -> (Vec<u8>, VnetHdr) {
    let mut buffer = vec![0; 70_000];
    let mut got = None;
    let _ = testkit::wait_until(Duration::from_secs(5), || {
        let mut slots = [Slot::new(&mut buffer)];
        match socket.receive(&mut slots) {
            Ok(_) => got = Some((slots[0].head().to_vec(), slots[0].vnet())),
            Err(ReceiveError::WouldBlock) => {}
            Err(error) => panic!("receive: {error}"),
        }
        got.is_some()
    });
    got.expect("a frame within five seconds")
}

/// The interface's stack leaves work while the port is there, and only then.
#[test]
fn a_tap_that_stays_is_left_without_offloads() {
    if !testkit::tool_or_skip("ethtool", "ethtool") || !common::may_make_taps() {
        return;
    }
    let features = || {
        let all = output("ethtool", "-k stays0");
        ["tx-checksumming", "tcp-segmentation-offload", "tx-udp-segmentation"].map(|feature| {
            let line = all.lines().find(|line| line.starts_with(feature));
            line.is_some_and(|line| line.ends_with(": on"))
        })
    };
    for flags in ["", " vnet_hdr"] {
        ip(&format!("tuntap add stays0 mode tap{flags}"));
        for _ in 0..2 {
            let port = attach_again("stays0");
            assert_eq!(features(), [true; 3]);
            drop(port);
            assert_eq!(features(), [false; 3]);
        }
        ip("tuntap del stays0 mode tap");
    }
}

/// Attaches a TAP whose descriptor was just closed: a program that another test starts may have it
/// for a moment still.
fn attach_again(name: &str) -> TapPort {
    let mut port = None;
    let _ = testkit::wait_until(Duration::from_secs(5), || {
        port = TapPort::attach(name).ok();
        port.is_some()
    });
    port.unwrap_or_else(|| TapPort::attach(name).expect("a TAP"))
}

/// `br0` with the members `vsw0m`, whose other end `vsw0` is for the switch, and `lan`, to which
/// nothing unfinished can be given; behind it is `far`.
fn make_bridge() {
    ip("link add br0 mtu 2000 type bridge mcast_snooping 0");
    ip("link add vsw0 mtu 2000 type veth peer name vsw0m mtu 2000");
    ip("link add lan mtu 2000 type veth peer name far mtu 2000");
    let mut interfaces = ifctl::Interfaces::open().expect("a handle");
    for end in ["vsw0", "vsw0m"] {
        interfaces.limit_offloads_to_virtio(end, true).expect("a pair's offloads");
    }
    interfaces.disable_offloads("lan").expect("a pair's offloads");
    for member in ["vsw0m", "lan"] {
        ip(&format!("link set {member} master br0"));
    }
    for interface in ["br0", "vsw0", "vsw0m", "lan", "far"] {
        ip(&format!("link set {interface} addrgenmode none up"));
    }
    testkit::netns::wait_until_active(&["vsw0", "vsw0m", "lan", "far"]);
}

/// From whom to whom all frames here are.
const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
