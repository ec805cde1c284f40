//! Many clients, and clients that do not behave.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::thread::Uid;
use vswitchd::api::client::Client;
use vswitchd::api::pass;
use vswitchd::api::wire::{AddressesReply, PassRequest, StatsReply};

use crate::common::controlled::Controlled;
use crate::common::{PATIENCE, Vm, greet, station};

/// Clients that ask for something and never read the answer, and others that ask all the time: the
/// frames between two ports come, each in its turn, and the server answers.
#[test]
fn clients_without_number_or_manners_disturb_nobody() {
    const ASKING: usize = 100;
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"]);
    let vms = [Vm::plug_in(of.dir.path(), 0), Vm::plug_in(of.dir.path(), 1)];
    greet(&vms);
    let mut deaf = Vec::new();
    for number in 0..100 {
        let mut stream = UnixStream::connect(of.path("c")).expect("a connection");
        stream.set_nonblocking(true).unwrap();
        let request = match number % 4 {
            0 => "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            1 => "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50),
            2 => "GET /v1/ports HTTP/1.1\r\nhos".to_owned(),
            _ => "POST /v1/networks/test/ports HTTP/1.1\r\nhost: x\r\ncontent-type: \
                  application/json\r\ncontent-length: 60000\r\n\r\n{"
                .to_owned(),
        };
        // What does not go in at once does not matter.
        let _ = stream.write(request.as_bytes());
        deaf.push(stream);
    }
    let is_over = AtomicBool::new(false);
    let path = of.path("c");
    std::thread::scope(|scope| {
        let mut asking = Vec::new();
        for _ in 0..ASKING {
            asking.push(scope.spawn(|| {
                let client = Client::new(&path);
                let mut answers = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let stats: StatsReply = client.get("/v1/stats").expect("an answer");
                    assert_eq!(stats.ports.len(), 2);
                    answers += 1;
                }
                answers
            }));
        }
        for number in 0..5000 {
            vms[0].send(station(1), number, 100);
            assert_eq!(vms[1].receive(), (station(0), number));
        }
        is_over.store(true, Ordering::Relaxed);
        for thread in asking {
            assert!(thread.join().expect("it lives") > 0, "a client that was never answered");
        }
    });
    drop(deaf);
}

/// More connections than there may be are closed; those that are there go on.
#[test]
fn there_are_only_so_many_connections() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    let mut connections: Vec<UnixStream> =
        (0..300).map(|_| UnixStream::connect(of.path("c")).expect("a connection")).collect();
    let mut byte = [0];
    let mut last = connections.pop().unwrap();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(last.read(&mut byte).expect("its end"), 0);
    let mut first = connections.remove(0);
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    first.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(first.read(&mut byte).expect("an answer"), 1);
    drop(connections);
    let answered =
        testkit::wait_until(PATIENCE, || of.client.get::<serde_json::Value>("/v1/status").is_ok());
    assert!(answered, "there is room again");
}

/// How many ports may be held.
const HELD_MAX: usize = 1024;

/// As many descriptors as this process may have: on some systems it begins with few.
fn take_all_descriptors() -> u64 {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    most
}

/// Whether the switch closes a connection without a word; not, when it answers what it was asked.
fn is_closed(stream: &mut UnixStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be closed by then.
    let _ = stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n");
    // An end with something unread is told as an error.
    match stream.read(&mut [0]) {
        Ok(len) => len == 0,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        Err(error) => panic!("neither an answer nor an end: {error}"),
    }
}

/// Ports that are held by their connection have their bound. The next is told so; who is there goes
/// on, and so does the control socket.
#[test]
fn there_are_only_so_many_held_ports() {
    // A client's connection and card, and the other ends of both.
    if take_all_descriptors() < 5 * HELD_MAX as u64 {
        testkit::skip("a process may have too few descriptors here");
        return;
    }
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"]);
    let vms = [Vm::plug_in(of.dir.path(), 0), Vm::plug_in(of.dir.path(), 1)];
    greet(&vms);
    let hold = || pass(&of.path("c.fd"), &PassRequest { hold: true, ..<_>::default() }, None);
    let mut held: Vec<_> = (0..HELD_MAX).map(|_| hold().expect("a card")).collect();
    let refused = hold().expect_err("there are too many").to_string();
    let what = "the switch closed the connection (it may have too many, or have ended)";
    assert_eq!(refused, what);
    assert_eq!(of.ports().len(), 2 + HELD_MAX);
    for number in 0..100 {
        vms[0].send(station(1), number, 100);
        assert_eq!(vms[1].receive(), (station(0), number));
    }
    let gone = held.swap_remove(7).reply.port;
    let has_room = testkit::wait_until(PATIENCE, || hold().map(|one| held.push(one)).is_ok());
    assert!(has_room, "{gone} is gone, and nobody gets its place");
    assert_eq!(of.ports().len(), 2 + HELD_MAX);
    drop(held);
    assert!(testkit::wait_until(PATIENCE, || of.ports() == ["p0", "p1"]), "{:?}", of.ports());
}

/// Who may only look fills the places of those who look, at both sockets, and no others.
#[test]
fn who_only_looks_keeps_out_nobody_who_changes_something() {
    const LOOKERS_MAX: usize = 256;
    const REFUSED_MAX: usize = 16;
    if !nix::unistd::Uid::effective().is_root() {
        testkit::skip("to become another user takes root");
        return;
    }
    take_all_descriptors();
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"]);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(of.dir.path(), open).unwrap();
    let vms = [Vm::plug_in(of.dir.path(), 0), Vm::plug_in(of.dir.path(), 1)];
    greet(&vms);
    let (http, descriptors) = (of.path("c"), of.path("c.fd"));
    std::thread::scope(|scope| {
        // Either end is dropped when its thread panics, and the other thread goes on.
        let (full, is_full) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        scope.spawn(move || {
            // From here on this thread is somebody else's, but for its group.
            let reader = Some(Uid::from_raw(4_000_001));
            rustix::thread::set_thread_res_uid(reader, reader, reader).expect("root may");
            let look = || UnixStream::connect(&http).expect("a connection");
            let mut looking: Vec<UnixStream> = (0..LOOKERS_MAX).map(|_| look()).collect();
            assert!(is_closed(&mut look()), "one too many");
            let idle = || UnixStream::connect(&descriptors).expect("a connection");
            let idle: Vec<UnixStream> = (0..REFUSED_MAX).map(|_| idle()).collect();
            assert!(is_closed(&mut UnixStream::connect(&descriptors).unwrap()), "one too many");
            full.send(()).unwrap();
            may_go_on.recv().expect("nothing is wrong there");
            assert!(!is_closed(&mut looking[0]), "who is there is answered");
            looking.pop();
            assert!(testkit::wait_until(PATIENCE, || !is_closed(&mut look())), "room again");
            drop(idle);
        });
        is_full.recv().expect("it got so far");
        assert_eq!(of.ports(), ["p0", "p1"]);
        let given = pass(&of.path("c.fd"), &PassRequest::default(), None).expect("a card");
        assert_eq!(of.ports(), ["p0", "p1", &given.reply.port]);
        for number in 0..100 {
            vms[0].send(station(1), number, 100);
            assert_eq!(vms[1].receive(), (station(0), number));
        }
        go_on.send(()).unwrap();
    });
}

/// All addresses are told, in pages, on one loop and on two.
#[test]
fn a_large_table_is_told_in_pages() {
    const STATIONS: usize = 3000;
    for threads in [1, 2] {
        let of = Controlled::start(threads, &["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"]);
        let vm = Vm::plug_in(of.dir.path(), 0);
        for number in 0..STATIONS {
            let [.., high, low] = number.to_be_bytes();
            let from = vswitch::MacAddr([2, 0, 0, 1, high, low]);
            let sent = crate::common::frame(vswitch::MacAddr::BROADCAST, from, 0, 60);
            vm.socket.send(&sent).unwrap();
        }
        let all = || {
            let (mut macs, mut pages, mut after) = (Vec::new(), 0, String::new());
            loop {
                let path = format!("/v1/networks/test/fdb?limit=500{after}");
                let page: AddressesReply = of.client.get(&path).expect("a page");
                pages += 1;
                assert!(page.addresses.iter().all(|address| address.port == "p0"));
                macs.extend(page.addresses.into_iter().map(|address| address.mac));
                match page.next {
                    Some(next) => after = format!("&after={next}"),
                    None => return (macs, pages),
                }
            }
        };
        assert!(testkit::wait_until(PATIENCE, || all().0.len() == STATIONS), "{}", all().0.len());
        let (mut macs, pages) = all();
        macs.sort();
        macs.dedup();
        assert_eq!(macs.len(), STATIONS);
        assert!(pages > 3, "{pages} pages");
    }
}
