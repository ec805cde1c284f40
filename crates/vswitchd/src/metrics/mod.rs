//! The counters as Prometheus reads them.
//!
//! [`render`] makes a page of a [`Report`] and of what the service knows besides; nothing is kept
//! between two pages, so that nothing has to be kept in step. Each metric is one line of the tables
//! in the modules below: its name, its words, and how it is read. `docs/metrics.md` has them all.
//!
//! A page has so many lines as there are ports by configuration, not as there ever were clients:
//! the clients of a `stream:` or `vde:` port are counted as that port, with those that have ended.
//!
//! ```
//! use vswitch::switch::Report;
//! use vswitchd::metrics::{ServiceFacts, render};
//!
//! let page = render(&Report::default(), &ServiceFacts::default());
//! assert!(page.contains("# TYPE vswitch_config_changes_total counter"));
//! ```

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use vswitch::switch::Report;

mod facts;
mod family;
mod loops;
mod ports;
mod scope;
mod service;
mod trunks;

pub use facts::{Changes, ServiceFacts};
pub use family::{Description, Kind};

use family::{Family, Page};

/// How a page is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4, which everybody reads.
    #[default]
    Text,
    /// OpenMetrics 1.0, which says the unit too, and where the page ends.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// The value of the header `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What is for a client that sent this as its header `Accept`: OpenMetrics for one that asks
    /// for it by name, text for all others.
    #[must_use]
    pub fn accepted(header: Option<&str>) -> Self {
        let asks = |range: &str| {
            let mut words = range.split(';').map(str::trim);
            let is_it = words.next().is_some_and(|name| name.eq_ignore_ascii_case(OPEN_METRICS));
            is_it && words.all(|word| !matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        };
        let asked = header.is_some_and(|header| header.split(',').any(asks));
        if asked { Self::OpenMetrics } else { Self::Text }
    }
}

/// The page for a client that says nothing of formats ([`Format::Text`]).
#[must_use]
pub fn render(report: &Report, facts: &ServiceFacts) -> String {
    render_as(Format::default(), report, facts)
}

/// The page, as `format` has it. It is as long as there are ports: some 70 lines for each.
#[must_use]
pub fn render_as(format: Format, report: &Report, facts: &ServiceFacts) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(families(report, facts))));
    let mut page = String::new();
    let written = match format {
        Format::Text => prometheus_text::encode(&mut page, &registry),
        Format::OpenMetrics => text::encode(&mut page, &registry),
    };
    debug_assert!(written.is_ok(), "a string takes all that is written to it");
    page
}

/// Every metric that a page can have, in its order there.
#[must_use]
pub fn catalogue() -> Vec<Description> {
    let nothing = families(&Report::default(), &ServiceFacts::default());
    nothing.into_iter().map(|family| family.description).collect()
}

fn families(report: &Report, facts: &ServiceFacts) -> Vec<Family> {
    [
        service::families(facts),
        ports::families(report),
        trunks::families(report),
        loops::families(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_open_metrics_gets_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (header, format) in [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/plain;version=0.0.4, application/json"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some(prometheus), Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(header), format, "{header:?}");
        }
    }

    /// OpenMetrics writes the words as they are.
    #[test]
    fn names_and_words_need_no_escapes() {
        for Description { name, labels, help, .. } in catalogue() {
            let is_plain = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(name.starts_with("vswitch_") && is_plain(name), "{name}");
            assert!(labels.iter().all(|label| is_plain(label)), "{name}: {labels:?}");
            assert!(help.ends_with('.') && !help.contains(['\\', '"', '\n', '|']), "{help}");
        }
    }
}
