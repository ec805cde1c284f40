//! The last calls, for a test that fails.

use std::collections::VecDeque;
use std::fmt::Write as _;

const LINES_MAX: usize = 400;

/// The last calls of all processes, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: VecDeque<String>,
}

impl Trace {
    pub(crate) fn push(&mut self, line: String) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
            text
        })
    }
}
