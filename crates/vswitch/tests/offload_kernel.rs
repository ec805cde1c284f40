//! The software segmentation and checksums beside the kernel's own, byte for byte.
//!
//! Unfinished frames go into a veth end whose offloads are off, through a packet socket with
//! virtio-net headers, so that the kernel has to finish them; what comes out of the other end is
//! compared with what this crate makes of the same frames.
#![cfg(target_os = "linux")]

mod unfinished;

use std::time::Duration;

use afpacket::{Options, Outgoing, PacketSocket, ReceiveError, SendError, Slot};
use testkit::command::{ip, output};
use unfinished::{Shape, V4, V6, any_shape, finished, header, kernel_refuses};
use vswitch::offload;

#[test]
fn random_frames_come_out_as_the_kernel_makes_them() {
    let Some((mut one, mut other)) = finishing_pair() else { return };
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..600 {
        let shape = any_shape(seed);
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
    let ours = finished(&example);
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
    ip("link add v0 mtu 2000 type veth peer name v1 mtu 2000");
    for end in ["v0", "v1"] {
        ip(&format!("link set {end} addrgenmode none"));
        output("ethtool", &format!("-K {end} tx off tso off gso off gro off sg off"));
        ip(&format!("link set {end} up"));
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
