//! The Internet checksum (RFC 1071), and completing one.

use super::headers;
use super::{Offload, OffloadError};

/// Completes a frame's transport checksum, as `skb_checksum_help()` of the Linux kernel does: sums
/// up from the start that the offload names to the frame's end, the pseudo-header's sum that stands
/// in the checksum's place included. A sum of 0 is written as 0xffff, which means the same, and
/// which UDP needs (RFC 768). Does nothing where nothing is left to do; the segment size is not
/// looked at.
///
/// # Errors
/// [`OffloadError::ChecksumPlace`] when the place is not inside the frame behind its Ethernet
/// header; [`OffloadError::Headers`] for SCTP, whose checksum is another one. The frame is then
/// as it was.
pub fn complete_checksum(frame: &mut [u8], offload: &Offload) -> Result<(), OffloadError> {
    if !offload.needs_checksum() {
        return Ok(());
    }
    let (start, place) = place(frame, offload)?;
    let mut sum = Sum::default();
    sum.add(&frame[start..]);
    frame[place..place + 2].copy_from_slice(&sum.finish_nonzero());
    Ok(())
}

/// Where the checksummed part of an unfinished frame begins, and where its checksum stands: both
/// inside the frame and behind its Ethernet header.
pub(super) fn place(frame: &[u8], offload: &Offload) -> Result<(usize, usize), OffloadError> {
    let (start, offset) = (offload.checksum_start, offload.checksum_offset);
    let misplaced = OffloadError::ChecksumPlace { start, offset };
    let network = headers::network_start(frame).ok_or(misplaced)?;
    let (start, place) = (usize::from(start), usize::from(start) + usize::from(offset));
    if start < network.offset || place + 2 > frame.len() {
        return Err(misplaced);
    }
    if offset == SCTP_OFFSET && headers::is_sctp(frame, network) {
        return Err(OffloadError::Headers { reason: "SCTP has a CRC for a checksum" });
    }
    Ok((start, place))
}

/// A ones' complement sum of 16-bit words. It is kept in the machine's byte order, whatever that
/// is: the sum's bytes come out the same (RFC 1071 §2 B).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// Adds bytes. All slices added but the last must be of even length.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        // Halves of 64-bit words: carries gather in the upper half of the sum, which overflows
        // only after 2^31 words.
        let mut sum = self.0;
        for word in words {
            let word = u64::from_ne_bytes(*word);
            sum += (word & 0xffff_ffff) + (word >> 32);
        }
        for pair in rest.chunks(2) {
            let pair = [pair[0], pair.get(1).copied().unwrap_or(0)];
            sum += u64::from(u16::from_ne_bytes(pair));
        }
        self.0 = sum;
    }

    /// Adds one word as it would stand in a header.
    pub(super) fn add_word(&mut self, word: u16) {
        self.0 += u64::from(u16::from_ne_bytes(word.to_be_bytes()));
    }

    /// The checksum's bytes as they stand in a header.
    pub(super) fn finish(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        #[allow(clippy::cast_possible_truncation, reason = "folded to 16 bits above")]
        let sum = sum as u16;
        (!sum).to_ne_bytes()
    }

    /// The same with 0xffff in the place of 0.
    pub(super) fn finish_nonzero(self) -> [u8; 2] {
        match self.finish() {
            [0, 0] => [0xff, 0xff],
            bytes => bytes,
        }
    }
}

/// Where SCTP's checksum is in its header; no other protocol's is there.
const SCTP_OFFSET: u16 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{self, naive_sum};
    use super::super::{Checksum, Offload};
    use super::*;

    proptest! {
        #[test]
        fn sum_is_the_naive_one(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let mut sum = Sum::default();
            sum.add(&bytes);
            prop_assert_eq!(u16::from_be_bytes(sum.finish()), !naive_sum(&bytes));
        }

        #[test]
        fn sum_in_pieces_is_the_sum(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0..100_usize,
        ) {
            let (mut whole, mut pieces) = (Sum::default(), Sum::default());
            whole.add(&bytes);
            let (front, back) = bytes.split_at((2 * cut).min(bytes.len() & !1));
            pieces.add(front);
            pieces.add(back);
            prop_assert_eq!(whole.finish(), pieces.finish());
        }

        #[test]
        fn any_frame_and_place_is_completed_or_refused(
            mut frame in proptest::collection::vec(any::<u8>(), 0..200),
            tags in 0..4_usize,
            start in 0..210_u16,
            offset in prop_oneof![0..210_u16, any::<u16>()],
        ) {
            for tag in (0..tags).filter(|tag| 4 * tag + 14 <= frame.len()).collect::<Vec<_>>() {
                frame[12 + 4 * tag..14 + 4 * tag].copy_from_slice(&[0x81, 0]);
            }
            let offload = unfinished(start, offset);
            let before = frame.clone();
            let looked = offload.check(&frame);
            let completed = complete_checksum(&mut frame, &offload);
            prop_assert_eq!(looked, completed);
            match completed {
                Err(_) => prop_assert_eq!(frame, before),
                Ok(()) => {
                    let (start, place) = (usize::from(start), usize::from(start + offset));
                    prop_assert_eq!(&frame[..14], &before[..14]);
                    prop_assert_eq!(&frame[..place], &before[..place]);
                    prop_assert_eq!(&frame[place + 2..], &before[place + 2..]);
                    let sum = naive_sum(&before[start..]);
                    let written = u16::from_be_bytes([frame[place], frame[place + 1]]);
                    prop_assert_eq!(written, if sum == 0xffff { 0xffff } else { !sum });
                }
            }
        }
    }

    #[test]
    fn the_carries_of_all_ones_are_not_lost() {
        let mut sum = Sum::default();
        sum.add(&[0xff; 65_550]);
        assert_eq!(sum.finish(), [0, 0]);
        assert_eq!(sum.finish_nonzero(), [0xff, 0xff]);
    }

    #[test]
    fn example_of_rfc_1071() {
        let mut sum = Sum::default();
        sum.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), (!0xddf2_u16).to_be_bytes());
        sum.add_word(0x1234);
        assert_eq!(sum.finish(), (!0xf026_u16).to_be_bytes());
    }

    #[test]
    fn addresses_and_tags_cannot_be_reached() {
        let mut frame = testing::udp(testing::V4, 2, 100).bytes;
        let before = frame.clone();
        for start in 0..22 {
            assert!(complete_checksum(&mut frame, &unfinished(start, 0)).is_err(), "{start}");
        }
        assert_eq!(frame, before);
        assert!(complete_checksum(&mut frame, &unfinished(22, 0)).is_ok());
    }

    #[test]
    fn checksum_of_zero_is_written_as_ones() {
        let mut frame = [0; 60];
        frame[20..22].copy_from_slice(&[0xff, 0xfe]);
        frame[26..28].copy_from_slice(&[0x00, 0x01]);
        complete_checksum(&mut frame, &unfinished(20, 6)).expect("a place in the frame");
        assert_eq!(frame[26..28], [0xff, 0xff]);
    }

    #[test]
    fn finished_frame_is_left_alone() {
        let mut frame = [7; 60];
        for checksum in [Checksum::Complete, Checksum::Verified] {
            let offload = Offload { checksum, ..unfinished(20, 6) };
            complete_checksum(&mut frame, &offload).expect("nothing to do");
        }
        assert_eq!(frame, [7; 60]);
    }

    #[test]
    fn sctp_is_refused_and_its_like_is_not() {
        for version in [testing::V4, testing::V6] {
            let mut example = testing::udp(version, 1, 100);
            let offload = unfinished(example.offload.checksum_start, SCTP_OFFSET);
            assert_eq!(complete_checksum(&mut example.bytes.clone(), &offload), Ok(()));
            let place = if version == testing::V4 { 18 + 9 } else { 18 + 6 };
            example.bytes[place] = 132;
            let refused = complete_checksum(&mut example.bytes, &offload);
            assert!(matches!(refused, Err(OffloadError::Headers { .. })), "{refused:?}");
        }
    }

    fn unfinished(start: u16, offset: u16) -> Offload {
        Offload {
            checksum: Checksum::Unfinished,
            checksum_start: start,
            checksum_offset: offset,
            ..Offload::NONE
        }
    }
}
