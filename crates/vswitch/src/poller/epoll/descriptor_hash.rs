//! A hash of descriptors, which nobody outside chooses: one multiplication instead of SipHash.

use std::hash::{BuildHasherDefault, Hasher};

/// For a `HashMap` by descriptor.
pub(super) type BuildDescriptorHasher = BuildHasherDefault<DescriptorHasher>;

/// Multiplies by the golden ratio's fraction (Knuth, TAOCP 3, 6.4).
#[derive(Debug, Default)]
pub(super) struct DescriptorHasher(u64);

impl Hasher for DescriptorHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_i32(&mut self, descriptor: i32) {
        self.write_u64(u64::from(descriptor.cast_unsigned()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // A table takes its place from the low bits, which the product mixes least.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    use super::*;

    #[test]
    fn neighbours_are_spread() {
        let hasher = BuildDescriptorHasher::default();
        let hashes: Vec<u64> = (0..4096_i32).map(|fd| hasher.hash_one(fd)).collect();
        let distinct = |of: fn(&u64) -> u64| hashes.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(distinct(|hash| *hash), 4096);
        assert!(distinct(|hash| hash % 4096) > 2000, "places in a table");
        assert_eq!(distinct(|hash| hash >> 57), 128, "marks of neighbours in a table");
    }
}
