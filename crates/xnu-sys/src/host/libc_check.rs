//! What `libc` also declares must be what this crate declares; checked where the target is a Mac.

use crate::{Errno, bpf, sys_event, sys_fcntl, sys_socket};

/// Both structures have the same size, alignment and offsets.
macro_rules! same_layout {
    ($ours:ty, $theirs:ty, $($field:ident),*) => {
        const _: () = {
            assert!(size_of::<$ours>() == size_of::<$theirs>());
            assert!(align_of::<$ours>() == align_of::<$theirs>());
            $(assert!(
                std::mem::offset_of!($ours, $field) == std::mem::offset_of!($theirs, $field)
            );)*
        };
    };
}

/// Both crates mean the same number by each name.
macro_rules! same_numbers {
    ($($module:ident: $($name:ident)*;)*) => {
        $($(const _: () = assert!($module::$name as i128 == libc::$name as i128);)*)*
    };
}

/// The same for errors.
macro_rules! same_errors {
    ($($name:ident)*) => {
        $(const _: () = assert!(Errno::$name.0 == libc::$name);)*
    };
}

same_layout!(
    sys_event::kevent64_s,
    libc::kevent64_s,
    ident,
    filter,
    flags,
    fflags,
    data,
    udata,
    ext
);
same_layout!(sys_socket::iovec, libc::iovec, iov_base, iov_len);

same_numbers! {
    sys_fcntl: O_RDONLY O_RDWR O_NONBLOCK O_CLOEXEC F_SETFD F_GETFL F_SETFL FD_CLOEXEC;
    sys_socket: AF_LOCAL SOCK_DGRAM MSG_DONTWAIT;
}

same_errors! {
    EPERM ENOENT EINTR EIO ENXIO EBADF ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV ENOTDIR EINVAL
    ENFILE EMFILE ENOTTY ENOSPC EROFS EPIPE ERANGE EAGAIN EALREADY ENOTSOCK EDESTADDRREQ EMSGSIZE
    EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ENOTSUP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN
    ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED ENAMETOOLONG ENOSYS EOPNOTSUPP
}

const _: () = assert!(bpf::BIOCSETF.number() == libc::BIOCSETF);
const _: () = assert!(bpf::BIOCSETFNR.number() == libc::BIOCSETFNR);
