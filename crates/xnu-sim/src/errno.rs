//! XNU's error numbers, written down a second time (`bsd/sys/errno.h`): a wrong one in `xnu-sys`
//! shows as an error of another name.

use xnu_sys::Errno;

/// What a simulated call gives.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

macro_rules! errnos {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(pub(crate) const $name: Errno = Errno($number);)*
    };
}

errnos! {
    EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, ENXIO = 6, EBADF = 9, ENOMEM = 12, EACCES = 13,
    EFAULT = 14, EBUSY = 16, EEXIST = 17, EINVAL = 22, EMFILE = 24, ENOTTY = 25, ENOSPC = 28,
    EPIPE = 32, ERANGE = 34, EAGAIN = 35, EINPROGRESS = 36, EALREADY = 37, ENOTSOCK = 38,
    EDESTADDRREQ = 39, EMSGSIZE = 40, EPROTOTYPE = 41, ENOPROTOOPT = 42, EPROTONOSUPPORT = 43,
    ENOTSUP = 45, EAFNOSUPPORT = 47, EADDRINUSE = 48, EADDRNOTAVAIL = 49, ENETDOWN = 50,
    ECONNRESET = 54, ENOBUFS = 55, EISCONN = 56, ENOTCONN = 57, ECONNREFUSED = 61,
    ENAMETOOLONG = 63, ENOSYS = 78, EOPNOTSUPP = 102,
}
