//! The dashboard in docs/ asks for what a page has.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use vswitchd::metrics::catalogue;

use crate::promtool;

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn dashboard() -> Value {
    let text = fs::read_to_string(docs("grafana-dashboard.json")).unwrap();
    serde_json::from_str(&text).expect("the dashboard is JSON")
}

/// The texts under `key`, wherever they stand.
fn texts<'a>(of: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match of {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

fn queries(dashboard: &Value) -> Vec<&str> {
    let mut queries = Vec::new();
    texts(dashboard, "expr", &mut queries);
    queries
}

/// Names of metrics in a query.
pub(crate) fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("vswitch_"))
}

pub(crate) fn known() -> BTreeSet<String> {
    catalogue().iter().flat_map(vswitchd::metrics::Description::sample_names).collect()
}

#[test]
fn every_metric_of_the_dashboard_is_on_a_page() {
    let (dashboard, known) = (dashboard(), known());
    let mut queries = queries(&dashboard);
    assert!(queries.len() > 30, "{queries:?}");
    // Those that fill the lists to choose from.
    texts(&dashboard["templating"], "query", &mut queries);
    for query in queries {
        let unknown = names(query).find(|name| !known.contains(*name));
        assert_eq!(unknown, None, "in {query}");
    }
}

/// Nobody adds a metric and forgets to show it, but for those that only describe.
#[test]
fn every_figure_is_on_the_dashboard() {
    let dashboard = dashboard();
    let shown: BTreeSet<&str> = queries(&dashboard).into_iter().flat_map(names).collect();
    let is_shown = |name: &String| shown.contains(name.as_str());
    let described = ["vswitch_network", "vswitch_port", "vswitch_interface_mtu_bytes"];
    // What crossed is shown as it was sent.
    let same = [
        "vswitch_trunk_enqueued_frames",
        "vswitch_trunk_sent_bytes",
        "vswitch_trunk_received_frames",
        "vswitch_trunk_queued_frames",
        "vswitch_port_enqueued_frames",
    ];
    for metric in catalogue() {
        let is_exempt = described.contains(&metric.name) || same.contains(&metric.name);
        let is_there = metric.sample_names().iter().any(is_shown);
        assert!(is_there != is_exempt, "{}: shown: {is_there}", metric.name);
    }
}

/// The labels that a query chooses and groups by, and a legend names, are those of its metrics.
#[test]
fn panels_name_labels_that_are_there() {
    let dashboard = dashboard();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let legend = target["legendFormat"].as_str().unwrap();
            let is_asked = |metric: &vswitchd::metrics::Description| {
                names(query).any(|name| metric.sample_names().iter().any(|of| of == name))
            };
            let metrics: Vec<_> = catalogue().into_iter().filter(is_asked).collect();
            assert!(!metrics.is_empty(), "{query}");
            // Prometheus itself says which instance a value came from.
            let has = |label: &str| {
                ["le", "instance"].contains(&label)
                    || metrics.iter().all(|metric| metric.labels.contains(&label))
            };
            let in_legend = legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
            let grouped = query.split(" by (").skip(1).filter_map(|rest| rest.split_once(')'));
            let grouped = grouped.flat_map(|(labels, _)| labels.split(", "));
            let chosen = query.match_indices("=~\"").filter_map(|(at, _)| {
                query[..at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()
            });
            let labels = in_legend.map(|(label, _)| label).chain(grouped).chain(chosen);
            for label in labels {
                assert!(has(label), "{label} of {query}, {legend}");
            }
        }
    }
}

/// A quantile of two switches' buckets together is neither's.
#[test]
fn quantiles_of_several_switches_do_not_mix() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut quantiles = 0;
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array()).flatten() {
        let (query, legend) = (&target["expr"], &target["legendFormat"]);
        let (query, legend) = (query.as_str().unwrap(), legend.as_str().unwrap());
        if query.starts_with("histogram_quantile(") {
            quantiles += 1;
            assert!(query.contains(" by (instance, "), "{query}");
            assert!(legend.contains("{{instance}}"), "{legend}");
        }
    }
    assert!(quantiles > 3, "{quantiles}");
}

#[test]
fn panels_are_told_apart() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut places = BTreeSet::new();
    for panel in panels {
        let at = &panel["gridPos"];
        let number = |of: &str| at[of].as_u64().unwrap();
        for x in number("x")..number("x") + number("w") {
            for y in number("y")..number("y") + number("h") {
                assert!(x < 24 && places.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
    }
}

#[test]
fn prometheus_understands_the_dashboard() {
    let dashboard = dashboard();
    let queries: Vec<String> = queries(&dashboard)
        .into_iter()
        .map(|query| query.replace("$__rate_interval", "5m"))
        .collect();
    promtool::understands(&queries).unwrap();
}
