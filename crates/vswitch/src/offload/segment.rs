//! Cutting a big segment into frames, as a card or the Linux kernel would.

use super::checksum::Sum;
use super::headers::{Layout, Protocol, Version};
use super::{Gso, Offload, OffloadError};

/// Cuts one big TCP segment or UDP datagram into finished frames, one per call, each written into
/// the caller's buffer.
///
/// Each frame has the headers of the whole, tags and extension headers included, and the next
/// piece of its payload. In them change: lengths; the IPv4 identification, up by one with each;
/// TCP's sequence number; FIN and PSH, which only the last keeps, and CWR, which only the first
/// does. Checksums are made from scratch. (`inet_gso_segment`, `ipv6_gso_segment`,
/// `tcp_gso_segment`, `__udp_gso_segment` of the Linux kernel.)
///
/// A payload that fits one piece makes one frame.
#[derive(Clone, Debug)]
pub struct Segmenter<'a> {
    frame: &'a [u8],
    layout: Layout,
    pseudo_header: Sum,
    piece_bytes: usize,
    count: usize,
    next: usize,
}

impl<'a> Segmenter<'a> {
    /// Begins with a frame that is to be cut (`offload.gso` is not none).
    ///
    /// # Errors
    /// See [`OffloadError`]: a segment size of 0, headers that are cut short or of another protocol
    /// than the offload's, fragments, a checksum that is said to be elsewhere than it is, pieces
    /// over IP's 65,535 bytes.
    pub fn new(frame: &'a [u8], offload: &Offload) -> Result<Self, OffloadError> {
        let piece_bytes = usize::from(offload.segment_bytes);
        if piece_bytes == 0 {
            return Err(OffloadError::NoSegmentSize);
        }
        let layout = Layout::of(frame)?;
        check_protocol(&layout, offload.gso)?;
        check_place(&layout, offload)?;
        let payload = frame.len() - layout.payload;
        // IPv4 counts its header into its length, IPv6 does not.
        let counted = match layout.version {
            Version::V4 => layout.network,
            Version::V6 => layout.network + IPV6_LEN,
        };
        if layout.payload - counted + piece_bytes.min(payload) > IP_LEN_MAX {
            return Err(OffloadError::Headers { reason: "its pieces are over IP's length" });
        }
        Ok(Self {
            frame,
            layout,
            pseudo_header: layout.pseudo_header(frame),
            piece_bytes,
            count: payload.div_ceil(piece_bytes).max(1),
            next: 0,
        })
    }

    /// How many frames it makes in all; at most as many as the payload has bytes, so a sender who
    /// asks for tiny pieces can make tens of thousands of one: look before cutting.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.count
    }

    /// How many frames are still to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.count - self.next
    }

    /// Length of the longest of them (all but the last have it), from the destination address on.
    #[must_use]
    pub fn frame_len_max(&self) -> usize {
        (self.layout.payload + self.piece_bytes).min(self.frame.len())
    }

    /// Writes the next frame to the front of `out` and answers its length; `None` after the last.
    ///
    /// A buffer that is too short for it ([`frame_len_max`](Self::frame_len_max)) also gets `None`,
    /// and the frame is still to come ([`remaining`](Self::remaining)).
    pub fn next_into(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.next == self.count {
            return None;
        }
        let headers = self.layout.payload;
        let start = headers + self.next * self.piece_bytes;
        let end = (start + self.piece_bytes).min(self.frame.len());
        let out = out.get_mut(..headers + (end - start))?;
        out[..headers].copy_from_slice(&self.frame[..headers]);
        out[headers..].copy_from_slice(&self.frame[start..end]);
        self.finish_network(out);
        self.finish_transport(out);
        self.next += 1;
        Some(out.len())
    }

    fn finish_network(&self, out: &mut [u8]) {
        let Layout { network, transport, version, .. } = self.layout;
        match version {
            Version::V4 => {
                let total = narrow(out.len() - network);
                let header = &mut out[network..transport];
                header[2..4].copy_from_slice(&total.to_be_bytes());
                let first = u16::from_be_bytes([header[4], header[5]]);
                let identification = first.wrapping_add(narrow(self.next & 0xffff));
                header[4..6].copy_from_slice(&identification.to_be_bytes());
                header[10..12].fill(0);
                let mut sum = Sum::default();
                sum.add(header);
                let checksum = sum.finish();
                header[10..12].copy_from_slice(&checksum);
            }
            Version::V6 => {
                let behind = narrow(out.len() - network - IPV6_LEN);
                out[network + 4..network + 6].copy_from_slice(&behind.to_be_bytes());
            }
        }
    }

    fn finish_transport(&self, out: &mut [u8]) {
        let length = narrow(out.len() - self.layout.transport);
        let segment = &mut out[self.layout.transport..];
        match self.layout.protocol {
            Protocol::Tcp => self.finish_tcp(segment),
            Protocol::Udp => segment[4..6].copy_from_slice(&length.to_be_bytes()),
        }
        let place = self.layout.checksum_offset();
        segment[place..place + 2].fill(0);
        let mut sum = self.pseudo_header;
        sum.add_word(length);
        sum.add(segment);
        let checksum = match self.layout.protocol {
            Protocol::Tcp => sum.finish(),
            Protocol::Udp => sum.finish_nonzero(),
        };
        segment[place..place + 2].copy_from_slice(&checksum);
    }

    fn finish_tcp(&self, segment: &mut [u8]) {
        let [a, b, c, d] = [segment[4], segment[5], segment[6], segment[7]];
        #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
        let before = (self.next * self.piece_bytes) as u32;
        let sequence = u32::from_be_bytes([a, b, c, d]).wrapping_add(before);
        segment[4..8].copy_from_slice(&sequence.to_be_bytes());
        if self.next != 0 {
            segment[13] &= !TCP_CWR;
        }
        if self.next + 1 != self.count {
            segment[13] &= !(TCP_FIN | TCP_PSH);
        }
    }
}

fn check_protocol(layout: &Layout, gso: Gso) -> Result<(), OffloadError> {
    let fits = match gso {
        Gso::None => false,
        Gso::TcpV4 => (layout.version, layout.protocol) == (Version::V4, Protocol::Tcp),
        Gso::TcpV6 => (layout.version, layout.protocol) == (Version::V6, Protocol::Tcp),
        Gso::UdpL4 => layout.protocol == Protocol::Udp,
    };
    if fits { Ok(()) } else { Err(OffloadError::Headers { reason: "another protocol" }) }
}

/// What the sender says of the checksum must be where it is; else the frame has headers that the
/// sender and this code read differently.
fn check_place(layout: &Layout, offload: &Offload) -> Result<(), OffloadError> {
    let (start, offset) = (offload.checksum_start, offload.checksum_offset);
    let told = (usize::from(start), usize::from(offset));
    if offload.needs_checksum() && told != (layout.transport, layout.checksum_offset()) {
        return Err(OffloadError::ChecksumPlace { start, offset });
    }
    Ok(())
}

/// A length that [`Segmenter::new`] found to fit IP's.
fn narrow(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

const IP_LEN_MAX: usize = 65_535;
const IPV6_LEN: usize = 40;
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::complete_checksum;
    use super::super::testing::{Example, Random, Shape, V4, V6, naive_sum, pseudo_header, udp};
    use super::*;

    const LONGEST: usize = 65_550;

    proptest! {
        #[test]
        fn pieces_are_whole_frames_that_make_up_the_segment(seed: u64) {
            let segment = 1 + u16::try_from(Random(seed).below(1500)).expect("small");
            let shape = Shape { segment, ..Shape::any(seed, LONGEST) };
            let example = shape.build();
            let pieces = cut(&example);
            let mut payload: Vec<u8> = Vec::new();
            for (index, piece) in pieces.iter().enumerate() {
                check_piece(&example, index, pieces.len(), piece);
                payload.extend(&piece[example.payload..]);
            }
            prop_assert_eq!(payload, &example.bytes[example.payload..]);
        }

        #[test]
        fn checksum_of_a_whole_frame_is_completed(seed: u64) {
            let mut example = Shape { segment: 0, ..Shape::any(seed, LONGEST) }.build();
            complete_checksum(&mut example.bytes, &example.offload).expect("a valid frame");
            assert_checksum(&example, &example.bytes);
        }

        #[test]
        fn hostile_frames_and_numbers_are_cut_or_refused(
            seed: u64,
            flips in proptest::collection::vec((0..120_usize, any::<u8>()), 0..4),
            keep in prop_oneof![Just(usize::MAX), 0..160_usize],
            segment in prop_oneof![Just(0_u16), Just(1), Just(u16::MAX), any::<u16>()],
            start in prop_oneof![Just(None), any::<u16>().prop_map(Some)],
        ) {
            let mut example = Shape::any(seed, 3000).build();
            for (at, value) in flips {
                if let Some(byte) = example.bytes.get_mut(at) {
                    *byte = value;
                }
            }
            example.bytes.truncate(keep);
            let before = example.offload;
            let offload = Offload {
                segment_bytes: segment,
                checksum_start: start.unwrap_or(before.checksum_start),
                ..before
            };
            let _ = complete_checksum(&mut example.bytes.clone(), &offload);
            if let Ok(mut segmenter) = Segmenter::new(&example.bytes, &offload) {
                let mut buffer = vec![0; segmenter.frame_len_max()];
                for left in (0..segmenter.segments()).rev() {
                    let length = segmenter.next_into(&mut buffer).expect("as many as said");
                    prop_assert_eq!(&buffer[..12], &example.bytes[..12]);
                    prop_assert!(length <= example.bytes.len());
                    prop_assert_eq!(segmenter.remaining(), left);
                }
                prop_assert_eq!(segmenter.next_into(&mut buffer), None);
            }
        }
    }

    #[test]
    fn flags_stay_where_they_belong() {
        let example = Shape { flags: 0xff, payload: 2500, segment: 1000, ..tcp(V4) }.build();
        let flags: Vec<u8> = cut(&example).iter().map(|p| p[example.transport + 13]).collect();
        assert_eq!(flags, [0xf6, 0x76, 0x7f]);
        let one = Shape { flags: 0xff, payload: 1000, segment: 1000, ..tcp(V6) }.build();
        assert_eq!(cut(&one)[0][one.transport + 13], 0xff, "the only one keeps all");
    }

    #[test]
    fn numbers_wrap() {
        let mut example = Shape { payload: 30, segment: 10, ..tcp(V4) }.build();
        let (network, transport) = (example.network, example.transport);
        example.bytes[network + 4..network + 6].copy_from_slice(&[0xff, 0xff]);
        example.bytes[transport + 4..transport + 8].copy_from_slice(&[0xff, 0xff, 0xff, 0xfb]);
        let numbers: Vec<_> = cut(&example)
            .iter()
            .map(|p| {
                (p[network + 4..network + 6].to_vec(), p[transport + 4..transport + 8].to_vec())
            })
            .collect();
        let expected = [(0xffff_u16, 0xffff_fffb_u32), (0, 5), (1, 15)]
            .map(|(id, seq)| (id.to_be_bytes().to_vec(), seq.to_be_bytes().to_vec()));
        assert_eq!(numbers, expected);
    }

    #[test]
    fn udp_checksum_of_zero_is_written_as_ones() {
        let base = Shape { tcp: false, payload: 20, segment: 10, ..tcp(V6) };
        let mut example = base.build();
        // The first piece's payload begins with what makes its sum come out as all ones.
        example.bytes[example.payload..example.payload + 2].fill(0);
        let sum = cut(&example)[0][example.transport + 6..example.transport + 8].to_vec();
        example.bytes[example.payload..example.payload + 2].copy_from_slice(&sum);
        let piece = cut(&example).remove(0);
        assert_eq!(piece[example.transport + 6..example.transport + 8], [0xff, 0xff]);
    }

    #[test]
    fn buffer_too_short_loses_nothing() {
        let example = Shape { payload: 25, segment: 10, ..tcp(V4) }.build();
        let mut segmenter = Segmenter::new(&example.bytes, &example.offload).expect("valid");
        let longest = segmenter.frame_len_max();
        assert_eq!(longest, example.payload + 10);
        assert_eq!(segmenter.next_into(&mut vec![0; longest - 1]), None);
        assert_eq!(segmenter.next_into(&mut []), None);
        assert_eq!(segmenter.remaining(), 3);
        let mut buffer = vec![0; longest];
        let lengths: Vec<usize> = std::iter::from_fn(|| segmenter.next_into(&mut buffer)).collect();
        assert_eq!(lengths, [longest, longest, longest - 5]);
    }

    #[test]
    fn segment_without_payload_is_one_frame() {
        let example = Shape { payload: 0, segment: 10, ..tcp(V6) }.build();
        let pieces = cut(&example);
        assert_eq!(pieces.len(), 1);
        check_piece(&example, 0, 1, &pieces[0]);
    }

    #[test]
    fn piece_of_the_length_that_ip_can_say_is_the_longest() {
        for (version, longest) in [(V4, 65_535 - 20 - 32), (V6, 65_535 - 32)] {
            let whole = Shape { payload: longest, segment: u16::MAX, ..tcp(version) }.build();
            let pieces = cut(&whole);
            assert_eq!(pieces.len(), 1);
            check_piece(&whole, 0, 1, &pieces[0]);
            let mut over = whole.clone();
            over.bytes.push(0);
            let refused = Segmenter::new(&over.bytes, &over.offload);
            assert!(matches!(refused, Err(OffloadError::Headers { .. })), "{refused:?}");
            over.offload.segment_bytes = 40_000;
            assert_eq!(cut(&over).len(), 2, "it may be cut smaller");
        }
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let good = Shape { payload: 3000, segment: 1000, ..tcp(V4) }.build();
        let refuse = |change: &dyn Fn(&mut Example)| {
            let mut example = good.clone();
            change(&mut example);
            Segmenter::new(&example.bytes, &example.offload).expect_err("refused")
        };
        assert_eq!(refuse(&|e| e.offload.segment_bytes = 0), OffloadError::NoSegmentSize);
        let place = |e: &OffloadError| matches!(e, OffloadError::ChecksumPlace { .. });
        assert!(place(&refuse(&|e| e.offload.checksum_start += 1)));
        assert!(place(&refuse(&|e| e.offload.checksum_offset = 6)));
        let changes: [&dyn Fn(&mut Example); 8] = [
            &|e| e.offload.gso = Gso::TcpV6,
            &|e| e.offload.gso = Gso::UdpL4,
            &|e| e.offload.gso = Gso::None,
            &|e| e.bytes[e.network + 6] = 0x20, // more fragments
            &|e| e.bytes[e.network + 7] = 1,    // a later fragment
            &|e| e.bytes[e.network] = 0x44,     // an IP header of 16 bytes
            &|e| e.bytes[e.transport + 12] = 0x40, // a TCP header of 16 bytes
            &|e| e.bytes.truncate(e.payload - 1),
        ];
        for (index, change) in changes.iter().enumerate() {
            let error = refuse(change);
            assert!(matches!(error, OffloadError::Headers { .. }), "{index}: {error}");
        }
        for length in 0..good.payload {
            let cut = Segmenter::new(&good.bytes[..length], &good.offload);
            assert!(cut.is_err(), "{length} bytes");
        }
    }

    #[test]
    fn route_that_is_not_at_its_end_decides_the_destination() {
        let last = [0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd];
        // kind, segments left, which of two addresses is the last stop (none: the header's own)
        for (kind, left, stop) in [(0, 1, Some(1)), (4, 1, Some(0)), (2, 1, Some(0)), (4, 0, None)]
        {
            let mut example = udp(V6, 0, 20);
            let mut route = vec![17, 4, kind, left, 0, 0, 0, 0];
            for address in 0..2 {
                route.extend(if stop == Some(address) { last } else { [0x55; 16] });
            }
            let at = example.transport;
            example.bytes[example.network + 6] = 43;
            example.bytes.splice(at..at, route.iter().copied());
            let offload = Offload { gso: Gso::UdpL4, segment_bytes: 100, ..Offload::NONE };
            let mut segmenter = Segmenter::new(&example.bytes, &offload).expect("a known route");
            let mut piece = vec![0; segmenter.frame_len_max()];
            segmenter.next_into(&mut piece).expect("one piece");
            let transport = at + route.len();
            let mut header = pseudo_header(&piece, example.network, transport, 6);
            if stop.is_some() {
                header[16..32].copy_from_slice(&last);
            }
            header.extend(&piece[transport..]);
            assert_eq!(naive_sum(&header), 0xffff, "kind {kind}");
        }
    }

    fn tcp(version: u8) -> Shape {
        Shape {
            version,
            tcp: true,
            tags: 1,
            network_options: 0,
            tcp_options: 3,
            flags: 0x18,
            payload: 100,
            segment: 0,
            seed: 5,
        }
    }

    fn cut(example: &Example) -> Vec<Vec<u8>> {
        let mut segmenter = Segmenter::new(&example.bytes, &example.offload).expect("valid");
        let mut buffer = vec![0; segmenter.frame_len_max()];
        let count = segmenter.segments();
        let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| {
            segmenter.next_into(&mut buffer).map(|length| buffer[..length].to_vec())
        })
        .collect();
        assert_eq!(pieces.len(), count);
        pieces
    }

    fn check_piece(example: &Example, index: usize, count: usize, piece: &[u8]) {
        let (network, transport) = (example.network, example.transport);
        let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let size = usize::from(example.offload.segment_bytes);
        assert_eq!(piece[..network], example.bytes[..network]);
        if index + 1 < count {
            assert_eq!(piece.len(), example.payload + size);
        }
        if piece[network] >> 4 == V4 {
            assert_eq!(usize::from(word(piece, network + 2)), piece.len() - network);
            assert_eq!(naive_sum(&piece[network..transport]), 0xffff);
            let identification = word(piece, network + 4);
            let first = word(&example.bytes, network + 4);
            assert_eq!(usize::from(identification.wrapping_sub(first)), index);
        } else {
            assert_eq!(usize::from(word(piece, network + 4)), piece.len() - network - 40);
        }
        if example.offload.gso == Gso::UdpL4 {
            assert_eq!(usize::from(word(piece, transport + 4)), piece.len() - transport);
            assert_ne!(word(piece, transport + 6), 0);
        }
        assert_checksum(example, piece);
    }

    fn assert_checksum(example: &Example, frame: &[u8]) {
        let (transport, offset) = (example.transport, example.offload.checksum_offset);
        let mut summed = pseudo_header(frame, example.network, transport, offset);
        summed.extend(&frame[transport..]);
        assert_eq!(naive_sum(&summed), 0xffff);
    }
}
