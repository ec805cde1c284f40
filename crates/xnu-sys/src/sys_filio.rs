//! `<sys/filio.h>`: requests of every descriptor (XNU `bsd/sys/filio.h`).

use crate::UnixSocket;
use crate::sys_ioccom::{ior, iow};

header! {
    header "sys/filio.h", public;

    /// Gets how many bytes wait: of a datagram socket all datagrams' with 16 bytes of address each.
    request FIONREAD(i32) on UnixSocket = ior::<i32>(b'f', 127), 0x4004_667f;
    /// Not 0: calls do not wait.
    request FIONBIO(i32) on UnixSocket = iow::<i32>(b'f', 126), 0x8004_667e;
}
