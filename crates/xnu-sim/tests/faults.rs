//! The fault plan.

mod common;

use std::time::Duration;

use common::{apply, change, pair, readers, receive, roomy_pair, socket};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::sys_event::{EV_ADD, EVFILT_READ, kevent64_s};
use xnu_sys::sys_fcntl::O_RDWR;
use xnu_sys::sys_filio::FIONREAD;
use xnu_sys::sys_socket::{AF_LOCAL, SOCK_DGRAM};
use xnu_sys::{Descriptor, Errno, Kernel, Messages, UnixSocket};

fn boot() -> SimKernel {
    SimKernel::boot(MacOs::V15, 1)
}

fn fault(call: &'static str, action: FaultAction) -> Fault {
    Fault { call, object: None, after: 0, times: u64::MAX, action }
}

fn failing(call: &'static str, errno: Errno) -> Fault {
    fault(call, FaultAction::Fail(errno))
}

/// A call fails by plan after so many that went well, so many times, and does nothing then.
#[test]
fn a_call_fails_after_some_and_some_times() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    kernel.add_fault(Fault { after: 2, times: 3, ..failing("write", Errno::EIO) });
    let went: Vec<_> = (0..7).map(|_| kernel.write(&one, b"x").is_ok()).collect();
    assert_eq!(went, [true, true, false, false, false, true, true]);
    assert_eq!(std::iter::from_fn(|| receive(&kernel, &other).ok()).count(), 4);
    assert!(kernel.trace().contains("write(unix0) = EIO (planned)"));
    assert_eq!(kernel.counters().of("write"), 7, "failed calls count");
}

/// A fault may be of one object alone, by its label.
#[test]
fn a_fault_of_one_object() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    let object = Some("unix1".to_owned());
    kernel.add_fault(Fault { object, ..failing("write", Errno::EIO) });
    assert_eq!(kernel.write(&one, b"x"), Ok(1));
    assert_eq!(kernel.write(&other, b"x"), Err(Errno::EIO));
    kernel.clear_faults();
    assert_eq!(kernel.write(&other, b"x"), Ok(1));
}

/// Every call can fail by its name.
#[test]
fn every_call_can_fail() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    let queue = kernel.kqueue().expect("kqueue");
    let control = Descriptor::<_, UnixSocket>::new(kernel.clone(), socket(&kernel));
    for call in [
        "open",
        "socket",
        "socketpair",
        "bind",
        "connect",
        "getsockopt",
        "setsockopt",
        "fcntl",
        "read",
        "write",
        "recvfrom",
        "sendto",
        "ioctl",
        "recvmsg_x",
        "sendmsg_x",
        "kqueue",
        "kevent64",
        "sysctlbyname",
        "getifaddrs",
    ] {
        kernel.add_fault(failing(call, Errno::EIO));
    }
    let mut failed = vec![
        kernel.open(c"/dev/bpf0", O_RDWR).map(drop),
        kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).map(drop),
        kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).map(drop),
        kernel.bind(&one, &common::address("/a")),
        kernel.connect(&one, &common::address("/a")),
        kernel.getsockopt(&one, 0xffff, 0x1001, &mut [0; 4]).map(drop),
        kernel.setsockopt(&one, 0xffff, 0x1001, &[0; 4]),
        kernel.fcntl(&one, 3, 0).map(drop),
        kernel.read(&one, &mut [0; 8]).map(drop),
        kernel.write(&one, b"x").map(drop),
        kernel.recvfrom(&one, &mut [0; 8], 0, None).map(drop),
        kernel.sendto(&one, b"x", 0, None).map(drop),
        control.request(FIONREAD, &mut 0).map_err(|error| error.errno),
        kernel.kqueue().map(drop),
        apply(&kernel, &queue, change(&one, EVFILT_READ, EV_ADD)),
        kernel.sysctlbyname(c"kern.osrelease", &mut [], None).map(drop),
        kernel.getifaddrs().map(drop),
    ];
    let one = Descriptor::<_, UnixSocket>::new(kernel.clone(), one);
    let (mut head, mut spill) = ([0; 8], []);
    let slots = [(&mut head[..], &mut spill[..])];
    failed.push(Messages::default().receive(&one, slots.into_iter()).map(drop));
    failed.push(Messages::default().send(&one, [b"x".as_slice()].into_iter()).map(drop));
    assert_eq!(failed, vec![Err(Errno::EIO); 19]);
    kernel.clear_faults();
    assert_eq!(receive(&kernel, &other), Err(Errno::EAGAIN), "nothing was done");
}

/// A short count of `sendmsg_x` and `recvmsg_x` is of messages: those beyond are not sent, and
/// stay.
#[test]
fn short_counts_of_messages() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let one = Descriptor::<_, UnixSocket>::new(kernel.clone(), one);
        let other = Descriptor::<_, UnixSocket>::new(kernel.clone(), other);
        kernel.add_fault(fault("sendmsg_x", FaultAction::Short(3)));
        kernel.add_fault(Fault { times: 1, ..fault("recvmsg_x", FaultAction::Short(2)) });
        let mut messages = Messages::default();
        let frames = [[7; 60].as_slice(); 5];
        assert_eq!(messages.send(&one, frames.into_iter()), Ok(3));
        let mut receive = || {
            let mut heads = [[0; 60]; 5];
            let mut spills = [[0; 0]; 5];
            let slots = heads.iter_mut().zip(&mut spills);
            messages.receive(&other, slots.map(|(head, spill)| (&mut head[..], &mut spill[..])))
        };
        assert_eq!([receive(), receive()], [Ok(2), Ok(1)]);
    }
}

/// A short read is of bytes, and the rest is lost; a datagram is not sent in part.
#[test]
fn short_reads() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    kernel.add_fault(fault("read", FaultAction::Short(3)));
    kernel.add_fault(fault("write", FaultAction::Short(3)));
    assert_eq!(kernel.write(&one, b"abcdef"), Ok(6));
    assert_eq!(receive(&kernel, &other), Ok(b"abc".to_vec()));
    assert_eq!(receive(&kernel, &other), Err(Errno::EAGAIN));
}

/// A short `kevent64` gives so many events, and the others the next time; with 0 it wakes for
/// nothing.
#[test]
fn short_lists_of_events() {
    let kernel = boot();
    let pairs = [pair(&kernel), pair(&kernel), pair(&kernel)];
    let queue = readers(&kernel, &[&pairs[0].1, &pairs[1].1, &pairs[2].1]);
    for (one, _) in &pairs {
        kernel.write(one, b"x").expect("write");
    }
    kernel.add_fault(Fault { times: 1, ..fault("kevent64", FaultAction::Short(2)) });
    kernel.add_fault(Fault { times: 1, ..fault("kevent64", FaultAction::Short(0)) });
    let mut told = [kevent64_s::default(); 8];
    let mut take = || kernel.kevent64(&queue, &[], &mut told, 0, None);
    assert_eq!([take(), take(), take()], [Ok(2), Ok(0), Ok(3)]);
}

/// A call may take longer.
#[test]
fn delays() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    kernel.add_fault(Fault { times: 1, ..fault("write", FaultAction::Delay { ns: 5_000_000 }) });
    let before = kernel.now();
    assert_eq!(kernel.write(&one, b"x"), Ok(1));
    assert!(kernel.now() - before >= Duration::from_millis(5));
    assert_eq!(kernel.write(&one, b"x"), Ok(1));
    assert!(kernel.now() - before < Duration::from_millis(6));
    assert!(receive(&kernel, &other).is_ok(), "and goes well");
}

/// What is sent may be lost, which its sender is not told.
#[test]
fn losses() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        for call in ["write", "sendto", "sendmsg_x", "read"] {
            kernel.add_fault(fault(call, FaultAction::Lose));
        }
        assert_eq!(kernel.write(&one, b"abc"), Ok(3));
        assert_eq!(kernel.sendto(&one, b"abc", 0, None), Ok(3));
        let one = Descriptor::<_, UnixSocket>::new(kernel.clone(), one);
        let frames = [[7; 60].as_slice(); 5];
        assert_eq!(Messages::default().send(&one, frames.into_iter()), Ok(5));
        assert_eq!(receive(&kernel, &other), Err(Errno::EAGAIN));
        assert_eq!(kernel.counters().copied_bytes(), 300, "of sendmsg_x");
        kernel.clear_faults();
        assert_eq!(kernel.write(one.fd(), b"abc"), Ok(3));
        assert_eq!(receive(&kernel, &other), Ok(b"abc".to_vec()));
    }
}

/// Requests fail by their own names; `BIOCSETIF` also by the interface that it names.
#[test]
fn requests_fail_by_name_and_interface() {
    use xnu_sys::bpf::{BIOCGBLEN, BIOCSETIF};
    let kernel = boot();
    let open = |path| Descriptor::open_bpf(kernel.clone(), path).expect("open");
    let (first, second) = (open(c"/dev/bpf0"), open(c"/dev/bpf1"));
    let object = |name: &str| Some(name.to_owned());
    kernel.add_fault(Fault { object: object("/dev/bpf1"), ..failing("BIOCGBLEN", Errno::EIO) });
    let length = |device: &Descriptor<_, _>| device.request(BIOCGBLEN, &mut 0);
    assert!(length(&first).is_ok());
    assert_eq!(length(&second).map_err(|error| error.errno), Err(Errno::EIO));
    kernel.add_fault(Fault { object: object("feth7"), ..failing("BIOCSETIF", Errno::EBUSY) });
    let attach = |name: &str| {
        let mut argument = xnu_sys::net_if::ifreq::default();
        argument.ifr_name[..name.len()].copy_from_slice(name.as_bytes());
        first.request(BIOCSETIF, &mut argument).map_err(|error| error.errno)
    };
    assert_eq!(attach("feth7"), Err(Errno::EBUSY));
    assert_eq!(attach("feth8"), Err(Errno::ENXIO));
}

/// Processes that are spared meet no faults: actors' calls are not under test.
#[test]
fn spared_processes_meet_no_faults() {
    let kernel = boot();
    let guest = kernel.spawn(false);
    guest.spare();
    let (one, other) = roomy_pair(&kernel);
    let of_guest = kernel.share(&other, &guest).expect("share");
    kernel.add_fault(Fault { times: 1, ..failing("write", Errno::EIO) });
    assert_eq!(guest.write(&of_guest, b"x"), Ok(1));
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EIO), "and use none up");
}
