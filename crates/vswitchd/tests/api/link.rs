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
