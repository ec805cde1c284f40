//! Links over real sockets, against peers that do what switches and hypervisors do.
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use probe::throughput::{Amount, PORT, Way};
use probe::{
    Error, Guest, GuestConfig, GuestHandle, Link, LinkError, MacAddress, Ping, PingConfig,
    SendFlow, TaskError, Transfer, TransferConfig, host,
};

const SECOND: Duration = Duration::from_secs(1);

fn config(number: u8) -> GuestConfig {
    GuestConfig::new(MacAddress([2, 0, 0, 0, 0, number]))
        .with_address(format!("192.0.2.{number}/24").parse().expect("an address"))
        .with_address(format!("2001:db8::{number}/64").parse().expect("an address"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A serving guest in its own thread on `link`.
fn server(link: Link) -> GuestHandle {
    GuestHandle::start(Guest::new(config(2).serving(), link).expect("a guest"))
}

/// Pings and moves a megabyte each way between a guest on `link` and the guest 192.0.2.2.
fn exercise(link: Link) -> Guest {
    let mut guest = Guest::new(config(1), link).expect("a guest");
    for target in ["192.0.2.2", "2001:db8::2"] {
        let report = guest.ping(PingConfig::new(ip(target))).expect("a report");
        assert!(report.is_perfect(), "{target}: {report:?}");
    }
    for way in [Way::Upload, Way::Download] {
        let peer = SocketAddr::new(ip("192.0.2.2"), PORT);
        let config = TransferConfig::new(peer, way, Amount::Bytes(1 << 20));
        let report = guest.transfer(config).expect("a report");
        assert_eq!(report.bytes, 1 << 20);
    }
    guest
}

#[test]
fn two_guests_on_a_socket_pair() {
    let (left, right) = Link::pair().expect("a pair");
    let server = server(right);
    let guest = exercise(left);
    assert_eq!(guest.core().counters().lost_at_link, 0);
    server.stop().expect("a guest that ran well");
}

#[test]
fn a_full_cable_delays_frames_and_loses_none() {
    let (left, right) = Link::pair().expect("a pair");
    let server = server(right);
    let to = MacAddress([2, 0, 0, 0, 0, 2]);
    let mut guest = Guest::new(config(1), left).expect("a guest");
    let sent = guest.run(SendFlow::new(9, to, 1514, 20_000)).expect("a count");
    let arrived = testkit::wait_until(10 * SECOND, || {
        server.with(move |core| core.flows().report(9).end == sent).expect("a running guest")
    });
    let report = server.with(|core| core.flows().report(9)).expect("a running guest");
    assert!(arrived && report.is_perfect(sent), "{report:?}");
}

#[test]
fn a_handle_does_several_things_at_once() {
    let (left, right) = Link::pair().expect("a pair");
    let server = server(right);
    let guest = GuestHandle::start(Guest::new(config(1), left).expect("a guest"));
    let peer = SocketAddr::new(ip("192.0.2.2"), PORT);
    let transfer = |way| {
        let amount = Amount::Time(Duration::from_millis(300));
        guest.begin(Transfer::new(TransferConfig::new(peer, way, amount)))
    };
    let (up, down) = (transfer(Way::Upload), transfer(Way::Download));
    let pings = guest.run(Ping::new(PingConfig::new(ip("192.0.2.2")))).expect("a report");
    assert_eq!(pings.lost(), 0);
    for report in [up.wait(), down.wait()] {
        let report = report.expect("a report");
        assert!(report.bytes > 0 && report.elapsed >= Duration::from_millis(300), "{report:?}");
    }
    drop(server);
    // Its peer is gone for good, and so is the cable.
    let ended = testkit::wait_until(5 * SECOND, || {
        let ping = guest.run(Ping::new(PingConfig::new(ip("192.0.2.2"))));
        ping == Err(TaskError::Stopped)
    });
    assert!(ended);
    assert!(matches!(guest.stop(), Err(Error::Link(LinkError::Closed))));
}

/// One port of a switch, as the issue has it: bound, connected back to whoever comes first.
struct Port {
    socket: UnixDatagram,
}

impl Port {
    fn bind(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).expect("bind a port");
        socket.set_read_timeout(Some(5 * SECOND)).expect("a timeout");
        Self { socket }
    }

    /// Learns the guest from its first datagram, which it answers.
    fn learn(&self) -> (Vec<u8>, PathBuf) {
        let mut buffer = [0; 2000];
        let (len, from) = self.socket.recv_from(&mut buffer).expect("a first datagram");
        let from = from.as_pathname().expect("a path").to_owned();
        self.socket.connect(&from).expect("connect back");
        (buffer[..len].to_vec(), from)
    }

    /// Reads frames up to a gratuitous ARP request of guest 1.
    fn expect_announcement(&self) {
        let is_announcement = |frame: &[u8]| {
            let is_arp = frame.len() >= 42 && frame[12..14] == [8, 6];
            is_arp && frame[28..32] == [192, 0, 2, 1] && frame[38..42] == [192, 0, 2, 1]
        };
        let mut buffer = [0; 2000];
        for _ in 0..20 {
            let len = self.socket.recv(&mut buffer).expect("an announcement among the frames");
            if is_announcement(&buffer[..len]) {
                return;
            }
        }
        panic!("twenty frames and no announcement");
    }

    /// Hands the port's socket to a guest: the far end of the cable.
    fn into_link(self) -> Link {
        Link::from_datagram(self.socket).expect("a link")
    }
}

#[test]
fn vfkit_says_hello_first_and_leaves_nothing_behind() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("port.sock");
    let port = Port::bind(&path);
    let link = Link::unixgram(&path, true).expect("a link");
    let (hello, own) = port.learn();
    assert_eq!(hello, b"VFKT");
    assert_eq!(own.parent(), Some(dir.path()), "{own:?}");
    let server = server(port.into_link());
    drop(exercise(link));
    drop(server);
    assert!(!own.exists(), "{own:?}");
    assert!(path.exists(), "the port's own path is the switch's business");
}

#[test]
fn without_vfkit_the_first_datagram_is_a_frame() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("port.sock");
    let port = Port::bind(&path);
    let mut guest =
        Guest::new(config(1), Link::unixgram(&path, false).expect("a link")).expect("a guest");
    guest.run_until(Some(Instant::now()), |_| false).expect("a turn");
    let (first, _) = port.learn();
    assert_eq!(first[6..12], [2, 0, 0, 0, 0, 1], "{first:?}");
}

/// The guest sends nothing of its own: only looking at the path tells it.
#[test]
fn a_switch_that_restarts_finds_an_idle_guest_again() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("port.sock");
    let port = Port::bind(&path);
    let link = Link::unixgram(&path, true).expect("a link");
    let guest = GuestHandle::start(Guest::new(config(1), link).expect("a guest"));
    let (_, own) = port.learn();
    for round in 0..3 {
        let old = std::fs::remove_file(&path);
        old.expect("the old path");
        let killed = Instant::now();
        if round == 1 {
            // Down for a while.
            std::thread::sleep(Duration::from_millis(700));
        }
        let port = Port::bind(&path);
        let bound = Instant::now();
        let (hello, from) = port.learn();
        assert_eq!((&hello[..], &from), (&b"VFKT"[..], &own), "round {round}");
        assert!(bound.elapsed() < SECOND, "{:?} after {:?}", bound.elapsed(), killed.elapsed());
        // It announces itself, and it answers.
        port.expect_announcement();
        let mut peer = Guest::new(config(2), port.into_link()).expect("a guest");
        let report = peer.ping(PingConfig::new(ip("192.0.2.1"))).expect("a report");
        assert!(report.is_perfect(), "round {round}: {report:?}");
    }
    let guest = guest.stop().expect("a guest that ran well");
    assert_eq!(guest.link().times_up(), 4);
}

#[test]
fn links_that_cannot_be_are_told() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("port.sock");
    for error in
        [Link::unixgram(&path, false), Link::stream(&path)].map(|link| link.expect_err("no link"))
    {
        let text = error.to_string();
        assert!(matches!(&error, LinkError::Io { call: "connect", .. }), "{error:?}");
        assert!(text.contains("port.sock") && text.contains("No such file"), "{text}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);

    let long = dir.path().join("x".repeat(200));
    for error in
        [Link::unixgram(&long, false), Link::stream(&long)].map(|link| link.expect_err("no link"))
    {
        assert!(matches!(error, LinkError::PathTooLong { .. }), "{error:?}");
    }
    assert!(matches!(Link::inherited(0), Err(LinkError::Descriptor { fd: 0, .. })));
    assert!(matches!(Link::inherited(9999), Err(LinkError::Descriptor { fd: 9999, .. })));
    // One that this process opened itself.
    let own = std::os::fd::AsRawFd::as_raw_fd(&UnixDatagram::unbound().expect("a socket"));
    assert!(matches!(Link::inherited(own), Err(LinkError::Descriptor { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_port_that_has_its_guest_refuses_a_second() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("port.sock");
    let port = Port::bind(&path);
    let _first = Link::unixgram(&path, true).expect("a link");
    port.learn();
    let refused = Link::unixgram(&path, true).expect_err("a taken port");
    assert!(refused.to_string().contains("not permitted"), "{refused}");
}

/// Carries bytes one at a time, so that every length and frame is cut everywhere.
fn trickle(mut from: UnixStream, mut to: UnixStream) {
    let mut byte = [0];
    while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let (left, left_far) = UnixStream::pair().expect("a pair");
    let (right, right_far) = UnixStream::pair().expect("a pair");
    let (a, b) = (left_far.try_clone().expect("a clone"), right_far.try_clone().expect("a clone"));
    std::thread::spawn(move || trickle(a, b));
    std::thread::spawn(move || trickle(right_far, left_far));
    let server = server(Link::from_stream(right).expect("a link"));
    let mut guest =
        Guest::new(config(1), Link::from_stream(left).expect("a link")).expect("a guest");
    let mut ping = PingConfig::new(ip("192.0.2.2"));
    (ping.size, ping.count) = (1400, 10);
    let report = guest.ping(ping).expect("a report");
    assert!(report.is_perfect(), "{report:?}");
    let peer = SocketAddr::new(ip("192.0.2.2"), PORT);
    let transfer = TransferConfig::new(peer, Way::Upload, Amount::Bytes(100_000));
    assert_eq!(guest.transfer(transfer).expect("a report").bytes, 100_000);
    drop(server);
}

#[test]
fn a_stream_at_full_speed_is_whole() {
    let (left, right) = UnixStream::pair().expect("a pair");
    let server = server(Link::from_stream(right).expect("a link"));
    drop(exercise(Link::from_stream(left).expect("a link")));
    server.stop().expect("a guest that ran well");
}

#[test]
fn a_stream_is_connected_again() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("port.sock");
    let listener = UnixListener::bind(&path).expect("a listener");
    let link = Link::stream(&path).expect("a link");
    let guest = GuestHandle::start(Guest::new(config(1), link).expect("a guest"));
    for round in 0..3 {
        let (mut far, _) = listener.accept().expect("a connection");
        if round == 1 {
            // A length that cannot be: this connection is of no use any more, the next one is.
            far.write_all(&u32::MAX.to_be_bytes()).expect("a lie");
            far.read_to_end(&mut Vec::new()).expect("the end of it");
            continue;
        }
        let mut peer =
            Guest::new(config(2), Link::from_stream(far).expect("a link")).expect("a guest");
        let report = peer.ping(PingConfig::new(ip("2001:db8::1"))).expect("a report");
        assert!(report.is_perfect(), "round {round}: {report:?}");
    }
    drop(guest);
}

#[test]
fn a_stream_that_was_handed_over_ends_with_its_reason() {
    for (says, is_expected) in [
        (
            Some(0_u32),
            (|error| matches!(error, LinkError::FrameLength(0))) as fn(&LinkError) -> bool,
        ),
        (Some(70_000), |error| matches!(error, LinkError::FrameLength(70_000))),
        (None, |error| matches!(error, LinkError::Closed)),
    ] {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let mut guest =
            Guest::new(config(1), Link::from_stream(near).expect("a link")).expect("a guest");
        guest.run_until(Some(Instant::now()), |_| false).expect("a turn");
        match says {
            Some(length) => far.write_all(&length.to_be_bytes()).expect("a lie"),
            None => far.shutdown(std::net::Shutdown::Write).expect("a shutdown"),
        }
        let ended = guest.run_until(Some(Instant::now() + 5 * SECOND), |_| false);
        let Err(Error::Link(error)) = ended else { panic!("{ended:?}") };
        assert!(is_expected(&error), "{error}");
    }
}

#[test]
fn the_host_serves_and_transfers_too() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let server = host::Server::start(listener).expect("a server");
    for way in [Way::Upload, Way::Download] {
        let report =
            host::transfer(server.address(), way, Amount::Bytes(10 << 20)).expect("a report");
        assert_eq!(report.bytes, 10 << 20);
        let amount = Amount::Time(Duration::from_millis(100));
        let report = host::transfer(server.address(), way, amount).expect("a report");
        assert!(report.elapsed >= Duration::from_millis(90), "{report:?}");
    }
    let mut stranger = TcpStream::connect(server.address()).expect("a connection");
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "error expected upload or download\n");
    let address = server.address();
    drop(server);
    assert!(host::transfer(address, Way::Upload, Amount::Bytes(1)).is_err());
}
