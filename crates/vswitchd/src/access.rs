//! Who may use the ports' sockets.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User, setgid, setuid};

use crate::host::take_on_groups;

/// Owner, group and mode of the sockets' paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The owner; `None` leaves it to the user the switch runs as.
    pub owner: Option<Uid>,
    /// The group; `None` leaves it to the group the switch runs as.
    pub group: Option<Gid>,
    /// Permission bits.
    pub mode: u32,
}

/// The mode that a socket has unless told otherwise: its owner and group may use it.
pub const MODE_DEFAULT: u32 = 0o660;

/// A user, group or mode that is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Neither a name nor a number of a user.
    #[error("there is no user {0:?}")]
    User(String),
    /// Neither a name nor a number of a group.
    #[error("there is no group {0:?}")]
    Group(String),
    /// No permission bits.
    #[error("{0:?} is no mode (octal permission bits such as 0660 are expected)")]
    Mode(String),
}

impl Access {
    /// What the options say; without them, the user who called `sudo` (`SUDO_UID`, `SUDO_GID`), so
    /// that a virtual machine need not run as root.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn from_options(
        owner: Option<&str>,
        group: Option<&str>,
        mode: Option<&str>,
    ) -> Result<Self, AccessError> {
        let caller = Caller::from_sudo();
        let owner = owner.map(user).transpose()?;
        let group = group.map(group_id).transpose()?;
        Ok(Self {
            owner: owner.map(|user| user.uid).or(caller.map(|caller| caller.uid)),
            group: group.or(owner.map(|user| user.gid)).or(caller.map(|caller| caller.gid)),
            mode: mode.map_or(Ok(MODE_DEFAULT), parse_mode)?,
        })
    }

    /// The same, as ports take it.
    pub(crate) fn of_sockets(self) -> vswitch::port::unix::Access {
        let Self { owner, group, mode } = self;
        vswitch::port::unix::Access { owner, group, mode }
    }
}

/// A user by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Caller {
    pub uid: Uid,
    pub gid: Gid,
}

impl Caller {
    /// The user who called `sudo`, when root runs this for one.
    #[must_use]
    pub fn from_sudo() -> Option<Self> {
        let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
        let caller = Self {
            uid: Uid::from_raw(number("SUDO_UID")?),
            gid: Gid::from_raw(number("SUDO_GID")?),
        };
        Uid::effective().is_root().then_some(caller)
    }

    /// Makes this process the user's, with all its groups, and for good; nothing when it is
    /// already. To be called where nothing else runs in the process.
    ///
    /// # Errors
    /// What the system says: only root may.
    pub fn take_over_process(self) -> io::Result<()> {
        if self.uid == Uid::effective() {
            return Ok(());
        }
        // The user's other groups too: on Linux a VM needs kvm's.
        let name = User::from_uid(self.uid).ok().flatten();
        let name = name.and_then(|user| CString::new(user.name).ok());
        take_on_groups(name.as_deref(), self.gid)?;
        setgid(self.gid)?;
        Ok(setuid(self.uid)?)
    }
}

/// The user of a name or number.
///
/// # Errors
/// [`AccessError::User`].
pub fn user(text: &str) -> Result<Caller, AccessError> {
    if let Ok(Some(user)) = User::from_name(text) {
        return Ok(Caller { uid: user.uid, gid: user.gid });
    }
    let unknown = || AccessError::User(text.to_owned());
    let number: u32 = text.parse().map_err(|_| unknown())?;
    let uid = Uid::from_raw(number);
    let gid = User::from_uid(uid).ok().flatten().map_or(Gid::from_raw(number), |user| user.gid);
    Ok(Caller { uid, gid })
}

fn group_id(text: &str) -> Result<Gid, AccessError> {
    if let Ok(Some(group)) = Group::from_name(text) {
        return Ok(group.gid);
    }
    text.parse().map(Gid::from_raw).map_err(|_| AccessError::Group(text.to_owned()))
}

fn parse_mode(text: &str) -> Result<u32, AccessError> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| AccessError::Mode(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let access = Access::from_options(Some("root"), Some("12"), Some("0600")).unwrap();
        assert_eq!(access.owner, Some(Uid::from_raw(0)));
        assert_eq!(access.group, Some(Gid::from_raw(12)));
        assert_eq!(access.mode, 0o600);
        let owner_only = Access::from_options(Some("root"), None, None).unwrap();
        assert_eq!(owner_only.group, Some(Gid::from_raw(0)), "the owner's own group");
        assert_eq!(owner_only.mode, 0o660);
    }

    #[test]
    fn what_is_none_is_refused() {
        for mode in ["rw", "0888", "1777", "-1", ""] {
            assert!(Access::from_options(None, None, Some(mode)).is_err(), "{mode}");
        }
        assert!(Access::from_options(Some("no such user"), None, None).is_err());
        assert!(Access::from_options(None, Some("no such group"), None).is_err());
    }

    /// They come from a configuration file, too, and an error there is one line.
    #[test]
    fn errors_have_no_line_break_of_what_was_said() {
        let said = Some("roo\nt");
        for (owner, group, mode) in [(said, None, None), (None, said, None), (None, None, said)] {
            let error = Access::from_options(owner, group, mode).unwrap_err().to_string();
            assert!(error.contains("\"roo\\nt\""), "{error}");
        }
    }
}
