//! Just enough of Rust's lexer to tell code from comments and literals.

/// `text` with every comment and the inside of every literal blanked out; lines and columns stay.
///
/// What is left is code: a word found in it is a word of the language or a name.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (kept, end) = token(&chars, at);
        for &c in &chars[at..end] {
            code.push(if kept || c == '\n' { c } else { ' ' });
        }
        at = end;
    }
    code
}

/// Where `word` stands in `code` as a whole word: byte offsets.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !joins(code[..at].chars().next_back()) && !joins(code[at + word.len()..].chars().next())
    })
}

/// The line, counted from 1, that holds byte `at` of `text`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The token or character at `at`: whether it is code, and where it ends.
fn token(chars: &[char], at: usize) -> (bool, usize) {
    let next = chars.get(at + 1);
    match chars[at] {
        '/' if next == Some(&'/') => (false, find(chars, at, |rest| rest[0] == '\n', 0)),
        '/' if next == Some(&'*') => (false, block_comment_end(chars, at)),
        '"' => (false, string_end(chars, at + 1, '"')),
        '\'' if next == Some(&'\\') => (false, string_end(chars, at + 1, '\'')),
        '\'' if chars.get(at + 2) == Some(&'\'') => (false, at + 3),
        c if c.is_alphanumeric() || c == '_' => word_or_raw_string(chars, at),
        _ => (true, at + 1),
    }
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut at, mut depth) = (at, 0_usize);
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (at, depth) = (at + 2, depth + 1),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn string_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut at = at;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// A name, a number, or a raw string after its prefix (`r`, `br`, `cr`).
fn word_or_raw_string(chars: &[char], at: usize) -> (bool, usize) {
    let end = find(chars, at, |rest| !(rest[0].is_alphanumeric() || rest[0] == '_'), 0);
    let word: String = chars[at..end].iter().collect();
    if !matches!(word.as_str(), "r" | "br" | "cr") {
        return (true, end);
    }
    let quote = find(chars, end, |rest| rest[0] != '#', 0);
    if chars.get(quote) != Some(&'"') {
        return (true, end);
    }
    let hashes = quote - end;
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|&c| c == '#')
    };
    (false, find(chars, quote + 1, closes, hashes + 1))
}

/// The first place from `at` on where `holds`, plus `extra`; else the end.
fn find(chars: &[char], at: usize, holds: impl Fn(&[char]) -> bool, extra: usize) -> usize {
    let found = (at..chars.len()).find(|&at| holds(&chars[at..]));
    found.map_or(chars.len(), |found| (found + extra).min(chars.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str) -> String {
        code_only(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_blank_and_code_stays() {
        assert_eq!(squeezed("a // b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(squeezed(r#"let s = "x \" { y"; z"#), "let s = ; z");
        assert_eq!(squeezed("let s = r#\"a \" { b\"#; z"), "let s = ; z");
        assert_eq!(squeezed("let s = br\"a \\\"; z"), "let s = ; z");
        assert_eq!(squeezed("match c { '{' => '\\'', '\"' => b }"), "match c { => , => b }");
        assert_eq!(
            squeezed("fn f<'a>(x: &'a str, r#fn: u8) {}"),
            "fn f<'a>(x: &'a str, r#fn: u8) {}"
        );
        assert_eq!(squeezed("unfinished \"string"), "unfinished");
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "a\n/* b\n c */ d\n\"e\nf\" g";
        assert_eq!(code_only(text).lines().count(), text.lines().count());
        assert_eq!(line_of(text, text.find('d').unwrap()), 3);
    }

    #[test]
    fn whole_words_only() {
        let code = "unsafe { unsafe_code; not_unsafe }";
        assert_eq!(words(code, "unsafe").collect::<Vec<_>>(), [0]);
    }
}
