//! `getifaddrs(3)`: the list of interfaces' addresses, copied out of libc's.
#![allow(unsafe_code, reason = "libc's list is linked by pointers")]

use std::ffi::CStr;
use std::{ptr, slice};

use super::retry;
use crate::{Errno, InterfaceAddress, InterfaceName};

/// Every address of every interface, in the kernel's order.
pub(super) fn all() -> Result<Vec<InterfaceAddress>, Errno> {
    let mut first = ptr::null_mut();
    retry(|| {
        // SAFETY: the pointer may be written.
        unsafe { libc::getifaddrs(&raw mut first) }
    })?;
    let list = List(first);
    let mut rows = Vec::new();
    let mut next = list.0.cast_const();
    // SAFETY: null or an element of the list, which lives until `list` is dropped.
    while let Some(element) = unsafe { next.as_ref() } {
        rows.extend(row(element));
        next = element.ifa_next;
    }
    Ok(rows)
}

/// The list that libc allocated; freed when dropped.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list came from getifaddrs and is freed once, after all references to it.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

/// One element, copied; `None` for a name that no interface can have.
fn row(element: &libc::ifaddrs) -> Option<InterfaceAddress> {
    if element.ifa_name.is_null() {
        return None;
    }
    // SAFETY: not null, and a string with its closing zero for as long as the list lives.
    let name = unsafe { CStr::from_ptr(element.ifa_name) };
    Some(InterfaceAddress {
        interface: InterfaceName::from_bytes(name.to_bytes()).ok()?,
        flags: element.ifa_flags,
        address: copy(element.ifa_addr),
        netmask: copy(element.ifa_netmask),
    })
}

/// A socket address of the list: as many bytes as its first says; empty where there is none.
fn copy(address: *const libc::sockaddr) -> Vec<u8> {
    if address.is_null() {
        return Vec::new();
    }
    let first = address.cast::<u8>();
    // SAFETY: not null, and libc lays addresses out with at least their length byte.
    let len = unsafe { first.read() };
    // SAFETY: libc copied `len` bytes of this address into the list, which lives across this call.
    let bytes = unsafe { slice::from_raw_parts(first, len.into()) };
    bytes.to_vec()
}
