//! [`Host`] on the kernel of the Mac that this runs on. Nothing here needs root.
#![cfg(target_os = "macos")]

use std::time::Duration;

use xnu_sys::net_if::{IFF_LOOPBACK, IFF_UP, ifreq};
use xnu_sys::sys_event::{EV_ADD, EVFILT_READ, KEVENT_FLAG_IMMEDIATE, kevent64_s};
use xnu_sys::sys_fcntl::{F_GETFD, F_SETFL, FD_CLOEXEC, O_NONBLOCK, O_RDONLY};
use xnu_sys::sys_socket::{
    AF_LINK, AF_UNIX, MSG_DONTWAIT, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET,
};
use xnu_sys::sys_sockio::SIOCGIFFLAGS;
use xnu_sys::{
    Control, Descriptor, Errno, Host, InterfaceName, Kernel, Messages, SocketAddress, UnixSocket,
};

/// Two connected datagram sockets that never wait.
fn pair() -> (Descriptor<Host, UnixSocket>, Descriptor<Host, UnixSocket>) {
    let (one, other) = Host.socketpair(AF_UNIX, SOCK_DGRAM, 0).unwrap();
    let [one, other] = [one, other].map(|fd| Descriptor::new(Host, fd));
    for end in [&one, &other] {
        end.set_nonblocking_and_cloexec().unwrap();
    }
    (one, other)
}

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

#[test]
fn every_descriptor_is_closed_when_another_program_is_run() {
    let (one, other) = Host.socketpair(AF_UNIX, SOCK_DGRAM, 0).unwrap();
    let fds = [
        Host.open(c"/dev/null", O_RDONLY).unwrap(),
        Host.socket(AF_UNIX, SOCK_DGRAM, 0).unwrap(),
        Host.kqueue().unwrap(),
        one,
        other,
    ];
    for fd in fds {
        assert_eq!(Host.fcntl(&fd, F_GETFD, 0), Ok(FD_CLOEXEC), "{fd:?}");
    }
}

#[test]
fn errors_are_the_kernels() {
    assert_eq!(Host.open(c"/no/such/file", O_RDONLY).unwrap_err(), Errno::ENOENT);
    let create = 0x200;
    assert_eq!(Host.open(c"/no/such/file", create).unwrap_err(), Errno::EINVAL);
    assert_eq!(Host.socket(999, SOCK_DGRAM, 0).unwrap_err(), Errno::EAFNOSUPPORT);
    let file = Host.open(c"/dev/null", O_RDONLY).unwrap();
    assert_eq!(Host.connect(&file, &[2, 1]), Err(Errno::ENOTSOCK));
    assert_eq!(Host.write(&file, b"x"), Err(Errno::EBADF), "it was opened for reading");
    let duplicate = 0;
    assert_eq!(Host.fcntl(&file, duplicate, 0), Err(Errno::EINVAL), "would be nobody's");
}

#[test]
fn datagrams_keep_their_ends_and_none_is_eagain() {
    let (one, other) = pair();
    let mut buffer = [0; 64];
    assert_eq!(other.read(&mut buffer), Ok(None));
    for datagram in [&b"first"[..], b"", b"the third"] {
        assert_eq!(one.write(datagram), Ok(datagram.len()));
    }
    for datagram in [&b"first"[..], b"", b"the third"] {
        assert_eq!(other.read(&mut buffer), Ok(Some(datagram.len())));
        assert_eq!(&buffer[..datagram.len()], datagram);
    }
    let read = Host.recvfrom(other.fd(), &mut buffer, MSG_DONTWAIT, None);
    assert_eq!(read, Err(Errno::EAGAIN));
}

#[test]
fn a_sender_is_told_by_its_address() {
    let directory = std::env::temp_dir();
    let path = |end: &str| {
        let name = format!("xnu-sys-{}-{end}", std::process::id());
        let path = directory.join(name).into_os_string().into_encoded_bytes();
        let len = u8::try_from(path.len() + 3).unwrap();
        // sockaddr_un: its length, its family, the path and a zero.
        [&[len, 1][..], &path, &[0]].concat()
    };
    let [ours, theirs] = [path("a"), path("b")];
    let bound = |address: &[u8]| {
        let socket = Host.socket(AF_UNIX, SOCK_DGRAM, 0).unwrap();
        Host.bind(&socket, address).unwrap();
        socket
    };
    let (receiver, sender) = (bound(&ours), bound(&theirs));
    Host.fcntl(&receiver, F_SETFL, O_NONBLOCK).unwrap();
    assert_eq!(Host.sendto(&sender, b"words", 0, Some(&ours)), Ok(5));
    let (mut buffer, mut from) = ([0; 16], SocketAddress::EMPTY);
    assert_eq!(Host.recvfrom(&receiver, &mut buffer, 0, Some(&mut from)), Ok(5));
    for address in [&ours, &theirs] {
        let text = std::str::from_utf8(&address[2..address.len() - 1]).unwrap();
        std::fs::remove_file(text).unwrap();
    }
    // The kernel may leave the closing zero away.
    assert_eq!(&from.as_bytes()[1..theirs.len() - 1], &theirs[1..theirs.len() - 1]);
}

#[test]
fn options_are_read_back() {
    let (one, _other) = pair();
    for name in [SO_SNDBUF, SO_RCVBUF] {
        one.set_option_u32(SOL_SOCKET, name, 65_536).unwrap();
        assert_eq!(one.option_u32(SOL_SOCKET, name), Ok(65_536));
    }
}

/// On every macOS that has the calls, 10.10 and later.
#[test]
fn many_datagrams_go_and_come_by_one_call_each() {
    let (one, other) = pair();
    for end in [&one, &other] {
        end.set_option_u32(SOL_SOCKET, SO_SNDBUF, 65_536).unwrap();
        end.set_option_u32(SOL_SOCKET, SO_RCVBUF, 65_536).unwrap();
    }
    let datagrams: Vec<Vec<u8>> =
        (1..=10_u8).map(|len| vec![len; 100 * usize::from(len)]).collect();
    let mut messages = Messages::default();
    assert_eq!(messages.send(&one, datagrams.iter().map(Vec::as_slice)), Ok(10));
    let mut heads = vec![[0; 64]; 16];
    let mut spills = vec![[0; 1000]; 16];
    let slots =
        heads.iter_mut().zip(&mut spills).map(|(head, spill)| (&mut head[..], &mut spill[..]));
    assert_eq!(messages.receive(&other, slots), Ok(10));
    for (place, datagram) in datagrams.iter().enumerate() {
        assert_eq!(messages.len_bytes(place), datagram.len());
        let came = [&heads[place][..], &spills[place]].concat();
        assert_eq!(&came[..datagram.len()], datagram);
    }
    let slots =
        heads.iter_mut().zip(&mut spills).map(|(head, spill)| (&mut head[..], &mut spill[..]));
    assert_eq!(messages.receive(&other, slots), Err(Errno::EAGAIN));
}

#[test]
fn a_kqueue_tells_what_is_there_and_waits_no_longer_than_it_is_told() {
    let (one, other) = pair();
    let kqueue = Host.kqueue().unwrap();
    let change = kevent64_s {
        ident: u64::try_from(other.number()).unwrap(),
        filter: EVFILT_READ,
        flags: EV_ADD,
        udata: 7,
        ..kevent64_s::default()
    };
    let mut events = [kevent64_s::default(); 4];
    let mut wait = |changes: &[kevent64_s], flags, timeout| {
        let count = Host.kevent64(&kqueue, changes, &mut events, flags, timeout).unwrap();
        events[..count].to_vec()
    };
    assert_eq!(wait(&[change], KEVENT_FLAG_IMMEDIATE, None), []);
    let before = Host.uptime_ns();
    assert_eq!(wait(&[], 0, Some(Duration::from_millis(20))), []);
    assert!(Host.uptime_ns() - before >= 20_000_000);
    one.write(b"frame").unwrap();
    let told = wait(&[], 0, None);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].udata, told[0].filter, told[0].data), (7, EVFILT_READ, 5));
    // Longer than the kernel takes: cut, not refused.
    assert_eq!(wait(&[], 0, Some(Duration::MAX)).len(), 1);
}

#[test]
fn settings_of_the_system_are_read_whole_or_refused() {
    let mut value = [0; 64];
    assert_eq!(Host.sysctlbyname(c"kern.ostype", &mut value, None), Ok(7));
    assert_eq!(&value[..7], b"Darwin\0");
    assert_eq!(Host.sysctlbyname(c"kern.ostype", &mut [], None), Ok(7), "its length alone");
    let mut word = [0; 2];
    assert_eq!(Host.sysctlbyname(c"hw.ncpu", &mut word, None), Err(Errno::ENOMEM));
    assert_eq!(Host.sysctlbyname(c"no.such.name", &mut value, None), Err(Errno::ENOENT));
}

#[test]
fn the_loopback_is_listed_with_its_addresses() {
    let rows = Host.getifaddrs().unwrap();
    let rows: Vec<_> = rows.iter().filter(|row| row.interface == name("lo0")).collect();
    assert!(!rows.is_empty());
    for row in &rows {
        assert_eq!(row.flags & IFF_LOOPBACK, IFF_LOOPBACK);
        assert_eq!(usize::from(row.address[0]), row.address.len());
    }
    assert!(rows.iter().any(|row| i32::from(row.address[1]) == AF_LINK));
    assert!(rows.iter().any(|row| row.address.get(4..8) == Some(&[127, 0, 0, 1])));
}

#[test]
fn a_request_gets_its_answer() {
    let control = Descriptor::<Host, Control>::control(Host).unwrap();
    let mut argument = ifreq { ifr_name: name("lo0").bytes(), ..ifreq::default() };
    control.request(SIOCGIFFLAGS, &mut argument).unwrap();
    let flags = u16::from_le_bytes([argument.ifr_ifru[0], argument.ifr_ifru[1]]);
    let wanted = IFF_UP | IFF_LOOPBACK;
    assert_eq!(u32::from(flags) & wanted, wanted);
    let mut argument = ifreq { ifr_name: name("none99").bytes(), ..ifreq::default() };
    let error = control.request(SIOCGIFFLAGS, &mut argument).unwrap_err();
    assert_eq!((error.call, error.errno), ("SIOCGIFFLAGS", Errno::ENXIO));
}

#[test]
fn the_clock_runs_while_it_sleeps() {
    let before = Host.uptime_ns();
    Host.sleep(Duration::from_millis(10));
    let passed = Host.uptime_ns() - before;
    assert!((10_000_000..60_000_000_000).contains(&passed), "{passed} ns");
}
