//! Many clients, and clients that do not behave.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use vswitchd::api::client::Client;
use vswitchd::api::wire::{AddressesReply, StatsReply};

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
