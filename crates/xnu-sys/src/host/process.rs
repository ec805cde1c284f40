//! Processes of this Mac.
#![allow(unsafe_code, reason = "proc_pidinfo writes by pointer")]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

use super::Host;

impl Host {
    /// When a process began, in microseconds since 1970; `None` when there is none of this number
    /// (`proc_pidinfo` with `PROC_PIDTBSDINFO`, XNU `bsd/kern/proc_info.c`).
    #[must_use]
    pub fn process_started_us(self, pid: u32) -> Option<u64> {
        let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
        let wanted = c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
        let pid = c_int::try_from(pid).ok()?;
        let to = info.as_mut_ptr().cast::<c_void>();
        // SAFETY: `to` has room for the `wanted` bytes told, and lives across the call.
        let written = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, to, wanted) };
        if written != wanted {
            return None;
        }
        // SAFETY: the structure was zeroed, which is a value of its integers, and was written
        // whole.
        let info = unsafe { info.assume_init() };
        Some(info.pbi_start_tvsec.saturating_mul(1_000_000) + info.pbi_start_tvusec)
    }
}
