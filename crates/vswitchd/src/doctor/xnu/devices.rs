//! BPF devices, and how large a socket's buffer may be.

use std::ffi::CString;

use vswitch::port::unix::SOCKET_BUFFER_BYTES;
use xnu_sys::{Descriptor, Errno, Kernel};

use super::missing;
use crate::doctor::facts::Buffer;
use crate::doctor::{Finding, rules};

/// The most BPF devices that a machine has (`BPF_MAX_DEVICES`, XNU `bsd/net/bpf.c`).
const DEVICES_MAX: u32 = 256;

/// Whether a BPF device can be had: one is opened, and closed again.
pub(super) fn bpf<K: Kernel>(kernel: &K, is_needed: Option<bool>) -> Finding {
    const ID: &str = "bpf-device";
    const OBJECT: &str = "/dev/bpf*";
    const WHY: &str = "the switch reads an uplink's frames by one; uplink none works without";
    let mut busy = 0;
    for number in 0..DEVICES_MAX {
        let path = CString::new(format!("/dev/bpf{number}")).unwrap_or_default();
        let opened = Descriptor::open_bpf(kernel.clone(), &path).map(drop);
        match opened.map_err(|error| error.errno) {
            Ok(()) => {
                let found = format!("/dev/bpf{number} can be opened, {busy} before it are in use");
                return Finding::ok(ID, OBJECT, found).figure("in_use", busy);
            }
            Err(Errno::EBUSY) => busy += 1,
            // The kernel makes the next node when the last one is opened (`bpfopen`).
            Err(Errno::ENOENT | Errno::ENXIO) => break,
            Err(Errno::EACCES | Errno::EPERM) => {
                let found = format!("/dev/bpf{number} is not for this user");
                return Finding::new(missing(is_needed), ID, OBJECT, found)
                    .why(WHY)
                    .to_do("run the switch with sudo");
            }
            Err(errno) => {
                let found = format!("open /dev/bpf{number}: {errno}");
                return Finding::new(missing(is_needed), ID, OBJECT, found)
                    .why(WHY)
                    .to_do("see which programs have devices open")
                    .command(&["sudo", "lsof", "/dev/bpf0"]);
            }
        }
    }
    Finding::new(missing(is_needed), ID, OBJECT, format!("all {busy} are in use"))
        .figure("in_use", busy)
        .why(WHY)
        .to_do("end programs that capture; this names some")
        .command(&["sudo", "lsof", "-c", "tcpdump"])
}

/// Judges `kern.ipc.maxsockbuf`. A buffer may have 8/9 of it (`sbreserve` in
/// bsd/kern/uipc_socket2.c); more is refused up to macOS 14.3, and cut from 14.4 on.
pub(super) fn socket_buffers<K: Kernel>(kernel: &K) -> Finding {
    const ID: &str = "socket-buffer";
    let mut value = [0; 8];
    let read = kernel.sysctlbyname(c"kern.ipc.maxsockbuf", &mut value, None);
    let limit = match read {
        Ok(4) => u64::from(u32::from_ne_bytes([value[0], value[1], value[2], value[3]])),
        Ok(8) => u64::from_ne_bytes(value),
        Ok(len) => {
            let found = format!("cannot be read: a number of {len} bytes");
            return Finding::note(ID, "kern.ipc.maxsockbuf", found);
        }
        Err(errno) => {
            let found = format!("cannot be read: {errno}");
            return Finding::note(ID, "kern.ipc.maxsockbuf", found);
        }
    };
    let wanted_bytes = u64::try_from(SOCKET_BUFFER_BYTES).unwrap_or(u64::MAX);
    rules::buffer(
        ID,
        &Buffer {
            setting: "kern.ipc.maxsockbuf",
            limit_bytes: Some(limit),
            granted_bytes: wanted_bytes.min(limit / 9 * 8),
            wanted_bytes,
            limit_wanted_bytes: wanted_bytes + wanted_bytes.div_ceil(8),
        },
    )
}
