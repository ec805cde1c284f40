//! `<sys/ioccom.h>`: how the number of a request is put together (XNU `bsd/sys/ioccom.h`).
//!
//! `direction | (argument's size & 0x1fff) << 16 | group << 8 | number`. The kernel compares the
//! whole 64 bits: a number must be widened with zeros, never with its sign.

/// The argument's size has 13 bits.
pub const IOCPARM_MASK: u64 = 0x1fff;
/// No argument.
pub const IOC_VOID: u64 = 0x2000_0000;
/// The argument is copied out of the kernel.
pub const IOC_OUT: u64 = 0x4000_0000;
/// The argument is copied into the kernel.
pub const IOC_IN: u64 = 0x8000_0000;
/// Both.
pub const IOC_INOUT: u64 = IOC_IN | IOC_OUT;

const fn request(direction: u64, group: u8, number: u8, len: usize) -> u64 {
    assert!(len as u64 <= IOCPARM_MASK, "an argument of a request has at most 8,191 bytes");
    direction | (len as u64) << 16 | (group as u64) << 8 | number as u64
}

/// `_IO`: a request without an argument.
#[must_use]
pub const fn io(group: u8, number: u8) -> u64 {
    request(IOC_VOID, group, number, 0)
}

/// `_IOR`: a request whose argument, a `T`, the kernel writes.
#[must_use]
pub const fn ior<T>(group: u8, number: u8) -> u64 {
    request(IOC_OUT, group, number, size_of::<T>())
}

/// `_IOW`: a request whose argument, a `T`, the kernel reads.
#[must_use]
pub const fn iow<T>(group: u8, number: u8) -> u64 {
    request(IOC_IN, group, number, size_of::<T>())
}

/// `_IOWR`: a request whose argument, a `T`, the kernel reads and writes.
#[must_use]
pub const fn iowr<T>(group: u8, number: u8) -> u64 {
    request(IOC_INOUT, group, number, size_of::<T>())
}
