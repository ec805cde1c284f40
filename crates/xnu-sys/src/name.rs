//! The name of an interface, as the kernel holds it.

use std::fmt;
use std::str::FromStr;

use crate::net_if::IFNAMSIZ;

/// The name of an interface: 1 to 15 bytes of printable ASCII without spaces, and zeros up to
/// [`IFNAMSIZ`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceName([u8; IFNAMSIZ]);

/// Text that no interface can be named.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no interface's name (1 to 15 printable characters without spaces)")]
pub struct NameError(pub String);

impl InterfaceName {
    /// The name in the bytes that the kernel gave: up to the first zero.
    ///
    /// # Errors
    /// [`NameError`] when there is no name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NameError> {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let is_name = (1..IFNAMSIZ).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        if !is_name {
            return Err(NameError(String::from_utf8_lossy(text).into_owned()));
        }
        let mut name = [0; IFNAMSIZ];
        name[..text.len()].copy_from_slice(text);
        Ok(Self(name))
    }

    /// As the kernel takes it.
    #[must_use]
    pub const fn bytes(self) -> [u8; IFNAMSIZ] {
        self.0
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(IFNAMSIZ);
        // Only ASCII is let in.
        std::str::from_utf8(&self.0[..len]).unwrap_or_default()
    }
}

impl FromStr for InterfaceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains('\0') {
            return Err(NameError(text.to_owned()));
        }
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_none() {
        let name: InterfaceName = "feth20000".parse().unwrap();
        assert_eq!(name.as_str(), "feth20000");
        assert_eq!(&name.bytes()[..10], b"feth20000\0");
        assert_eq!(InterfaceName::from_bytes(b"en0\0garbage!!!!!").unwrap().as_str(), "en0");
        for bad in ["", "en 0", "en0\0", "sixteen-bytes-xx", "naïve"] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad:?}");
        }
        assert!("fifteen-bytes-x".parse::<InterfaceName>().is_ok());
    }
}
