//! TCP between two kernels' stacks does not notice that the switch between them is changed.
#![cfg(target_os = "linux")]

mod support;

use std::net::{IpAddr, TcpListener};

use probe::throughput::{Amount, PORT, Way};
use serde_json::json;
use support::host::Host;
use support::lab::{self, Room};
use support::switch::Switch;

const TRANSFER_BYTES: u64 = 2_000_000_000;

/// Two TAPs; with ports beside them, and another network, if `is_crowded`.
fn configuration(is_crowded: bool) -> String {
    let mut text = "[[network]]\nname = \"lan\"\n".to_owned();
    let mut port = |name: &str, attach: &str| {
        text += &format!("[[network.port]]\nname = \"{name}\"\nattach = \"{attach}\"\n");
    };
    port("a", "tap:tap30");
    port("b", "tap:tap31");
    if is_crowded {
        port("c", "unixgram:c");
        port("d", "stream:d");
        text += "[[network]]\nname = \"lab\"\n[[network.port]]\nname = \"e\"\n";
        text += "attach = \"unixgram:e\"\n";
    }
    text
}

/// Segments that this thread's network stack sent again (RFC 4022, tcpRetransSegs).
fn retransmitted() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("/proc is mounted");
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, numbers) = (rows.next().expect("names"), rows.next().expect("numbers"));
    let mut columns = names.split_whitespace().zip(numbers.split_whitespace());
    let (_, number) = columns.find(|(name, _)| *name == "RetransSegs").expect("a counter");
    number.parse().expect("a number")
}

#[test]
fn a_transfer_shows_no_retransmit_while_the_configuration_is_read_again() {
    if !lab::enter() || !lab::can_make_taps() {
        return;
    }
    let room = Room::new();
    let switch = Switch::configured(&room, &configuration(false));
    let hosts = [30, 31].map(Host::on_tap);
    let server = hosts[1].run(|| {
        let listener = TcpListener::bind(("192.0.2.31", PORT)).expect("a listener");
        probe::host::Server::start(listener).expect("a server")
    });
    let peer = (IpAddr::from([192, 0, 2, 31]), PORT).into();
    let transfer = hosts[0].spawn(move || {
        let amount = Amount::Bytes(TRANSFER_BYTES);
        let report = probe::host::transfer(peer, Way::Upload, amount).expect("a transfer");
        assert_eq!(report.bytes, TRANSFER_BYTES);
        retransmitted()
    });
    let mut reloads = 0;
    while !transfer.is_finished() || reloads < 10 {
        let added = switch.reload(&room, &configuration(true));
        assert_eq!(added["added"], json!(["lan/c", "lan/d", "lab", "lab/e"]), "{added}");
        let removed = switch.reload(&room, &configuration(false));
        assert_eq!(removed["removed"], json!(["lab", "lan/c", "lan/d"]), "{removed}");
        reloads += 2;
    }
    assert_eq!(transfer.join().expect("it ends well"), 0, "segments sent again");
    assert_eq!(hosts[1].run(retransmitted), 0, "by the receiver");
    println!("{reloads} reloads beside {TRANSFER_BYTES} bytes");
    hosts[1].run(move || drop(server));
    switch.stop();
}
