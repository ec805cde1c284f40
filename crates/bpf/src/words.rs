//! Programs as rows of numbers, as other tools write and read them.

use std::fmt::Write as _;

use crate::insn::RawInsn;
use crate::parse::{ParseError, parse};
use crate::program::Program;

/// Why text is no row of words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// Something that is not four numbers of 16, 8, 8 and 32 bits.
    #[error("instruction {index}: {text:?} is not CODE JT JF K")]
    Word {
        /// Index of the instruction, from 0.
        index: usize,
        /// What stands there.
        text: String,
    },
    /// The number in front is not that of the instructions behind it.
    #[error("{announced} instructions are announced, {found} follow")]
    Count {
        /// The number in front.
        announced: u64,
        /// How many follow.
        found: usize,
    },
    /// The number in front is none.
    #[error("{0:?} is not a number of instructions")]
    NoCount(String),
}

/// Why text is no program in any of the forms of [`parse_any`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAnyError {
    /// It looks like assembler text.
    #[error(transparent)]
    Text(#[from] ParseError),
    /// It looks like numbers.
    #[error(transparent)]
    Words(#[from] WordsError),
}

/// As C initialisers of `struct sock_filter` or `struct bpf_insn`, one a line, like `tcpdump -dd`.
///
/// ```
/// let program = bpf::parse("ldh [12]\nret a")?;
/// let text = "{ 0x28, 0, 0, 0x0000000c },\n{ 0x16, 0, 0, 0x00000000 },\n";
/// assert_eq!(bpf::words::to_c(program.words()), text);
/// # Ok::<(), bpf::ParseError>(())
/// ```
#[must_use]
pub fn to_c(words: &[RawInsn]) -> String {
    let line = |RawInsn { code, jt, jf, k }: &RawInsn| {
        format!("{{ {code:#04x}, {jt}, {jf}, {k:#010x} }},\n")
    };
    words.iter().map(line).collect()
}

/// As one line of decimal numbers, `len,code jt jf k,…,`: what `bpf_asm` prints, and what `iptables
/// -m bpf --bytecode` and `tc … bytecode` take.
///
/// ```
/// let program = bpf::parse("ldh [12]\nret a")?;
/// assert_eq!(bpf::words::to_decimal(program.words()), "2,40 0 0 12,22 0 0 0,\n");
/// # Ok::<(), bpf::ParseError>(())
/// ```
#[must_use]
pub fn to_decimal(words: &[RawInsn]) -> String {
    let mut text = format!("{},", words.len());
    for RawInsn { code, jt, jf, k } in words {
        // Writing to a string does not fail.
        let _ = write!(text, "{code} {jt} {jf} {k},");
    }
    text.push('\n');
    text
}

/// Reads what [`to_decimal`] writes, with or without the last comma, and what `tcpdump -ddd`
/// prints: the number of instructions, then each as four decimal numbers.
///
/// # Errors
/// What is not such a row.
pub fn parse_decimal(text: &str) -> Result<Program, WordsError> {
    let mut parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let count = parts.next().unwrap_or_default();
    let announced: u64 = count.parse().map_err(|_| WordsError::NoCount(count.to_owned()))?;
    let program = collect(parts, |part| numbers(part.split_whitespace()))?;
    if u64::try_from(program.len()) == Ok(announced) {
        Ok(program)
    } else {
        Err(WordsError::Count { announced, found: program.len() })
    }
}

/// Reads what [`to_c`] writes: initialisers in braces, their numbers decimal or `0x` hexadecimal.
///
/// # Errors
/// What is not such a list.
pub fn parse_c(text: &str) -> Result<Program, WordsError> {
    let parts =
        text.split_inclusive('}').map(|part| part.trim_start_matches([',', ' ', '\n', '\r', '\t']));
    let parts = parts.filter(|part| !part.is_empty());
    collect(parts, |part| {
        let inner = part.strip_prefix('{')?.strip_suffix('}')?;
        numbers(inner.split(',').map(str::trim))
    })
}

/// Reads a program in whichever form it is: assembler text or a `tcpdump -d` listing ([`parse`]),
/// C initialisers ([`parse_c`]), decimal numbers ([`parse_decimal`]). They begin differently.
///
/// # Errors
/// What is wrong with it, taken for the form that it begins like.
pub fn parse_any(text: &str) -> Result<Program, ParseAnyError> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => Ok(parse_c(text)?),
        Some(b'0'..=b'9') => Ok(parse_decimal(text)?),
        _ => Ok(parse(text)?),
    }
}

fn collect<'t>(
    parts: impl Iterator<Item = &'t str>,
    word: impl Fn(&str) -> Option<RawInsn>,
) -> Result<Program, WordsError> {
    let word = |(index, part): (usize, &str)| {
        word(part).ok_or_else(|| WordsError::Word { index, text: shortened(part) })
    };
    parts.enumerate().map(word).collect::<Result<Vec<_>, _>>().map(Program::from)
}

fn numbers<'t>(mut parts: impl Iterator<Item = &'t str>) -> Option<RawInsn> {
    let mut number = || {
        let text = parts.next()?;
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
            Some(_) => None,
            None => text.parse().ok(),
        }
    };
    let (code, jt, jf, k) = (number()?, number()?, number()?, number()?);
    let raw = RawInsn {
        code: code.try_into().ok()?,
        jt: jt.try_into().ok()?,
        jf: jf.try_into().ok()?,
        k,
    };
    parts.next().is_none().then_some(raw)
}

/// Enough of `text` to find it again.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

const MAX_SHOWN_CHARS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        [(0x28, 0, 0, 12), (0x15, 0, 1, 2054), (6, 0, 0, u32::MAX), (6, 0, 0, 0)]
            .into_iter()
            .map(RawInsn::from)
            .collect()
    }

    #[test]
    fn golden_decimal() {
        let row = "4,40 0 0 12,21 0 1 2054,6 0 0 4294967295,6 0 0 0,\n";
        assert_eq!(to_decimal(program().words()), row);
        assert_eq!(parse_decimal(row), Ok(program()));
        let short = "4,40 0 0 12,21 0 1 2054,6 0 0 4294967295,6 0 0 0";
        assert_eq!(parse_decimal(short), Ok(program()));
        let lines = "4\n40 0 0 12\n21 0 1 2054\n6 0 0 4294967295\n6 0 0 0\n";
        assert_eq!(parse_decimal(lines), Ok(program()));
    }

    #[test]
    fn golden_c() {
        let text = "{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 1, 0x00000806 },\n\
                    { 0x06, 0, 0, 0xffffffff },\n{ 0x06, 0, 0, 0x00000000 },\n";
        assert_eq!(to_c(program().words()), text);
        assert_eq!(parse_c(text), Ok(program()));
        assert_eq!(
            parse_c("{40,0,0,12},{21,0,1,0x806} {6,0,0,4294967295},{ 6,0,0,0 }"),
            Ok(program())
        );
    }

    #[test]
    fn each_form_is_recognised() {
        let program = program();
        for text in [to_c(program.words()), to_decimal(program.words()), program.to_string()] {
            assert_eq!(parse_any(&text), Ok(program.clone()), "{text}");
        }
    }

    #[test]
    fn wrong_rows_are_named() {
        let word = |index, text: &str| Err(WordsError::Word { index, text: text.into() });
        assert_eq!(parse_decimal("2,6 0 0 0"), Err(WordsError::Count { announced: 2, found: 1 }));
        assert_eq!(parse_decimal("x"), Err(WordsError::NoCount("x".into())));
        assert_eq!(parse_decimal(""), Err(WordsError::NoCount(String::new())));
        assert_eq!(parse_decimal("1,6 0 0"), word(0, "6 0 0"));
        assert_eq!(parse_decimal("1,6 0 0 0 0"), word(0, "6 0 0 0 0"));
        assert_eq!(parse_decimal("1,65536 0 0 0"), word(0, "65536 0 0 0"));
        assert_eq!(parse_decimal("1,6 256 0 0"), word(0, "6 256 0 0"));
        assert_eq!(parse_decimal("1,6 0 0 -1"), word(0, "6 0 0 -1"));
        assert_eq!(parse_c("{ 0x06, 0, 0, 0 }, x"), word(1, "x"));
        assert_eq!(parse_c("{ 0x+6, 0, 0, 0 }"), word(0, "{ 0x+6, 0, 0, 0 }"));
    }
}
