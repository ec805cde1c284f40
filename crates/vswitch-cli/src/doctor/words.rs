//! Findings for people.

use vswitchd::doctor::{Finding, Severity};

/// One line for each finding, with what to do beneath those that are not as they should be, and a
/// last line that counts them.
pub(super) fn report(findings: &[Finding]) -> String {
    let width = |of: &dyn Fn(&Finding) -> usize| findings.iter().map(of).max().unwrap_or(0);
    let ids = width(&|finding| finding.id.len());
    let objects = width(&|finding| shown(&finding.object).chars().count()).min(OBJECT_COLUMNS);
    let mut text = String::new();
    for finding in findings {
        let Finding { id, severity, .. } = finding;
        let (object, found) = (shown(&finding.object), shown(&finding.found));
        text.push_str(&format!(
            "{severity:<7}  {id:<ids$}  {object:<objects$}  {found}\n",
            severity = severity.to_string()
        ));
        if finding.severity == Severity::Ok {
            continue;
        }
        let parts = [("why", &finding.why), ("do", &finding.to_do), ("run", &finding.command)];
        for (head, words) in parts {
            if let Some(words) = words {
                text.push_str(&format!("         {head}: {}\n", shown(words)));
            }
        }
    }
    text + &counts(findings)
}

/// The widest column of objects: paths are longer.
const OBJECT_COLUMNS: usize = 28;

fn counts(findings: &[Finding]) -> String {
    let count = |of| findings.iter().filter(|finding| finding.severity == of).count();
    let parts: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (severity, count(severity)))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| match severity {
            Severity::Ok => format!("{count} ok"),
            _ => format!("{count} {severity}{}", if count == 1 { "" } else { "s" }),
        })
        .collect();
    format!("\n{}\n", parts.join(", "))
}

/// Text that others chose a part of, without what a terminal would obey.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c.is_control() || is_bidirectional(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Marks that turn the order of what is shown around (Unicode Standard Annex 9).
fn is_bidirectional(c: char) -> bool {
    let is_mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}');
    is_mark || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_is_one_line_and_what_is_not_says_what_to_do() {
        let findings = [
            Finding::ok("good", "br0", "is there").why("not shown"),
            Finding::warning("bad-one", "eth1", "is off").why("so").to_do("on").command(&["x"]),
        ];
        let expected = "\
ok       good     br0   is there
warning  bad-one  eth1  is off
         why: so
         do: on
         run: x

1 warning, 1 ok
";
        assert_eq!(report(&findings), expected);
    }

    #[test]
    fn a_terminal_is_given_nothing_to_obey() {
        let findings = [Finding::note("id", "a\u{1b}[2J\u{202e}b", "c\nd")];
        let text = report(&findings);
        assert!(text.starts_with("note     id  a\\u{1b}[2J\\u{202e}b  c\\u{a}d\n"), "{text}");
        assert!(text.ends_with("\n\n1 note\n"), "{text}");
    }
}
