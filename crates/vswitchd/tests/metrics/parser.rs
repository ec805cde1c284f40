//! Prometheus' parsers, as Python has them (the package `prometheus_client`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use vswitchd::metrics::Format;

/// A Python that parses pages, one after the other.
pub(crate) struct Parser {
    child: Child,
    pages: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What stands on a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) families: Vec<Family>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: serde_json::Number,
}

impl Parser {
    /// Starts it; skips the test where no Python has the package.
    pub(crate) fn start_or_skip() -> Option<Self> {
        // Where `.ci/run` has one of its own.
        let environment = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../xtask/python");
        let candidates = [environment.join("bin/python"), "python3".into()];
        let has_package = |python: &PathBuf| {
            let mut try_it = Command::new(python);
            try_it.args(["-c", "import prometheus_client"]).stderr(Stdio::null());
            try_it.status().is_ok_and(|status| status.success())
        };
        let Some(python) = candidates.into_iter().find(has_package) else {
            testkit::skip("no Python with the package prometheus_client (pip install it)");
            return None;
        };
        let mut child = Command::new(python)
            .args(["-c", include_str!("parse.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was started a moment ago");
        let answers = BufReader::new(child.stdout.take().unwrap());
        Some(Self { pages: child.stdin.take(), child, answers })
    }

    /// What stands on a page; the parser's complaint if it cannot be read.
    pub(crate) fn try_parse(&mut self, format: Format, page: &str) -> Result<Page, String> {
        let word = match format {
            Format::Text => "text",
            Format::OpenMetrics => "open_metrics",
        };
        let pages = self.pages.as_mut().unwrap();
        pages.write_all(format!("{word} {}\n{page}", page.len()).as_bytes()).unwrap();
        pages.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).expect("the parser answers in JSON");
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(Page::of(&answer)),
        }
    }

    /// What stands on a page that can be read.
    #[track_caller]
    pub(crate) fn parse(&mut self, format: Format, page: &str) -> Page {
        let parsed = self.try_parse(format, page);
        parsed.unwrap_or_else(|error| panic!("{format:?}: {error} in\n{page}"))
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        self.pages = None;
        let _ = self.child.wait();
    }
}

impl Page {
    fn of(answer: &Value) -> Self {
        let text = |of: &Value| of.as_str().unwrap().to_owned();
        let list = |name: &str| answer[name].as_array().unwrap().clone().into_iter();
        let family = |of: Value| Family {
            name: text(&of["name"]),
            kind: text(&of["kind"]),
            help: text(&of["help"]),
        };
        let labels = |of: &Value| {
            let labels = of.as_object().unwrap().iter();
            labels.map(|(name, value)| (name.clone(), text(value))).collect()
        };
        let sample = |of: Value| Sample {
            name: text(&of["name"]),
            labels: labels(&of["labels"]),
            value: of["value"].as_number().unwrap().clone(),
        };
        Self {
            families: list("families").map(family).collect(),
            samples: list("samples").map(sample).collect(),
        }
    }

    /// The values of that name and these labels, whatever others they have.
    pub(crate) fn values(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let is_it = |sample: &&Sample| {
            let mut wanted = labels.iter();
            sample.name == name
                && wanted.all(|(name, value)| sample.labels.get(*name).is_some_and(|v| v == value))
        };
        let found = self.samples.iter().filter(is_it);
        found.map(|sample| sample.value.as_f64().unwrap()).collect()
    }

    /// The only value of that name and these labels, a whole number.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        match &self.values(name, labels)[..] {
            [value] => whole(*value),
            others => panic!("{} values of {name} {labels:?}", others.len()),
        }
    }

    /// The sum of the values of that name and these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.values(name, labels).into_iter().map(whole).sum()
    }
}

#[track_caller]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number that a double holds"
)]
fn whole(value: f64) -> u64 {
    assert!(value >= 0.0 && value <= 2_f64.powi(53) && value.fract() == 0.0, "{value}");
    value as u64
}
