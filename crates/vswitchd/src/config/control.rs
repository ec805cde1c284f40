//! Where a running switch is asked and changed, and by whom.

use std::path::{Path, PathBuf};

use nix::unistd::Gid;

use crate::access::{Access, AccessError};

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where it listens. The socket for descriptors is beside it, at the same path with `.fd`.
    pub socket: PathBuf,
    /// Owner, group and mode of both paths: who can connect. The owner may change things, as root
    /// may and the user that the switch runs as.
    pub access: Access,
    /// The group whose members may look, and not change anything.
    pub readers: Option<Gid>,
}

impl ControlSettings {
    /// What the options say; `group` is that of the paths and of those who may look.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn from_options(
        socket: PathBuf,
        owner: Option<&str>,
        group: Option<&str>,
        mode: Option<&str>,
    ) -> Result<Self, AccessError> {
        let access = Access::from_options(owner, group, mode)?;
        // Without a group that was asked for nobody else is to look, whatever group the path has.
        let readers = if group.is_some() { access.group } else { None };
        Ok(Self { socket, access, readers })
    }
}

/// Where descriptors pass that are for the switch whose control socket is at `control`.
#[must_use]
pub fn descriptor_socket(control: &Path) -> PathBuf {
    let mut path = control.to_owned().into_os_string();
    path.push(".fd");
    path.into()
}
