//! Tables, in Markdown: read in a terminal, and put into `docs/performance.md` as they are.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::figures::Figure;
use crate::judge::{TargetOutcome, Verdict};
use crate::rounds::Outcome;
use crate::statistics::Estimate;

/// One case: every contender's figures, then what became of the targets.
pub(crate) fn case(outcome: &Outcome) -> String {
    let Outcome { name, what, rounds, .. } = outcome;
    let mut text = format!("### {name}\n\n{what}: {rounds} rounds\n\n");
    let kinds: BTreeSet<Figure> =
        outcome.contenders.iter().flat_map(|contender| contender.figures.keys()).copied().collect();
    let mut rows = vec![
        std::iter::once(String::new())
            .chain(kinds.iter().map(|figure| figure.title().to_owned()))
            .collect::<Vec<_>>(),
    ];
    for contender in outcome.contenders.iter().filter(|contender| contender.left_out.is_none()) {
        let cells = kinds.iter().map(|figure| {
            let estimate = contender.figures.get(figure);
            estimate.map_or_else(|| "–".to_owned(), |told| value(told.median, *figure))
        });
        rows.push(std::iter::once(contender.name.clone()).chain(cells).collect());
    }
    text.push_str(&markdown(&rows));
    for contender in &outcome.contenders {
        if let Some(why) = &contender.left_out {
            let _ = writeln!(text, "\nLeft out: {}: {why}.", contender.name);
        }
    }
    if !outcome.targets.is_empty() {
        text.push('\n');
        text.push_str(&targets(&outcome.targets));
    }
    text
}

/// What became of the targets, in numbers; nothing without any.
pub(super) fn verdicts(outcomes: &[Outcome]) -> Option<String> {
    let all = outcomes.iter().flat_map(|outcome| &outcome.targets);
    let all: Vec<&TargetOutcome> = all.filter(|target| target.has_bound()).collect();
    if all.is_empty() {
        return None;
    }
    let of = |verdict| all.iter().filter(|target| target.verdict == verdict).count();
    let mut text = format!(
        "Of {} targets {} were met by their whole interval, {} have the bound inside it, {} were \
         missed",
        all.len(),
        of(Some(Verdict::Met)),
        of(Some(Verdict::Open)),
        of(Some(Verdict::Missed))
    );
    if of(None) > 0 {
        let _ = write!(text, ", {} had nothing to compare with", of(None));
    }
    Some(text)
}

/// What became of the targets: each that was not met; nothing if there is none.
pub(crate) fn summary(outcomes: &[Outcome]) -> Option<String> {
    let mut text = verdicts(outcomes)? + "\n";
    for outcome in outcomes {
        let unmet =
            |target: &&TargetOutcome| target.has_bound() && target.verdict != Some(Verdict::Met);
        for target in outcome.targets.iter().filter(unmet) {
            let _ = writeln!(text, "  {}: {}", outcome.name, sentence(target));
        }
    }
    Some(text)
}

fn targets(targets: &[TargetOutcome]) -> String {
    targets.iter().map(|target| format!("- {}\n", sentence(target))).collect()
}

fn sentence(target: &TargetOutcome) -> String {
    let title = target.figure.title();
    let what = match (&target.against[..], &target.best) {
        ([], _) => title.to_owned(),
        ([one], _) => format!("{title} / {one}"),
        (several, None) => format!("{title} / best of {}", several.join(", ")),
        (several, Some(best)) => {
            format!("{title} / {best} (the best of {})", several.join(", "))
        }
    };
    if let (Some(told), false) = (target.estimate, target.has_bound()) {
        return format!("{what}: {}", interval(told));
    }
    let bound = match (target.at_least, target.at_most) {
        (Some(least), _) => format!("at least {least}"),
        (_, Some(most)) => format!("at most {most}"),
        _ => "nothing".to_owned(),
    };
    let Some(told) = target.estimate else {
        return format!("{what}: nothing to compare with (wanted: {bound})");
    };
    let verdict = match target.verdict {
        Some(Verdict::Met) => "met",
        Some(Verdict::Missed) => "**missed**",
        _ => "**open**",
    };
    format!("{what}: {} ({bound}: {verdict})", interval(told))
}

/// A median and its interval.
fn interval(told: Estimate) -> String {
    let kind = if told.is_rough { "from least to most" } else { "95 %" };
    format!("{:.3} [{:.3}, {:.3}] {kind}", told.median, told.low, told.high)
}

fn value(value: f64, figure: Figure) -> String {
    format!("{value:.*}", figure.digits())
}

/// A table whose columns are as wide as they need.
fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let _ = match column {
                0 => write!(text, "| {cell}{pad} |"),
                _ => write!(text, " {pad}{cell} |"),
            };
        }
        text.push('\n');
        if place == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width - usize::from(column > 0));
                let _ = match column {
                    0 => write!(text, "| {dashes} |"),
                    _ => write!(text, " {dashes}: |"),
                };
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown_with_numbers_to_the_right() {
        let rows = [["", "a"], ["long name", "12345.6"]].map(|row| row.map(str::to_owned).into());
        let text = markdown(&rows);
        assert_eq!(
            text,
            "|           |       a |\n| --------- | ------: |\n| long name | 12345.6 |\n"
        );
    }

    #[test]
    fn a_target_is_told_with_its_interval_and_what_was_wanted() {
        let told = Estimate { median: 1.0, low: 0.94, high: 1.1, is_rough: false };
        let target = TargetOutcome {
            figure: Figure::GbitPerSecond,
            against: vec!["relay 32".to_owned(), "relay 8".to_owned()],
            best: Some("relay 8".to_owned()),
            at_least: Some(0.95),
            at_most: None,
            estimate: Some(told),
            verdict: Some(Verdict::Open),
        };
        assert_eq!(
            sentence(&target),
            "Gbit/s / relay 8 (the best of relay 32, relay 8): 1.000 [0.940, 1.100] 95 % \
             (at least 0.95: **open**)"
        );
    }

    #[test]
    fn a_ratio_of_which_nothing_is_to_come_is_told_and_not_counted() {
        let told = Estimate { median: 9.0, low: 8.5, high: 9.5, is_rough: false };
        let open = TargetOutcome {
            figure: Figure::KiloframesPerSecond,
            against: vec!["vswitch".to_owned()],
            best: Some("vswitch".to_owned()),
            at_least: None,
            at_most: None,
            estimate: Some(told),
            verdict: None,
        };
        assert_eq!(sentence(&open), "kframes/s / vswitch: 9.000 [8.500, 9.500] 95 %");
        let outcome = Outcome {
            name: String::new(),
            what: String::new(),
            rounds: 1,
            contenders: Vec::new(),
            targets: vec![open],
        };
        assert_eq!(summary(&[outcome]), None);
    }
}
