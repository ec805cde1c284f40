//! Whose an interface is, as text in its description.

use std::fmt;
use std::str::FromStr;

/// Who owns an interface: a process, by its number and when it began.
///
/// Numbers of processes are used again, so the number alone would let a stranger pass for a dead
/// owner. `started` is any number that a process keeps and the next one of the same number has not:
/// on a Mac, its start in microseconds since 1970 (`p_starttime` of `sysctl kern.proc.pid`); on
/// Linux, its start in clock ticks since the machine's (`starttime` of proc_pid_stat(5)) below its
/// PID namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The process's number.
    pub pid: u32,
    /// When it began.
    pub started: u64,
}

/// An interface that was destroyed since its owner is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// Its name.
    pub name: String,
    /// What it said of itself.
    pub tag: Tag,
}

/// Longest label of a [`Tag`] in bytes: what remains of a description's 128 when the numbers are at
/// their longest.
pub const TAG_LABEL_MAX: usize = 80;

/// What an interface made by a switch says of itself: `vswitch:PID:STARTED:LABEL`.
///
/// On XNU it is kept in the interface's description (`SIOCSIFDESC`), which the kernel wipes when
/// the interface is destroyed (`ifnet_detach_final`, `bsd/net/dlil.c`): another that later has its
/// name does not inherit it. On Linux it is kept in the alias (`IFLA_IFALIAS`), which goes with the
/// interface.
///
/// ```
/// use ifctl::{Owner, Tag};
///
/// let tag = Tag::new(Owner { pid: 501, started: 1_700_000_000_000_000 }, "lan");
/// assert_eq!(tag.to_string(), "vswitch:501:1700000000000000:lan");
/// assert_eq!("vswitch:501:1700000000000000:lan".parse(), Ok(tag));
/// assert!("someone else's".parse::<Tag>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    owner: Owner,
    label: String,
}

impl Tag {
    /// A tag of this owner. The label is for people, such as the network's name: control characters
    /// are left out of it, and it is cut at [`TAG_LABEL_MAX`] bytes.
    #[must_use]
    pub fn new(owner: Owner, label: &str) -> Self {
        let mut kept = String::new();
        for character in label.chars().filter(|character| !character.is_control()) {
            if kept.len() + character.len_utf8() > TAG_LABEL_MAX {
                break;
            }
            kept.push(character);
        }
        Self { owner, label: kept }
    }

    /// Whose.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// What for.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The tag in a description, if that is exactly one.
    pub(crate) fn in_description(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { pid, started } = self.owner;
        write!(f, "{PREFIX}:{pid}:{started}:{}", self.label)
    }
}

/// Text that is no tag: nobody's, or somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NotATag;

impl fmt::Display for NotATag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the description is not one of this switch's")
    }
}

impl std::error::Error for NotATag {}

impl FromStr for Tag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        let mut parts = text.splitn(4, ':');
        if parts.next() != Some(PREFIX) {
            return Err(NotATag);
        }
        let pid = parts.next().and_then(number).ok_or(NotATag)?;
        let started = parts.next().and_then(number).ok_or(NotATag)?;
        let label = parts.next().ok_or(NotATag)?;
        let owner = Owner { pid: u32::try_from(pid).map_err(|_| NotATag)?, started };
        let tag = Self::new(owner, label);
        // What this crate would not have written is not its own.
        if tag.label == label { Ok(tag) } else { Err(NotATag) }
    }
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

const PREFIX: &str = "vswitch";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWNER: Owner = Owner { pid: 42, started: 7 };

    #[test]
    fn the_longest_tag_fits_a_description() {
        let owner = Owner { pid: u32::MAX, started: u64::MAX };
        let tag = Tag::new(owner, &"x".repeat(500));
        assert_eq!(tag.label().len(), TAG_LABEL_MAX);
        assert!(tag.to_string().len() <= 128, "{}", tag.to_string().len());
        // A character is whole or not there.
        let wide = Tag::new(OWNER, &"é".repeat(41));
        assert_eq!(wide.label().len(), 80);
        let odd = Tag::new(OWNER, &format!("x{}", "é".repeat(41)));
        assert_eq!(odd.label().len(), 79);
    }

    #[test]
    fn a_label_is_one_line_and_may_hold_colons() {
        let tag = Tag::new(OWNER, "a:b\n\u{1b}[c");
        assert_eq!(tag.to_string(), "vswitch:42:7:a:b[c");
        assert_eq!(tag.to_string().parse(), Ok(tag));
        assert_eq!(Tag::new(OWNER, "").to_string().parse(), Ok(Tag::new(OWNER, "")));
    }

    #[test]
    fn other_texts_are_no_tags() {
        for text in [
            "",
            "vswitch",
            "vswitch:42",
            "vswitch:42:7",
            "vswitch2:42:7:x",
            "VSWITCH:42:7:x",
            " vswitch:42:7:x",
            "vswitch::7:x",
            "vswitch:-1:7:x",
            "vswitch:+1:7:x",
            "vswitch:042:7:x",
            "vswitch:4294967296:7:x",
            "vswitch:42:18446744073709551616:x",
            "vswitch:42:7:x\n",
        ] {
            assert_eq!(text.parse::<Tag>(), Err(NotATag), "{text:?}");
        }
        assert_eq!(Tag::in_description(b"vswitch:42:7:\xff"), None);
        assert!(Tag::in_description(b"vswitch:42:7:").is_some());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pid: u32, started: u64, label in ".*") {
            let tag = Tag::new(Owner { pid, started }, &label);
            prop_assert_eq!(Tag::in_description(tag.to_string().as_bytes()), Some(tag));
        }

        #[test]
        fn any_bytes_are_a_tag_or_not(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            if let Some(tag) = Tag::in_description(&bytes) {
                let text = tag.to_string();
                prop_assert_eq!(text.as_bytes(), bytes.as_slice());
            }
        }
    }
}
