//! Frames with work left on them, and what may become of them on their way.

use vswitch::MacAddr;
use vswitch::offload::{Checksum, Gso, Offload, Offloads, Segmenter, complete_checksum};

use crate::rng::Rng;
use crate::testing::Shape;

/// A frame and what is left to do to it.
pub(crate) type Raw = (Vec<u8>, Offload);

/// A valid unfinished frame, whose pieces fit an MTU of 1500.
pub(crate) fn valid(rng: &mut Rng, to: MacAddr, from: MacAddr) -> Raw {
    let any = Shape::any(rng.next(), 20_000);
    // No piece is as another one: each has some bytes of its own, or is the only one so short.
    let segment = u16::try_from(rng.range(400..1300)).unwrap();
    let segment = if any.segment == 0 { 0 } else { segment };
    let payload = if segment == 0 { any.payload.clamp(16, 1300) } else { any.payload.max(16) };
    let mut bytes = Shape { segment, payload, ..any }.build();
    bytes.bytes[..6].copy_from_slice(&to.0);
    bytes.bytes[6..12].copy_from_slice(&from.0);
    (bytes.bytes, bytes.offload)
}

/// One that may be told wrongly.
pub(crate) fn any(rng: &mut Rng, to: MacAddr, from: MacAddr) -> Raw {
    let (bytes, mut offload) = valid(rng, to, from);
    match rng.below(10) {
        0 => offload.checksum_start = number(rng),
        1 => offload.checksum_offset = number(rng),
        2 => offload.segment_bytes = if rng.chance(30) { 0 } else { offload.segment_bytes },
        3 => offload.checksum = Checksum::Complete,
        4 => offload.gso = [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::UdpL4][rng.place(4)],
        _ => {}
    }
    (bytes, offload)
}

fn number(rng: &mut Rng) -> u16 {
    let below = if rng.chance(70) { 100 } else { 1 << 16 };
    u16::try_from(rng.below(below)).unwrap()
}

/// Any set of what a port may take.
pub(crate) fn any_set(rng: &mut Rng) -> Offloads {
    match rng.below(4) {
        0 | 1 => Offloads::NONE,
        2 => Offloads::ALL,
        _ => {
            let kinds = [Offloads::CHECKSUM, Offloads::TSO4, Offloads::TSO6, Offloads::USO];
            let chosen = kinds.into_iter().filter(|_| rng.chance(50));
            chosen.fold(Offloads::NONE, Offloads::with)
        }
    }
}

/// Whether the frame is one of a guest's contents, finished from the first.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    bytes[12..14] == [0x88, 0xb5]
}

/// Whether whoever follows the offload writes behind the Ethernet header with its tags, and inside
/// the frame; and has a size to cut by.
pub(crate) fn is_placed((bytes, offload): &Raw) -> bool {
    let tags =
        bytes[12..].chunks(4).take_while(|tag| [[0x81, 0], [0x88, 0xa8]].contains(&two(tag)));
    let header = 14 + 4 * tags.count();
    let (start, offset) =
        (usize::from(offload.checksum_start), usize::from(offload.checksum_offset));
    let summed = offload.checksum != Checksum::Unfinished
        || (start >= header && start + offset + 2 <= bytes.len());
    summed && (offload.gso == Gso::None || offload.segment_bytes > 0)
}

fn two(bytes: &[u8]) -> [u8; 2] {
    [bytes[0], bytes[1]]
}

/// What it is finished to; nothing when it cannot be. (`offload_kernel.rs` compares this with the
/// kernel's.)
pub(crate) fn pieces((bytes, offload): &Raw) -> Vec<Vec<u8>> {
    if offload.gso == Gso::None {
        let mut bytes = bytes.clone();
        return complete_checksum(&mut bytes, offload).map(|()| bytes).into_iter().collect();
    }
    let Ok(mut segmenter) = Segmenter::new(bytes, offload) else { return Vec::new() };
    let mut buffer = vec![0; segmenter.frame_len_max()];
    let piece = || segmenter.next_into(&mut buffer).map(|len| buffer[..len].to_vec());
    std::iter::from_fn(piece).collect()
}
