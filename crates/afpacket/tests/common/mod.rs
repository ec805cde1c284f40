//! What the tests share: veth pairs in a namespace of the test's own, and frames.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::time::Duration;

use afpacket::{FilterWord, Options, Outgoing, PacketSocket, ReceiveError, Slot, VnetHdr};
pub(crate) use testkit::command::ip;
use testkit::netns::wait_until_active;

/// How long anything may take on a loaded machine before the test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// IEEE 802 local experimental type, which no host's stack sends.
pub(crate) const TYPE_TEST: u16 = 0x88b5;
/// Interface MTU at which a veth takes every size a test sends.
pub(crate) const MTU_MAX: u32 = 65_535;
/// A program that drops every frame: `ret #0`.
pub(crate) const REJECT_ALL: &[FilterWord] = &[FilterWord { code: 0x06, jt: 0, jf: 0, k: 0 }];

/// Enters a namespace with the pair `v0`, `v1`, both up and silent; false when the test must skip.
pub(crate) fn pair(mtu: u32) -> bool {
    if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
        return false;
    }
    add_pair("v0", "v1", mtu);
    true
}

/// Adds a pair of which neither end sends anything by itself.
pub(crate) fn add_pair(one: &str, other: &str, mtu: u32) {
    ip(&format!("link add {one} mtu {mtu} type veth peer name {other} mtu {mtu}"));
    for end in [one, other] {
        silence(end);
        ip(&format!("link set {end} up"));
    }
    wait_until_active(&[one, other]);
}

/// No IPv6 address on the interface, so no neighbour discovery from it.
pub(crate) fn silence(interface: &str) {
    ip(&format!("link set {interface} addrgenmode none"));
}

/// Opens a socket that takes everything.
pub(crate) fn open(interface: &str) -> PacketSocket {
    open_with(interface, &Options::default())
}

/// Opens a socket with options and buffers that hold what a test sends.
pub(crate) fn open_with(interface: &str, options: &Options) -> PacketSocket {
    open_filtered(interface, &[], options)
}

/// The same with a filter.
pub(crate) fn open_filtered(
    interface: &str,
    filter: &[FilterWord],
    options: &Options,
) -> PacketSocket {
    let mut options = options.clone();
    if by_ring() {
        options.receive_ring_slots.get_or_insert(256);
    }
    PacketSocket::open(interface, filter, &options).expect("open a packet socket")
}

/// Whether sockets receive by a ring, because these are the tests of `by_ring.rs`.
pub(crate) fn by_ring() -> bool {
    module_path!().starts_with("by_ring::")
}

/// A socket with buffers for many of the longest frames.
pub(crate) fn big(interface: &str) -> PacketSocket {
    let megabytes = Some(4 << 20);
    let options = Options {
        receive_buffer_bytes: megabytes,
        send_buffer_bytes: megabytes,
        ..Options::default()
    };
    open_with(interface, &options)
}

/// A frame of that length and type with bytes that differ from any other's.
pub(crate) fn frame(length: usize, ethertype: u16, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ length as u64;
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect();
    bytes[..6].copy_from_slice(&[0x02, 0, 0, 0, 0, 2]);
    bytes[6..12].copy_from_slice(&[0x02, 0, 0, 0, 0, 1]);
    bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
    bytes
}

/// `ldh [12]; jeq #type, keep, drop`.
pub(crate) fn only_type(ethertype: u16, keep: u32) -> Vec<FilterWord> {
    vec![
        FilterWord { code: 0x28, jt: 0, jf: 0, k: 12 },
        FilterWord { code: 0x15, jt: 0, jf: 1, k: u32::from(ethertype) },
        FilterWord { code: 0x06, jt: 0, jf: 0, k: keep },
        FilterWord { code: 0x06, jt: 0, jf: 0, k: 0 },
    ]
}

/// A received frame, taken out of its slot.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: usize,
    pub(crate) truncated: bool,
    pub(crate) vnet: VnetHdr,
    pub(crate) checksum: afpacket::Checksum,
    pub(crate) super_frame: bool,
}

/// Receives one batch of up to `count` frames into 2 KiB buffers with 64 KiB spills.
pub(crate) fn receive(socket: &mut PacketSocket, count: usize) -> Result<Vec<Frame>, ReceiveError> {
    let mut buffers = vec![vec![0xee; 2048]; count];
    let mut spills = vec![vec![0xee; 65_600]; count];
    let mut slots: Vec<Slot<'_>> = buffers
        .iter_mut()
        .zip(&mut spills)
        .map(|(buffer, spill)| Slot::new(buffer).with_spill(spill))
        .collect();
    let received = socket.receive(&mut slots)?;
    Ok(slots[..received].iter().map(taken).collect())
}

/// Receives until there are `count` frames; fails the test when they do not come.
pub(crate) fn receive_all(socket: &mut PacketSocket, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let all = testkit::wait_until(LIMIT, || {
        match receive(socket, (count - frames.len()).min(8)) {
            Ok(more) => frames.extend(more),
            Err(ReceiveError::WouldBlock) => {}
            Err(error) => panic!("receive: {error}"),
        }
        frames.len() == count
    });
    assert!(all, "{} frames of {count} came", frames.len());
    frames
}

/// Asserts that no frame is waiting, also none that is on its way.
pub(crate) fn assert_silent(socket: &mut PacketSocket) {
    std::thread::sleep(Duration::from_millis(50));
    match receive(socket, 4) {
        Err(ReceiveError::WouldBlock) => {}
        other => panic!("expected silence, got {other:?}"),
    }
}

/// Sends frames that must all be taken.
pub(crate) fn send_all(socket: &mut PacketSocket, frames: &[Vec<u8>]) {
    let outgoing: Vec<Outgoing<'_>> = frames.iter().map(|frame| Outgoing::new(frame)).collect();
    let (taken, why_not) = socket.send(&outgoing);
    assert_eq!(taken, frames.len(), "{why_not:?}");
}

fn taken(slot: &Slot<'_>) -> Frame {
    Frame {
        bytes: [slot.head(), slot.tail()].concat(),
        wire_len: slot.wire_len(),
        truncated: slot.is_truncated(),
        vnet: slot.vnet(),
        checksum: slot.checksum(),
        super_frame: slot.is_tcp_super_frame(),
    }
}
