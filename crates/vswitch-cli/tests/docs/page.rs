//! A page, as parts to be run.

/// A page of Markdown.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) parts: Vec<Part>,
}

/// What a page has for a shell, in its order.
#[derive(Debug)]
pub(crate) enum Part {
    Commands(Commands),
    /// A file's name and text.
    File(String, String),
    /// What is taken for granted.
    Before(String),
    /// A variable of the reader's own.
    Variable(String, String),
    /// A heading: what runs in the background is over.
    Section,
}

#[derive(Debug)]
pub(crate) struct Commands {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) how: How,
    pub(crate) script: String,
    pub(crate) expected: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Succeeds,
    Fails,
    Eventually,
    Background,
    MacOnly,
    NotRun,
}

impl How {
    fn parse(words: &str) -> Option<Self> {
        Some(match words {
            "" => Self::Succeeds,
            "fails" => Self::Fails,
            "eventually" => Self::Eventually,
            "background" => Self::Background,
            "mac-only" => Self::MacOnly,
            _ if words.strip_prefix("no-run:")?.trim().len() > 3 => Self::NotRun,
            _ => return None,
        })
    }
}

impl Page {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut parts = Vec::new();
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if line.starts_with("## ") {
                parts.push(Part::Section);
            }
            let comment = |what: &str| line.strip_prefix(what)?.strip_suffix(" -->");
            parts.extend(comment("<!-- run: ").map(|command| Part::Before(command.to_owned())));
            parts.extend(comment("<!-- env: ").map(|words| {
                let (name, value) = words.split_once('=').expect("NAME=VALUE");
                Part::Variable(name.to_owned(), value.to_owned())
            }));
            let Some(info) = line.strip_prefix("```") else { continue };
            let inside = lines.by_ref().take_while(|(line, _)| *line != "```");
            let text: String = inside.map(|(line, _)| format!("{line}\n")).collect();
            let (language, words) = info.split_once(' ').unwrap_or((info, ""));
            match (language, words) {
                ("sh", words) => {
                    let how = How::parse(words)
                        .unwrap_or_else(|| panic!("{path}:{number}: what is \"sh {words}\"?"));
                    let of = Commands { line: number, how, script: text, expected: None };
                    parts.push(Part::Commands(of));
                }
                ("text", "") => {
                    if let Some(Part::Commands(of)) = parts.last_mut() {
                        of.expected = Some(text);
                    }
                }
                (_, "") => {}
                (_, name) => parts.push(Part::File(name.to_owned(), text)),
            }
        }
        Self { path: path.to_owned(), parts }
    }
}

/// Whether `printed` is `expected`, where `…` is any text, and a line of it alone any lines. How
/// many blanks part the columns of a table is left open: paths are longer here.
pub(crate) fn is_as_expected(expected: &str, printed: &str) -> bool {
    let lines = |text: &'_ str| -> Vec<String> { text.trim_end().lines().map(words).collect() };
    are_lines(&lines(expected), &lines(printed))
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn are_lines(expected: &[String], printed: &[String]) -> bool {
    match expected {
        [] => printed.is_empty(),
        [any, rest @ ..] if any == "…" => {
            (0..=printed.len()).any(|from| are_lines(rest, &printed[from..]))
        }
        [line, rest @ ..] => {
            printed.first().is_some_and(|of| is_line(line, of)) && are_lines(rest, &printed[1..])
        }
    }
}

fn is_line(expected: &str, printed: &str) -> bool {
    let Some((before, rest)) = expected.split_once('…') else { return expected == printed };
    let Some(printed) = printed.strip_prefix(before) else { return false };
    printed.char_indices().any(|(at, _)| is_line(rest, &printed[at..])) || is_line(rest, "")
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let text = "\
# A page
<!-- run: true -->
```sh background
vswitch run
```
prints
```text
one … three
```
## More
```toml a.toml
x = 1
```
```sh no-run: takes hours
sleep 10000
```
```json
{}
```
";
    let page = Page::parse("a.md", text);
    assert!(matches!(&page.parts[0], Part::Before(of) if of == "true"));
    let Part::Commands(of) = &page.parts[1] else { panic!("{page:?}") };
    assert_eq!((of.line, &of.how, &*of.script), (3, &How::Background, "vswitch run\n"));
    assert_eq!(of.expected.as_deref(), Some("one … three\n"));
    assert!(matches!(page.parts[2], Part::Section));
    assert!(
        matches!(&page.parts[3], Part::File(name, text) if name == "a.toml" && text == "x = 1\n")
    );
    assert!(matches!(&page.parts[4], Part::Commands(of) if of.how == How::NotRun));
    assert_eq!(page.parts.len(), 5);
    for words in ["backgruond", "no-run:", "no-run", "fails background"] {
        assert_eq!(How::parse(words), None, "{words}");
    }
}

#[test]
fn what_varies_is_left_open_and_nothing_else() {
    for (expected, printed) in [
        ("a\nb\n", "a\nb\n"),
        ("a  b", "a      b"),
        ("a … c\n", "a b c"),
        ("…\nb\n…\n", "x\ny\nb\n"),
        ("…\nb\n…\n", "b\nx"),
        ("a…", "a"),
        ("seq=… time=… ms", "seq=1 time=0.1 ms"),
    ] {
        assert!(is_as_expected(expected, printed), "{expected} {printed}");
    }
    for (expected, printed) in [
        ("a", "ab"),
        ("a … c", "a b d"),
        ("a\n…\nc", "a\nb"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("", "a"),
    ] {
        assert!(!is_as_expected(expected, printed), "{expected} {printed}");
    }
}
