//! `tap:IFNAME` against the kernel's own stack at the other end of the interface.
#![cfg(target_os = "linux")]

mod common;

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::Running;
use common::peers::{Finish, qemu, receive, vfkit};
use testkit::command::ip;
use vswitch::counters::DropReason;
use vswitch::port::linux::{TapError, TapPort, UnixgramPort};
use vswitch::port::unix::Access;
use vswitch::switch::Report;

const KERNEL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn has_interface(name: &str) -> bool {
    ip("-o link").contains(&format!(" {name}:"))
}

/// A switch between `tap0`, at whose other end the kernel is 192.0.2.1, and the ports `dir/g` and
/// `dir/h`.
fn start(dir: &Path, mtu: u32) -> Running {
    let running = Running::start(|switch, network| {
        let tap = TapPort::attach("tap0").unwrap();
        common::add(switch, network, "tap0", Box::new(tap));
        for name in ["g", "h"] {
            let port = UnixgramPort::bind(&dir.join(name), Access::default()).unwrap();
            common::add(switch, network, name, Box::new(port));
        }
    });
    ip(&format!("link set tap0 mtu {mtu} up"));
    ip("addr add 192.0.2.1/24 dev tap0");
    running
}

/// A guest that answers ARP for its address, ICMP echo and UDP with the same bytes, until `done`.
fn respond(guest: &UnixDatagram, port: &Path, done: &AtomicBool) {
    guest.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = vec![0; 70_000];
    // The port learns the guest from what it says first, as from any VM that boots.
    let hello = [&[0xff; 6][..], &GUEST_MAC, &[0x88, 0xb5], &[0; 46]].concat();
    guest.send_to(&hello, port).unwrap();
    while !done.load(Ordering::Relaxed) {
        match guest.recv(&mut buffer) {
            Ok(len) => {
                if let Some(answer) = answer(&buffer[..len]) {
                    guest.send_to(&answer, port).unwrap();
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// The answer to an ARP request for the guest (RFC 826), an ICMP echo request (RFC 792) or a UDP
/// datagram; addresses swapped, sums not touched by that.
fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let mut answer = frame.to_vec();
    answer[..6].copy_from_slice(&frame[6..12]);
    answer[6..12].copy_from_slice(&GUEST_MAC);
    let kind = [*frame.get(12)?, *frame.get(13)?];
    if kind == [8, 6] && frame.get(21) == Some(&1) && frame.get(38..42)? == GUEST.octets() {
        answer[21] = 2;
        answer[22..28].copy_from_slice(&GUEST_MAC);
        answer[28..32].copy_from_slice(&GUEST.octets());
        answer[32..42].copy_from_slice(&frame[22..32]);
        return Some(answer);
    }
    if kind != [8, 0] || frame.get(30..34)? != GUEST.octets() || frame[14] != 0x45 {
        return None;
    }
    answer[26..30].copy_from_slice(&frame[30..34]);
    answer[30..34].copy_from_slice(&frame[26..30]);
    match frame[23] {
        1 if frame.get(34) == Some(&8) => {
            answer[34] = 0;
            // One's complement: eight less in a high byte is eight more in the sum's (RFC 1624).
            let sum = u32::from(u16::from_be_bytes([frame[36], frame[37]])) + 0x0800;
            let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
            answer[36..38].copy_from_slice(&sum.to_be_bytes());
            Some(answer)
        }
        17 => {
            answer[34..36].copy_from_slice(&frame[36..38]);
            answer[36..38].copy_from_slice(&frame[34..36]);
            Some(answer)
        }
        _ => None,
    }
}

/// The kernel's answer time for an echo request of so many bytes, by a raw socket; `None` without
/// an answer within a second.
fn ping(size: usize, number: u16) -> Option<Duration> {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recvmsg, sendmsg,
        setsockopt, socket, sockopt,
    };
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC;
    let raw = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp).unwrap();
    let second = nix::sys::time::TimeVal::new(1, 0);
    setsockopt(&raw, sockopt::ReceiveTimeout, &second).unwrap();
    let mut echo = vec![0xa5; size];
    echo[..8].copy_from_slice(&[8, 0, 0, 0, 0x12, 0x34, 0, 0]);
    echo[6..8].copy_from_slice(&number.to_be_bytes());
    let sum = internet_checksum(&echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    let to = SockaddrIn::from(SocketAddrV4::new(GUEST, 0));
    let asked = Instant::now();
    let parts = [IoSlice::new(&echo)];
    sendmsg(raw.as_raw_fd(), &parts, &[], MsgFlags::empty(), Some(&to)).unwrap();
    let mut buffer = vec![0; 70_000];
    loop {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let len = recvmsg::<()>(raw.as_raw_fd(), &mut parts, None, MsgFlags::empty()).ok()?.bytes;
        let reply = &buffer[20..len];
        if reply[0] == 0 && reply[4..8] == echo[4..8] {
            assert_eq!(reply[8..], echo[8..], "the payload came back as it went");
            return Some(asked.elapsed());
        }
    }
}

/// RFC 1071.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// Runs `check` while a guest answers on the port `dir/g`.
fn with_guest(dir: &Path, check: impl FnOnce()) {
    let guest = qemu(dir, "g.vm");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| respond(&guest, &dir.join("g"), &done));
        let _finish = Finish(&done);
        check();
    });
}

fn no_peer(report: &Report) -> u64 {
    report.ports[0].counters.egress.dropped.of(DropReason::NoPeer)
}

#[test]
fn the_kernels_stack_reaches_a_guest_through_the_tap() {
    if !common::may_make_taps() {
        return;
    }
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 1500);
    with_guest(dir.path(), || {
        assert!(testkit::wait_until(Duration::from_secs(3), || ping(64, 0).is_some()), "ARP, echo");
        for number in 1..=200 {
            // Up to 20 bytes of IPv4 header less than the MTU; beyond that the kernel fragments,
            // which this guest does not put together again.
            let size = 8 + usize::from(number) * 7;
            assert!(ping(size.min(1480), number).is_some(), "echo {number}");
        }
        let udp = UdpSocket::bind((KERNEL, 0)).unwrap();
        udp.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let sent: Vec<u8> = (0..1400_u32).map(|n| n.to_le_bytes()[0]).collect();
        udp.send_to(&sent, (GUEST, 7)).unwrap();
        let mut buffer = [0; 2000];
        let (len, from) = udp.recv_from(&mut buffer).expect("the checksum held, both ways");
        assert_eq!((&buffer[..len], from), (&sent[..], (GUEST, 7).into()));
    });
    let report = running.stop();
    common::assert_balanced(&report);
    assert!(report.ports[0].counters.ingress.received_frames > 200);
}

#[test]
fn frames_of_any_size_that_a_tap_has_pass() {
    if !common::may_make_taps() {
        return;
    }
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 65_521); // with the header of 14 bytes, the kernel's limit
    with_guest(dir.path(), || {
        assert!(testkit::wait_until(Duration::from_secs(3), || ping(64, 0).is_some()));
        for (number, size) in (1..).zip([2000, 2050, 9000, 9220, 9240, 9300, 30_000, 65_501]) {
            assert!(ping(size, number).is_some(), "echo of {size} bytes");
        }
    });
    let report = running.stop();
    common::assert_balanced(&report);
    let biggest = 14 + 65_521;
    assert!(report.ports[0].counters.ingress.received_bytes > biggest);
}

#[test]
fn an_interface_that_is_down_is_counted_and_comes_back() {
    if !common::may_make_taps() {
        return;
    }
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 1500);
    with_guest(dir.path(), || {
        assert!(testkit::wait_until(Duration::from_secs(3), || ping(64, 0).is_some()));
        ip("link set tap0 down");
        let before = no_peer(&running.handle.report().unwrap());
        let other = vfkit(dir.path(), "h.vm", "h");
        let counted = testkit::wait_until(Duration::from_secs(3), || {
            other.send(&common::frame(BROADCAST, common::station(3), 60, 1)).unwrap();
            no_peer(&running.handle.report().unwrap()) > before + 20
        });
        assert!(counted, "{:?}", running.handle.report());
        ip("link set tap0 up");
        assert!(testkit::wait_until(Duration::from_secs(5), || ping(64, 1).is_some()), "again");
    });
    common::assert_balanced(&running.stop());
}

#[test]
fn an_interface_that_is_deleted_ends_its_port_alone() {
    if !common::may_make_taps() {
        return;
    }
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 1500);
    with_guest(dir.path(), || {
        assert!(testkit::wait_until(Duration::from_secs(3), || ping(64, 0).is_some()));
        ip("link del tap0");
        let gone = testkit::wait_until(Duration::from_secs(2), || {
            running.handle.report().unwrap().ports[0].gone
        });
        assert!(gone, "{:?}", running.handle.report());
        // The others go on; what would go to the TAP is counted.
        let other = vfkit(dir.path(), "h.vm", "h");
        let arp = arp_request();
        for _ in 0..10 {
            other.send(&arp).unwrap();
            let reply = receive(&other);
            assert_eq!((&reply[..6], reply[21]), (&common::station(3).0[..], 2), "{reply:?}");
        }
        let before = running.busy();
        std::thread::sleep(Duration::from_millis(500));
        let used = running.busy() - before;
        assert!(used < Duration::from_millis(100), "it spins: {used:?} of 0.5 s");
    });
    let report = running.stop();
    common::assert_balanced(&report);
    assert!(no_peer(&report) >= 10, "{report:?}");
}

/// Who has the guest's address? Asked by station 3.
fn arp_request() -> Vec<u8> {
    let mut frame = common::frame(BROADCAST, common::station(3), 60, 0);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&common::station(3).0);
    frame[28..32].copy_from_slice(&[192, 0, 2, 3]);
    frame[32..38].fill(0);
    frame[38..42].copy_from_slice(&GUEST.octets());
    frame
}

#[test]
fn what_cannot_be_a_tap_is_told() {
    if !common::may_make_taps() {
        return;
    }
    let refused = |name: &str| TapPort::attach(name).unwrap_err();
    let _held = TapPort::attach("tap0").unwrap();
    let busy = refused("tap0");
    assert!(matches!(&busy, TapError::Attach { name, .. } if name == "tap0"));
    assert!(busy.to_string().contains("another process has it"), "{busy}");
    assert!(refused("lo").to_string().contains("is no TAP"), "{}", refused("lo"));
    for name in ["", "a-name-of-sixteen"] {
        assert!(refused(name).to_string().contains("1 to 15 bytes"), "{name}");
    }
    // A TAP that was there before stays when the port goes; one that was not goes too.
    ip("tuntap add tap7 mode tap");
    drop(TapPort::attach("tap7").unwrap());
    assert!(has_interface("tap7"));
    drop(TapPort::attach("tap8").unwrap());
    assert!(!has_interface("tap8"));
}

const BROADCAST: vswitch::MacAddr = vswitch::MacAddr([0xff; 6]);
