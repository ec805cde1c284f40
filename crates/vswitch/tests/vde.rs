//! `vde:DIR` on real sockets; the client does what libvdeplug does.
#![cfg(unix)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use common::peers::{receive, send, vfkit};
use common::vde::{VdeClient, own_path, request};
use common::{Running, UnixgramPort, frame, station};
use vswitch::counters::DropReason;
use vswitch::port::unix::{Access, PathError, VdeListener};

const PATIENCE: Duration = Duration::from_secs(5);

/// A switch with a VDE directory `dir/v` for so many clients, and a port `dir/a`.
fn start(dir: &Path, clients_max: usize) -> Running {
    Running::start(|switch, network| {
        let listener = VdeListener::bind(&dir.join("v"), Access::default()).unwrap();
        common::add_listener(switch, network, "v", clients_max, Box::new(listener));
        let port = UnixgramPort::bind(&dir.join("a"), Access::default()).unwrap();
        common::add(switch, network, "a", Box::new(port));
    })
}

fn join(dir: &Path) -> VdeClient {
    VdeClient::join(&dir.join("v")).unwrap()
}

fn has_clients(running: &Running, count: usize) -> bool {
    testkit::wait_until(PATIENCE, || running.handle.report().unwrap().listeners[0].clients == count)
}

/// What is in the directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("v")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn frames_of_every_size_pass_between_clients_and_other_ports() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (one, two) = (join(dir.path()), join(dir.path()));
    let a = vfkit(dir.path(), "a.vm", "a");
    // Each is learnt by a frame to itself, of which nobody else hears.
    for (socket, n) in [(&one.data, 1), (&two.data, 2), (&a, 3)] {
        send(socket, &frame(station(n), station(n), 60, 0));
    }
    let learnt = testkit::wait_until(PATIENCE, || {
        let report = running.handle.report().unwrap();
        report.ports.iter().all(|port| port.counters.ingress.received_frames == 1)
    });
    assert!(learnt);
    for (n, size) in (1..).zip([14, 60, 1514, 1518, 9014, 65_550]) {
        for (from, to) in [(1, 2), (2, 3), (3, 1)] {
            let socket = |n| [&one.data, &two.data, &a][usize::from(n) - 1_usize];
            let sent = frame(station(to), station(from), size, n);
            send(socket(from), &sent);
            assert_eq!(receive(socket(to)), sent, "{size} bytes from {from} to {to}");
        }
    }
    let report = running.stop();
    common::assert_balanced(&report);
    let named: Vec<_> = report.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(named, ["a", "v.1", "v.2"]);
}

#[test]
fn a_port_ends_with_its_control_connection_and_leaves_no_socket() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let VdeClient { control, data, theirs } = join(dir.path());
    assert_eq!(theirs.parent(), Some(&*dir.path().join("v")));
    let found = std::fs::metadata(&theirs).unwrap();
    assert_eq!(found.mode() & 0o777, 0o600, "it is the client's alone");
    assert_eq!(names(dir.path()).len(), 2, "ctl and the switch's socket");
    // Though it could go on sending.
    drop(control);
    assert!(has_clients(&running, 0));
    assert!(testkit::wait_until(PATIENCE, || names(dir.path()) == ["ctl"]));
    let data_is_refused = || {
        data.send(&frame(station(2), station(1), 60, 1)).is_err_and(|error| {
            matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotConnected)
                || error.raw_os_error() == Some(libc::ECONNRESET)
        })
    };
    assert!(testkit::wait_until(PATIENCE, data_is_refused));
    // A data socket that goes alone ends nothing, and what is for it is dropped.
    let again = join(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    drop(again.data);
    let dropped = testkit::wait_until(PATIENCE, || {
        send(&a, &frame(station(9), station(3), 60, 1));
        let report = running.handle.report().unwrap();
        let client = report.ports.iter().find(|port| port.name == "v.2").unwrap();
        client.counters.egress.dropped.of(DropReason::NoPeer) > 0
    });
    assert!(dropped);
    drop(again.control);
    assert!(has_clients(&running, 0));
    common::assert_balanced(&running.stop());
}

#[test]
fn the_directory_is_made_and_goes_with_the_switch() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("v");
    let running = start(dir.path(), 8);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o1770);
    assert_eq!(std::fs::metadata(path.join("ctl")).unwrap().mode() & 0o777, 0o660);
    let client = join(dir.path());
    // A second switch there is refused, and harms nobody.
    let refused = VdeListener::bind(&path, Access::default()).unwrap_err();
    let PathError::InUse { path: told } = &refused else { panic!("{refused}") };
    assert_eq!(told, &path.join("ctl"));
    let a = vfkit(dir.path(), "a.vm", "a");
    send(&client.data, &frame(station(3), station(1), 60, 1));
    assert_eq!(receive(&a), frame(station(3), station(1), 60, 1));
    running.stop();
    assert!(!path.exists());
}

#[test]
fn with_room_for_one_the_next_comes_as_soon_as_the_last_went() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 1);
    for n in 1..20 {
        // As a machine that is started again at once: only its control connection tells.
        let client = join(dir.path());
        send(&client.data, &frame(station(n), station(n), 60, 1));
        drop(client);
        std::thread::sleep(Duration::from_millis(11));
    }
    let client = join(dir.path());
    assert!(VdeClient::join(&dir.path().join("v")).is_err(), "while it is there, no other");
    drop(client);
    assert!(has_clients(&running, 0));
    assert_eq!(running.stop().listeners[0].turned_away, 1);
}

/// What the switch does with a client that says this: closes the connection, as a rule.
fn is_closed_on(dir: &Path, said: &[u8]) -> bool {
    let mut control = UnixStream::connect(dir.join("v/ctl")).unwrap();
    control.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be closed before all is said.
    let _ = control.write_all(said);
    match control.read(&mut [0; 256]) {
        Ok(0) => true,
        Ok(len) => panic!("answered with {len} bytes"),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        Err(error) => panic!("neither answered nor closed: {error}"),
    }
}

#[test]
fn what_is_no_request_is_answered_by_closing() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let d = dir.path();
    let good = request(d.join("v/.00001-00000").as_os_str().as_encoded_bytes());
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    assert!(is_closed_on(d, b"GET / HTTP/1.1\r\n"));
    assert!(is_closed_on(d, &with(4, &1_u32.to_ne_bytes())));
    assert!(is_closed_on(d, &with(8, &1_u32.to_ne_bytes())));
    assert!(is_closed_on(d, &with(12, &[99, 99])));
    assert!(is_closed_on(d, &vec![0; 100_000]), "too much");
    assert!(is_closed_on(d, &good), "there is no such socket");
    // Sockets of its own that lie where no client has one, and what is no socket.
    let elsewhere = UnixDatagram::bind(d.join("elsewhere")).unwrap();
    std::fs::create_dir(d.join("v/deeper")).unwrap();
    let deeper = UnixDatagram::bind(d.join("v/deeper/socket")).unwrap();
    std::fs::write(d.join("v/.file"), "").unwrap();
    std::os::unix::fs::symlink(d.join("elsewhere"), d.join("v/.link")).unwrap();
    for path in ["elsewhere", "v/deeper/socket", "v/../elsewhere", "v/.file", "v/.link", "v/ctl"] {
        assert!(is_closed_on(d, &request(d.join(path).as_os_str().as_encoded_bytes())), "{path}");
    }
    for path in ["", "relative", "\0abstract", "/", "/tmp/..", "/tmp/no-such-socket"] {
        assert!(is_closed_on(d, &request(path.as_bytes())), "{path:?}");
    }
    for socket in [elsewhere, deeper] {
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 100]).is_err(), "something came there");
    }
    for path in ["v/.file", "v/.link", "v/deeper/socket"] {
        std::fs::remove_file(d.join(path)).unwrap();
    }
    std::fs::remove_dir(d.join("v/deeper")).unwrap();
    assert!(has_clients(&running, 0));
    join(d);
    running.stop();
}

#[test]
fn a_request_in_pieces_is_put_together_and_half_a_one_times_out() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let own = own_path(&dir.path().join("v"));
    let data = UnixDatagram::bind(&own).unwrap();
    let mut control = UnixStream::connect(dir.path().join("v/ctl")).unwrap();
    control.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    let asked = request(own.as_os_str().as_encoded_bytes());
    for byte in &asked {
        control.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    let mut answer = [0; common::vde::ADDRESS];
    control.read_exact(&mut answer).unwrap();
    let mut half = UnixStream::connect(dir.path().join("v/ctl")).unwrap();
    half.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    half.write_all(&asked[..50]).unwrap();
    assert_eq!(half.read(&mut [0; 100]).unwrap(), 0, "closed after a while");
    // What is said after the request has no meaning, and an end.
    control.write_all(&[0; 100]).unwrap();
    assert!(has_clients(&running, 1));
    control.write_all(&[0; 100]).unwrap();
    assert!(has_clients(&running, 0));
    drop(data);
    running.stop();
}

/// Root's switch sends to a socket only for the user whose it is.
#[test]
fn no_client_has_the_switch_send_to_anothers_socket() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let own = own_path(&dir.path().join("v"));
    let data = UnixDatagram::bind(&own).unwrap();
    let other = nix::unistd::Uid::effective().as_raw() + 1;
    if let Err(error) = std::os::unix::fs::chown(&own, Some(other), None) {
        testkit::skip(&format!("cannot give a file to another user: {error} (needs root)"));
        return;
    }
    let theirs = data.try_clone().unwrap();
    assert!(VdeClient::join_as(&dir.path().join("v"), &own, data).is_err());
    let a = vfkit(dir.path(), "a.vm", "a");
    send(&a, &frame(station(9), station(3), 60, 1));
    assert!(has_clients(&running, 0));
    theirs.set_nonblocking(true).unwrap();
    assert!(theirs.recv(&mut [0; 100]).is_err(), "something came there");
    // Nor to a socket that is connected to somebody else.
    std::os::unix::fs::chown(&own, Some(other - 1), None).unwrap();
    let _third = UnixDatagram::bind(dir.path().join("third")).unwrap();
    theirs.connect(dir.path().join("third")).unwrap();
    if cfg!(target_os = "linux") {
        assert!(VdeClient::join_as(&dir.path().join("v"), &own, theirs).is_err());
    }
    running.stop();
}

/// A client that never reads is full, is stalled, and keeps nobody.
#[test]
fn a_client_that_never_reads_keeps_nobody() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let silent = join(dir.path());
    send(&silent.data, &frame(station(1), station(1), 60, 0));
    let (a, reader) = (vfkit(dir.path(), "a.vm", "a"), join(dir.path()));
    send(&reader.data, &frame(station(2), station(2), 60, 0));
    let stalled = testkit::wait_until(PATIENCE, || {
        for _ in 0..100 {
            send(&a, &frame(station(1), station(3), 9014, 1));
        }
        let report = running.handle.report().unwrap();
        report.ports[1].counters.egress.dropped.of(DropReason::Stalled) > 0
    });
    assert!(stalled, "{:?}", running.handle.report());
    let sent = frame(station(2), station(3), 777, 2);
    send(&a, &sent);
    assert_eq!(receive(&reader.data), sent);
    common::assert_balanced(&running.stop());
}
