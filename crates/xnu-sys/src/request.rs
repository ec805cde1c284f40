//! Requests (ioctls) as typed values: which number, which argument, which kind of descriptor.
#![allow(unsafe_code, reason = "says which types are plain data")]

use std::fmt;
use std::marker::PhantomData;

/// Plain data: any bytes are a value of it, it has no padding that matters and no pointer that Rust
/// follows.
///
/// # Safety
/// Every bit pattern is a valid value, zeros included. The type is `Copy` and `repr(C)`, a
/// primitive integer, or an array of such.
pub unsafe trait Plain: Copy {
    /// All bytes zero.
    #[must_use]
    fn zeroed() -> Self {
        // SAFETY: any bit pattern is a value, zeros too: the trait's promise.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! plain_integers {
    ($($type:ty),*) => {
        $(
            // SAFETY: an integer has no invalid bit pattern.
            unsafe impl Plain for $type {}
        )*
    };
}
plain_integers!(u8, i8, u16, i16, u32, i32, u64, i64);

// SAFETY: no bytes at all.
unsafe impl Plain for () {}

// SAFETY: an array of plain data is plain data.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Implements [`Plain`] for a `repr(C)` struct all of whose fields are.
macro_rules! plain {
    ($name:ident { $($type:ty),* }) => {
        const _: () = {
            const fn all_are_plain<T: crate::Plain>() {}
            $(all_are_plain::<$type>();)*
        };
        // SAFETY: repr(C), Copy, and each field is plain (just checked); padding has no meaning.
        #[allow(unsafe_code, reason = "the fields were checked")]
        unsafe impl crate::Plain for $name {}
    };
}
pub(crate) use plain;

/// A request that descriptors of kind `T` take, with an argument of type `A`.
///
/// Only this crate makes them, each beside the header it stands in, so that issuing one
/// ([`Descriptor::request`](crate::Descriptor::request)) is safe: the number belongs to the
/// argument, and the argument holds no pointer that the kernel follows.
pub struct Request<A, T> {
    name: &'static str,
    number: u64,
    of: PhantomData<fn(A) -> T>,
}

impl<A, T> Request<A, T> {
    /// The size that the number encodes must be the argument's (0 for no argument).
    pub(crate) const fn new(name: &'static str, number: u64) -> Self {
        let encoded = (number >> 16 & crate::sys_ioccom::IOCPARM_MASK) as usize;
        assert!(encoded == size_of::<A>(), "the number encodes another size");
        Self { name, number, of: PhantomData }
    }

    /// Its C name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its number, as the kernel compares it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl<A, T> Clone for Request<A, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, T> Copy for Request<A, T> {}

impl<A, T> fmt::Debug for Request<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#010x}", self.name, self.number)
    }
}

/// A command of an interface's driver, carried by `SIOCSDRVSPEC` or `SIOCGDRVSPEC` in an `ifdrv`,
/// with an argument of type `A` (`BRDGADD` with an `ifbreq`, say).
pub struct DriverCommand<A> {
    name: &'static str,
    number: u64,
    sets: bool,
    of: PhantomData<fn(A)>,
}

impl<A> DriverCommand<A> {
    /// A command by which the driver is told something (`SIOCSDRVSPEC`).
    pub(crate) const fn set(name: &'static str, number: u64) -> Self {
        Self { name, number, sets: true, of: PhantomData }
    }

    /// A command by which the driver is asked something (`SIOCGDRVSPEC`).
    pub(crate) const fn get(name: &'static str, number: u64) -> Self {
        Self { name, number, sets: false, of: PhantomData }
    }

    /// Its C name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its number (`ifd_cmd`).
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it goes by `SIOCSDRVSPEC`.
    #[must_use]
    pub const fn sets(&self) -> bool {
        self.sets
    }
}

impl<A> Clone for DriverCommand<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for DriverCommand<A> {}

impl<A> fmt::Debug for DriverCommand<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.number)
    }
}
