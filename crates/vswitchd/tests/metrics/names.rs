//! What the catalogue says, on a page.

use std::collections::BTreeSet;

use vswitchd::metrics::{Format, Kind, catalogue, render_as};

use crate::pages;
use crate::parser::Parser;

/// Every metric of the catalogue is on a page with something of everything, as what it is said to
/// be, with the labels that it is said to have; and nothing else is.
#[test]
fn a_page_has_the_catalogue() {
    let Some(mut parser) = Parser::start_or_skip() else { return };
    let (report, facts) = pages::full();
    for format in [Format::Text, Format::OpenMetrics] {
        let page = parser.parse(format, &render_as(format, &report, &facts));
        let mut names = BTreeSet::new();
        for metric in catalogue() {
            let is_it = |name: &str| {
                let full = metric.sample_names().iter().any(|sample| sample == name);
                name == metric.name || full
            };
            let mut families = page.families.iter().filter(|family| is_it(&family.name));
            let family = families.next().unwrap_or_else(|| panic!("no {} there", metric.name));
            let kind = match (format, metric.kind) {
                // Which has no word for it.
                (Format::Text, Kind::Info) => "gauge",
                (_, kind) => kind.name(),
            };
            assert_eq!((&*family.kind, &*family.help), (kind, metric.help), "{}", metric.name);
            for name in metric.sample_names() {
                let mut count = 0;
                for sample in page.samples.iter().filter(|sample| sample.name == name) {
                    let labels = sample.labels.keys().filter(|label| *label != "le");
                    let labels: BTreeSet<&str> = labels.map(String::as_str).collect();
                    assert_eq!(labels, metric.labels.iter().copied().collect(), "{name}");
                    count += 1;
                }
                assert!(count > 0, "no {name} in {format:?}");
                assert!(names.insert(name), "{} twice", metric.name);
            }
        }
        let others = page.samples.iter().find(|sample| !names.contains(&sample.name));
        assert!(others.is_none(), "{others:?}");
    }
}
