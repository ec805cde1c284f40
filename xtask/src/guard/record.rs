//! What a frame cost when it was last written down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};

/// The file: figures by architecture.
#[derive(Debug)]
pub(super) struct Record(Map<String, Value>);

/// Instructions per frame, by case, and the compiler that made them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) rustc: String,
    pub(super) instructions_per_frame: BTreeMap<String, f64>,
}

/// So many percent more may a frame cost than was written down.
const ALLOWANCE_PERCENT: f64 = 5.0;

/// With another compiler than it was written down with.
const ALLOWANCE_OTHER_COMPILER_PERCENT: f64 = 25.0;

/// So many percent less is worth writing down.
const GAIN_PERCENT: f64 = 5.0;

impl Record {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let what = || format!("read {}", path.display());
        let text = fs::read_to_string(path).map_err(|error| Failure::new(what(), error))?;
        let object = serde_json::from_str(&text).map_err(|error| Failure::new(what(), error))?;
        Ok(Self(object))
    }

    /// Replaces the file.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let what = || format!("write {}", path.display());
        let text =
            serde_json::to_string_pretty(&self.0).map_err(|error| Failure::new(what(), error))?;
        fs::write(path, text + "\n").map_err(|error| Failure::new(what(), error))
    }

    /// Replaces the figures of an architecture.
    pub(super) fn set(&mut self, arch: &str, figures: Figures) {
        let Figures { rustc, instructions_per_frame } = figures;
        let value = json!({"rustc": rustc, "instructions_per_frame": instructions_per_frame});
        self.0.insert(arch.to_owned(), value);
    }

    fn figures(&self, arch: &str) -> Option<Figures> {
        let of_arch = self.0.get(arch)?;
        let figures = of_arch["instructions_per_frame"].as_object()?;
        let figure = |(name, value): (&String, &Value)| Some((name.clone(), value.as_f64()?));
        Some(Figures {
            rustc: of_arch["rustc"].as_str()?.to_owned(),
            instructions_per_frame: figures.iter().map(figure).collect::<Option<_>>()?,
        })
    }

    /// Prints a table of what is and what was written down; what is over its bound.
    pub(super) fn compare(&self, arch: &str, now: &Figures) -> Result<Vec<String>> {
        let Some(before) = self.figures(arch) else {
            let why = "none for this architecture (cargo xtask guard --write)";
            return Err(Failure::new(format!("compare the instructions on {arch}"), why));
        };
        let (table, faults) = compare(&before, now);
        println!("{table}");
        Ok(faults)
    }
}

fn compare(before: &Figures, now: &Figures) -> (String, Vec<String>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    let is_same_compiler = before.rustc == now.rustc;
    let allowance =
        if is_same_compiler { ALLOWANCE_PERCENT } else { ALLOWANCE_OTHER_COMPILER_PERCENT };
    if !is_same_compiler {
        lines.push(format!(
            "guard: written down with {}, this is {}: {allowance} % more is allowed",
            before.rustc, now.rustc
        ));
    }
    lines.push(format!(
        "guard: {:<28} {:>8} {:>8} {:>8}",
        "instructions per frame", "now", "written", "change"
    ));
    for (name, figure) in &now.instructions_per_frame {
        let Some(written) = before.instructions_per_frame.get(name) else {
            faults.push(format!("{name}: not written down (cargo xtask guard --write)"));
            continue;
        };
        let change = 100.0 * (figure / written - 1.0);
        let verdict = match change {
            _ if change > allowance => "OVER ITS BOUND",
            _ if change < -GAIN_PERCENT => "a gain: write it down (cargo xtask guard --write)",
            _ => "",
        };
        let line =
            format!("guard: {name:<28} {figure:>8.1} {written:>8.1} {change:>+6.1} % {verdict}");
        lines.push(line.trim_end().to_owned());
        if change > allowance {
            faults.push(format!(
                "{name}: {figure:.1} instructions per frame, {written:.1} are written down and \
                 {allowance} % more allowed"
            ));
        }
    }
    let gone = before.instructions_per_frame.keys();
    let gone = gone.filter(|name| !now.instructions_per_frame.contains_key(*name));
    faults.extend(gone.map(|name| format!("{name}: written down, and no case any more")));
    (lines.join("\n"), faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rustc: &str, of: &[(&str, f64)]) -> Figures {
        let figures = of.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        Figures { rustc: rustc.to_owned(), instructions_per_frame: figures }
    }

    #[test]
    fn more_than_five_percent_is_a_fault_and_less_is_not() {
        let before = figures("1", &[("a", 100.0)]);
        let faults = |now| compare(&before, &figures("1", &[("a", now)])).1.len();
        assert_eq!([95.0, 104.9, 105.1, 200.0].map(faults), [0, 0, 1, 1]);
    }

    #[test]
    fn another_compiler_is_said_and_allowed_more() {
        let before = figures("1", &[("a", 100.0)]);
        let (table, faults) = compare(&before, &figures("2", &[("a", 124.0)]));
        assert!(table.contains("written down with 1, this is 2") && faults.is_empty(), "{table}");
        assert_eq!(compare(&before, &figures("2", &[("a", 126.0)])).1.len(), 1);
    }

    #[test]
    fn a_gain_is_to_be_written_down() {
        let before = figures("1", &[("a", 100.0)]);
        let (table, faults) = compare(&before, &figures("1", &[("a", 94.0)]));
        assert!(table.contains("write it down") && faults.is_empty(), "{table}");
        assert!(!compare(&before, &before.clone()).0.contains("write it down"));
    }

    #[test]
    fn a_case_that_is_new_or_gone_is_a_fault() {
        let (one, two) = (figures("1", &[("a", 1.0)]), figures("1", &[("a", 1.0), ("b", 1.0)]));
        assert_eq!(compare(&one, &two).1.len(), 1);
        assert_eq!(compare(&two, &one).1.len(), 1);
    }

    #[test]
    fn what_is_written_is_read_and_other_architectures_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        fs::write(&path, "{}").unwrap();
        let mut record = Record::read(&path).unwrap();
        assert!(record.compare("a", &figures("1", &[])).is_err(), "none yet");
        record.set("a", figures("1", &[("x", 1.5)]));
        record.set("b", figures("2", &[]));
        record.set("a", figures("3", &[("x", 2.5)]));
        record.write(&path).unwrap();
        let record = Record::read(&path).unwrap();
        assert_eq!(record.figures("a"), Some(figures("3", &[("x", 2.5)])));
        assert_eq!(record.figures("b"), Some(figures("2", &[])));
    }
}
