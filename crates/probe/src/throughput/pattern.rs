//! The content of transfers: bytes that depend on their place alone.
//!
//! The pattern repeats after [`PERIOD`] bytes, a prime number, and eight bytes in a row stand
//! nowhere in it twice, so bytes displaced by anything but whole periods are seen. Byte `i`
//! (`i < PERIOD`) is the lowest of MurmurHash3's last step for 32 bits (`fmix32`) on `i`.

use std::sync::LazyLock;

/// After how many bytes the pattern repeats.
pub const PERIOD: usize = 65_521;

/// Writes the pattern from `offset` on into `buffer`.
pub fn fill(offset: u64, buffer: &mut [u8]) {
    let mut at = offset;
    let mut rest = buffer;
    while !rest.is_empty() {
        let source = ahead(at);
        let len = source.len().min(rest.len());
        let (now, later) = rest.split_at_mut(len);
        now.copy_from_slice(&source[..len]);
        at += len as u64;
        rest = later;
    }
}

/// The index of the first byte of `bytes` that is not the pattern's from `offset` on.
#[must_use]
pub fn mismatch(offset: u64, bytes: &[u8]) -> Option<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let expected = ahead(offset + done as u64);
        let len = expected.len().min(bytes.len() - done);
        let (expected, actual) = (&expected[..len], &bytes[done..done + len]);
        if expected != actual {
            let within = expected.iter().zip(actual).position(|(a, b)| a != b);
            return Some(done + within.unwrap_or(0));
        }
        done += len;
    }
    None
}

/// The pattern from `offset` to the end of its period.
fn ahead(offset: u64) -> &'static [u8] {
    let start = usize::try_from(offset % PERIOD as u64).unwrap_or(0);
    &TABLE[start..]
}

static TABLE: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..).take(PERIOD).map(|index| fmix32(index).to_le_bytes()[0]).collect());

/// Spreads each bit over all.
const fn fmix32(mut bits: u32) -> u32 {
    bits ^= bits >> 16;
    bits = bits.wrapping_mul(0x85eb_ca6b);
    bits ^= bits >> 13;
    bits = bits.wrapping_mul(0xc2b2_ae35);
    bits ^ bits >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_make_the_whole(offset in any::<u32>(), cut in 0_usize..200_000) {
            let offset = u64::from(offset);
            let mut whole = vec![0; 200_000];
            fill(offset, &mut whole);
            let mut pieces = vec![0; 200_000];
            fill(offset, &mut pieces[..cut]);
            fill(offset + cut as u64, &mut pieces[cut..]);
            prop_assert!(whole == pieces);
            prop_assert_eq!(mismatch(offset, &whole), None);
            whole[cut] ^= 1;
            prop_assert_eq!(mismatch(offset, &whole), Some(cut));
        }

        #[test]
        fn displaced_bytes_are_seen(offset in 0_u64..1 << 40, by in 1_u64..PERIOD as u64) {
            let mut bytes = [0; 64];
            fill(offset, &mut bytes);
            prop_assert!(mismatch(offset + by, &bytes).is_some());
        }
    }

    #[test]
    fn eight_bytes_in_a_row_stand_nowhere_twice() {
        let mut twice_around = vec![0; PERIOD + 7];
        fill(0, &mut twice_around);
        let places: HashSet<&[u8]> = twice_around.windows(8).collect();
        assert_eq!(places.len(), PERIOD);
    }
}
