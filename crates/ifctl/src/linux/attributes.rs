//! Netlink attributes as they come: a length, a type, a value, padding to four bytes
//! (include/uapi/linux/netlink.h, `struct nlattr`).
//!
//! Read here and not by the typed parser of netlink-packet-route, because that one rejects a whole
//! message for one attribute it does not understand, such as a name that is no UTF-8; a list of
//! interfaces must survive what other people named theirs and what a newer kernel adds.

/// The attributes in `bytes`, as (type, value). Ends at the first that does not fit in what is
/// left: the kernel makes none, and nothing after it can be trusted.
pub(super) fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes }
}

/// The value of the first attribute of type `kind`, or nothing.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// Iterator of [`attributes`].
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let len = usize::from(u16_in(rest)?);
        let kind = u16_in(rest.get(2..)?)? & TYPE_MASK;
        let value = rest.get(HEADER_LEN..len)?;
        // The last one may lack its padding.
        self.rest = rest.get(len.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The 8-bit number that `value` begins with.
pub(super) fn u8_in(value: &[u8]) -> Option<u8> {
    value.first().copied()
}

/// The 16-bit number, in the machine's order, that `value` begins with.
pub(super) fn u16_in(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// The 32-bit number, in the machine's order, that `value` begins with.
pub(super) fn u32_in(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The text in `value` up to its terminating zero; what is no UTF-8 becomes U+FFFD.
pub(super) fn text_in(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

const HEADER_LEN: usize = 4;
const ALIGNMENT: usize = 4;
/// The two highest bits are flags: nested, and network byte order.
const TYPE_MASK: u16 = 0x3fff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(HEADER_LEN + value.len()).unwrap();
        let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0xaa);
        bytes
    }

    #[test]
    fn values_end_where_their_length_says() {
        let bytes = [attribute(3, b"eth0\0"), attribute(4 | 0x8000, &[1, 0, 0, 0])].concat();
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all, [(3, b"eth0\0".as_slice()), (4, [1, 0, 0, 0].as_slice())]);
        assert_eq!(find(&bytes, 4), Some([1, 0, 0, 0].as_slice()));
        assert_eq!(find(&bytes, 5), None);
        assert_eq!(text_in(all[0].1), "eth0");
    }

    #[test]
    fn a_length_that_lies_ends_the_walk() {
        let good = attribute(1, &[7]);
        for lie in [0_u16, 1, 3, 9, 0xffff] {
            let bytes = [&good[..], &lie.to_ne_bytes(), &[1, 0, 9, 9, 9, 9]].concat();
            assert_eq!(attributes(&bytes).count(), 1, "length {lie}");
        }
    }

    #[test]
    fn the_last_one_needs_no_padding() {
        let mut bytes = attribute(1, &[7]);
        bytes.truncate(5);
        assert_eq!(attributes(&bytes).collect::<Vec<_>>(), [(1, [7].as_slice())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let total: usize = attributes(&bytes).map(|(_, value)| value.len() + HEADER_LEN).sum();
            prop_assert!(total <= bytes.len());
        }

        #[test]
        fn what_was_written_is_read(
            list in prop::collection::vec(
                (0_u16..=TYPE_MASK, prop::collection::vec(any::<u8>(), 0..40)), 0..8)
        ) {
            let bytes: Vec<u8> =
                list.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
            let read: Vec<_> = attributes(&bytes).map(|(k, v)| (k, v.to_vec())).collect();
            prop_assert_eq!(read, list);
        }
    }
}
