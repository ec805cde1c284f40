//! Which names an interface can have.

use std::fmt;

/// Longest name of an interface in bytes: `IFNAMSIZ` (16) less its terminating zero.
pub const NAME_LEN_MAX: usize = 15;

/// Tells whether an interface can have the name `name`: the rules of Linux's `dev_valid_name`
/// (net/core/dev.c), and no `%`, of which the kernel would make a name of its own choice.
///
/// # Errors
/// What is wrong with it.
///
/// ```
/// use ifctl::{NameFault, check_name};
///
/// assert_eq!(check_name("vsw0"), Ok(()));
/// assert_eq!(check_name("a-name-of-16-chr"), Err(NameFault::TooLong { len: 16 }));
/// ```
pub fn check_name(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.len() > NAME_LEN_MAX {
        return Err(NameFault::TooLong { len: name.len() });
    }
    if name == "." || name == ".." {
        return Err(NameFault::Directory);
    }
    if name == "all" || name == "default" {
        return Err(NameFault::Reserved);
    }
    match name.chars().find(|&c| !is_allowed(c)) {
        Some(character) => Err(NameFault::Character { character }),
        None => Ok(()),
    }
}

/// Why a name cannot be an interface's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameFault {
    /// It has no characters.
    Empty,
    /// It has `len` bytes, more than [`NAME_LEN_MAX`].
    TooLong {
        /// The name's length in bytes.
        len: usize,
    },
    /// It is `.` or `..`, which name directories (each interface has one below `/proc` and `/sys`).
    Directory,
    /// It is `all` or `default`, which stand for all interfaces, and for coming ones, in
    /// `/proc/sys/net` (net/core, `sysctl_dev_name_is_allowed`).
    Reserved,
    /// It holds a character that no name may hold.
    Character {
        /// The first such character.
        character: char,
    },
    /// On a Mac, the name tells the kind, and this one is not of the kind that was asked for.
    NotOfKind {
        /// What names of the kind begin with, before a number: `bridge`, `feth`.
        prefix: &'static str,
    },
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name of an interface is empty"),
            Self::TooLong { len } => {
                write!(f, "the name has {len} bytes, an interface's at most {NAME_LEN_MAX}")
            }
            Self::Directory => f.write_str("\".\" and \"..\" are no names of interfaces"),
            Self::Reserved => f.write_str("\"all\" and \"default\" are no names of interfaces"),
            Self::Character { character } => {
                write!(f, "the name of an interface cannot hold {character:?}")
            }
            Self::NotOfKind { prefix } => {
                write!(f, "such an interface is named {prefix} and a number from 0 to 32767")
            }
        }
    }
}

fn is_allowed(character: char) -> bool {
    // The kernel reads bytes as Latin-1: 0xa0 is a space to it, and "à" (c3 a0) holds one.
    let mut utf8 = [0; 4];
    let latin1_space = character.encode_utf8(&mut utf8).bytes().any(|byte| byte == 0xa0);
    !(character.is_control()
        || character.is_whitespace()
        || latin1_space
        || matches!(character, '/' | ':' | '%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_linux_takes() {
        for name in ["a", "eth0.10", "br-0_a@b", "fifteen-bytes-x", "é", "...", "all0"] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn names_that_it_does_not() {
        let of = |character| Err(NameFault::Character { character });
        for (name, fault) in [
            ("", Err(NameFault::Empty)),
            ("sixteen-bytes-xx", Err(NameFault::TooLong { len: 16 })),
            ("éééééééé", Err(NameFault::TooLong { len: 16 })),
            (".", Err(NameFault::Directory)),
            ("..", Err(NameFault::Directory)),
            ("all", Err(NameFault::Reserved)),
            ("default", Err(NameFault::Reserved)),
            ("a/b", of('/')),
            ("a:1", of(':')),
            ("a b", of(' ')),
            ("a\n", of('\n')),
            ("a\0b", of('\0')),
            ("veth%d", of('%')),
            ("à", of('à')),
        ] {
            assert_eq!(check_name(name), fault, "{name:?}");
        }
    }
}
