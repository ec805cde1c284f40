//! Histograms in powers of two: a value costs a few instructions, counts and sums are exact.

/// How many values there were of each size. The first bucket has those up to 2^`FIRST`, each other
/// those up to twice the bound of the one before it, the last all that are bigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram<const FIRST: u32, const BUCKETS: usize> {
    counts: [u64; BUCKETS],
    sum: u64,
}

/// Frames of a batch: up to 1, 2, 4, … 1024, and more.
pub type BatchSizes = Histogram<0, 12>;

/// Nanoseconds: up to 2^10 (a microsecond), 2^11, … 2^30 (a second), and more.
pub type Times = Histogram<10, 22>;

impl<const FIRST: u32, const BUCKETS: usize> Default for Histogram<FIRST, BUCKETS> {
    fn default() -> Self {
        const { assert!(BUCKETS > 0 && FIRST as usize + BUCKETS <= 64) };
        Self { counts: [0; BUCKETS], sum: 0 }
    }
}

impl<const FIRST: u32, const BUCKETS: usize> Histogram<FIRST, BUCKETS> {
    /// Counts a value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        let above = value.saturating_sub(1) >> FIRST;
        let bucket = (u64::BITS - above.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    /// Adds another's values to these.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.counts.iter_mut().zip(other.counts) {
            *to += from;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values each bucket has, with the biggest that it may have; `None` for the last,
    /// which has no bound.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (Option<u64>, u64)> {
        let bound = |bucket: usize| (bucket + 1 < BUCKETS).then(|| 1 << (FIRST as usize + bucket));
        self.counts.iter().enumerate().map(move |(bucket, count)| (bound(bucket), *count))
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What they come to together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bound_is_the_biggest_value_of_its_bucket() {
        let mut sizes = BatchSizes::default();
        for value in [0, 1, 2, 3, 4, 5, 64, 65, 1024, 1025, u64::MAX] {
            sizes.record(value);
        }
        let counts: Vec<_> = sizes.buckets().filter(|(_, count)| *count > 0).collect();
        let some = |bound, count| (Some(bound), count);
        let up_to = [some(1, 2), some(2, 1), some(4, 2), some(8, 1), some(64, 1), some(128, 1)];
        assert_eq!(counts, [&up_to[..], &[some(1024, 1), (None, 2)]].concat());
        let bounds: Vec<_> = Times::default().buckets().map(|(bound, _)| bound).collect();
        assert_eq!((bounds[0], bounds[20], bounds[21]), (Some(1024), Some(1 << 30), None));
        assert_eq!(bounds.len(), 22);
    }

    proptest! {
        /// Each value is in the first bucket that may have it, and nothing is lost.
        #[test]
        fn every_value_has_its_bucket(values in prop::collection::vec(0u64..1 << 34, 0..200)) {
            let (mut times, mut rest) = (Times::default(), Times::default());
            for (place, value) in values.iter().enumerate() {
                if place % 3 == 0 { rest.record(*value) } else { times.record(*value) }
            }
            times.add(&rest);
            let mut below = 0;
            for (bound, count) in times.buckets() {
                below += count;
                let at_most = values.iter().filter(|value| bound.is_none_or(|b| **value <= b));
                prop_assert_eq!(below, at_most.count() as u64);
            }
            prop_assert_eq!(times.count(), values.len() as u64);
            prop_assert_eq!(times.sum(), values.iter().sum::<u64>());
        }
    }
}
