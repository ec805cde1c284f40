//! What `libc` also declares must be what this crate declares; checked where the target is a Mac.

use crate::{
    Errno, bpf, if_dl, ndrv, net_if, netinet_in, sys_domain, sys_event, sys_fcntl, sys_filio,
    sys_socket, sys_sockio, sys_time, sys_un,
};

/// Both structures of each name have the same size, alignment and offsets.
macro_rules! same_layouts {
    ($($module:ident: $name:ident { $($field:ident)* })*) => {
        $(const _: () = {
            assert!(size_of::<$module::$name>() == size_of::<libc::$name>());
            assert!(align_of::<$module::$name>() == align_of::<libc::$name>());
            $(assert!(
                std::mem::offset_of!($module::$name, $field)
                    == std::mem::offset_of!(libc::$name, $field)
            );)*
        };)*
    };
}

/// Both crates mean the same number by each name.
macro_rules! same_numbers {
    ($($module:ident: $($name:ident)*;)*) => {
        $($(const _: () = assert!($module::$name as i128 == libc::$name as i128);)*)*
    };
}

/// The same for requests.
macro_rules! same_requests {
    ($($module:ident: $($name:ident)*;)*) => {
        $($(const _: () = assert!($module::$name.number() == libc::$name as u64);)*)*
    };
}

/// The same for errors.
macro_rules! same_errors {
    ($($name:ident)*) => {
        $(const _: () = assert!(Errno::$name.0 == libc::$name);)*
    };
}

same_layouts! {
    bpf: bpf_hdr { bh_tstamp bh_caplen bh_datalen bh_hdrlen }
    if_dl: sockaddr_dl { sdl_len sdl_family sdl_index sdl_type sdl_nlen sdl_alen sdl_slen sdl_data }
    ndrv: sockaddr_ndrv { snd_len snd_family snd_name }
    net_if: ifreq { ifr_name ifr_ifru }
    net_if: ifdevmtu { ifdm_current ifdm_min ifdm_max }
    net_if: ifaliasreq { ifra_name ifra_addr ifra_broadaddr ifra_mask }
    net_if: ifconf { ifc_len ifc_ifcu }
    netinet_in: sockaddr_in { sin_len sin_family sin_port sin_addr sin_zero }
    netinet_in: sockaddr_in6 {
        sin6_len sin6_family sin6_port sin6_flowinfo sin6_addr sin6_scope_id
    }
    sys_event: kevent64_s { ident filter flags fflags data udata ext }
    sys_event: kevent { ident filter flags fflags data udata }
    sys_socket: sockaddr { sa_len sa_family sa_data }
    sys_socket: iovec { iov_base iov_len }
    sys_socket: msghdr {
        msg_name msg_namelen msg_iov msg_iovlen msg_control msg_controllen msg_flags
    }
    sys_time: timeval { tv_sec tv_usec }
    sys_time: timeval32 { tv_sec tv_usec }
    sys_un: sockaddr_un { sun_len sun_family sun_path }
}

same_numbers! {
    net_if: IFNAMSIZ IFF_UP IFF_BROADCAST IFF_DEBUG IFF_LOOPBACK IFF_POINTOPOINT IFF_NOTRAILERS
        IFF_RUNNING IFF_NOARP IFF_PROMISC IFF_ALLMULTI IFF_OACTIVE IFF_SIMPLEX IFF_LINK0
        IFF_LINK1 IFF_LINK2 IFF_MULTICAST;
    sys_domain: SYSPROTO_EVENT SYSPROTO_CONTROL;
    sys_event: EVFILT_READ EVFILT_WRITE EVFILT_TIMER EVFILT_USER EV_ADD EV_DELETE EV_ENABLE
        EV_DISABLE EV_ONESHOT EV_CLEAR EV_RECEIPT EV_DISPATCH EV_UDATA_SPECIFIC EV_VANISHED
        EV_ERROR EV_EOF NOTE_LOWAT NOTE_TRIGGER NOTE_FFNOP NOTE_FFCOPY NOTE_SECONDS
        NOTE_USECONDS NOTE_NSECONDS NOTE_ABSOLUTE NOTE_CRITICAL KEVENT_FLAG_IMMEDIATE
        KEVENT_FLAG_ERROR_EVENTS;
    sys_fcntl: O_RDONLY O_WRONLY O_RDWR O_NONBLOCK O_CLOEXEC F_GETFD F_SETFD F_GETFL F_SETFL
        FD_CLOEXEC;
    sys_socket: AF_UNSPEC AF_LOCAL AF_UNIX AF_INET AF_ROUTE AF_LINK AF_NDRV PF_NDRV AF_INET6
        AF_SYSTEM PF_SYSTEM SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_SEQPACKET SOL_SOCKET
        SO_DONTTRUNC SO_SNDBUF SO_RCVBUF SO_SNDLOWAT SO_RCVLOWAT SO_ERROR SO_TYPE SO_NREAD
        SO_NOSIGPIPE SO_NWRITE MSG_PEEK MSG_EOR MSG_TRUNC MSG_CTRUNC MSG_DONTWAIT MSG_NOSIGNAL;
    sys_un: SOL_LOCAL LOCAL_PEERCRED LOCAL_PEERPID LOCAL_PEEREPID LOCAL_PEERUUID LOCAL_PEEREUUID
        LOCAL_PEERTOKEN;
}

same_requests! {
    bpf: BIOCGBLEN BIOCSBLEN BIOCSETF BIOCFLUSH BIOCPROMISC BIOCGDLT BIOCGETIF BIOCSETIF
        BIOCSRTIMEOUT BIOCGRTIMEOUT BIOCGSTATS BIOCIMMEDIATE BIOCVERSION BIOCGHDRCMPLT
        BIOCSHDRCMPLT BIOCSETFNR;
    sys_filio: FIONREAD FIONBIO;
    sys_sockio: SIOCGIFADDR;
}

same_errors! {
    EPERM ENOENT EINTR EIO ENXIO E2BIG EBADF EDEADLK ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV
    ENOTDIR EINVAL ENFILE EMFILE ENOTTY ENOSPC EROFS EPIPE ERANGE EAGAIN EINPROGRESS EALREADY
    ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ENOTSUP EAFNOSUPPORT
    EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS EISCONN
    ENOTCONN ESHUTDOWN ETIMEDOUT ECONNREFUSED ENAMETOOLONG EHOSTUNREACH ENOTEMPTY ENOSYS
    ECANCELED EOPNOTSUPP
}
