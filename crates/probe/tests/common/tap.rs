//! A TAP interface of the thread's network namespace, as a cable for a guest.
#![allow(unsafe_code, reason = "TUNSETIFF is an ioctl that no safe crate wraps")]
#![allow(unreachable_pub, reason = "each test binary uses its part")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use probe::Link;

/// `struct ifreq` as far as TUNSETIFF reads it (linux/if.h): a name and flags, 40 bytes in all.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

nix::ioctl_write_ptr_bad!(tun_set_iff, 0x4004_54ca, InterfaceRequest);

/// IFF_TAP | IFF_NO_PI (linux/if_tun.h): whole frames, nothing before them.
const TAP_NO_PI: u16 = 0x0002 | 0x1000;

/// Makes and raises the interface `tap0` with the host's addresses 192.0.2.254/24 and
/// 2001:db8::fe/64; the guest's end is the link. None, and a skip, where that is not allowed.
pub fn plug_in() -> Option<Link> {
    let tap = match open() {
        Ok(tap) => tap,
        Err(error) => {
            testkit::skip(&format!("no TAP interface: {error} (/dev/net/tun is for root)"));
            return None;
        }
    };
    ip("link set dev tap0 address 02:00:00:00:00:fe up");
    ip("addr add 192.0.2.254/24 dev tap0");
    ip("addr add 2001:db8::fe/64 dev tap0 nodad");
    ip("route add 224.0.0.0/4 dev tap0");
    let (guests_end, far_end) = UnixDatagram::pair().expect("a pair");
    let (mut reader, mut writer) = (tap.try_clone().expect("a clone"), tap);
    let sender = far_end.try_clone().expect("a clone");
    std::thread::spawn(move || {
        let mut frame = vec![0; 70_000];
        while let Ok(len) = reader.read(&mut frame) {
            if sender.send(&frame[..len]).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        let mut frame = vec![0; 70_000];
        while let Ok(len) = far_end.recv(&mut frame) {
            if len == 0 {
                return;
            }
            // The kernel refuses what is no frame to it; so be it.
            let _ = writer.write(&frame[..len]);
        }
    });
    Some(Link::from_datagram(guests_end).expect("a link"))
}

/// Runs `ip` with these words.
pub fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().expect("run ip");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

fn open() -> std::io::Result<File> {
    let tap = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: TAP_NO_PI, rest: [0; 22] };
    request.name[..4].copy_from_slice(b"tap0");
    // SAFETY: the descriptor is open; the request is as large as the kernel's struct ifreq, fully
    // initialised, and outlives the call, which writes no more than its name.
    unsafe { tun_set_iff(tap.as_raw_fd(), &raw const request) }?;
    Ok(tap)
}
