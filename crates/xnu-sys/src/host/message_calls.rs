//! `recvmsg_x` and `sendmsg_x`, looked up while the program runs: they are not in the SDK, and a
//! macOS without them must still start the program.
#![allow(unsafe_code, reason = "a symbol is looked up and called as the function that it is")]

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::sync::OnceLock;

use crate::sys_socket_private::msghdr_x;

/// `recvmsg_x` (XNU `bsd/sys/socket.h` up to macOS 14, then `bsd/sys/socket_private.h`).
pub(super) type Receive =
    unsafe extern "C" fn(c_int, *mut msghdr_x, c_uint, c_int) -> libc::ssize_t;

/// `sendmsg_x`, of the same headers.
pub(super) type Send = unsafe extern "C" fn(c_int, *const msghdr_x, c_uint, c_int) -> libc::ssize_t;

/// `recvmsg_x`, if this system has it.
pub(super) fn receive() -> Option<Receive> {
    static FUNCTION: OnceLock<Option<Receive>> = OnceLock::new();
    *FUNCTION.get_or_init(|| {
        let symbol = find(c"recvmsg_x");
        // SAFETY: an optional function pointer is null or a function's address; the symbol of this
        // name is a function of this type.
        unsafe { std::mem::transmute::<*mut c_void, Option<Receive>>(symbol) }
    })
}

/// `sendmsg_x`, if this system has it.
pub(super) fn send() -> Option<Send> {
    static FUNCTION: OnceLock<Option<Send>> = OnceLock::new();
    *FUNCTION.get_or_init(|| {
        let symbol = find(c"sendmsg_x");
        // SAFETY: an optional function pointer is null or a function's address; the symbol of this
        // name is a function of this type.
        unsafe { std::mem::transmute::<*mut c_void, Option<Send>>(symbol) }
    })
}

/// The address of a symbol of the libraries that are loaded; null if there is none.
fn find(name: &CStr) -> *mut c_void {
    // SAFETY: the name has its closing zero, and the handle is the one for all loaded libraries.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
