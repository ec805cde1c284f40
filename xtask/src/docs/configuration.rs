//! The page of the configuration's keys, out of the example and of what the reader expects.

use std::path::Path;

use vswitchd::config::file;

use crate::failure::{Failure, Result};

/// A table of the file, as it is written there.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    /// `[control]`, `[[network.port]]`.
    head: String,
    about: String,
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    name: String,
    value: String,
    /// Whether the example leaves it out.
    is_commented: bool,
    about: String,
}

/// The page.
pub(super) fn page() -> Result<String> {
    let tables = tables(file::EXAMPLE);
    for (head, unknown) in PROBES {
        check_complete(&tables, head, unknown)?;
    }
    let mut page = HEAD.to_owned();
    for Table { head, about, keys } in &tables {
        page += &format!(
            "\n## `{head}`\n\n{about}\n\n| key | for example | what it is |\n|---|---|---|\n"
        );
        for Key { name, value, is_commented, about } in keys {
            let optional = if *is_commented { " (left out in the example)" } else { "" };
            page +=
                &format!("| `{name}` | `{}` | {about}{optional} |\n", value.replace('|', "\\|"));
        }
    }
    page += &format!("\n## The example as a whole\n\n```toml\n{}```\n", file::EXAMPLE);
    Ok(page)
}

const HEAD: &str = "\
# The configuration's keys

Made out of the code by `cargo xtask docs`; do not edit. `vswitch config example` prints the
example at the end of this page, `vswitch config check FILE` says what is wrong with a file. An
unknown key is an error. How a running switch takes a changed file is in
[operate](operate.md#the-configuration-changes).
";

/// For each table a file whose last key no table has: the reader's complaint says which there are.
const PROBES: &[(&str, &str)] = &[
    ("", "unknown-key = 1\n"),
    ("[sockets]", "[sockets]\nunknown-key = 1\n"),
    ("[control]", "[control]\nunknown-key = 1\n"),
    ("[metrics]", "[metrics]\nunknown-key = 1\n"),
    ("[[network]]", "[[network]]\nunknown-key = 1\n"),
    ("[[network.port]]", "[[network]]\n[[network.port]]\nunknown-key = 1\n"),
];

/// Every key that the reader knows is in the example.
fn check_complete(tables: &[Table], head: &str, unknown: &str) -> Result<()> {
    let failed = |why: String| Failure::new("write the page of the configuration", why);
    let complaint = match file::parse(unknown, Path::new("probe.toml")) {
        Ok(_) => return Err(failed(format!("{head} takes any key"))),
        Err(error) => error.to_string(),
    };
    let Some((_, expected)) = complaint.split_once("expected ") else {
        return Err(failed(format!("{head}: not told which keys there are: {complaint}")));
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let has = |key: &str| match head {
        "" => tables.iter().any(|table| table.head.trim_matches(['[', ']']) == key),
        "[[network]]" if key == "port" => true,
        _ => tables
            .iter()
            .filter(|of| of.head == head)
            .any(|of| of.keys.iter().any(|of| of.name == key)),
    };
    match known.iter().find(|key| !has(key)) {
        None if known.is_empty() => Err(failed(format!("{head}: no keys in {complaint}"))),
        None => Ok(()),
        Some(key) => Err(failed(format!("the example has no {key} in {head}"))),
    }
}

/// The tables of the example, each once. What stands above a table or key is about it; keys that
/// follow each other share it.
fn tables(example: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut about = String::new();
    let mut is_after_key = false;
    let mut is_known = false;
    for line in example.lines() {
        let comment = line.strip_prefix("# ");
        if line.is_empty() {
            about.clear();
        } else if let Some(head) = line.strip_prefix('[').map(|_| line.to_owned()) {
            is_known = tables.iter().any(|table| table.head == head);
            if !is_known {
                let about = std::mem::take(&mut about);
                tables.push(Table { head, about, keys: Vec::new() });
            }
            about.clear();
        } else if let Some((name, value)) = assignment(comment.unwrap_or(line)) {
            if let Some(table) = tables.last_mut().filter(|_| !is_known) {
                let (name, value) = (name.to_owned(), value.to_owned());
                let is_commented = comment.is_some();
                table.keys.push(Key { name, value, is_commented, about: about.clone() });
            }
            is_after_key = true;
            continue;
        } else if let Some(words) = comment {
            if is_after_key {
                about.clear();
            }
            about.push_str(if about.is_empty() { "" } else { " " });
            about.push_str(words);
        }
        is_after_key = false;
    }
    tables
}

/// `key = value`, where both are of a form that no sentence has.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let is_name =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-');
    is_name.then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_key_of_the_code() {
        let page = page().expect("the example is complete");
        for key in ["owner", "socket", "listen", "uplink", "attach", "mac"] {
            assert!(page.contains(&format!("| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn a_key_that_the_example_lacks_is_missed() {
        let without = tables(&file::EXAMPLE.replace("mac = ", "cam = "));
        let (head, unknown) = PROBES[5];
        let failure = check_complete(&without, head, unknown).unwrap_err();
        assert!(failure.to_string().contains("no mac in [[network.port]]"), "{failure}");
    }

    #[test]
    fn keys_that_follow_each_other_share_what_is_above() {
        let example =
            "# All.\n[a]\n# One\n# or two.\n# x = 1\ny = 2\n# Three.\nz = 3\n\n[a]\nx = 9\n";
        let key = |name: &str, value: &str, is_commented, about: &str| Key {
            name: name.to_owned(),
            value: value.to_owned(),
            is_commented,
            about: about.to_owned(),
        };
        let keys = vec![
            key("x", "1", true, "One or two."),
            key("y", "2", false, "One or two."),
            key("z", "3", false, "Three."),
        ];
        let table = Table { head: "[a]".to_owned(), about: "All.".to_owned(), keys };
        assert_eq!(tables(example), [table]);
    }
}
