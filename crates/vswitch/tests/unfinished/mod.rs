//! What the tests with unfinished frames of a real kernel share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

#[path = "../../src/offload/testing.rs"]
mod testing;

use afpacket::VnetHdr;
pub(crate) use testing::{Example, Random, Shape, V4, V6};
use vswitch::offload::{Offload, Segmenter, VnetFields, complete_checksum};

/// Into more datagrams than these the kernel cuts none (`UDP_MAX_SEGMENTS`); and so many pieces fit
/// the receive buffer that an ordinary user gets.
const PIECES_MAX: usize = 128;

/// Any unfinished frame that the kernel takes for an interface with an MTU of 1500 or more.
pub(crate) fn any_shape(seed: u64) -> Shape {
    let any = Shape::any(seed, 65_000);
    let payload = match any.segment {
        0 => any.payload % 1300, // a whole frame has to fit the MTU
        segment => any.payload.min(PIECES_MAX * usize::from(segment)),
    };
    Shape { payload, ..any }
}

/// Where a TCP payload fits one piece, the kernel takes the frame for a whole one only when the
/// options fit too (`virtio_net_hdr_to_skb` counts a header without them); otherwise it tries to
/// cut it and gives up. This crate makes one piece of it in either case.
pub(crate) fn kernel_refuses(shape: &Shape) -> bool {
    let segment = usize::from(shape.segment);
    shape.tcp && shape.payload <= segment && shape.payload + 4 * shape.tcp_options > segment
}

/// What this crate finishes it to (`offload_kernel.rs` shows that these bytes are the kernel's).
pub(crate) fn finished(example: &Example) -> Vec<Vec<u8>> {
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

/// The header that tells a kernel of the work.
pub(crate) fn header(offload: &Offload) -> VnetHdr {
    let VnetFields { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset } =
        offload.to_vnet();
    VnetHdr { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset }
}
