//! What comes and goes leaves no descriptor open: a process of its own, in which nothing else opens
//! any.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

use std::io::{IoSlice, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use common::controlled::Controlled;
use common::{PATIENCE, Vm, greet, station};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};
use vswitchd::api::pass;
use vswitchd::api::wire::{PassRequest, StatsReply};

/// One after the other.
#[test]
fn nothing_is_left_open() {
    a_thousand_ports_come_and_go_beside_frames_and_nothing_is_left();
    what_is_no_request_adds_nothing_and_leaves_nothing();
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn request(name: Option<&str>, hold: bool) -> PassRequest {
    PassRequest { name: name.map(str::to_owned), hold, ..PassRequest::default() }
}

fn a_thousand_ports_come_and_go_beside_frames_and_nothing_is_left() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"]);
    let vms = [Vm::plug_in(of.dir.path(), 0), Vm::plug_in(of.dir.path(), 1)];
    greet(&vms);
    let unsent = || {
        let stats: StatsReply = of.client.get("/v1/stats").unwrap();
        stats.ports.iter().map(|port| port.unsent_frames).sum::<u64>()
    };
    let unsent_before = unsent();
    let mut number = 0;
    let mut exchange = || {
        vms[0].send(station(1), number, 200);
        assert_eq!(vms[1].receive(), (station(0), number));
        vms[1].send(station(0), number, 200);
        assert_eq!(vms[0].receive(), (station(1), number));
        number += 1;
    };
    let kinds = ["unixgram", "stream"];
    let change = |round: usize| {
        let name = format!("hot{}", round % 7);
        let kind = kinds[round % kinds.len()];
        let attach = format!("{kind}:{}", of.path(&name).display());
        let add = json!({ "name": name, "attach": attach, "mac": "52:54:00:00:00:07" });
        let added: Value =
            of.client.change("POST", "/v1/networks/test/ports", &add).expect("it is added");
        assert_eq!(added["name"], json!(name));
        let path = format!("/v1/networks/test/ports/{name}");
        of.client.change::<()>("DELETE", &path, &()).expect("it is removed");
    };
    change(0);
    let before = descriptors();
    let sockets_before = std::fs::read_dir(of.dir.path()).unwrap().count();
    for round in 0..1000 {
        change(round);
        exchange();
    }
    assert!(testkit::wait_until(PATIENCE, || descriptors() <= before), "descriptors are left");
    assert_eq!(std::fs::read_dir(of.dir.path()).unwrap().count(), sockets_before);
    assert_eq!(of.ports(), ["p0", "p1"]);
    vms.iter().for_each(Vm::hears_nothing_more);
    assert_eq!(unsent(), unsent_before, "{:?}", of.client.get::<Value>("/v1/stats"));
}

fn what_is_no_request_adds_nothing_and_leaves_nothing() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    let path = of.path("c.fd");
    // A first one, so that whatever is opened once is open.
    drop(pass(&path, &request(Some("vm"), true), None));
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0"]));
    let before = descriptors();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let inet = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let refused = pass(&path, &request(None, false), Some(&inet.into())).unwrap_err();
    assert!(refused.to_string().contains("is no unix socket"), "{refused}");
    let file = std::fs::File::open("/dev/null").unwrap();
    let refused = pass(&path, &request(None, false), Some(&file.into())).unwrap_err();
    assert!(refused.to_string().contains("descriptor"), "{refused}");
    drop(listener);

    for (line, why) in [
        (&b"{\"colour\":1}\n"[..], "unknown field"),
        (b"7\n", "invalid type"),
        (b"{\"name\":\"a b\"}\n", "is no name"),
        (b"{\"network\":\"nobody\"}\n", "no network nobody"),
        (b"{\"mac\":\"ff:ff:ff:ff:ff:ff\"}\n", "no station's"),
        (&[b'x'; 5000], "4,096 bytes"),
        (b"\xff\xfe\n", "expected"),
    ] {
        let mut connection = UnixStream::connect(&path).unwrap();
        connection.write_all(line).unwrap();
        let mut answer = String::new();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.read_to_string(&mut answer).expect("an answer, and the end");
        assert!(answer.contains("error") && answer.contains(why), "{answer}");
    }
    // Two sockets at once; connections that say nothing.
    let pair = UnixDatagram::pair().unwrap();
    let connection = UnixStream::connect(&path).unwrap();
    let two = [pair.0.as_raw_fd(), pair.1.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&two)];
    let line = [IoSlice::new(b"{}\n")];
    sendmsg::<()>(connection.as_raw_fd(), &line, &rights, MsgFlags::empty(), None).unwrap();
    drop((connection, pair));
    let silent: Vec<UnixStream> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
    drop(silent);
    assert_eq!(of.ports(), ["p0"]);
    let gone = testkit::wait_until(PATIENCE + Duration::from_secs(5), || descriptors() <= before);
    assert!(gone, "{} descriptors were open before, and now {}", before, descriptors());
}
