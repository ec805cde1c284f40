//! The ratios as a picture: one line for each target, its interval beside its bound.

use std::fmt::Write as _;

use crate::judge::{TargetOutcome, Verdict};
use crate::rounds::Outcome;
use crate::statistics::Estimate;

const LABEL_WIDTH: f64 = 430.0;
const PLOT_WIDTH: f64 = 420.0;
const LINE_HEIGHT: f64 = 20.0;
const MARGIN: f64 = 14.0;
const HEAD_HEIGHT: f64 = 58.0;

/// Ratios are drawn on a logarithmic scale between these.
const LEAST: f64 = 0.25;
const MOST: f64 = 8.0;

/// An SVG of every target that is a ratio with a bound.
pub(crate) fn plot(outcomes: &[Outcome]) -> String {
    let lines: Vec<(&Outcome, &TargetOutcome, Estimate)> = outcomes
        .iter()
        .flat_map(|outcome| outcome.targets.iter().map(move |target| (outcome, target)))
        .filter(|(_, target)| !target.against.is_empty() && target.has_bound())
        .filter_map(|(outcome, target)| Some((outcome, target, target.estimate?)))
        .collect();
    let width = LABEL_WIDTH + PLOT_WIDTH + 2.0 * MARGIN;
    let height = HEAD_HEIGHT + lines.len() as f64 * LINE_HEIGHT + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let title = "vswitch beside its yardsticks: median ratio, 95 % interval, bound";
    text(&mut svg, MARGIN, 22.0, "start", "#1a1a1a", title);
    scale(&mut svg, height);
    for (place, (outcome, target, told)) in lines.iter().enumerate() {
        let y = HEAD_HEIGHT + (place as f64 + 0.5) * LINE_HEIGHT;
        line(&mut svg, y, outcome, target, *told);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a ratio stands from the left.
fn x(ratio: f64) -> f64 {
    let part = (ratio.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    MARGIN + LABEL_WIDTH + part * PLOT_WIDTH
}

fn scale(svg: &mut String, height: f64) {
    for ratio in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0] {
        let (x, top, bottom) = (x(ratio), HEAD_HEIGHT - 6.0, height - MARGIN);
        let colour = if ratio == 1.0 { "#8a8a8a" } else { "#dddddd" };
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{colour}\"/>"
        );
        text(svg, x, top - 4.0, "middle", "#555555", &ratio.to_string());
    }
}

fn line(svg: &mut String, y: f64, outcome: &Outcome, target: &TargetOutcome, told: Estimate) {
    let colour = match target.verdict {
        Some(Verdict::Met) => "#1b7f3b",
        Some(Verdict::Open) | None => "#a06a00",
        Some(Verdict::Missed) => "#b3261e",
    };
    let against = target.best.as_deref().unwrap_or_default();
    let label = format!("{}: {} / {against}", outcome.name, target.figure.title());
    text(svg, MARGIN, y + 4.0, "start", "#1a1a1a", &label);
    let (low, high, median) = (x(told.low), x(told.high), x(told.median));
    let _ = writeln!(
        svg,
        "<line x1=\"{low:.1}\" y1=\"{y}\" x2=\"{high:.1}\" y2=\"{y}\" stroke=\"{colour}\" \
         stroke-width=\"2\"/>\n<circle cx=\"{median:.1}\" cy=\"{y}\" r=\"4\" fill=\"{colour}\"/>"
    );
    if let Some(bound) = target.at_least.or(target.at_most) {
        let (bound, top, bottom) = (x(bound), y - 7.0, y + 7.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{bound:.1}\" y1=\"{top}\" x2=\"{bound:.1}\" y2=\"{bottom}\" \
             stroke=\"#1a1a1a\" stroke-width=\"1.5\"/>"
        );
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_logarithmic_and_has_ends() {
        assert!((x(0.5) - x(0.25) - (x(2.0) - x(1.0))).abs() < 1e-9);
        assert_eq!(x(0.01), x(LEAST));
        assert_eq!(x(100.0), x(MOST));
    }
}
