//! How long a line and a function may be.

use super::source::{code_only, line_of, words};
use super::{Finding, SourceFile};

const LINE_COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;

/// A word of this many columns cannot be broken: an address, a digest, a long name in a literal.
const UNBREAKABLE_COLUMNS: usize = 60;

/// Every line over 100 columns and every function over 70 lines.
pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    files.iter().flat_map(|file| [long_lines(file), long_functions(file)].concat()).collect()
}

fn long_lines(file: &SourceFile) -> Vec<Finding> {
    let lines = file.text.lines().zip(1..);
    let long = lines.filter(|(line, _)| line.chars().count() > LINE_COLUMNS_MAX);
    long.filter(|(line, _)| !unbreakable(line))
        .map(|(line, number)| {
            let columns = line.chars().count();
            let message = format!("{columns} columns, {LINE_COLUMNS_MAX} are the limit");
            Finding::at(&file.path, number, message)
        })
        .collect()
}

/// Lines that no editor can break: an address or another very long word, a table's row in a doc
/// comment.
fn unbreakable(line: &str) -> bool {
    let trimmed = line.trim_start();
    let table_row = ["//! |", "/// |"].iter().any(|head| trimmed.starts_with(head));
    let longest = line.split_whitespace().map(|word| word.chars().count()).max();
    table_row || line.contains("://") || longest.is_some_and(|word| word >= UNBREAKABLE_COLUMNS)
}

fn long_functions(file: &SourceFile) -> Vec<Finding> {
    let code = code_only(&file.text);
    let mut findings = Vec::new();
    for at in words(&code, "fn") {
        let Some((name, end)) = function(&code, at) else { continue };
        let first = line_of(&code, at);
        let lines = line_of(&code, end) - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let message = format!("{name} has {lines} lines, {FUNCTION_LINES_MAX} are the limit");
            findings.push(Finding::at(&file.path, first, message));
        }
    }
    findings
}

/// The name of the function whose `fn` is at `at`, and where its body's last brace is; nothing for
/// a function pointer type and for a function without a body.
fn function(code: &str, at: usize) -> Option<(&str, usize)> {
    let signature = code[at + "fn".len()..].trim_start();
    let name_end = signature.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let name = &signature[..name_end];
    if name.is_empty() {
        return None;
    }
    let start = code.len() - signature.len();
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (offset, c) in code[start..].char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some((name, start + offset));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        check(&[SourceFile { path: "a.rs".into(), text: text.into() }])
    }

    #[test]
    fn a_long_line_is_found_and_an_unbreakable_one_is_not() {
        let words = "let x = 1 + 2;".repeat(8);
        assert_eq!(findings(&format!("\n{words}\n"))[0].line, Some(2));
        let address = "a/".repeat(60);
        assert_eq!(findings(&format!("// see https://example.org {words}")), []);
        assert_eq!(findings(&format!("    \"{address}\",")), []);
        assert_eq!(findings(&format!("/// | {words} |")), []);
        assert_eq!(findings(&"é".repeat(100)), []);
    }

    #[test]
    fn a_long_function_is_found_by_its_name() {
        let body = |lines| "    g(\"}\"); // }\n".repeat(lines);
        let found = findings(&format!("struct S;\nfn long(a: [u8; 2]) {{\n{}}}\n", body(69)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(2));
        assert!(found[0].message.starts_with("long has 71 lines"), "{}", found[0].message);
        assert_eq!(findings(&format!("fn short() {{\n{}}}\n", body(68))), []);
    }

    #[test]
    fn pointers_and_functions_without_a_body_have_no_length() {
        let rest = "\n".repeat(90);
        assert_eq!(findings(&format!("type F = fn(u8);\ntrait T {{ fn f(); {rest} }}")), []);
    }
}
