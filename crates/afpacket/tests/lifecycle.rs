//! Opening, and what happens to an open socket when its interface goes down, up or away.
#![cfg(target_os = "linux")]

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

use afpacket::{Error, Options, Outgoing, PacketSocket, ReceiveError, SendError, State};
use common::{
    LIMIT, TYPE_TEST, add_pair, assert_silent, frame, ip, open, pair, receive, receive_all,
    send_all,
};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use testkit::netns::wait_until_active;

#[test]
fn down_is_told_once_and_up_goes_on() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    let bytes = frame(60, TYPE_TEST, 1);
    for _ in 0..2 {
        ip("link set v1 down");
        assert!(ready(&other).contains(PollFlags::POLLERR), "the poller hears of it");
        assert!(matches!(receive(&mut other, 1), Err(ReceiveError::Down)));
        assert!(matches!(receive(&mut other, 1), Err(ReceiveError::WouldBlock)));
        assert!(ready(&other).is_empty(), "and only once");
        assert!(matches!(other.send(&[Outgoing::new(&bytes)]), (0, Some(SendError::Down))));
        assert_eq!(other.state(), State::Present);

        set_up();
        send_all(&mut one, std::slice::from_ref(&bytes));
        assert_eq!(receive_all(&mut other, 1)[0].bytes, bytes);
        send_all(&mut other, std::slice::from_ref(&bytes));
        assert_eq!(receive_all(&mut one, 1)[0].bytes, bytes);
    }
}

#[test]
fn frames_that_came_before_the_interface_went_down_are_not_lost() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    send_all(&mut one, &[frame(60, TYPE_TEST, 1)]);
    assert!(testkit::wait_until(LIMIT, || other.statistics().expect("count").passed == 1));
    ip("link set v1 down");
    let mut told = [(); 2].map(|()| receive(&mut other, 1).map(|frames| frames.len()));
    if common::by_ring() {
        told.reverse(); // the ring is read first
    }
    assert!(matches!(told, [Err(ReceiveError::Down), Ok(1)]), "{told:?}");
}

#[test]
fn send_does_not_swallow_what_receive_has_to_tell() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    ip("link set v1 down");
    set_up();
    let bytes = frame(60, TYPE_TEST, 1);
    send_all(&mut other, std::slice::from_ref(&bytes));
    assert_eq!(receive_all(&mut one, 1)[0].bytes, bytes);
    assert!(matches!(receive(&mut other, 1), Err(ReceiveError::Down)));
    assert!(matches!(receive(&mut other, 1), Err(ReceiveError::WouldBlock)));
}

#[test]
fn interface_that_is_down_can_be_opened() {
    if !pair(1500) {
        return;
    }
    let mut one = open("v0");
    ip("link set v1 down");
    let mut other = open("v1");
    assert!(matches!(receive(&mut other, 1), Err(ReceiveError::Down)));
    set_up();
    let bytes = frame(60, TYPE_TEST, 1);
    send_all(&mut one, std::slice::from_ref(&bytes));
    assert_eq!(receive_all(&mut other, 1)[0].bytes, bytes);
}

#[test]
fn deleted_interface_is_gone_for_good() {
    if !pair(1500) {
        return;
    }
    let mut other = open("v1");
    ip("link del v0");
    assert!(ready(&other).contains(PollFlags::POLLERR));
    assert!(matches!(receive(&mut other, 1), Err(ReceiveError::Gone)));
    assert_gone(&mut other);
    add_pair("v0", "v1", 1500);
    assert_gone(&mut other);
    let mut one = open("v0");
    send_all(&mut one, &[frame(60, TYPE_TEST, 1)]);
    assert_silent(&mut other);
    assert_eq!(receive_all(&mut { open_and_send(&mut one) }, 1).len(), 1, "a new socket works");
}

#[test]
fn interface_in_another_namespace_is_gone() {
    if !pair(1500) {
        return;
    }
    let mut other = open("v1");
    let keeper = Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
    let mut keeper = keeper.expect("start a process in another namespace");
    let path = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let moved = testkit::wait_until(LIMIT, || {
        path(&keeper.id().to_string()).is_some_and(|theirs| Some(theirs) != path("thread-self"))
    });
    if moved {
        ip(&format!("link set v1 netns {}", keeper.id()));
    }
    let state = other.state();
    let told = receive(&mut other, 1);
    keeper.kill().expect("stop it");
    keeper.wait().expect("wait for it");
    assert!(moved, "no namespace to move to");
    assert_eq!(state, State::Gone);
    assert!(matches!(told, Err(ReceiveError::Gone)), "{told:?}");
}

#[test]
fn no_such_interface() {
    if !pair(1500) {
        return;
    }
    for name in ["v2", "", "a-name-over-fifteen-bytes", "v0\0", "v0/"] {
        let refused = PacketSocket::open(name, &[], &Options::default()).expect_err(name);
        assert!(matches!(&refused, Error::NoSuchInterface { interface } if interface == name));
        assert_eq!(refused.to_string(), format!("no interface named {name}"));
    }
}

#[test]
fn interface_without_ethernet_is_refused() {
    if !pair(1500) {
        return;
    }
    let device = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = device {
        return testkit::skip(&format!("/dev/net/tun: {error}"));
    }
    ip("tuntap add mode tun name t0");
    let refused = PacketSocket::open("t0", &[], &Options::default()).expect_err("a tun");
    let Error::NotEthernet { interface, hardware_type } = &refused else { panic!("{refused}") };
    assert_eq!((interface.as_str(), *hardware_type), ("t0", libc::ARPHRD_NONE));
}

#[test]
fn without_the_capability_the_error_says_what_to_do() {
    const ASSERT_HERE: &str = "AFPACKET_TEST_WITHOUT_CAP_NET_RAW";
    if std::env::var_os(ASSERT_HERE).is_some() {
        let refused = PacketSocket::open("lo", &[], &Options::default()).expect_err("no privilege");
        assert!(matches!(refused, Error::NotPermitted { .. }), "{refused}");
        assert!(refused.to_string().contains("run as root or with CAP_NET_RAW"), "{refused}");
        return;
    }
    if !testkit::tool_or_skip("setpriv", "util-linux") || !testkit::netns::enter_or_skip() {
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let test = "without_the_capability_the_error_says_what_to_do";
    let output = Command::new("setpriv")
        .args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw"])
        .arg(this)
        .arg(test)
        .env(ASSERT_HERE, "1")
        .output()
        .expect("run setpriv");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

#[test]
fn promiscuous_as_long_as_the_socket() {
    if !pair(1500) {
        return;
    }
    let promiscuity = || {
        let details = ip("-d link show v1");
        let number = details.split("promiscuity ").nth(1).expect("a promiscuity");
        number.split(' ').next().map(str::to_owned).expect("a number")
    };
    let options = Options { promiscuous: true, ..Options::default() };
    let socket = common::open_with("v1", &options);
    assert_eq!(promiscuity(), "1");
    drop(socket);
    // Another test's child process may hold the descriptor between its fork and its exec.
    assert!(testkit::wait_until(LIMIT, || promiscuity() == "0"));
    let _quiet = open("v1");
    assert_eq!(promiscuity(), "0");
}

#[test]
fn buffers_say_what_was_granted() {
    if !pair(1500) {
        return;
    }
    let limit = |name: &str| -> usize {
        let text =
            std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    let asked = 1 << 20;
    let options = Options {
        receive_buffer_bytes: Some(asked),
        send_buffer_bytes: Some(asked),
        ..Options::default()
    };
    let socket = common::open_with("v1", &options);
    let granted = socket.buffers();
    // root passes the limits; an ordinary user's namespace is cut to them.
    for (granted, limit) in
        [(granted.receive_bytes, limit("rmem_max")), (granted.send_bytes, limit("wmem_max"))]
    {
        assert!(granted <= asked && granted >= asked.min(limit), "{granted} of {asked}");
    }
    let default = open("v1").buffers();
    assert!(default.receive_bytes > 10_000 && default.receive_bytes < asked, "{default:?}");
    let huge = Options { receive_buffer_bytes: Some(usize::MAX), ..Options::default() };
    assert!(common::open_with("v1", &huge).buffers().receive_bytes >= limit("rmem_max"));
}

#[test]
fn descriptor_neither_blocks_nor_leaks() {
    if !pair(1500) {
        return;
    }
    let socket = open("v1");
    assert_eq!(socket.as_fd().as_raw_fd(), socket.as_raw_fd());
    let status = fcntl(&socket, FcntlArg::F_GETFL).expect("F_GETFL");
    assert!(OFlag::from_bits_retain(status).contains(OFlag::O_NONBLOCK));
    let flags = fcntl(&socket, FcntlArg::F_GETFD).expect("F_GETFD");
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    assert_eq!((socket.interface(), socket.has_vnet_hdr()), ("v1", false));
    let index = ip("-o link show v1").split(':').next().map(str::to_owned);
    assert_eq!(index, Some(socket.interface_index().to_string()));
}

/// Brings v1 up again, and with it the carrier of v0.
fn set_up() {
    ip("link set v1 up");
    wait_until_active(&["v0", "v1"]);
}

/// What poll says at once, writability aside.
fn ready(socket: &PacketSocket) -> PollFlags {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).expect("poll");
    fds[0].revents().expect("known flags")
}

fn assert_gone(socket: &mut PacketSocket) {
    assert_eq!(socket.state(), State::Gone);
    let bytes = frame(60, TYPE_TEST, 1);
    assert!(matches!(socket.send(&[Outgoing::new(&bytes)]), (0, Some(SendError::Gone))));
}

fn open_and_send(one: &mut PacketSocket) -> PacketSocket {
    let other = open("v1");
    send_all(one, &[frame(60, TYPE_TEST, 2)]);
    other
}
