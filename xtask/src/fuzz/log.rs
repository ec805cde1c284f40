//! What libFuzzer says of a run.

use std::path::PathBuf;

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// Counters in the program: without any, libFuzzer is blind.
    pub(super) counters: u64,
    /// Edges that the kept inputs reached, and all inputs in the end.
    pub(super) reached_first: u64,
    pub(super) reached: u64,
    pub(super) runs: u64,
    pub(super) runs_per_second: u64,
    pub(super) peak_mib: u64,
    /// Where the input is that failed.
    pub(super) artifact: Option<PathBuf>,
    /// What a target that panicked said, and where, or what libFuzzer found.
    pub(super) reason: Option<String>,
}

impl Log {
    pub(super) fn read(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines() {
            log.add(line);
        }
        log
    }

    fn add(&mut self, line: &str) {
        if let Some(reached) = number_after(line, " cov: ") {
            if line.contains("INITED") {
                self.reached_first = reached;
            }
            self.reached = reached;
        } else if line.starts_with("INFO: Loaded ") && line.contains("counters") {
            // INFO: Loaded 1 modules   (123 inline 8-bit counters): 123 [0x…, 0x…),
            self.counters = number_after(line, "(").unwrap_or(0);
        } else if let Some(number) = number_after(line, "stat::number_of_executed_units:") {
            self.runs = number;
        } else if let Some(number) = number_after(line, "stat::average_exec_per_sec:") {
            self.runs_per_second = number;
        } else if let Some(number) = number_after(line, "stat::peak_rss_mb:") {
            self.peak_mib = number;
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artifact = Some(path.trim().into());
        } else if line.contains("panicked at ") || line.contains("ERROR: libFuzzer: ") {
            self.reason.get_or_insert(line.trim().to_owned());
        }
    }
}

/// The number that stands behind `words`, and perhaps blanks.
fn number_after(line: &str, words: &str) -> Option<u64> {
    let (_, rest) = line.split_once(words)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_found_nothing() {
        let text = "\
INFO: Running with entropic power schedule (0xFF, 100).
INFO: Loaded 1 modules   (81920 inline 8-bit counters): 81920 [0x5, 0x6), \n\
INFO: Loaded 1 PC tables (81920 PCs): 81920 [0x7,0x8), \n\
#30	INITED cov: 1200 ft: 1500 corp: 25/2Kb exec/s: 0 rss: 60Mb\n\
#64	NEW    cov: 1234 ft: 1600 corp: 26/2Kb lim: 100 exec/s: 0 rss: 61Mb L: 1/2 MS: 1 X-\n\
#9000	DONE   cov: 1300 ft: 1700 corp: 30/3Kb lim: 200 exec/s: 4500 rss: 62Mb\n\
stat::number_of_executed_units: 9000\n\
stat::average_exec_per_sec:     4500\n\
stat::peak_rss_mb:              62\n";
        let expected = Log {
            counters: 81920,
            reached_first: 1200,
            reached: 1300,
            runs: 9000,
            runs_per_second: 4500,
            peak_mib: 62,
            ..Log::default()
        };
        assert_eq!(Log::read(text), expected);
    }

    #[test]
    fn a_run_that_found_something() {
        let text = "\
thread '<unnamed>' (7) panicked at src/x.rs:1:2:\n\
==7== ERROR: libFuzzer: deadly signal\n\
artifact_prefix='/t/'; Test unit written to /t/crash-1f\n";
        let log = Log::read(text);
        assert_eq!(log.artifact, Some("/t/crash-1f".into()));
        assert!(log.reason.is_some_and(|reason| reason.ends_with("src/x.rs:1:2:")));
    }
}
