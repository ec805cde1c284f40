//! The groups of this process.
#![allow(unsafe_code, reason = "initgroups and setgroups take pointers")]

use std::ffi::CStr;

use super::{Host, last_errno};
use crate::Errno;

impl Host {
    /// Makes this process's groups those of `user` (`initgroups(3)`: the kernel asks the directory
    /// service for them from then on), or `group` alone (`setgroups(2)`).
    ///
    /// # Errors
    /// `EPERM`: only root may.
    pub fn take_on_groups(self, user: Option<&CStr>, group: u32) -> Result<(), Errno> {
        let result = match user {
            Some(user) => {
                let group = group.try_into().map_err(|_| Errno::EINVAL)?;
                // SAFETY: the name is a string with its closing zero.
                unsafe { libc::initgroups(user.as_ptr(), group) }
            }
            // SAFETY: the pointer is to the one number that is said to be there.
            None => unsafe { libc::setgroups(1, &raw const group) },
        };
        if result < 0 { Err(last_errno()) } else { Ok(()) }
    }
}
