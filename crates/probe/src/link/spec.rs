//! Links as words: `unixgram:PATH`, `stream:PATH`, `fd:N`.

use std::path::PathBuf;
use std::str::FromStr;

use super::Link;
use crate::error::LinkError;

/// Where to plug in, as a person writes it.
///
/// ```
/// use probe::LinkSpec;
///
/// let spec: LinkSpec = "unixgram:/run/vswitch/vm1.sock".parse()?;
/// assert_eq!(spec, LinkSpec::Unixgram("/run/vswitch/vm1.sock".into()));
/// # Ok::<(), probe::LinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkSpec {
    /// A switch's datagram socket ([`Link::unixgram`]).
    Unixgram(PathBuf),
    /// A switch's stream socket ([`Link::stream`]).
    Stream(PathBuf),
    /// An inherited descriptor ([`Link::inherited`]).
    Fd(i32),
}

impl LinkSpec {
    /// Plugs in; `vfkit` is for datagram paths alone.
    ///
    /// # Errors
    /// As the constructors of [`Link`].
    pub fn open(&self, vfkit: bool) -> Result<Link, LinkError> {
        match self {
            Self::Unixgram(path) => Link::unixgram(path, vfkit),
            Self::Stream(path) => Link::stream(path),
            Self::Fd(fd) => Link::inherited(*fd),
        }
    }
}

impl FromStr for LinkSpec {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let syntax = || LinkError::Syntax(text.to_owned());
        let (kind, rest) =
            text.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or_else(syntax)?;
        match kind {
            "unixgram" => Ok(Self::Unixgram(rest.into())),
            "stream" => Ok(Self::Stream(rest.into())),
            "fd" => rest.parse().map(Self::Fd).map_err(|_| syntax()),
            _ => Err(syntax()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_are_refused() {
        for text in ["", "unixgram:", "unixgram", "tcp:1", "fd:x", "/run/x.sock"] {
            assert!(matches!(text.parse::<LinkSpec>(), Err(LinkError::Syntax(_))), "{text}");
        }
        assert_eq!("fd:3".parse::<LinkSpec>().expect("a link"), LinkSpec::Fd(3));
    }
}
