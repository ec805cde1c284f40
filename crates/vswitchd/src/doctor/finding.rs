//! One thing that was looked at, and what was found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is as it should be.
    Ok,
    /// Good to know; nothing need be done. Also: it could not be looked at.
    Note,
    /// It works, and worse or otherwise than is expected.
    Warning,
    /// Guests will have no network, or a broken one, or the switch will not start.
    Error,
}

impl Severity {
    /// From the best to the worst.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Note, Self::Warning, Self::Error];
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that was looked at, and what was found. Its texts may hold names that others chose: a
/// terminal should not be shown them as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check it is of, in small letters and `-`; stays the same from version to version.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was looked at: an interface, a path, a setting.
    pub object: String,
    /// What was found.
    pub found: String,
    /// The numbers in it, by name.
    pub figures: BTreeMap<&'static str, u64>,
    /// Why it matters; of what is as it should be, nothing.
    pub why: Option<String>,
    /// What can be done, in words.
    pub to_do: Option<String>,
    /// A command that does it, for a shell.
    pub command: Option<String>,
}

impl Finding {
    /// A finding without figures and advice.
    #[must_use]
    pub fn new(
        severity: Severity,
        id: &'static str,
        object: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            id,
            severity,
            object: object.into(),
            found: found.into(),
            figures: BTreeMap::new(),
            why: None,
            to_do: None,
            command: None,
        }
    }

    /// It is as it should be.
    #[must_use]
    pub fn ok(id: &'static str, object: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Ok, id, object, found)
    }

    /// Good to know.
    #[must_use]
    pub fn note(id: &'static str, object: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Note, id, object, found)
    }

    /// It works worse than is expected.
    #[must_use]
    pub fn warning(id: &'static str, object: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Warning, id, object, found)
    }

    /// It does not work.
    #[must_use]
    pub fn error(id: &'static str, object: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Error, id, object, found)
    }

    /// Adds a number.
    #[must_use]
    pub fn figure(mut self, name: &'static str, value: u64) -> Self {
        self.figures.insert(name, value);
        self
    }

    /// Adds why it matters.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds what can be done.
    #[must_use]
    #[allow(clippy::wrong_self_convention, reason = "not a conversion: what there is to do")]
    pub fn to_do(mut self, to_do: impl Into<String>) -> Self {
        self.to_do = Some(to_do.into());
        self
    }

    /// Adds a command by its words, each quoted for a shell where it needs to be. A word that no
    /// terminal should be given leaves no command.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        let words: Option<Vec<String>> = words.iter().map(|word| quoted(word)).collect();
        self.command = words.map(|words| words.join(" "));
        self
    }

    /// Adds a second command, to be given if the first one does it.
    #[must_use]
    pub fn and(mut self, words: &[&str]) -> Self {
        let first = self.command.take();
        let this = self.command(words);
        let command = first.zip(this.command.clone()).map(|(a, b)| format!("{a} && {b}"));
        Self { command, ..this }
    }
}

/// The severest of some findings; of none, [`Severity::Ok`].
#[must_use]
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

/// A word for a POSIX shell, or nothing when it has characters that a terminal would obey.
fn quoted(word: &str) -> Option<String> {
    if word.chars().any(char::is_control) {
        return None;
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Some(word.to_owned());
    }
    Some(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn severities_are_in_order_and_the_worst_counts() {
        assert!(Severity::ALL.is_sorted());
        assert_eq!(worst(&[]), Severity::Ok);
        let all = Severity::ALL.map(|severity| Finding::new(severity, "a", "b", "c"));
        assert_eq!(worst(&all), Severity::Error);
        assert_eq!(worst(&all[..2]), Severity::Note);
    }

    #[test]
    fn commands_are_quoted_and_joined() {
        let finding = Finding::ok("a", "b", "c").command(&["rm", "--", "/run/it's here"]);
        assert_eq!(finding.command.as_deref(), Some(r"rm -- '/run/it'\''s here'"));
        let both = finding.and(&["true"]);
        assert_eq!(both.command.as_deref(), Some(r"rm -- '/run/it'\''s here' && true"));
        let hostile = Finding::ok("a", "b", "c").command(&["ip", "a\nreboot"]);
        assert_eq!(hostile.command, None);
        assert_eq!(hostile.and(&["true"]).command, None, "not half of it");
    }

    #[test]
    fn a_finding_as_json() {
        let finding = Finding::warning("x-y", "br0", "it is 1").figure("is", 1).why("so");
        let json = serde_json::to_value(finding.to_do("that").command(&["a", "b"])).unwrap();
        let expected = serde_json::json!({
            "id": "x-y", "severity": "warning", "object": "br0", "found": "it is 1",
            "figures": { "is": 1 }, "why": "so", "to_do": "that", "command": "a b",
        });
        assert_eq!(json, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The shell itself says what the words were.
        #[test]
        fn a_shell_reads_the_words_as_they_were(
            words in prop::collection::vec("[^\\p{Cc}]{0,12}", 1..4),
        ) {
            let quoted: Vec<String> = words.iter().map(|word| quoted(word).unwrap()).collect();
            let script = format!("printf '%s\\n' {}", quoted.join(" "));
            let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            prop_assert_eq!(said, words.iter().map(|word| format!("{word}\n")).collect::<String>());
        }
    }
}
