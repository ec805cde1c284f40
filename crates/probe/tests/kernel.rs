//! Guests against the stack of the Linux kernel, over a TAP interface: a second opinion.
#![cfg(target_os = "linux")]

#[path = "common/tap.rs"]
mod tap;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use probe::throughput::{Amount, PORT, Way};
use probe::{Guest, GuestConfig, GuestHandle, Link, MacAddress, PingConfig, TransferConfig, host};

const SECOND: Duration = Duration::from_secs(1);
const HOST_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xfe]);

/// A link to the kernel in a namespace of this test's own.
fn link() -> Option<Link> {
    if testkit::netns::enter_or_skip() && testkit::tool_or_skip("ip", "iproute2") {
        tap::plug_in()
    } else {
        None
    }
}

fn config() -> GuestConfig {
    GuestConfig::new(MacAddress([2, 0, 0, 0, 0, 1]))
        .with_address("192.0.2.1/24".parse().expect("an address"))
        .with_address("2001:db8::1/64".parse().expect("an address"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn the_kernel_answers_the_guest() {
    let Some(link) = link() else { return };
    let mut guest = Guest::new(config(), link).expect("a guest");
    for target in ["192.0.2.254", "2001:db8::fe"] {
        let found = guest.resolve(ip(target), Duration::from_millis(100)).expect("a resolution");
        assert_eq!((found.answers.len(), found.owner()), (1, Some(HOST_MAC)), "{target}");
        let mut ping = PingConfig::new(ip(target));
        for size in [0, 56, 1452] {
            ping.size = size;
            let report = guest.ping(ping.clone()).expect("a report");
            assert!(report.is_perfect(), "{target}, {size} bytes: {report:?}");
        }
    }
    let mut fragmented = PingConfig::new(ip("192.0.2.254"));
    fragmented.size = 10_000;
    let report = guest.ping(fragmented).expect("a report");
    assert!(report.is_perfect(), "{report:?}");
}

#[test]
fn the_guest_answers_the_kernel() {
    let Some(link) = link() else { return };
    if !testkit::tool_or_skip("busybox", "busybox-static") {
        return;
    }
    let guest = GuestHandle::start(Guest::new(config(), link).expect("a guest"));
    let link_local = format!("{}%tap0", MacAddress([2, 0, 0, 0, 0, 1]).link_local());
    for words in [
        "ping 192.0.2.1",
        "ping -s 10000 192.0.2.1",
        "ping6 2001:db8::1",
        &format!("ping6 {link_local}"),
    ] {
        let mut words = words.split(' ');
        let applet = words.next().expect("a word");
        let done = Command::new("busybox")
            .args([applet, "-c", "2", "-W", "2"])
            .args(words)
            .output()
            .expect("run busybox");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains(" 0% packet loss"), "{applet}: {said}");
    }
    let replies = guest.with(|core| core.counters().echo_replies_sent).expect("a running guest");
    assert_eq!(replies, 8);
}

/// After a minute of silence the kernel checks a neighbour by a question to its own address.
#[test]
fn the_guest_stays_a_neighbour() {
    let Some(link) = link() else { return };
    let guest = GuestHandle::start(Guest::new(config(), link).expect("a guest"));
    for (target, protocol) in [("192.0.2.1", "-4"), ("2001:db8::1", "-6")] {
        let name = if protocol == "-4" { "ipv4" } else { "ipv6" };
        let base = format!("/proc/sys/net/{name}/neigh/tap0");
        std::fs::write(format!("{base}/base_reachable_time_ms"), "200").expect("write a sysctl");
        std::fs::write(format!("{base}/delay_first_probe_time"), "1").expect("write a sysctl");
        let socket = UdpSocket::bind(SocketAddr::new(
            if protocol == "-4" { ip("192.0.2.254") } else { ip("2001:db8::fe") },
            0,
        ))
        .expect("a socket");
        let state = || {
            let words = [protocol, "neigh", "show", target, "dev", "tap0"];
            let shown = Command::new("ip").args(words).output().expect("run ip");
            String::from_utf8_lossy(&shown.stdout).into_owned()
        };
        // To a port where nobody listens: nothing confirms the neighbour but its own answers.
        let mut states = Vec::new();
        let end = Instant::now() + 4 * SECOND;
        while Instant::now() < end {
            let _ = socket.send_to(b"x", SocketAddr::new(ip(target), 40_000));
            std::thread::sleep(Duration::from_millis(50));
            states.push(state());
        }
        assert!(
            states.iter().any(|state| state.contains("PROBE") || state.contains("DELAY")),
            "{states:?}"
        );
        assert!(states.iter().all(|state| !state.contains("FAILED")), "{states:?}");
        assert!(states.iter().skip(20).any(|state| state.contains("REACHABLE")), "{states:?}");
    }
    drop(guest);
}

#[test]
fn transfers_with_the_kernel_both_ways() {
    let Some(link) = link() else { return };
    let guest = GuestHandle::start(Guest::new(config().serving(), link).expect("a guest"));
    for (host_ip, guest_ip) in [("192.0.2.254", "192.0.2.1"), ("2001:db8::fe", "2001:db8::1")] {
        let listener = TcpListener::bind((ip(host_ip), 0)).expect("a listener");
        let server = host::Server::start(listener).expect("a server");
        for way in [Way::Upload, Way::Download] {
            let config = TransferConfig::new(server.address(), way, Amount::Bytes(2 << 20));
            let report = guest.run(probe::Transfer::new(config)).expect("a report");
            assert_eq!(report.bytes, 2 << 20, "{host_ip} {way:?}");
            let peer = SocketAddr::new(ip(guest_ip), PORT);
            let report = host::transfer(peer, way, Amount::Bytes(2 << 20)).expect("a report");
            assert_eq!(report.bytes, 2 << 20, "{guest_ip} {way:?}");
        }
    }
    // Where nobody listens the guest says so, and the kernel understands.
    let refused =
        host::transfer(SocketAddr::new(ip("192.0.2.1"), 1), Way::Upload, Amount::Bytes(1));
    assert!(refused.expect_err("no server").to_string().contains("refused"));
}

#[test]
fn a_multicast_passes_both_ways() {
    let Some(link) = link() else { return };
    let guest = GuestHandle::start(Guest::new(config(), link).expect("a guest"));
    let group = ip("239.1.2.3");
    let port = guest.with(move |core| {
        core.join(group).expect("a group");
        core.udp_bind(5000).expect("a port")
    });
    let port = port.expect("a running guest");
    let host = UdpSocket::bind("0.0.0.0:5000").expect("a socket");
    host.set_read_timeout(Some(5 * SECOND)).expect("a timeout");
    let member = host.join_multicast_v4(&[239, 1, 2, 3].into(), &[192, 0, 2, 254].into());
    member.expect("a group");
    host.set_multicast_loop_v4(false).expect("no echo of its own");
    host.send_to(b"from the host", (group, 5000)).expect("a datagram");
    let mut received = None;
    let arrived = testkit::wait_until(5 * SECOND, || {
        received = guest.with(move |core| core.udp_receive(port)).expect("a running guest");
        received.is_some()
    });
    assert!(arrived);
    assert_eq!(received.expect("a datagram").payload, b"from the host");
    let to = SocketAddr::new(group, 5000);
    let sent = guest.with(move |core| core.udp_send(port, to, b"from the guest"));
    sent.expect("a running guest").expect("a datagram");
    let mut buffer = [0; 100];
    let (len, from) = host.recv_from(&mut buffer).expect("a datagram");
    assert_eq!((&buffer[..len], from.ip()), (&b"from the guest"[..], ip("192.0.2.1")));
}

#[test]
fn a_lease_from_udhcpd() {
    let Some(link) = link() else { return };
    if !testkit::tool_or_skip("busybox", "busybox-static") {
        return;
    }
    let dir = testkit::scratch_dir();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        "start 192.0.2.100\nend 192.0.2.100\ninterface tap0\nlease_file {}\npidfile {}\n\
         option subnet 255.255.255.0\noption router 192.0.2.254\noption dns 192.0.2.53\n\
         option lease 1234\n",
        file("leases"),
        file("pid"),
    );
    std::fs::write(file("leases"), "").expect("write a file");
    std::fs::write(file("config"), text).expect("write a file");
    let mut server = Command::new("busybox")
        .args(["udhcpd", "-f", &file("config")])
        .stderr(Stdio::null())
        .spawn()
        .expect("run busybox");
    let plain = GuestConfig::new(MacAddress([2, 0, 0, 0, 0, 1]));
    let mut guest = Guest::new(plain, link).expect("a guest");
    let lease = guest.dhcp(20 * SECOND);
    server.kill().expect("stop the server");
    server.wait().expect("the server's end");
    let lease = lease.expect("a lease");
    assert_eq!(lease.address, "192.0.2.100/24".parse().expect("an address"));
    assert_eq!(lease.router, Some([192, 0, 2, 254].into()));
    assert_eq!(lease.time, Some(1234 * SECOND));
    let report = guest.ping(PingConfig::new(ip("192.0.2.254"))).expect("a report");
    assert!(report.is_perfect(), "{report:?}");
}
