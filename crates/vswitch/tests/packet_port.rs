//! The host port on a real interface whose offloads are on: frames that a stack left unfinished,
//! with tags and without, come to a guest as the kernel itself would have finished them
//! (`offload_kernel.rs` shows that these bytes are the kernel's).
#![cfg(target_os = "linux")]

mod common;
mod unfinished;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use afpacket::{Options, Outgoing, PacketSocket};
use common::Running;
use testkit::command::ip;
use unfinished::{Shape, V4, V6, any_shape, finished, header, kernel_refuses};
use vswitch::counters::DropReason;
use vswitch::offload;
use vswitch::port::linux::{DatagramPort, PacketLink, PacketPort};

/// A switch between an interface and a guest, and a stack that leaves its work to the cable.
struct Setting {
    stack: PacketSocket,
    guest: UnixDatagram,
    running: Running,
}

#[test]
fn each_kind_of_unfinished_frame_under_each_number_of_tags() {
    let Some(mut setting) = Setting::new() else { return };
    for (version, tcp) in [(V4, true), (V4, false), (V6, true), (V6, false)] {
        for tags in 0..3 {
            for (payload, segment) in [(900, 0), (40_000, 1400), (64_000, 1000), (1100, 1000)] {
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
    setting.end();
}

impl Setting {
    fn new() -> Option<Self> {
        if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
            return None;
        }
        ip("link add card mtu 2000 type veth peer name far mtu 2000");
        for end in ["card", "far"] {
            ip(&format!("link set {end} addrgenmode none up"));
        }
        testkit::netns::wait_until_active(&["card", "far"]);
        let options =
            Options { vnet_hdr: true, send_buffer_bytes: Some(4 << 20), ..Options::default() };
        let stack = PacketSocket::open("far", &[], &options).expect("open a packet socket");
        let (guest, port) = UnixDatagram::pair().expect("a pair of sockets");
        guest.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let running = Running::start(|switch, network| {
            let uplink = PacketPort::open("card", None, PacketLink::Pair).expect("open the uplink");
            common::add(switch, network, "uplink", Box::new(uplink));
            common::add(switch, network, "vm", Box::new(DatagramPort::new(port.into())));
        });
        Some(Self { stack, guest, running })
    }

    /// Sends the unfinished frame; the guest gets the finished ones, and nothing else.
    #[track_caller]
    fn passes(&mut self, shape: &Shape) {
        let example = shape.build();
        let outgoing = Outgoing::new(&example.bytes).with_vnet(header(&example.offload));
        let answer = self.stack.send(&[outgoing]);
        assert!(matches!(answer, (1, None)), "{shape:?}: {answer:?}");
        let mut buffer = vec![0; 70_000];
        for (index, expected) in finished(&example).iter().enumerate() {
            let got = self.guest.recv(&mut buffer);
            let len = got.unwrap_or_else(|error| {
                panic!("{shape:?}: piece {index}: {error}; {:?}", self.running.handle.report())
            });
            assert!(buffer[..len] == expected[..], "{shape:?}: piece {index}, {len} bytes");
        }
    }

    fn end(self) {
        self.guest.set_nonblocking(true).expect("non-blocking");
        assert!(self.guest.recv(&mut [0; 60]).is_err(), "more came than was sent");
        let report = self.running.stop();
        common::assert_balanced(&report);
        for port in &report.ports {
            assert_eq!(port.counters.ingress.dropped.of(DropReason::BadOffload), 0, "{port:?}");
        }
    }
}
