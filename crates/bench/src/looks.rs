//! After how many rounds it is looked whether a target is decided.

use crate::statistics::ERROR;

/// Looks after a first number of rounds, and after twice, four times … as many, up to a last.
///
/// Who stops as soon as an interval looks good stops too often at one that only looks so. So the
/// chance of being wrong is shared among all looks that there could be (Bonferroni's inequality):
/// over the whole case it stays what it would be for a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Looks {
    first: usize,
    last: usize,
}

impl Looks {
    /// From `first` rounds, one at least, to `last`, which is not before the first.
    pub(crate) fn new(first: usize, last: usize) -> Self {
        let first = first.max(1);
        Self { first, last: last.max(first) }
    }

    /// With no more than `most` rounds.
    pub(crate) fn at_most(self, most: usize) -> Self {
        Self::new(self.first.min(most), self.last.min(most))
    }

    /// How many rounds there are in any case.
    pub(crate) fn first(self) -> usize {
        self.first
    }

    /// How many rounds there can be.
    pub(crate) fn last(self) -> usize {
        self.last
    }

    /// How many rounds there are at each look.
    pub(crate) fn rounds(self) -> impl Iterator<Item = usize> {
        let next = move |rounds: &usize| {
            (*rounds < self.last).then(|| rounds.saturating_mul(2).min(self.last))
        };
        std::iter::successors(Some(self.first), next)
    }

    /// With what probability an interval may miss the true median at each look.
    pub(crate) fn error_each(self) -> f64 {
        ERROR / self.rounds().count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_has_twice_the_rounds_and_its_share_of_the_error() {
        let of = |first, last| Looks::new(first, last).rounds().collect::<Vec<_>>();
        assert_eq!(of(15, 60), [15, 30, 60]);
        assert_eq!(of(15, 50), [15, 30, 50]);
        assert_eq!(of(15, 15), [15]);
        assert_eq!(of(0, 0), [1]);
        assert_eq!(of(20, 10), [20]);
        assert_eq!(Looks::new(15, 60).at_most(6), Looks::new(6, 6));
        assert!((Looks::new(15, 60).error_each() - ERROR / 3.0).abs() < 1e-12);
    }
}
