//! Unfinished frames of a wanted size. The bench has `vswitch::offload` at its root, where the
//! shapes of the unit tests look for it.
#![allow(dead_code, reason = "each bench uses its part")]

#[path = "../../src/offload/testing.rs"]
mod testing;

pub(crate) use testing::Example;
use testing::Shape;

const HEADERS_UDP_V4_BYTES: usize = 14 + 20 + 8;
const SEGMENT_BYTES: u16 = 1448;

/// A UDP frame of `len_bytes` in all, whose checksum is to be completed.
pub(crate) fn udp_of_len(len_bytes: usize) -> Example {
    shape(4, false, len_bytes - HEADERS_UDP_V4_BYTES, 0).build()
}

/// As big a segment as stacks make, TCP or UDP over IPv4 or IPv6, to be cut.
pub(crate) fn segment_of_64_kib(version: u8, tcp: bool) -> Example {
    shape(version, tcp, 65_000, SEGMENT_BYTES).build()
}

fn shape(version: u8, tcp: bool, payload: usize, segment: u16) -> Shape {
    Shape {
        version,
        tcp,
        tags: 0,
        network_options: 0,
        // A timestamp, as nearly all TCP has.
        tcp_options: if tcp { 3 } else { 0 },
        flags: 0x18,
        payload,
        segment,
        seed: 5,
    }
}
