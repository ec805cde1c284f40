//! Medians, and how sure they are.

/// With what probability all that is said of a target may be wrong.
pub(crate) const ERROR: f64 = 0.05;

/// A median with the interval that holds the true one with the probability that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The samples are so few that the interval is only from the least to the greatest.
    pub(crate) is_rough: bool,
}

/// What these samples say; `None` of none. Infinite and undefined ones are left out. The interval
/// misses the true median with a probability of `error` at most.
pub(crate) fn estimate(samples: impl IntoIterator<Item = f64>, error: f64) -> Option<Estimate> {
    let mut sorted: Vec<f64> = samples.into_iter().filter(|sample| sample.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let median = f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]);
    let outside = outside_ranks(sorted.len(), error);
    let outermost = outside.unwrap_or(0);
    Some(Estimate {
        median,
        low: sorted[outermost],
        high: sorted[last - outermost],
        is_rough: outside.is_none(),
    })
}

/// How many samples at each end stand outside the interval for the median. Each sample is below the
/// median with probability 1/2, whatever they are samples of: so many are above or below as a
/// binomial variable says (order statistics; no distribution is assumed). `None` when even the
/// widest interval is not sure enough.
fn outside_ranks(count: usize, error: f64) -> Option<usize> {
    // P(at most `rank` of `count` below) for rank = 0, 1, …
    let mut probability = 0.5_f64.powi(i32::try_from(count).ok()?);
    let mut sum = 0.0;
    let mut ranks = None;
    for rank in 0..count {
        sum += probability;
        if sum > error / 2.0 {
            break;
        }
        ranks = Some(rank);
        probability *= (count - rank) as f64 / (rank + 1) as f64;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Tables of order statistics' intervals: for 15 samples the 4th and the 12th, for 20 the
        // 6th and the 15th, for 6 the first and the last.
        assert_eq!(outside_ranks(15, ERROR), Some(3));
        assert_eq!(outside_ranks(20, ERROR), Some(5));
        assert_eq!(outside_ranks(6, ERROR), Some(0));
        assert_eq!(outside_ranks(5, ERROR), None);
        assert_eq!(outside_ranks(0, ERROR), None);
        // For 99 % of 15 the 3rd and the 13th, of 60 the 20th and the 41st.
        assert_eq!(outside_ranks(15, 0.01), Some(2));
        assert_eq!(outside_ranks(60, 0.01), Some(19));
    }

    #[test]
    fn few_samples_give_a_rough_interval() {
        let told = estimate([3.0, 1.0, 2.0, f64::NAN], ERROR).unwrap();
        assert_eq!(told, Estimate { median: 2.0, low: 1.0, high: 3.0, is_rough: true });
        assert_eq!(estimate([1.0, 2.0], ERROR).unwrap().median, 1.5);
        assert_eq!(estimate([], ERROR), None);
    }

    #[test]
    fn one_bad_run_of_fifteen_moves_nothing() {
        let samples = (1..=14).map(f64::from).chain([1e9]);
        let told = estimate(samples, ERROR).unwrap();
        assert_eq!((told.median, told.low, told.high), (8.0, 4.0, 12.0));
        assert!(!told.is_rough);
    }
}
