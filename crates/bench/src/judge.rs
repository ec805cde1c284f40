//! What becomes of a target: the switch beside the others of the same rounds.

use std::collections::BTreeSet;

use crate::cases::{Bound, Case, Target};
use crate::figures::{Figure, Figures};
use crate::statistics::{Estimate, estimate};

/// What became of a target.
#[derive(Debug, serde::Serialize)]
pub(crate) struct TargetOutcome {
    pub(crate) figure: Figure,
    /// The names of those of which it stands beside the best; none for a figure by itself.
    pub(crate) against: Vec<String>,
    /// Which was the best of them.
    pub(crate) best: Option<String>,
    pub(crate) at_least: Option<f64>,
    pub(crate) at_most: Option<f64>,
    /// The ratio, or the figure itself; `null` when there was nothing to compare with.
    pub(crate) estimate: Option<Estimate>,
    /// `null` without an estimate or a bound.
    pub(crate) verdict: Option<Verdict>,
}

/// On which side of its bound an interval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The whole interval is on the good side.
    Met,
    /// The bound is inside the interval: more rounds could tell.
    Open,
    /// The whole interval is on the wrong side.
    Missed,
}

impl TargetOutcome {
    /// Whether anything is to come of it.
    pub(crate) fn has_bound(&self) -> bool {
        self.at_least.or(self.at_most).is_some()
    }
}

/// Compares round by round. Where there are several to compare with, the best is the one beside
/// which ours stands worst over all rounds: the best of each round would be whoever had luck in it,
/// and be better than any of them.
///
/// The interval misses the true median with a probability of `error` at most.
pub(crate) fn judge(
    case: &Case,
    target: &Target,
    told: &[Vec<Option<Figures>>],
    error: f64,
) -> TargetOutcome {
    let beside = |other: Option<usize>| estimate(ratios(target.figure, told, other), error);
    let (best, estimate) = match &target.against[..] {
        [] => (None, beside(None)),
        others => {
            let each = others.iter().filter_map(|&index| Some((index, beside(Some(index))?)));
            let by_median = |a: &(usize, Estimate), b: &(usize, Estimate)| {
                let order = a.1.median.total_cmp(&b.1.median);
                if matches!(target.bound, Bound::AtMost(_)) { order.reverse() } else { order }
            };
            each.min_by(by_median).unzip()
        }
    };
    let name = |index: usize| case.contenders[index].name();
    TargetOutcome {
        figure: target.figure,
        against: target.against.iter().copied().map(name).collect(),
        best: best.map(name),
        at_least: if let Bound::AtLeast(least) = target.bound { Some(least) } else { None },
        at_most: if let Bound::AtMost(most) = target.bound { Some(most) } else { None },
        estimate,
        verdict: estimate.and_then(|told| verdict(target.bound, told)),
    }
}

/// Our figure by that of `other` in each round that both have; without another, the figure itself.
fn ratios(
    figure: Figure,
    told: &[Vec<Option<Figures>>],
    other: Option<usize>,
) -> impl Iterator<Item = f64> {
    let of = move |index: usize, round: usize| -> Option<f64> {
        told[index].get(round)?.as_ref()?.get(&figure).copied()
    };
    (0..told[0].len()).filter_map(move |round| {
        let ours = of(0, round)?;
        other.map_or(Some(1.0), |index| of(index, round)).map(|other| ours / other)
    })
}

fn verdict(bound: Bound, told: Estimate) -> Option<Verdict> {
    // Of "at most", the same with the signs changed.
    let (low, high, least) = match bound {
        Bound::AtLeast(least) => (told.low, told.high, least),
        Bound::AtMost(most) => (-told.high, -told.low, -most),
        Bound::Open => return None,
    };
    Some(match () {
        () if low >= least => Verdict::Met,
        () if high < least => Verdict::Missed,
        () => Verdict::Open,
    })
}

/// The contenders of which more rounds could decide a target.
pub(crate) fn concerned(case: &Case, targets: &[TargetOutcome]) -> BTreeSet<usize> {
    let each = case.targets.iter().zip(targets);
    let is_rough = |told: Option<Estimate>| told.is_some_and(|told| told.is_rough);
    let open = each.filter(|(_, outcome)| match outcome.verdict {
        Some(verdict) => verdict == Verdict::Open || is_rough(outcome.estimate),
        None => false,
    });
    open.flat_map(|(target, _)| [&[0], &target.against[..]].concat()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cases::{Contender, Load};
    use crate::statistics::ERROR;
    use crate::subject::{Subject, Wiring};

    fn case(bounds: &[(&[usize], Bound)]) -> Case {
        let contender = |variant| Contender {
            variant,
            subject: Subject::Vswitch,
            wiring: Wiring::Streams,
            load: Load::Idle(Duration::ZERO),
        };
        let target = |&(against, bound): &(&[usize], Bound)| Target {
            figure: Figure::GbitPerSecond,
            against: against.to_vec(),
            bound,
        };
        Case {
            name: String::new(),
            what: String::new(),
            contenders: vec![contender(""), contender("a"), contender("b")],
            targets: bounds.iter().map(target).collect(),
            quick: false,
        }
    }

    fn rounds(figures: &[f64]) -> Vec<Option<Figures>> {
        let round = |value: &f64| Some(Figures::from([(Figure::GbitPerSecond, *value)]));
        figures.iter().map(round).collect()
    }

    fn judged(bound: (&[usize], Bound), told: &[Vec<Option<Figures>>]) -> TargetOutcome {
        let case = case(&[bound]);
        judge(&case, &case.targets[0], told, ERROR)
    }

    #[test]
    fn rounds_are_compared_with_themselves_and_with_the_best_of_all() {
        let told = [rounds(&[2.0, 4.0, 8.0]), rounds(&[1.0, 2.0, 4.0]), rounds(&[4.0, 4.0, 4.0])];
        let both: &[usize] = &[1, 2];
        let at_least = judged((both, Bound::AtLeast(0.5)), &told);
        let told_at_least = at_least.estimate.unwrap();
        assert_eq!((told_at_least.low, told_at_least.median, told_at_least.high), (0.5, 1.0, 2.0));
        assert_eq!(at_least.best.as_deref(), Some("vswitch, b"));
        assert_eq!(at_least.verdict, Some(Verdict::Met));
        let at_most = judged((both, Bound::AtMost(1.9)), &told);
        assert_eq!(at_most.estimate.unwrap().low, 2.0);
        assert_eq!(at_most.best.as_deref(), Some("vswitch, a"));
        assert_eq!(at_most.verdict, Some(Verdict::Missed));
    }

    /// Two that are alike, each lucky in every other round: ours is as good as either.
    #[test]
    fn luck_makes_no_best() {
        let told =
            [rounds(&[2.0; 4]), rounds(&[1.0, 3.0, 1.0, 3.0]), rounds(&[3.0, 1.0, 3.0, 1.0])];
        let median = judged((&[1, 2], Bound::Open), &told).estimate.unwrap().median;
        assert!((median - (2.0 + 2.0 / 3.0) / 2.0).abs() < 1e-9, "{median}");
    }

    #[test]
    fn a_bound_inside_the_interval_is_open() {
        let told = [rounds(&[1.0, 2.0, 3.0]), rounds(&[1.0; 3]), Vec::new()];
        for bound in [Bound::AtLeast(1.5), Bound::AtMost(1.5), Bound::AtLeast(3.0)] {
            assert_eq!(judged((&[1], bound), &told).verdict, Some(Verdict::Open), "{bound:?}");
        }
        assert_eq!(judged((&[], Bound::AtMost(3.0)), &told).verdict, Some(Verdict::Met));
        assert_eq!(judged((&[1], Bound::AtMost(0.9)), &told).verdict, Some(Verdict::Missed));
    }

    #[test]
    fn only_who_could_decide_something_goes_on() {
        let six = [1.0, 2.0, 2.0, 2.0, 2.0, 3.0];
        let mut told = [rounds(&six), rounds(&[1.0; 6]), rounds(&[1.0; 6])];
        let of = |told: &[Vec<Option<Figures>>], bounds: &[(&[usize], Bound)]| {
            let case = case(bounds);
            let judge = |target| judge(&case, target, told, ERROR);
            let targets: Vec<TargetOutcome> = case.targets.iter().map(judge).collect();
            concerned(&case, &targets).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&told, &[(&[1], Bound::AtLeast(0.5)), (&[2], Bound::AtLeast(2.5))]), [0, 2]);
        assert_eq!(of(&told, &[(&[1], Bound::AtLeast(0.5)), (&[2], Bound::Open)]), [0; 0]);
        assert_eq!(of(&told, &[(&[], Bound::AtMost(2.0))]), [0]);
        told[0].pop();
        assert_eq!(of(&told, &[(&[1], Bound::AtLeast(0.5))]), [0, 1], "too few to be sure");
    }

    #[test]
    fn what_did_not_run_is_not_judged() {
        let told = [rounds(&[2.0]), vec![None], Vec::new()];
        let judged = judged((&[1, 2], Bound::AtLeast(0.4)), &told);
        assert_eq!((judged.verdict, judged.best), (None, None));
    }
}
