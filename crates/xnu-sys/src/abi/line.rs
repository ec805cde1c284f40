//! The list's lines.

use super::{Constant, Field, Struct};

/// One line of the list, without its end; made without allocating, so that the compiler can.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl Line {
    /// Names of C have 63 characters at most; two of them, a word and a number fit.
    const LEN_MAX: usize = 160;

    /// `struct NAME SIZE ALIGNMENT`.
    #[must_use]
    pub const fn of_struct(item: &Struct) -> Self {
        let head = Self::new().text("struct ").text(item.name).text(" ");
        head.number(item.size_bytes as u128, 10).text(" ").number(item.align_bytes as u128, 10)
    }

    /// `field STRUCT.NAME OFFSET`.
    #[must_use]
    pub const fn of_field(item: &Struct, field: &Field) -> Self {
        let head = Self::new().text("field ").text(item.name).text(".").text(field.name);
        head.text(" ").number(field.offset_bytes as u128, 10)
    }

    /// `const NAME VALUE`: hexadecimal, or decimal when negative.
    #[must_use]
    pub const fn of_constant(constant: &Constant) -> Self {
        let head = Self::new().text("const ").text(constant.name).text(" ");
        let magnitude = constant.value.unsigned_abs();
        if constant.value < 0 {
            head.text("-").number(magnitude, 10)
        } else {
            head.text("0x").number(magnitude, 16)
        }
    }

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::LEN_MAX], len: 0 }
    }

    /// With more text.
    ///
    /// # Panics
    /// When the line is too long; no item's is.
    #[must_use]
    pub(crate) const fn text(mut self, text: &str) -> Self {
        let (_, rest) = self.bytes.split_at_mut(self.len);
        let (place, _) = rest.split_at_mut(text.len());
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        self
    }

    const fn number(mut self, number: u128, base: u128) -> Self {
        if number >= base {
            self = self.number(number / base, base);
        }
        let digit = b"0123456789abcdef"[(number % base) as usize];
        self.bytes[self.len] = digit;
        self.len += 1;
        self
    }

    /// The line.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => panic!("a line is put together of whole strings and ASCII digits"),
        }
    }
}
