//! The host port on a real interface whose offloads are on: frames that a stack left unfinished,
//! with tags and without, come to a guest as the kernel itself would have finished them
//! (`offload_kernel.rs` shows that these bytes are the kernel's).
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use afpacket::{Options, Outgoing, PacketSocket, VnetHdr};
use common::Running;
use testing::{Example, Shape, V4, V6};
use vswitch::counters::DropReason;
use vswitch::offload::{self, Offload, Segmenter, complete_checksum};
use vswitch::port::linux::{DatagramPort, PacketPort};

#[path = "../src/offload/testing.rs"]
#[allow(dead_code, reason = "this test binary uses its part")]
mod testing;

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
        let any = Shape::any(seed, 65_000);
        let payload = match any.segment {
            0 => any.payload % 1300, // a whole frame has to fit the MTU
            segment => any.payload.min(PIECES_MAX * usize::from(segment)),
        };
        let shape = Shape { payload, ..any };
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
            let uplink = PacketPort::open("card", None, false).expect("open the uplink");
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

fn finished(example: &Example) -> Vec<Vec<u8>> {
    if example.offload.gso.is_none() {
        let mut frame = example.bytes.clone();
        complete_checksum(&mut frame, &example.offload).expect("a valid frame");
        return vec![frame];
    }
    let mut segmenter = Segmenter::new(&example.bytes, &example.offload).expect("a valid segment");
    let mut buffer = vec![0; segmenter.frame_len_max()];
    std::iter::from_fn(|| segmenter.next_into(&mut buffer).map(|length| buffer[..length].to_vec()))
        .collect()
}

fn header(offload: &Offload) -> VnetHdr {
    let offload::VnetFields { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset } =
        offload.to_vnet();
    VnetHdr { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset }
}

/// As in `offload_kernel.rs`: segments that fit one piece but for their options.
fn kernel_refuses(shape: &Shape) -> bool {
    let segment = usize::from(shape.segment);
    shape.tcp && shape.payload <= segment && shape.payload + 4 * shape.tcp_options > segment
}

#[track_caller]
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("run ip");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Into more datagrams than these the kernel cuts none (`UDP_MAX_SEGMENTS`).
const PIECES_MAX: usize = 128;
