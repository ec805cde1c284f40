//! One line of assembler text: its tokens and the small pieces made of them.

use super::{ParseReason, ancillary};
use crate::ancillary::Ancillary;

/// What an instruction works on.
pub(super) enum Argument {
    /// `#5`
    Immediate(u32),
    /// `5`
    Number(u32),
    /// `[12]`
    Absolute(u32),
    /// `[x + 12]`
    Indirect(u32),
    /// `M[3]`
    Scratch(u32),
    /// `4*([14]&0xf)`
    HeaderLength(u32),
    /// `#len`
    Length,
    /// `#proto`
    Ancillary(Ancillary),
    /// `x`
    X,
    /// `a`
    A,
}

pub(super) struct Line<'t> {
    /// The number of a listing's line, `(012)`.
    pub(super) index: Option<u32>,
    tokens: Vec<Token<'t>>,
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Number(u32),
    Symbol(char),
}

/// `text` with blanks for comments; lines stay where they are.
pub(super) fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find([';', '/']) {
        let (before, comment) = rest.split_at(at);
        clean.push_str(before);
        let len = if comment.starts_with(';') {
            comment.find('\n').unwrap_or(comment.len())
        } else if let Some(body) = comment.strip_prefix("/*") {
            body.find("*/").map_or(comment.len(), |end| end + 4)
        } else {
            clean.push('/');
            rest = &comment[1..];
            continue;
        };
        clean.push(' ');
        clean.extend(comment[..len].matches('\n'));
        rest = &comment[len..];
    }
    clean.push_str(rest);
    clean
}

impl<'t> Line<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, ParseReason> {
        let mut tokens = Vec::new();
        let (index, mut rest) = index(text.trim_start())?;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let signed = first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
            let len = if first.is_ascii_alphabetic() || first == '_' || first == '.' || signed {
                1 + rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1)
            } else if first.is_ascii_digit() {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (token, behind) = rest.split_at(len);
            tokens.push(match first {
                _ if signed || first.is_ascii_digit() => Token::Number(number(token)?),
                '_' | '.' => Token::Word(token),
                _ if first.is_ascii_alphabetic() => Token::Word(token),
                '#' | '[' | ']' | '(' | ')' | ',' | ':' | '+' | '*' | '&' | '%' => {
                    Token::Symbol(first)
                }
                _ => return Err(ParseReason::Character(first)),
            });
            rest = behind.trim_start();
        }
        Ok(Self { index, tokens, next: 0 })
    }

    /// `name:`
    pub(super) fn label(&mut self) -> Option<&'t str> {
        match (self.peek(), self.tokens.get(self.next + 1)) {
            (Some(Token::Word(name)), Some(Token::Symbol(':'))) => {
                self.next += 2;
                Some(name)
            }
            _ => None,
        }
    }

    /// The instruction's name; `None` at the end of the line.
    pub(super) fn mnemonic(&mut self) -> Result<Option<&'t str>, ParseReason> {
        match self.name() {
            Some(name) => Ok(Some(name)),
            None => self.end().map(|()| None).map_err(|_| self.expected("an instruction")),
        }
    }

    pub(super) fn name(&mut self) -> Option<&'t str> {
        let Some(Token::Word(name)) = self.peek() else { return None };
        self.next += 1;
        Some(name)
    }

    pub(super) fn number(&mut self) -> Result<u32, ParseReason> {
        self.number_or("a number")
    }

    pub(super) fn number_or(&mut self, expected: &'static str) -> Result<u32, ParseReason> {
        let Some(Token::Number(number)) = self.peek() else { return Err(self.expected(expected)) };
        self.next += 1;
        Ok(number)
    }

    pub(super) fn symbol(&mut self, symbol: char) -> bool {
        self.take(Token::Symbol(symbol))
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: char) -> Result<(), ParseReason> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.expected(match symbol {
            ',' => "','",
            ')' => "')'",
            '(' => "'('",
            '[' => "'['",
            ']' => "']'",
            _ => "'&'",
        }))
    }

    pub(super) fn expect_word(&mut self, word: &'static str) -> Result<(), ParseReason> {
        if self.word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    pub(super) fn end(&self) -> Result<(), ParseReason> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    pub(super) fn argument(&mut self) -> Result<Argument, ParseReason> {
        if self.symbol('#') {
            return match self.name() {
                Some(name) => ancillary(name)
                    .ok_or_else(|| self.found("a number or a name that a load knows", name)),
                None => Ok(Argument::Immediate(self.number()?)),
            };
        }
        if self.symbol('[') {
            return self.in_brackets();
        }
        if let Some(Token::Number(number)) = self.peek() {
            self.next += 1;
            return if self.symbol('*') {
                self.header_length(number)
            } else {
                Ok(Argument::Number(number))
            };
        }
        let register = self.symbol('%');
        let Some(name) = self.name() else { return Err(self.expected("an operand")) };
        match name {
            "x" => Ok(Argument::X),
            "a" => Ok(Argument::A),
            "M" if !register => {
                self.expect('[')?;
                let slot = self.number()?;
                self.expect(']')?;
                Ok(Argument::Scratch(slot))
            }
            _ if register => Err(self.found("a or x", name)),
            _ => ancillary(name).ok_or_else(|| self.found("an operand", name)),
        }
    }

    /// `[12]`, `[x]`, `[x + 12]`, with the bracket already read.
    fn in_brackets(&mut self) -> Result<Argument, ParseReason> {
        let argument = if self.symbol('%') || matches!(self.peek(), Some(Token::Word(_))) {
            if !self.word("x") {
                return Err(self.expected("x or a number"));
            }
            let has_offset = self.symbol('+') || matches!(self.peek(), Some(Token::Number(_)));
            Argument::Indirect(if has_offset { self.number()? } else { 0 })
        } else {
            Argument::Absolute(self.number_or("x or a number")?)
        };
        self.expect(']')?;
        Ok(argument)
    }

    /// `4*([14]&0xf)`, with the factor and the star already read.
    fn header_length(&mut self, factor: u32) -> Result<Argument, ParseReason> {
        self.expect('(')?;
        self.expect('[')?;
        let offset = self.number()?;
        self.expect(']')?;
        self.expect('&')?;
        let mask = self.number()?;
        self.expect(')')?;
        if (factor, mask) == (4, 0xf) {
            Ok(Argument::HeaderLength(offset))
        } else {
            let found = format!("{factor}*([{offset}]&{mask:#x})");
            Err(ParseReason::Expected { expected: "4*([offset]&0xf)", found })
        }
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn expected(&self, expected: &'static str) -> ParseReason {
        let found = match self.peek() {
            None => "the end of the line".to_owned(),
            Some(Token::Word(word)) => format!("{word:?}"),
            Some(Token::Number(number)) => number.to_string(),
            Some(Token::Symbol(symbol)) => format!("{symbol:?}"),
        };
        ParseReason::Expected { expected, found }
    }

    fn found(&self, expected: &'static str, found: &str) -> ParseReason {
        ParseReason::Expected { expected, found: format!("{found:?}") }
    }
}

/// The number in front of a listing's line and what follows. It is decimal, with zeros in front.
fn index(text: &str) -> Result<(Option<u32>, &str), ParseReason> {
    let Some((digits, rest)) = text.strip_prefix('(').and_then(|text| text.split_once(')')) else {
        return Ok((None, text));
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number);
    let number = number.ok_or_else(|| ParseReason::Number(digits.to_owned()))?;
    Ok((Some(number), rest.trim_start()))
}

/// A number of 32 bits as `text` writes it; negative ones are two's complement.
fn number(text: &str) -> Result<u32, ParseReason> {
    let bad = || ParseReason::Number(text.to_owned());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    // `from_str_radix` would take a sign of its own.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(bad());
    }
    let magnitude = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
    match negative {
        true if magnitude > 1 << 31 => Err(bad()),
        true => Ok(magnitude.wrapping_neg()),
        false => Ok(magnitude),
    }
}
