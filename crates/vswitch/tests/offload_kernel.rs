//! The software segmentation and checksums beside the kernel's own, byte for byte.
//!
//! Unfinished frames go into a veth end whose offloads are off, through a packet socket with
//! virtio-net headers, so that the kernel has to finish them; what comes out of the other end is
//! compared with what this crate makes of the same frames.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use afpacket::{Options, Outgoing, PacketSocket, ReceiveError, SendError, Slot, VnetHdr};
use testing::{Example, Shape, V4, V6};
use vswitch::offload::{self, Gso, Offload, Segmenter, complete_checksum};

#[path = "../src/offload/testing.rs"]
mod testing;

#[test]
fn random_frames_come_out_as_the_kernel_makes_them() {
    let Some((mut one, mut other)) = finishing_pair() else { return };
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..600 {
        let any = Shape::any(seed, 65_000);
        let payload = match any.segment {
            0 => any.payload % 1300, // a whole frame has to fit the MTU
            segment => any.payload.min(PIECES_MAX * usize::from(segment)),
        };
        let shape = Shape { payload, ..any };
        let count = compare(&mut one, &mut other, &shape);
        *kinds.entry((shape.version, shape.tcp, shape.segment > 0, count > 1)).or_insert(0) += 1;
    }
    let cut = |version, tcp| kinds.get(&(version, tcp, true, true)).copied().unwrap_or(0);
    for (version, tcp) in [(V4, true), (V4, false), (V6, true), (V6, false)] {
        assert!(cut(version, tcp) > 30, "too few of a kind were cut: {kinds:?}");
    }
}

#[test]
fn edges_come_out_as_the_kernel_makes_them() {
    let Some((mut one, mut other)) = finishing_pair() else { return };
    let base = Shape {
        version: V4,
        tcp: true,
        tags: 0,
        network_options: 0,
        tcp_options: 3,
        flags: 0xff,
        payload: 0,
        segment: 1000,
        seed: 9,
    };
    for (version, tcp, tags) in [(V4, true, 0), (V4, false, 1), (V6, true, 2), (V6, false, 0)] {
        for (payload, segment) in
            [(1000, 1000), (1001, 1000), (999, 1000), (2000, 1000), (5, 1), (1, 1), (64_000, 1400)]
        {
            compare(&mut one, &mut other, &Shape { version, tcp, tags, payload, segment, ..base });
        }
    }
}

/// Lets the kernel and this crate finish the same frame; answers into how many pieces.
fn compare(one: &mut PacketSocket, other: &mut PacketSocket, shape: &Shape) -> usize {
    let example = shape.build();
    let ours = finish(&example);
    let outgoing = Outgoing::new(&example.bytes).with_vnet(header(&example.offload));
    let answer = one.send(&[outgoing]);
    if kernel_refuses(shape) && matches!(answer, (0, Some(SendError::Lost))) {
        return 0;
    }
    assert!(matches!(answer, (1, None)), "{shape:?}: {answer:?}");
    let kernels = receive(other, ours.len(), shape);
    for (index, (ours, kernels)) in ours.iter().zip(&kernels).enumerate() {
        let differing = ours.iter().zip(kernels).position(|(a, b)| a != b);
        assert!(
            ours == kernels,
            "{shape:?}: piece {index}: {} and {} bytes, differing from byte {differing:?} on \
             (headers at {}, {}, {})",
            ours.len(),
            kernels.len(),
            example.network,
            example.transport,
            example.payload
        );
    }
    kernels.len()
}

/// Where a TCP payload fits one piece, the kernel takes the frame for a whole one only when the
/// options fit too (`virtio_net_hdr_to_skb` counts a header without them); otherwise it tries to
/// cut it and gives up. This crate makes one piece of it in either case.
fn kernel_refuses(shape: &Shape) -> bool {
    let segment = usize::from(shape.segment);
    shape.tcp && shape.payload <= segment && shape.payload + 4 * shape.tcp_options > segment
}

fn finish(example: &Example) -> Vec<Vec<u8>> {
    if example.offload.gso == Gso::None {
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

/// Receives as many frames as are expected, and sees that no more come.
fn receive(socket: &mut PacketSocket, count: usize, shape: &Shape) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut buffer = vec![0; 4096];
    let done = testkit::wait_until(Duration::from_secs(5), || {
        loop {
            let mut slots = [Slot::new(&mut buffer)];
            match socket.receive(&mut slots) {
                Ok(_) => {
                    assert!(!slots[0].is_truncated(), "{shape:?}");
                    assert!(slots[0].vnet().is_finished(), "{shape:?}: the kernel left work");
                    frames.push(slots[0].head().to_vec());
                }
                Err(ReceiveError::WouldBlock) => return frames.len() >= count,
                Err(error) => panic!("receive: {error}"),
            }
        }
    });
    assert!(done && frames.len() == count, "{shape:?}: {} of {count} pieces", frames.len());
    frames
}

/// Sockets on both ends of a veth pair, of which the first finishes what it is given.
fn finishing_pair() -> Option<(PacketSocket, PacketSocket)> {
    let tools =
        testkit::tool_or_skip("ip", "iproute2") && testkit::tool_or_skip("ethtool", "ethtool");
    if !tools || !testkit::netns::enter_or_skip() {
        return None;
    }
    run("ip", "link add v0 mtu 2000 type veth peer name v1 mtu 2000");
    for end in ["v0", "v1"] {
        run("ip", &format!("link set {end} addrgenmode none"));
        run("ethtool", &format!("-K {end} tx off tso off gso off gro off sg off"));
        run("ip", &format!("link set {end} up"));
    }
    testkit::netns::wait_until_active(&["v0", "v1"]);
    let options = Options {
        vnet_hdr: true,
        receive_buffer_bytes: Some(16 << 20),
        send_buffer_bytes: Some(4 << 20),
        ..Options::default()
    };
    let open = |end| PacketSocket::open(end, &[], &options).expect("open a packet socket");
    Some((open("v0"), open("v1")))
}

fn run(program: &str, arguments: &str) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program)
        .args(arguments.split(' '))
        .env("PATH", path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Into more datagrams than these the kernel cuts none (`UDP_MAX_SEGMENTS`); and so many pieces fit
/// the receive buffer that an ordinary user gets.
const PIECES_MAX: usize = 128;
