//! docs/metrics.md says what the code has.

use std::fs;
use std::path::PathBuf;

use vswitchd::metrics::catalogue;

use crate::{dashboard, promtool};

const BEGIN: &str = "<!-- The table is written by the test that checks it. -->\n\n";
const END: &str = "\n<!-- The end of the table. -->";

fn page() -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

fn table() -> String {
    let mut table = "| metric | kind | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for metric in catalogue() {
        let code = |word: &String| format!("`{word}`");
        let names: Vec<String> = metric.sample_names().iter().map(code).collect();
        let labels: Vec<String> = metric.labels.iter().map(|l| code(&(*l).to_owned())).collect();
        let cells = [names.join(", "), metric.kind.name().to_owned(), labels.join(", ")];
        table.push_str(&format!("| {} | {} |\n", cells.join(" | "), metric.help));
    }
    table
}

/// `VSWITCH_WRITE_DOCS=1 cargo test -p vswitchd --test metrics` writes it.
#[test]
fn the_table_is_the_catalogue() {
    let (path, text) = page();
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (now, after) = rest.split_once(END).expect("where the table ends");
    if std::env::var_os("VSWITCH_WRITE_DOCS").is_some() {
        fs::write(path, [before, BEGIN, &table(), END, after].concat()).unwrap();
        return;
    }
    assert!(
        now == table(),
        "docs/metrics.md is not what the code has: \
         VSWITCH_WRITE_DOCS=1 cargo test -p vswitchd --test metrics"
    );
}

/// The blocks of the page in one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let rests: Vec<&str> = text.split(&*begin).skip(1).collect();
    rests.into_iter().filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

/// The queries of the page, one a line in blocks of their own.
fn queries(text: &str) -> Vec<String> {
    let lines = blocks(text, "promql").into_iter().flat_map(str::lines);
    lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn prometheus_takes_the_configuration_of_the_page() {
    let (_, text) = page();
    let [configuration] = blocks(&text, "yaml")[..] else { panic!("one block of YAML") };
    promtool::takes_configuration(configuration).unwrap();
}

#[test]
fn the_queries_of_the_page_can_be_asked() {
    let (_, text) = page();
    let (queries, known) = (queries(&text), dashboard::known());
    assert!(queries.len() >= 6, "{queries:?}");
    for query in &queries {
        let mut names = dashboard::names(query).peekable();
        assert!(names.peek().is_some(), "{query}");
        let unknown = names.find(|name| !known.contains(*name));
        assert_eq!(unknown, None, "in {query}");
    }
    promtool::understands(&queries).unwrap();
}
