//! A link is taken down and up, and what happens is told.

use serde_json::{Value, json};
use vswitchd::events::{Event, EventRecord};

use crate::common::controlled::Controlled;
use crate::common::{PATIENCE, Vm, greet, station};

const PAIR: [&str; 2] = ["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1"];

/// What is told of happenings, in order.
struct Told(vswitchd::api::client::Pieces, Vec<u8>);

impl Told {
    fn next(&mut self) -> Event {
        loop {
            if let Some(end) = self.1.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.1.drain(..=end).collect();
                return serde_json::from_slice::<EventRecord>(&line).expect("a record").event;
            }
            self.1.extend_from_slice(&self.0.next().expect("more").expect("a piece"));
        }
    }
}

#[test]
fn a_link_that_is_down_carries_nothing_and_what_happens_is_told() {
    let of = Controlled::start(1, &PAIR);
    let mut told = Told(of.client.stream("/v1/events").expect("events"), Vec::new());
    assert!(matches!(told.next(), Event::Listening { .. }));
    let vms = [Vm::plug_in(of.dir.path(), 0), Vm::plug_in(of.dir.path(), 1)];
    greet(&vms);
    let set = |port: &str, is_up: bool| {
        let path = format!("/v1/networks/test/ports/{port}/link");
        of.client.change::<()>("PUT", &path, &json!({ "is_up": is_up })).expect("it is set");
    };
    // By the target's link, and by the sender's.
    for (down, number) in [("p1", 1), ("p0", 3)] {
        set(down, false);
        vms[0].send(station(1), number, 60);
        vms[0].send(vswitch::MacAddr::BROADCAST, number, 60);
        let dropped = testkit::wait_until(PATIENCE, || {
            let stats: Value = of.client.get("/v1/stats").unwrap();
            let ports = stats["ports"].as_array().unwrap().clone();
            let of_port = ports.iter().find(|port| port["name"] == json!(down)).unwrap();
            of_port["drops"]["link_down"] == json!(2)
        });
        assert!(dropped, "{:?}", of.client.get::<Value>("/v1/stats"));
        set(down, true);
        vms[0].send(station(1), number + 1, 60);
        assert_eq!(vms[1].receive(), (station(0), number + 1), "the first that comes");
    }
    let links: Vec<Event> = (0..4).map(|_| told.next()).collect();
    let link = |port: &str, is_up| Event::LinkChanged {
        network: "test".to_owned(),
        port: port.to_owned(),
        is_up,
    };
    assert_eq!(links, [link("p1", false), link("p1", true), link("p0", false), link("p0", true)]);

    let add = json!({ "name": "s", "attach": format!("stream:{}", of.path("s").display()) });
    let _: Value = of.client.change("POST", "/v1/networks/test/ports", &add).unwrap();
    let client = std::os::unix::net::UnixStream::connect(of.path("s")).unwrap();
    let (network, port) = ("test".to_owned(), "s".to_owned());
    let added = Event::PortAdded { network: network.clone(), port: port.clone() };
    assert_eq!(told.next(), added);
    let joined = Event::ClientJoined { network: network.clone(), port: "s.1".to_owned() };
    assert_eq!(told.next(), joined);
    drop(client);
    let Event::PortEnded { port: ended, .. } = told.next() else { panic!("a port ended") };
    assert_eq!(ended, "s.1");
    of.client.change::<()>("DELETE", "/v1/networks/test/ports/s", &()).unwrap();
    assert_eq!(told.next(), Event::PortRemoved { network, port });
    drop(of.server);
    assert_eq!(told.next(), Event::Ending);
}

/// What waits for a port goes with its link, and so does what is known to be behind it.
#[test]
fn a_link_that_goes_down_forgets_and_drops_what_waits() {
    let of = Controlled::start(1, &PAIR);
    let vms = [Vm::plug_in(of.dir.path(), 0), Vm::plug_in(of.dir.path(), 1)];
    greet(&vms);
    let port = |name: &str| -> Value {
        of.client.get(&format!("/v1/networks/test/ports/{name}")).expect("the port")
    };
    // Nobody reads there: the kernel's queue is full, and then the switch's is not empty.
    vms[0].socket.set_nonblocking(true).unwrap();
    let waits = testkit::wait_until(PATIENCE, || {
        for number in 0..1000 {
            let sent = crate::common::frame(station(1), station(0), number, 1500);
            let _ = vms[0].socket.send(&sent);
        }
        port("p1")["queued_frames"].as_u64() > Some(0)
    });
    assert!(waits, "{}", port("p1"));
    let path = "/v1/networks/test/ports/p1/link";
    of.client.change::<()>("PUT", path, &json!({ "is_up": false })).expect("it is set");
    assert_eq!(port("p1")["queued_frames"], json!(0));
    let known: Value = of.client.get("/v1/networks/test/fdb").expect("addresses");
    let at = |port: &str| -> usize {
        let all = known["addresses"].as_array().expect("a list");
        all.iter().filter(|address| address["port"] == json!(port)).count()
    };
    assert_eq!((at("p0"), at("p1")), (1, 0), "{known}");
}

/// A listener's link is that of its clients, of those to come as well.
#[test]
fn a_listeners_link_is_its_clients() {
    use std::io::Write as _;
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0", "s=stream:DIR/s"]);
    let vm = Vm::plug_in(of.dir.path(), 0);
    let path = "/v1/networks/test/ports/s/link";
    let set = |is_up: bool| {
        of.client.change::<()>("PUT", path, &json!({ "is_up": is_up })).expect("it is set");
    };
    let clients = || -> Vec<Value> {
        let stats: Value = of.client.get("/v1/stats").expect("counters");
        let ports = stats["ports"].as_array().expect("a list");
        let is_client = |of: &&Value| of["name"].as_str().is_some_and(|n| n.starts_with("s."));
        ports.iter().filter(is_client).cloned().collect()
    };
    let connect = |count: usize| {
        let stream = std::os::unix::net::UnixStream::connect(of.path("s")).unwrap();
        assert!(testkit::wait_until(PATIENCE, || clients().len() == count));
        stream
    };
    let mut first = connect(1);
    set(false);
    let mut second = connect(2);
    for (stream, n) in [(&mut first, 5), (&mut second, 6)] {
        let sent = crate::common::frame(station(0), station(n), 1, 60);
        stream.write_all(&[&60_u32.to_be_bytes()[..], &sent].concat()).unwrap();
    }
    let dropped = testkit::wait_until(PATIENCE, || {
        clients().iter().all(|client| client["drops"]["link_down"] == json!(1))
    });
    assert!(dropped, "{:?}", clients());
    set(true);
    let sent = crate::common::frame(station(0), station(6), 2, 60);
    second.write_all(&[&60_u32.to_be_bytes()[..], &sent].concat()).unwrap();
    assert_eq!(heard(&vm), 2, "and nothing of before");
}

/// The number of the next frame for a VM, from whomever.
fn heard(vm: &Vm) -> u64 {
    let mut buffer = [0; 2000];
    let len = vm.socket.recv(&mut buffer).expect("a frame");
    assert!(len >= 22);
    u64::from_le_bytes(buffer[14..22].try_into().expect("eight bytes"))
}
