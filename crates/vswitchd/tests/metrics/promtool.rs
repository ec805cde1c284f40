//! Prometheus' own tool: whether it reads a page, likes its names, and understands queries.

use std::io::Write as _;
use std::process::{Command, Stdio};

use vswitchd::metrics::{Format, render_as};

use crate::pages;

/// Has promtool check `what`, given as `input`; what it complains of.
fn check(arguments: &[&str], input: &str) -> Result<(), String> {
    let mut child = Command::new("promtool")
        .arg("check")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let words = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
    if done.status.success() { Ok(()) } else { Err(words.into_owned()) }
}

/// Whether promtool understands queries; skips the test where it is not there.
pub(crate) fn understands(queries: &[String]) -> Result<(), String> {
    if !testkit::tool_or_skip("promtool", "prometheus") {
        return Ok(());
    }
    // As rules, since those can be checked without a server.
    let rule = |(number, query): (usize, &String)| {
        let record = format!("query:{number}");
        serde_json::json!({"record": record, "expr": query})
    };
    let rules: Vec<_> = queries.iter().enumerate().map(rule).collect();
    let groups = serde_json::json!([{"name": "queries", "rules": rules}]);
    let file = serde_json::json!({"groups": groups});
    check_file("rules", &file.to_string())
}

/// Whether Prometheus could be started with this configuration; skips the test where there is no
/// promtool.
pub(crate) fn takes_configuration(text: &str) -> Result<(), String> {
    if !testkit::tool_or_skip("promtool", "prometheus") {
        return Ok(());
    }
    check_file("config", text)
}

fn check_file(what: &str, text: &str) -> Result<(), String> {
    let scratch = testkit::scratch_dir();
    let path = scratch.path().join("file.yml");
    std::fs::write(&path, text).unwrap();
    check(&[what, path.to_str().unwrap()], "")
}

#[test]
fn promtool_reads_a_page_and_likes_its_names() {
    if !testkit::tool_or_skip("promtool", "prometheus") {
        return;
    }
    let (report, facts) = pages::full();
    check(&["metrics"], &render_as(Format::Text, &report, &facts)).unwrap();
    // It is one that finds fault.
    let bad = "# TYPE vswitch_frames counter\nvswitch_frames 1\n";
    check(&["metrics"], bad).unwrap_err();
    understands(&["rate(vswitch_build_info[".to_owned()]).unwrap_err();
    takes_configuration("scrape_configs: [{job: vswitch}]").unwrap_err();
}
